"""Vectors of the bytes that cosigners sign, put together by cosigners.py."""

from __future__ import annotations

from tests.vectors.cosignatures import (
    CHECKPOINT,
    EMPTY_ROOT,
    EXTENDED,
    KEY,
    LAST,
    LONG,
    NEW,
    OLD,
    ORIGIN,
    PROOF,
    ROOT,
    TEXT,
    TIME,
    Case,
    Subtree,
)
from tests.vectors.cosigners import ed25519_message, subtree_message

MALFORMED = "MalformedCosignatureError"


def files() -> dict[str, Case]:
    """Make the files of messages in the folder cosignature."""
    return {
        "cosignature/ed25519-messages.json": {
            "desc": "What an Ed25519 cosigner signs.",
            "operation": "cosignature_message",
            "cases": _ed25519_messages(),
        },
        "cosignature/subtree-messages.json": {
            "desc": "What an ML-DSA-44 cosigner signs.",
            "operation": "subtree_message",
            "cases": _subtree_messages(),
        },
    }


def _ed25519_messages() -> list[Case]:
    cases = [
        {
            "desc": what,
            "input": {
                "timestamp": time if time < 2**53 else str(time),
                "checkpoint": text,
            },
            "expected": {"message": ed25519_message(text, time).hex()},
        }
        for what, time, text in (
            ("a checkpoint", TIME, TEXT),
            ("an extension line", TIME, EXTENDED),
            ("the first timestamp", 0, TEXT),
            ("the last timestamp", LAST, TEXT),
        )
    ]
    return cases + [
        {"desc": what, "input": {"timestamp": time, "checkpoint": text}, "wantErr": error}
        for what, time, text, error in (
            ("a timestamp of 2^63", str(2**63), TEXT, MALFORMED),
            ("a negative timestamp", -1, TEXT, MALFORMED),
            ("no checkpoint", TIME, "a text\n", CHECKPOINT),
            ("a whole note", TIME, f"{TEXT}\n{OLD.line(TEXT, TIME)}", CHECKPOINT),
        )
    ]


def _subtree_messages() -> list[Case]:
    tree: Subtree = (ORIGIN, 0, 20852163, ROOT)
    good: list[tuple[str, str, int, Subtree]] = [
        ("a checkpoint", NEW.name, TIME, tree),
        ("a checkpoint without a time", NEW.name, 0, tree),
        ("the empty tree", NEW.name, TIME, (ORIGIN, 0, 0, EMPTY_ROOT)),
        ("a subtree", "oid/1.3.6.1.4.1.44363.47.1", 0, (ORIGIN, 8, 13, ROOT)),
        ("the longest names", LONG, LAST, (LONG, 0, 1, ROOT)),
    ]
    bad: list[tuple[str, str, int, Subtree, str]] = [
        ("a time although start is not 0", NEW.name, 1, (ORIGIN, 8, 16, ROOT), MALFORMED),
        ("a timestamp of 2^63", NEW.name, 2**63, tree, MALFORMED),
        ("no name", "", 0, tree, KEY),
        ("a name of 256 bytes", "n" * 256, 0, tree, KEY),
        ("no origin", NEW.name, 0, ("", 0, 1, ROOT), CHECKPOINT),
        ("an origin of 256 bytes", NEW.name, 0, ("o" * 256, 0, 1, ROOT), CHECKPOINT),
        ("an origin of two lines", NEW.name, 0, ("o\n", 0, 1, ROOT), CHECKPOINT),
        ("no subtree", NEW.name, 0, (ORIGIN, 1, 3, ROOT), PROOF),
        ("a root of 31 bytes", NEW.name, 0, (ORIGIN, 0, 1, ROOT[1:]), PROOF),
        ("no leaf, and another root", NEW.name, 0, (ORIGIN, 0, 0, ROOT), "RootMismatchError"),
    ]
    return [
        *(
            {
                "desc": what,
                "input": _message_fields(name, time, subtree),
                "expected": {"message": subtree_message(name, time, *subtree).hex()},
            }
            for what, name, time, subtree in good
        ),
        *(
            {"desc": what, "input": _message_fields(name, time, subtree), "wantErr": error}
            for what, name, time, subtree, error in bad
        ),
    ]


def _message_fields(cosigner: str, timestamp: int, subtree: Subtree) -> Case:
    origin, start, end, root = subtree
    return {
        "cosigner": cosigner,
        "timestamp": timestamp if timestamp < 2**53 else str(timestamp),
        "origin": origin,
        "start": start,
        "end": end,
        "root": root.hex(),
    }
