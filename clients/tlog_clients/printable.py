"""Making text from outside safe to show on a terminal."""

from __future__ import annotations

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str, max_chars: int = 500) -> str:
    """Return text with every control, formatting or unassigned character replaced, cut at a bound.

    What comes from a server could otherwise move the cursor, recolour or reverse what the reader
    sees (C0, C1 and bidirectional controls).
    """
    shown = "".join(char if char.isprintable() else _REPLACEMENT for char in text[:max_chars])
    return shown if len(text) <= max_chars else shown + "..."


def printable_note(note: bytes) -> str:
    """Return a signed note as lines of printable text."""
    lines = note.decode("utf-8", "replace").split("\n")
    return "\n".join(printable(line, max_chars=10_000) for line in lines)
