"""Vectors of decimals, base64, deterministic CBOR and the genesis, built byte by byte."""

from __future__ import annotations

import struct
from typing import Any

from tests import reference
from tests.vectors.keys import LOG, ORIGIN, signer

Case = dict[str, Any]

GENESIS = "MalformedGenesisError"
CBOR = "MalformedCborError"


def files() -> dict[str, Case]:
    """Make the files of the folders strict, cbor and genesis."""
    return {
        "strict/decimals.json": {
            "desc": "Decimal numbers up to 2^63-1, each in its one spelling.",
            "operation": "parse_decimal",
            "cases": _decimals(),
        },
        "strict/base64.json": {
            "desc": "Standard base64 with padding, each byte string in its one spelling.",
            "operation": "decode_base64",
            "cases": _base64(),
        },
        "cbor/not-deterministic.json": {
            "desc": "CBOR that is well-formed or nearly, and not the encoding of these formats.",
            "operation": "decode_cbor",
            "cases": _cbor(),
        },
        "genesis/entries.json": {
            "desc": "Genesis entries.",
            "operation": "parse_genesis",
            "cases": [*_good_genesis(), *_bad_genesis()],
        },
    }


def _decimals() -> list[Case]:
    bad = ["", "+5", "-5", "-0", "05", "00", " 5", "5 ", "5\n", "1_000", "0x5", "5.0", "5e0"]
    bad += ["\u0663", "5\u2009", "\u00b2", str(2**63), "1" * 5000]
    return [
        {
            "desc": f"{value}",
            "input": {"text": str(value)},
            "expected": {"value": value if value < 2**53 else str(value)},
        }
        for value in (0, 1, 9, 10, 256, 2**53, 2**63 - 1)
    ] + [
        {"desc": f"{text!a:.40}", "input": {"text": text}, "wantErr": "MalformedError"}
        for text in bad
    ]


def _base64() -> list[Case]:
    bad = {
        "no padding": "AA",
        "half of the padding": "AA=",
        "padding too long": "AA===",
        "padding alone": "====",
        "dirty bits after one byte": "AB==",
        "dirty bits after two bytes": "AAB=",
        "the URL alphabet": "-_-_",
        "a line break inside": "AAAA\nAAAA",
        "a line break at the end": "AAAA\n",
        "a space inside": "AA AA",
        "a star inside": "AA*AA",
        "data after the padding": "AA==AAAA",
        "one character": "A",
        "a character that is not ASCII": "AAA\u00e8",
    }
    return [
        {"desc": text or "empty", "input": {"text": text}, "expected": {"bytes": data}}
        for text, data in (("", ""), ("AA==", "00"), ("AAA=", "0000"), ("+/+/", "fbffbf"))
    ] + [
        {"desc": what, "input": {"text": text}, "wantErr": "MalformedError"}
        for what, text in bad.items()
    ]


def _cbor() -> list[Case]:
    bad = {
        "nothing": "",
        "0 in two bytes": "1800",
        "23 in two bytes": "1817",
        "24 in three bytes": "190018",
        "255 in three bytes": "1900ff",
        "65535 in five bytes": "1a0000ffff",
        "2^32-1 in nine bytes": "1b00000000ffffffff",
        "a length in two bytes": "580100",
        "a text whose length is in two bytes": "780161",
        "an array count in two bytes": "980100",
        "a map count in two bytes": "b8010000",
        "keys in the other order": "a202000100",
        "the same key twice": "a201000100",
        "the same text key twice": "a2616100616100",
        "keys by length first": "a22000181800",
        "an array as key": "a18000",
        "a map as key": "a1a000",
        "true as key": "a1f500",
        "null as key": "a1f600",
        "text that is not UTF-8": "61ff",
        "a surrogate in UTF-8": "63eda080",
        "a byte after the value": "0000",
        "a value missing": "8201",
        "a key without value": "a101",
        "a byte of a string missing": "4200",
        "a byte of a number missing": "19ff",
        "a reserved length": "1c",
        "a break alone": "ff",
        "a tag": "c001",
        "a bignum": "c24101",
        "a float of 16 bits": "f93c00",
        "a float of 64 bits": "fb3ff0000000000000",
        "undefined": "f7",
        "a simple value in two bytes": "f8f5",
        "false in two bytes": "f814",
        "an array of 2^64-1 items": "9bffffffffffffffff",
        "a string of 2^64-1 bytes": "5bffffffffffffffff",
        "a map of 2^63 entries": "bb8000000000000000",
        "an array of 2^32 items inside another": "829affffffff00",
        "seventeen arrays in each other": "81" * 17 + "00",
        "a thousand arrays in each other": "81" * 1000 + "00",
    }
    deep: Any = 0
    for _ in range(16):
        deep = [deep]
    return [
        {
            "desc": "sixteen arrays in each other",
            "input": {"cbor": "81" * 16 + "00"},
            "expected": {"value": deep},
        }
    ] + [{"desc": what, "input": {"cbor": data}, "wantErr": CBOR} for what, data in bad.items()]


def _head(major: int, argument: int) -> bytes:
    """Write the head of a CBOR item in its shortest form."""
    if argument < 24:
        return bytes([major << 5 | argument])
    for info, code in ((24, ">B"), (25, ">H"), (26, ">I"), (27, ">Q")):
        if argument < 1 << 8 * struct.calcsize(code):
            return bytes([major << 5 | info]) + struct.pack(code, argument)
    raise AssertionError(argument)


def _item(value: object) -> bytes:
    """Write a value as deterministic CBOR; an encoder apart from the one under test."""
    match value:
        case None:
            return b"\xf6"
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case bytes():
            return _head(2, len(value)) + value
        case str():
            data = value.encode()
            return _head(3, len(data)) + data
        case list():
            return _head(4, len(value)) + b"".join(map(_item, value))
    raise AssertionError(value)


VKEY = LOG.verifier.vkey
ROOT = reference.root((reference.leaf(b"entry"),))
FIELDS: list[Any] = ["tlog/genesis/1", ORIGIN, "opaque/1", 1_700_000_000, [VKEY], None]


def _changed(position: int, value: object) -> list[Any]:
    return [*FIELDS[:position], value, *FIELDS[position + 1 :]]


def _of_origin(origin: object) -> list[Any]:
    """Make the fields of a log's genesis, with a vkey of its name where there can be one."""
    can_be = isinstance(origin, str) and 0 < len(origin) < 256 and not set(origin) & set(" +")
    vkeys = [signer(str(origin)).verifier.vkey if can_be else 1]
    return [FIELDS[0], origin, *FIELDS[2:4], vkeys, None]


def _good_genesis() -> list[Case]:
    long = "o" * 255
    continued = [ORIGIN.replace("one", "zero"), 12345, ROOT]
    other_type = f"{ORIGIN}+00000000+BAAA"
    good = {
        "an opaque log": FIELDS,
        "an event log": _changed(2, "event/1"),
        "created in 1970": _changed(3, 0),
        "created at the last second of 63 bits": _changed(3, 2**63 - 1),
        "two vkeys": _changed(4, [VKEY, signer(ORIGIN, 1).verifier.vkey]),
        "a vkey of another type beside": _changed(4, [VKEY, other_type]),
        "sixteen vkeys": _changed(4, [signer(ORIGIN, n).verifier.vkey for n in range(16)]),
        "a predecessor": _changed(5, continued),
        "a predecessor whose origin has spaces": _changed(5, ["old log - 7", 1, ROOT]),
        "an origin of 255 characters": _of_origin(long),
        "an origin of one character": _of_origin("o"),
        "an origin of the first and last character": _of_origin("!~"),
    }
    return [
        {
            "desc": what,
            "input": {"entry": _item(fields).hex()},
            "expected": {
                "origin": fields[1],
                "kind": fields[2],
                "created": fields[3] if fields[3] < 2**53 else str(fields[3]),
                "vkeys": fields[4],
                "predecessor": fields[5]
                and {"origin": fields[5][0], "size": fields[5][1], "root": fields[5][2].hex()},
            },
        }
        for what, fields in good.items()
    ]


def _bad_genesis() -> list[Case]:
    old = "old.example"
    bad: dict[str, object] = {
        "null": None,
        "an empty list": [],
        "a text": "tlog/genesis/1",
        "five fields": FIELDS[:-1],
        "seven fields": [*FIELDS, None],
        "another version": _changed(0, "tlog/genesis/2"),
        "a version in bytes": _changed(0, b"tlog/genesis/1"),
        "an empty origin": _of_origin(""),
        "an origin in bytes": _of_origin(ORIGIN.encode()),
        "an origin with a space": _of_origin("log example"),
        "an origin with a plus sign": _of_origin("log+example"),
        "an origin that is not ASCII": _of_origin("l\u00f6g.example"),
        "an origin with DEL": _of_origin("log\x7f"),
        "an origin that begins tlog/": _of_origin("tlog/example"),
        "an origin of 256 characters": _of_origin("o" * 256),
        "another kind": _changed(2, "opaque/2"),
        "a kind in capitals": _changed(2, "OPAQUE/1"),
        "a kind that is a number": _changed(2, 1),
        "created before 1970": _changed(3, -1),
        "created at 2^63": _changed(3, 2**63),
        "created as text": _changed(3, "1700000000"),
        "created true": _changed(3, True),
        "no vkeys": _changed(4, []),
        "vkeys null": _changed(4, None),
        "a vkey alone, not in a list": _changed(4, VKEY),
        "a vkey in bytes": _changed(4, [VKEY.encode()]),
        "a vkey in bytes after a good one": _changed(4, [VKEY, VKEY.encode()]),
        "a vkey of another name": _changed(4, [signer("other.example").verifier.vkey]),
        "a vkey with another key id": _changed(4, [VKEY.replace("+", "+0", 1)[:-1]]),
        "a vkey whose key id is not its own": _changed(4, [_other_id(VKEY)]),
        "a vkey of another type without a key": _changed(4, [f"{ORIGIN}+00000000+BA=="]),
        "what is no vkey": _changed(4, [ORIGIN]),
        "the same vkey twice": _changed(4, [VKEY, VKEY]),
        "seventeen vkeys": _changed(4, [signer(ORIGIN, n).verifier.vkey for n in range(17)]),
        "predecessor false": _changed(5, False),
        "predecessor of two fields": _changed(5, [old, 5]),
        "predecessor of size 0": _changed(5, [old, 0, reference.root(())]),
        "predecessor of size 2^63": _changed(5, [old, 2**63, ROOT]),
        "predecessor of size true": _changed(5, [old, True, ROOT]),
        "predecessor with a root of 31 bytes": _changed(5, [old, 5, ROOT[:-1]]),
        "predecessor with a root in hex": _changed(5, [old, 5, ROOT.hex()]),
        "predecessor with an empty origin": _changed(5, ["", 5, ROOT]),
        "predecessor with a line break in its origin": _changed(5, ["a\nb", 5, ROOT]),
        "predecessor with an origin of 256 bytes": _changed(5, ["o" * 256, 5, ROOT]),
        "predecessor with the log's own origin": _changed(5, [ORIGIN, 5, ROOT]),
    }
    good = _item(FIELDS)
    entries = {what: _item(fields) for what, fields in bad.items()} | {
        "nothing": b"",
        "a byte after it": good + b"\x00",
        "its last byte missing": good[:-1],
        "created in nine bytes": good.replace(
            b"\x1a\x65\x53\xf1\x00", b"\x1b\0\0\0\0\x65\x53\xf1\0"
        ),
        "a list of indefinite length": b"\x9f" + good[1:] + b"\xff",
    }
    return [
        {"desc": what, "input": {"entry": entry.hex()}, "wantErr": GENESIS}
        for what, entry in entries.items()
    ]


def _other_id(vkey: str) -> str:
    name, _, blob = vkey.split("+", 2)
    return f"{name}+00000000+{blob}"
