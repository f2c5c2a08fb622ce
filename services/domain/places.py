"""Where models lie, by URI: what Seldon reads by itself, and the place that the settings name for the rest. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.errors import InvalidInput

SELDON_READS = ("s3", "gs", "http", "https", "pvc")
"""Schemes that the initialiser of Seldon's servers fetches from."""
STORE_SCHEMES = ("s3", "gs", "pvc")
"""Those that Decant can write to."""
EXAMPLES = "s3://bucket/prefix, gs://bucket/prefix or pvc://claim/prefix"

_MODEL_ID = re.compile(r"/(m-[0-9a-f]{32})(?:/artifacts)?/?$")


def seldon_reads(uri: str) -> bool:
    """Whether Seldon fetches a model from such an address by itself."""
    return urlsplit(uri).scheme in SELDON_READS


def model_id_in(uri: str) -> str | None:
    """The logged model that a published address names: its last part, or the one before MLflow's own `artifacts`."""
    found = _MODEL_ID.search(uri) if seldon_reads(uri) else None
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class StorePlace:
    """A folder of a bucket or of a volume; models are published into folders below it."""

    scheme: str
    bucket: str  # or the claim of a volume
    prefix: str  # without slashes at the ends; may be empty

    @classmethod
    def parse(cls, text: str) -> StorePlace:
        """Raises InvalidInput."""
        parts = urlsplit(text.strip())
        if parts.scheme not in STORE_SCHEMES or not parts.netloc or parts.query or parts.fragment:
            raise InvalidInput(f"“{text}” is not a place for models.", f"Give {EXAMPLES}.")
        if "@" in parts.netloc:
            raise InvalidInput(
                "The place for models must not hold credentials.",
                "Give them in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or GOOGLE_APPLICATION_CREDENTIALS.",
            )
        prefix = "/".join(part for part in parts.path.split("/") if part)
        if ".." in prefix.split("/"):
            raise InvalidInput(f"“{text}” leads out of its bucket.", f"Give {EXAMPLES}.")
        return cls(parts.scheme, parts.netloc, prefix)

    def uri(self, name: str = "") -> str:
        """The address of a published model, as Seldon reads it; without a name that of the store."""
        return f"{self.scheme}://" + "/".join(part for part in (self.bucket, self.prefix, name) if part)
