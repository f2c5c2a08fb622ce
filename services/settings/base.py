"""What all groups of settings have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent.parent
"""The checkout: where `data/`, `app/` and `manifests/` are."""

Port = Annotated[int, Field(ge=1, le=65535)]


class Group(BaseSettings):
    """Some of Decant's settings; each field is the variable `DECANT_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="DECANT_", extra="ignore", populate_by_name=True)


def listed(text: str) -> list[str]:
    """The names in a list separated by commas, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
