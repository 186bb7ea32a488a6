"""Vectors of cosignatures and of the keys that make them, put together by cosigners.py."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

from tests import ml_dsa_44
from tests.vectors.cosigners import (
    ED25519,
    ML_DSA,
    NOTE,
    Key,
    b64,
    ed25519_message,
    subtree_message,
)

Case = dict[str, Any]
Subtree = tuple[str, int, int, bytes]  # origin, start, end, root

BAD, KEY = "BadSignatureError", "MalformedKeyError"
PROOF, CHECKPOINT = "MalformedProofError", "MalformedCheckpointError"

ORIGIN = "log.example/one"
ROOT = hashlib.sha256(b"a root").digest()
EMPTY_ROOT = hashlib.sha256(b"").digest()
TEXT = f"{ORIGIN}\n20852163\n{b64(ROOT)}\n"
EMPTY_TEXT = f"{ORIGIN}\n0\n{b64(EMPTY_ROOT)}\n"
EXTENDED = f"{TEXT}an extension line\n"
TIME = 1700000000
LAST = 2**63 - 1

OLD = Key("witness.example/w1")
NEW = Key("witness.example/w1", ML_DSA)
LONG = "\u00e8" * 127 + "e"


def files() -> dict[str, Case]:
    """Make the files of the folder cosignature, and those of cosigners' keys."""
    return {
        "cosignature/checkpoints.json": {
            "desc": "Checkpoints with a cosignature, and the time that it states.",
            "operation": "open_cosignature",
            "cases": _checkpoints(),
        },
        "key/cosigner-keys.json": {
            "desc": "Cosigners' signer keys.",
            "operation": "parse_cosigner_key",
            "cases": _cosigner_keys(),
        },
    }


def _checkpoints() -> list[Case]:
    good = [
        (f"{what}, {where}", key, text, time)
        for what, key in (("Ed25519", OLD), ("ML-DSA-44", NEW))
        for where, text, time in (
            ("now", TEXT, TIME),
            ("the empty tree", EMPTY_TEXT, 1),
            ("an extension line", EXTENDED, TIME),
        )
    ]
    good += [
        ("Ed25519, the last timestamp", OLD, TEXT, LAST),
        ("Ed25519, the first timestamp", OLD, TEXT, 0),
        ("ML-DSA-44, no time stated", NEW, TEXT, 0),
        ("ML-DSA-44, a cosigner's name of 255 bytes", Key(LONG, ML_DSA), TEXT, TIME),
    ]
    cases = [
        {
            "desc": what,
            "input": {"note": f"{text}\n{key.line(text, time)}", "vkey": key.vkey},
            "expected": {"timestamp": time if time < 2**53 else str(time)},
        }
        for what, key, text, time in good
    ]
    # The extension lines are not what ML-DSA-44 signs: the line of one text is good for the other.
    line = NEW.line(TEXT, TIME)
    cases.append(
        {
            "desc": "ML-DSA-44, an extension line added to what was signed",
            "input": {"note": f"{EXTENDED}\n{line}", "vkey": NEW.vkey},
            "expected": {"timestamp": TIME},
        }
    )
    return cases + [
        {"desc": what, "input": {"note": note, "vkey": vkey}, "wantErr": error}
        for what, note, vkey, error in [*_bad_lines(OLD), *_bad_lines(NEW), *_bad_texts()]
    ]


def _bad_lines(key: Key) -> list[tuple[str, str, str, str]]:
    """Lines by the key, at its name and id, that are no cosignatures of TEXT."""
    what = {ED25519: "Ed25519", ML_DSA: "ML-DSA-44"}[key.key_type]
    good = key.signature(TEXT, TIME)
    flipped = bytearray(good)
    flipped[-1] ^= 1
    bad = {
        "another timestamp": struct.pack(">Q", TIME + 1) + good[8:],
        "a timestamp of 2^63": _beyond(key),
        "one bit wrong": bytes(flipped),
        "one byte missing": good[:-1],
        "one byte more": good + b"\x00",
        "no timestamp": good[8:],
        "a timestamp alone": good[:8],
        "three bytes": good[:3],
        "little-endian timestamp": struct.pack("<Q", TIME) + good[8:],
        "of another checkpoint": key.signature(EMPTY_TEXT, TIME),
        "the text signed as a note is": struct.pack(">Q", TIME) + key.sign(TEXT.encode()),
        "by another key of that name": Key(key.name, key.key_type, 1).signature(TEXT, TIME),
    }
    cases = [
        (f"{what}, {how}", f"{TEXT}\n{key.raw_line(signature)}", key.vkey, BAD)
        for how, signature in bad.items()
    ]
    other = Key("stranger.example", key.key_type)
    return [
        *cases,
        (f"{what}, another key", f"{TEXT}\n{other.line(TEXT, TIME)}", key.vkey, "UnknownKeyError"),
    ]


def _beyond(key: Key) -> bytes:
    """Sign with a timestamp that no cosignature may have."""
    if key.key_type == ED25519:
        message = ed25519_message(TEXT, 2**63)
    else:
        message = subtree_message(key.name, 2**63, ORIGIN, 0, 20852163, ROOT)
    return struct.pack(">Q", 2**63) + key.sign(message)


def _bad_texts() -> list[tuple[str, str, str, str]]:
    no_checkpoint = "a text\n"
    message = ed25519_message(no_checkpoint, TIME)
    old_line = OLD.raw_line(struct.pack(">Q", TIME) + OLD.sign(message))
    other_name = Key("witness.example/w2", ML_DSA)
    renamed = struct.pack(">Q", TIME) + NEW.sign(
        subtree_message(other_name.name, TIME, ORIGIN, 0, 20852163, ROOT)
    )
    ranged = struct.pack(">Q", 0) + NEW.sign(subtree_message(NEW.name, 0, ORIGIN, 0, 8, ROOT))
    return [
        ("Ed25519, of a text that is no checkpoint", f"{no_checkpoint}\n{old_line}", OLD.vkey, BAD),
        (
            "ML-DSA-44, of a text that is no checkpoint",
            f"{no_checkpoint}\n{NEW.line(TEXT, TIME)}",
            NEW.vkey,
            BAD,
        ),
        (
            "Ed25519, an extension line added to what was signed",
            f"{EXTENDED}\n{OLD.line(TEXT, TIME)}",
            OLD.vkey,
            BAD,
        ),
        (
            "ML-DSA-44, signed under another cosigner's name",
            f"{TEXT}\n{NEW.raw_line(renamed)}",
            NEW.vkey,
            BAD,
        ),
        ("ML-DSA-44, of another range", f"{TEXT}\n{NEW.raw_line(ranged)}", NEW.vkey, BAD),
        *_bad_messages(),
        *_bad_ids(),
    ]


def _bad_messages() -> list[tuple[str, str, str, str]]:
    """Signatures of messages that differ in one place from what a cosigner signs."""
    message = ed25519_message(TEXT, TIME)
    messages = {
        "a leading zero in the time": message.replace(b"time ", b"time 0"),
        "another header line": message.replace(b"/v1", b"/v2"),
        "no header line": message.removeprefix(b"cosignature/v1\n"),
        "two spaces before the time": message.replace(b"time ", b"time  "),
        "without the last line feed": message[:-1],
        "with the empty line after it": message + b"\n",
    }
    cases = [
        (f"Ed25519, signed {what}", OLD, OLD.sign(changed)) for what, changed in messages.items()
    ]
    tree = subtree_message(NEW.name, TIME, ORIGIN, 0, 20852163, ROOT)
    binary = {
        "another label": tree.replace(b"/v1", b"/v2"),
        "no label": tree[12:],
        "a byte after it": tree + b"\0",
        "end before start": tree[:-48] + tree[-40:-32] + tree[-48:-40] + tree[-32:],
    }
    cases += [
        (f"ML-DSA-44, signed {what}", NEW, NEW.sign(changed)) for what, changed in binary.items()
    ]
    in_context = ml_dsa_44.Key(NEW.seed).sign(tree, context=b"subtree/v1")
    cases.append(("ML-DSA-44, signed in a context", NEW, in_context))
    return [
        (what, f"{TEXT}\n{key.raw_line(struct.pack('>Q', TIME) + signature)}", key.vkey, BAD)
        for what, key, signature in cases
    ]


def _bad_ids() -> list[tuple[str, str, str, str]]:
    """Good signatures in lines whose key id is that of another type: lines of unknown keys."""
    cases = []
    for what, key in (("Ed25519", OLD), ("ML-DSA-44", NEW)):
        for key_type in {NOTE, ED25519, ML_DSA} - {key.key_type}:
            typed = bytes([key_type]) + key.public_key
            id_ = hashlib.sha256(key.name.encode() + b"\n" + typed).digest()[:4]
            blob = b64(id_ + key.signature(TEXT, TIME))
            line = f"\u2014 {key.name} {blob}\n"
            how = f"{what}, with the key id of type {key_type}"
            cases.append((how, f"{TEXT}\n{line}", key.vkey, "UnknownKeyError"))
    return sorted(cases)


def _cosigner_keys() -> list[Case]:
    note = Key(OLD.name, NOTE)
    text = OLD.signer_key
    short = f"PRIVATE+KEY+{OLD.name}+{OLD.key_id.hex()}+{b64(bytes([ED25519]) + OLD.seed[1:])}"
    bad = {
        "nothing": "",
        "no prefix": text.removeprefix("PRIVATE+KEY+"),
        "a key of a log": note.signer_key,
        "key id of another type": text.replace(OLD.key_id.hex(), note.key_id.hex()),
        "a seed of 31 bytes": short,
        "a line break at the end": f"{text}\n",
        "a vkey": OLD.vkey,
    }
    return [
        {
            "desc": what,
            "input": {"signer_key": key.signer_key},
            "expected": {"name": key.name, "vkey": key.vkey},
        }
        for what, key in (("Ed25519", OLD), ("ML-DSA-44", NEW))
    ] + [{"desc": what, "input": {"signer_key": key}, "wantErr": KEY} for what, key in bad.items()]
