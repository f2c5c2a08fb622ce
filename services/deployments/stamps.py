"""Who wrote a deployment last, when and why: annotations that every engine adds at each write."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from services.deployments.manifest import CHANGE_REASON, CHANGED_AT, CHANGED_BY, NONCE
from services.domain import ChangeNote


def stamps(note: ChangeNote) -> dict[str, str]:
    """The annotations of a write made now; without an entry for what is not known."""
    found = {
        NONCE: secrets.token_hex(4),  # so that writing the same deployment twice gives two versions
        CHANGED_BY: note.who,
        CHANGED_AT: datetime.now(UTC).replace(microsecond=0).isoformat(),
        CHANGE_REASON: note.why,
    }
    return {key: value for key, value in found.items() if value}
