"""Idempotency ids: what is sent with an entry so that sending it again appends it once only."""

from __future__ import annotations

import re
import secrets

from tlog_proofs import MalformedError

MAX_ENTRY_ID_CHARS = 255
_ENTRY_ID = re.compile(r"[!-~]+")
_RANDOM_BYTES = 16


class MalformedEntryIdError(MalformedError):
    """An idempotency id is not 1 to 255 characters of printable ASCII without spaces."""


def new_entry_id() -> str:
    """Return a random id that nobody has used: 32 lowercase hex digits."""
    return secrets.token_hex(_RANDOM_BYTES)


def numbered_ids(prefix: str, count: int) -> tuple[str, ...]:
    """Return the ids PREFIX-1 to PREFIX-count."""
    return tuple(f"{prefix}-{number}" for number in range(1, count + 1))


def check_entry_id(entry_id: str, *, max_chars: int = MAX_ENTRY_ID_CHARS) -> None:
    """Check an id, or with a smaller bound what an id is going to begin with.

    Raises:
        MalformedEntryIdError: it is none.
    """
    if len(entry_id) > max_chars or not _ENTRY_ID.fullmatch(entry_id):
        raise MalformedEntryIdError(
            f"id: expected 1 to {max_chars} characters of printable ASCII without spaces"
        )
