"""Vectors of subtrees that ML-DSA-44 cosigners sign, put together by cosigners.py."""

from __future__ import annotations

import struct

from tests.vectors.cosignatures import (
    BAD,
    CHECKPOINT,
    EMPTY_ROOT,
    LAST,
    LONG,
    NEW,
    ORIGIN,
    PROOF,
    ROOT,
    TIME,
    Case,
    Subtree,
)
from tests.vectors.cosigners import subtree_message


def files() -> dict[str, Case]:
    """Make the file of subtrees in the folder cosignature."""
    return {
        "cosignature/subtrees.json": {
            "desc": "ML-DSA-44 signatures of subtrees.",
            "operation": "verify_subtree_cosignature",
            "cases": _subtrees(),
        }
    }


def _subtrees() -> list[Case]:
    good: list[tuple[str, int, Subtree]] = [
        ("a full subtree", 0, (ORIGIN, 8, 16, ROOT)),
        ("a subtree that is not full", 0, (ORIGIN, 8, 13, ROOT)),
        ("one leaf", 0, (ORIGIN, 5, 6, ROOT)),
        ("no leaf", 0, (ORIGIN, 5, 5, EMPTY_ROOT)),
        ("from 0, with a time", TIME, (ORIGIN, 0, 13, ROOT)),
        ("from 0, without", 0, (ORIGIN, 0, 13, ROOT)),
        ("an origin of 255 bytes", 0, (LONG, 8, 16, ROOT)),
        ("the end of the longest tree", 0, (ORIGIN, LAST - 1, LAST, ROOT)),
    ]
    bad: list[tuple[str, int, Subtree, str]] = [
        ("a time although start is not 0", TIME, (ORIGIN, 8, 16, ROOT), BAD),
        ("start not aligned", 0, (ORIGIN, 4, 12, ROOT), PROOF),
        ("start above end", 0, (ORIGIN, 9, 8, ROOT), PROOF),
        ("an end of 2^63", 0, (ORIGIN, LAST, LAST + 1, ROOT), PROOF),
        ("no leaf, and another root", 0, (ORIGIN, 5, 5, ROOT), "RootMismatchError"),
        ("no origin", 0, ("", 8, 16, ROOT), CHECKPOINT),
        ("an origin of two lines", 0, ("a\nb", 8, 16, ROOT), CHECKPOINT),
        ("an origin with a control character", 0, ("a\x1fb", 8, 16, ROOT), CHECKPOINT),
    ]
    signed = _signed_subtree(0, (ORIGIN, 8, 16, ROOT))
    changed: dict[str, tuple[Subtree, str]] = {
        "another origin": (("log.example/two", 8, 16, ROOT), BAD),
        "another start": ((ORIGIN, 12, 16, ROOT), BAD),
        "another end": ((ORIGIN, 8, 15, ROOT), BAD),
        "another root": ((ORIGIN, 8, 16, EMPTY_ROOT), BAD),
        "an origin of 256 bytes": (("o" * 256, 8, 16, ROOT), CHECKPOINT),
    }
    return [
        *(
            {
                "desc": what,
                "input": _subtree_fields(subtree, _signed_subtree(time, subtree)),
                "expected": {},
            }
            for what, time, subtree in good
        ),
        *(
            {
                "desc": what,
                "input": _subtree_fields(subtree, _signed_subtree(time, subtree)),
                "wantErr": error,
            }
            for what, time, subtree, error in bad
        ),
        *(
            {"desc": what, "input": _subtree_fields(subtree, signed), "wantErr": error}
            for what, (subtree, error) in changed.items()
        ),
    ]


def _signed_subtree(timestamp: int, subtree: Subtree) -> bytes:
    message = subtree_message(NEW.name, timestamp, *subtree)
    return struct.pack(">Q", timestamp) + NEW.sign(message)


def _subtree_fields(subtree: Subtree, signature: bytes) -> Case:
    origin, start, end, root = subtree
    return {
        "vkey": NEW.vkey,
        "origin": origin,
        "start": start if start < 2**53 else str(start),
        "end": end if end < 2**53 else str(end),
        "root": root.hex(),
        "signature": signature.hex(),
    }
