"""Vectors of keys, notes, checkpoints and tlog-proofs, built byte by byte from their parts."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from tests.vectors.cosigners import ED25519, ML_DSA, Key, vkey_of
from tests.vectors.cosigners import NOTE as NOTE_TYPE
from tests.vectors.keys import LOG, ORIGIN, STRANGER, WITNESS
from tlog_proofs import Ed25519Signer

Case = dict[str, Any]

NOTE, KEY = "MalformedNoteError", "MalformedKeyError"
TEXT = "first line\n\nthird line, after an empty one: \u00e8\n"
LOG_NAME = f"{LOG.name}+{LOG.key_id.hex()}"
WITNESS_NAME = f"{WITNESS.name}+{WITNESS.key_id.hex()}"


def files() -> dict[str, Case]:
    """Make the files of the folders key and note."""
    return {
        "key/vkeys.json": {
            "desc": "Verifier keys.",
            "operation": "parse_vkey",
            "cases": _vkeys(),
        },
        "key/signer-keys.json": {
            "desc": "Signer keys, as other projects' programs write them.",
            "operation": "parse_signer_key",
            "cases": _signer_keys(),
        },
        "note/open.json": {
            "desc": "Notes opened with known keys.",
            "operation": "open_note",
            "cases": _open_cases(),
        },
        "note/malformed.json": {
            "desc": "Bytes that are no note, whatever the keys.",
            "operation": "parse_note_unverified",
            "cases": _malformed(),
        },
    }


def line(key: Ed25519Signer, text: str) -> str:
    """Write a key's signature line for a text."""
    return raw_line(key.name, key.key_id + key.sign(text.encode()))


def raw_line(name: str, blob: bytes) -> str:
    """Write a signature line from its parts, right or wrong."""
    return f"\u2014 {name} {b64(blob)}\n"


def b64(data: bytes) -> str:
    """Encode as base64."""
    return base64.b64encode(data).decode()


def typed(key_type: int, key: bytes) -> str:
    """Encode key material after its type byte."""
    return b64(bytes([key_type]) + key)


def flipped(text: str, key: Ed25519Signer) -> str:
    """Write a key's signature line for a text, with one bit of the signature wrong."""
    signature = bytearray(key.sign(text.encode()))
    signature[20] ^= 0x04
    return raw_line(key.name, key.key_id + bytes(signature))


def _vkeys() -> list[Case]:
    key = LOG.verifier
    name, id_, blob = key.vkey.split("+", 2)
    bad = {
        "nothing": "",
        "a name alone": name,
        "no base64": f"{name}+{id_}",
        "an empty name": f"+{id_}+{blob}",
        "a space in the name": f"log example+{id_}+{blob}",
        "a no-break space in the name": f"log\u00a0example+{id_}+{blob}",
        "a line break in the name": f"log\nexample+{id_}+{blob}",
        "a control character in the name": f"log\x1bexample+{id_}+{blob}",
        "a name of 256 bytes": f"{'n' * 256}+{id_}+{blob}",
        "key id in capitals": f"{name}+{id_.upper()}+{blob}",
        "key id of seven digits": f"{name}+{id_[1:]}+{blob}",
        "key id of another name": f"{name}x+{id_}+{blob}",
        "key id of another type": f"{name}+{id_}+{typed(4, key.public_key)}",
        "a key of 31 bytes for cosignatures": vkey_of(name, key.public_key[:-1], ED25519),
        "a key of 32 bytes for ML-DSA-44": vkey_of(name, key.public_key, ML_DSA),
        "a key of 1,311 bytes for ML-DSA-44": vkey_of(name, bytes(1311), ML_DSA),
        "a key of 31 bytes": vkey_of(name, key.public_key[:-1]),
        "a key of 33 bytes": vkey_of(name, key.public_key + bytes(1)),
        "a type byte alone": f"{name}+{id_}+{typed(1, b'')}",
        "base64 of the URL alphabet": f"{name}+{id_}+{blob.replace('/', '_').replace('+', '-')}_",
        "a space at the end": f"{key.vkey} ",
        "a line break at the end": f"{key.vkey}\n",
        "ten thousand characters": f"{name}+{id_}+{'A' * 10000}",
    }
    for key_type in (0, 2, 3, 5, 7, 255):
        bad[f"type {key_type}"] = vkey_of(name, key.public_key, key_type)
    good = [Key(name, NOTE_TYPE) for name in (ORIGIN, WITNESS.name, "a", "\u00e8" * 127)]
    good += [Key(ORIGIN, ED25519), Key(ORIGIN, ML_DSA)]
    return [
        {
            "desc": f"key of {key.name}, type {key.key_type}",
            "input": {"vkey": key.vkey},
            "expected": {
                "name": key.name,
                "key_id": key.key_id.hex(),
                "public_key": key.public_key.hex(),
            },
        }
        for key in good
    ] + [{"desc": what, "input": {"vkey": vkey}, "wantErr": KEY} for what, vkey in bad.items()]


def _signer_keys() -> list[Case]:
    seed = hashlib.sha256(f"tlog test key 0: {ORIGIN}".encode()).digest()
    id_ = LOG.key_id.hex()
    text = f"PRIVATE+KEY+{ORIGIN}+{id_}+{typed(1, seed)}"
    bad = {
        "nothing": "",
        "no prefix": text.removeprefix("PRIVATE+KEY+"),
        "the prefix twice": f"PRIVATE+KEY+{text}",
        "key id of another key": text.replace(id_, STRANGER.key_id.hex()),
        "another type": f"PRIVATE+KEY+{ORIGIN}+{id_}+{typed(2, seed)}",
        "a seed of 31 bytes": f"PRIVATE+KEY+{ORIGIN}+{id_}+{typed(1, seed[:-1])}",
        "a line break at the end": f"{text}\n",
        "a vkey": LOG.verifier.vkey,
    }
    return [
        {
            "desc": "signer key of the vectors' log",
            "input": {"signer_key": text},
            "expected": {"name": ORIGIN, "vkey": LOG.verifier.vkey},
        }
    ] + [{"desc": what, "input": {"signer_key": key}, "wantErr": KEY} for what, key in bad.items()]


def _open_cases() -> list[Case]:
    log, witness, stranger = (line(key, TEXT) for key in (LOG, WITNESS, STRANGER))
    stranger_name = f"{STRANGER.name}+{STRANGER.key_id.hex()}"
    same_name = raw_line(ORIGIN, WITNESS.key_id + bytes(64))
    same_id = raw_line(WITNESS.name, LOG.key_id + bytes(64))
    grease = "".join(
        raw_line(f"grease.example/{n}", hashlib.sha256(b"%d" % n).digest() * 2) for n in range(16)
    )
    both = [LOG.verifier.vkey, WITNESS.verifier.vkey]
    good: list[tuple[str, str, list[str], list[str], list[str]]] = [
        ("one known signature", log, both, [LOG_NAME], []),
        ("two known signatures", log + witness, both, [LOG_NAME, WITNESS_NAME], []),
        ("known after unknown", stranger + log, both, [LOG_NAME], [stranger_name]),
        (
            "a stranger with the known name, and one with the known id",
            same_name + same_id + log,
            both[:1],
            [LOG_NAME],
            [f"{ORIGIN}+{WITNESS.key_id.hex()}", f"{WITNESS.name}+{LOG.key_id.hex()}"],
        ),
        ("the same good line twice", log + log, both, [LOG_NAME, LOG_NAME], []),
        (
            "unknown names of one byte, and of 255",
            raw_line("a", bytes(5)) + raw_line("\u00e8" * 127 + "e", bytes(5)) + log,
            both,
            [LOG_NAME],
            ["a+00000000", "\u00e8" * 127 + "e+00000000"],
        ),
        ("ninety-nine unknown lines", stranger * 99 + log, both, [LOG_NAME], [stranger_name] * 99),
    ]
    bad_known = flipped(TEXT, LOG)
    bad: list[tuple[str, str, list[str], str]] = [
        ("no known signature", stranger, both, "UnknownKeyError"),
        ("no known key", log, [], "UnknownKeyError"),
        ("only the known name", same_name, both[:1], "UnknownKeyError"),
        ("only the known key id", same_id, both[:1], "UnknownKeyError"),
        ("a known signature with one bit wrong", bad_known, both, "BadSignatureError"),
        ("a bad known one after a good known one", witness + bad_known, both, "BadSignatureError"),
        ("the log's key twice, the second bad", log + bad_known, both, "BadSignatureError"),
        ("the log's key twice, the first bad", bad_known + log, both, "BadSignatureError"),
        ("a signature of another text", line(LOG, TEXT + "x\n"), both, "BadSignatureError"),
        (
            "a known signature of 63 bytes",
            raw_line(ORIGIN, LOG.key_id + LOG.sign(TEXT.encode())[:-1]),
            both,
            "BadSignatureError",
        ),
    ]
    cases = [
        {
            "desc": what,
            "input": {"note": f"{TEXT}\n{lines}", "vkeys": keys},
            "expected": {"text": TEXT, "verified": verified, "unverified": unverified},
        }
        for what, lines, keys, verified, unverified in good
    ]
    cases.append(
        {
            "desc": "sixteen lines of grease around the good one",
            "input": {"note": f"{TEXT}\n{grease}{log}", "vkeys": both},
            "expected": {
                "text": TEXT,
                "verified": [LOG_NAME],
                "unverified": [
                    f"grease.example/{n}+{hashlib.sha256(b'%d' % n).digest()[:4].hex()}"
                    for n in range(16)
                ],
            },
        }
    )
    return cases + [
        {"desc": what, "input": {"note": f"{TEXT}\n{lines}", "vkeys": keys}, "wantErr": error}
        for what, lines, keys, error in bad
    ]


def _malformed() -> list[Case]:
    log = line(LOG, TEXT)
    good = f"{TEXT}\n{log}"
    name, blob = log.split(" ")[1:]
    long = "\u00e8" * 255
    unpadded = blob.rstrip("=\n")
    bad: dict[str, str] = {
        "nothing": "",
        "one line break": "\n",
        "no empty line": TEXT.replace("\n\n", "\n") + log,
        "no signature": TEXT + "\n",
        "no line break at the end": good[:-1],
        "an empty line at the end": good + "\n",
        "lines that end in CR LF": good.replace("\n", "\r\n"),
        "a tab in the text": "a\tb\n" + good,
        "a NUL in the text": "a\x00b\n" + good,
        "a control character below 0x20": "a\x1fb\n" + good,
        "a hyphen for the dash": f"{TEXT}\n- {name} {blob}",
        "an en dash": f"{TEXT}\n\u2013 {name} {blob}",
        "no space after the dash": f"{TEXT}\n\u2014{name} {blob}",
        "two spaces after the dash": f"{TEXT}\n\u2014  {name} {blob}",
        "two spaces before the base64": f"{TEXT}\n\u2014 {name}  {blob}",
        "a space at the end of the line": f"{TEXT}\n{log[:-1]} \n",
        "no name": f"{TEXT}\n\u2014 {blob}",
        "a plus sign in the name": f"{TEXT}\n\u2014 {name}+ {blob}",
        "a no-break space in the name": f"{TEXT}\n\u2014 a\u00a0b {blob}",
        "a line separator in the name": f"{TEXT}\n\u2014 a\u2028b {blob}",
        "a name of 256 bytes": f"{TEXT}\n\u2014 {'n' * 256} {blob}",
        "a name of 255 characters, in more bytes": f"{TEXT}\n\u2014 {long} {blob}",
        "no base64": f"{TEXT}\n\u2014 {name}\n",
        "a key id alone": f"{TEXT}\n{raw_line(name, LOG.key_id)}",
        "base64 without padding": f"{TEXT}\n\u2014 {name} {unpadded}\n",
        "base64 with dirty bits": f"{TEXT}\n\u2014 {name} AAAAAAF=\n",
        "base64 of the URL alphabet": f"{TEXT}\n\u2014 {name} AAAAAA-_\n",
        "text between the signatures": f"{good}text\n{log}",
        "one bad line after a good one": f"{good}\u2014 x y\n",
        "101 signatures": f"{TEXT}\n{log * 101}",
    }
    cases: list[Case] = [
        {"desc": what, "input": {"note": note}, "wantErr": NOTE} for what, note in bad.items()
    ]
    for what, note in {
        "a byte that is not UTF-8": b"\xff" + good.encode(),
        "an overlong line break": b"\xc0\x8a" + good.encode(),
        "a surrogate in UTF-8": b"\xed\xa0\x80" + good.encode(),
        "a text cut within a character": good.encode().replace(b"\xc3\xa8", b"\xc3"),
    }.items():
        cases.append({"desc": what, "input": {"note_hex": note.hex()}, "wantErr": NOTE})
    return cases
