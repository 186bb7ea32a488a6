"""Vectors of checkpoints and tlog-proofs that a policy accepts, or not."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Any

from tests.vectors.cosignatures import EXTENDED, ORIGIN, ROOT, TEXT, TIME
from tests.vectors.cosigners import ED25519, Key, b64
from tests.vectors.policies import GROUPS, LOG, ML_DSA_LOG, NEXT_LOG, OTHER_LOG, W4, W

Case = dict[str, Any]
Line = tuple[Key, int]

STRANGER = Key("stranger.example")
X1, X2, X3, _, Y2 = W
ALONE = f"log {LOG.vkey}\nquorum none\n"
ONE = f"log {LOG.vkey}\nwitness X1 {X1.vkey}\nquorum X1\n"
ROTATED = f"log {LOG.vkey}\nlog {NEXT_LOG.vkey}\nquorum none\n"
BOTH_KINDS = f"log {LOG.vkey}\nlog {ML_DSA_LOG.vkey}\nquorum none\n"
OTHERS = f"{ALONE}log {OTHER_LOG.vkey}\n"
SAME_KEY = f"log {ML_DSA_LOG.vkey}\nwitness self {ML_DSA_LOG.vkey}\nquorum self\n"


def files() -> dict[str, Case]:
    """Make the files of checkpoints and proofs under policies."""
    return {
        "policy/checkpoints.json": {
            "desc": "Checkpoints opened by a policy.",
            "operation": "open_checkpoint_by_policy",
            "cases": [*_good(), *_bad()],
        },
        "tlog-proof/policies.json": {
            "desc": "tlog-proofs verified by a policy.",
            "operation": "verify_tlog_proof_by_policy",
            "cases": _proofs(),
        },
    }


@dataclass(frozen=True)
class Note:
    """A note: the lines by these keys at these times under a text."""

    lines: list[Line]
    text: str = TEXT

    def __str__(self) -> str:
        return f"{self.text}\n" + "".join(key.line(self.text, time) for key, time in self.lines)


def _opened(logs: list[Key], cosignatures: list[tuple[str, int]]) -> Case:
    return {
        "logs": [f"{key.name}+{key.key_id.hex()}" for key in logs],
        "cosignatures": [{"witness": name, "timestamp": time} for name, time in cosignatures],
    }


def _good() -> list[Case]:
    x1, x2, y1 = (X1, TIME), (X2, TIME + 1), (W4, TIME + 2)
    good: list[tuple[str, str, Note, Case]] = [
        ("no witness asked for", ALONE, Note([(LOG, 0)]), _opened([LOG], [])),
        ("one witness", ONE, Note([(LOG, 0), x1]), _opened([LOG], [("X1", TIME)])),
        (
            "witnesses nobody asked for",
            ALONE,
            Note([(LOG, 0), x1, (STRANGER, 1)]),
            _opened([LOG], []),
        ),
        (
            "two of X and one of Y, among strangers, in any order",
            GROUPS,
            Note([y1, (STRANGER, TIME), x2, (LOG, 0), x1]),
            _opened([LOG], [("Y1", TIME + 2), ("X2", TIME + 1), ("X1", TIME)]),
        ),
        (
            "everybody",
            GROUPS,
            Note([(LOG, 0), x1, x2, (X3, 5), y1, (Y2, 6)]),
            _opened(
                [LOG], [("X1", TIME), ("X2", TIME + 1), ("X3", 5), ("Y1", TIME + 2), ("Y2", 6)]
            ),
        ),
        (
            "one witness at two times",
            ONE,
            Note([(LOG, 0), x1, (X1, TIME + 9)]),
            _opened([LOG], [("X1", TIME), ("X1", TIME + 9)]),
        ),
        (
            "an ML-DSA-44 cosignature that states no time",
            f"log {LOG.vkey}\nwitness w {W4.vkey}\nquorum w\n",
            Note([(LOG, 0), (W4, 0)]),
            _opened([LOG], [("w", 0)]),
        ),
        ("two keys, the old one signed", ROTATED, Note([(LOG, 0)]), _opened([LOG], [])),
        ("two keys, the new one signed", ROTATED, Note([(NEXT_LOG, 0)]), _opened([NEXT_LOG], [])),
        (
            "two keys, both signed",
            ROTATED,
            Note([(LOG, 0), (NEXT_LOG, 0)]),
            _opened([LOG, NEXT_LOG], []),
        ),
        (
            "the old key alone in the policy, both signed",
            ALONE,
            Note([(NEXT_LOG, 0), (LOG, 0)]),
            _opened([LOG], []),
        ),
        (
            "keys of two kinds, ML-DSA-44 signed",
            BOTH_KINDS,
            Note([(ML_DSA_LOG, TIME)]),
            _opened([ML_DSA_LOG], []),
        ),
        (
            "keys of two kinds, both signed, with an extension line",
            BOTH_KINDS,
            Note([(ML_DSA_LOG, TIME), (LOG, 0)], EXTENDED),
            _opened([ML_DSA_LOG, LOG], []),
        ),
        (
            "the log's key signed twice",
            ALONE,
            Note([(LOG, 0), (LOG, 0)]),
            _opened([LOG], []),
        ),
        (
            "the key of another log in the policy signed as well",
            OTHERS,
            Note([(OTHER_LOG, 0), (LOG, 0)]),
            _opened([LOG], []),
        ),
        (
            "another log of the policy",
            OTHERS,
            Note([(OTHER_LOG, 0)], TEXT.replace(ORIGIN, OTHER_LOG.name)),
            _opened([OTHER_LOG], []),
        ),
        (
            "one key as log and as witness",
            SAME_KEY,
            Note([(ML_DSA_LOG, TIME)]),
            _opened([ML_DSA_LOG], [("self", TIME)]),
        ),
    ]
    return [
        {"desc": what, "input": {"policy": policy, "note": str(note)}, "expected": opened}
        for what, policy, note, opened in good
    ]


def _bad() -> list[Case]:
    log, x1, x2, y1 = (LOG, 0), (X1, TIME), (X2, TIME), (W4, TIME)
    renamed = Key("witness.example/other", ED25519, seed_of=X1.name)
    wrong_time = struct.pack(">Q", TIME + 1) + X1.signature(TEXT, TIME)[8:]
    quorum, unknown, bad = "QuorumError", "UnknownKeyError", "BadSignatureError"
    notes: list[tuple[str, str, object, str]] = [
        ("a log that the policy does not list", ALONE, Note([(OTHER_LOG, 0)]), unknown),
        ("no log in the policy", "quorum none\n", Note([log]), unknown),
        ("a witness without the log", ONE, Note([x1]), unknown),
        ("a new key that the policy does not list", ALONE, Note([(NEXT_LOG, 0)]), unknown),
        ("no cosignature", ONE, Note([log]), quorum),
        ("a stranger's cosignature", ONE, Note([log, (STRANGER, TIME)]), quorum),
        ("the witness's key under another name", ONE, Note([log, (renamed, TIME)]), quorum),
        ("one of X and one of Y", GROUPS, Note([log, x1, y1]), quorum),
        ("one of X twice, and one of Y", GROUPS, Note([log, x1, (X1, 5), y1]), quorum),
        ("two of X and none of Y", GROUPS, Note([log, x1, x2]), quorum),
        ("Y alone", GROUPS, Note([log, y1, (Y2, 6)]), quorum),
        ("a cosignature of another time", ONE, f"{Note([log])}{X1.raw_line(wrong_time)}", bad),
        (
            "a bad cosignature beside a quorum",
            GROUPS,
            f"{Note([log, x1, x2, y1])}{X3.raw_line(bytes(72))}",
            bad,
        ),
        (
            "a bad signature of one of two keys",
            ROTATED,
            f"{Note([log])}{NEXT_LOG.raw_line(bytes(64))}",
            bad,
        ),
        (
            "a bad signature of another log in the policy",
            OTHERS,
            f"{Note([log])}{OTHER_LOG.raw_line(bytes(64))}",
            bad,
        ),
        (
            "one log's checkpoint signed by another log of the policy",
            OTHERS,
            Note([(OTHER_LOG, 0)]),
            "OriginMismatchError",
        ),
        (
            "an extension line that only ML-DSA-44 might cover",
            BOTH_KINDS,
            Note([(ML_DSA_LOG, TIME)], EXTENDED),
            "UnsignedExtensionError",
        ),
        (
            "an extension line that another log's Ed25519 key covers",
            f"{BOTH_KINDS}log {OTHER_LOG.vkey}\n",
            Note([(ML_DSA_LOG, TIME), (OTHER_LOG, 0)], EXTENDED),
            "UnsignedExtensionError",
        ),
        ("a signed text that is no checkpoint", ALONE, Note([log], "a text\n"), "Malformed"),
        ("no signature", ALONE, f"{TEXT}\n", "MalformedNoteError"),
        ("no note", ALONE, "", "MalformedNoteError"),
    ]
    return [
        {
            "desc": what,
            "input": {"policy": policy, "note": str(note)},
            "wantErr": "MalformedCheckpointError" if error == "Malformed" else error,
        }
        for what, policy, note, error in notes
    ]


def _proofs() -> list[Case]:
    """Proofs of the second of two entries."""
    entries = [b"first", b"second"]
    leaves = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]
    root = hashlib.sha256(b"\x01" + b"".join(leaves)).digest()
    text = f"{ORIGIN}\n2\n{b64(root)}\n"
    enough = Note([(LOG, 0), (X1, TIME), (X2, TIME), (W4, TIME)], text)

    def proof(note: Note, sibling: bytes = leaves[0]) -> str:
        return f"c2sp.org/tlog-proof@v1\nindex 1\n{b64(sibling)}\n\n{note}"

    cases: list[tuple[str, str, bytes, str]] = [
        ("too few cosignatures", proof(Note(enough.lines[:3], text)), leaves[1], "QuorumError"),
        ("no log signature", proof(Note(enough.lines[1:], text)), leaves[1], "UnknownKeyError"),
        ("another path", proof(enough, ROOT), leaves[1], "RootMismatchError"),
        ("another entry", proof(enough), leaves[0], "RootMismatchError"),
    ]
    return [
        {
            "desc": "log and quorum",
            "input": {"policy": GROUPS, "tlog_proof": proof(enough), "leaf_hash": leaves[1].hex()},
            "expected": {"index": 1, "size": 2, "witnesses": ["X1", "X2", "Y1"]},
        }
    ] + [
        {
            "desc": what,
            "input": {"policy": GROUPS, "tlog_proof": text, "leaf_hash": leaf.hex()},
            "wantErr": error,
        }
        for what, text, leaf, error in cases
    ]
