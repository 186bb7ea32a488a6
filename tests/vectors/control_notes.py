"""Vectors of control notes, written line by line."""

from __future__ import annotations

from typing import Any

from tests.vectors.cosigners import ED25519, NOTE, Key
from tests.vectors.policies import LOG, ML_DSA_LOG, NEXT_LOG, OTHER_LOG

Case = dict[str, Any]

MALFORMED = "MalformedControlNoteError"
ORIGIN = LOG.name
HEAD = f"tlog/control/1\n{ORIGIN}\n1234\n"
ROTATE = f"{HEAD}rotate {LOG.vkey} {NEXT_LOG.vkey}\n"
FREEZE = f"{HEAD}freeze -\n"
LAST = 2**63 - 1


def files() -> dict[str, Case]:
    """Make the files of the folder control-note."""
    return {
        "control-note/texts.json": {
            "desc": "Texts of control notes, and what they say.",
            "operation": "parse_control_note",
            "cases": _good_texts(),
        },
        "control-note/malformed.json": {
            "desc": "Texts that are no control note.",
            "operation": "parse_control_note",
            "cases": _bad_texts(),
        },
        "control-note/entries.json": {
            "desc": "Entries of a log, with its current keys and the index at which they stand.",
            "operation": "open_control_note",
            "cases": _entries(),
        },
    }


def _said(index: int, **action: object) -> Case:
    shown = index if index < 2**53 else str(index)
    return {"origin": ORIGIN, "index": shown, **action}


ROTATED = _said(1234, vkeys=[LOG.vkey, NEXT_LOG.vkey])
FROZEN = _said(1234, successor=None)


def _good_texts() -> list[Case]:
    many = [Key(ORIGIN, NOTE, number) for number in range(16)]
    good: list[tuple[str, str, Case]] = [
        ("old and new key", ROTATE, _said(1234, vkeys=[LOG.vkey, NEXT_LOG.vkey])),
        (
            "a new key alone",
            f"{HEAD}rotate {NEXT_LOG.vkey}\n",
            _said(1234, vkeys=[NEXT_LOG.vkey]),
        ),
        (
            "an ML-DSA-44 key beside",
            f"{HEAD}rotate {ML_DSA_LOG.vkey} {LOG.vkey}\n",
            _said(1234, vkeys=[ML_DSA_LOG.vkey, LOG.vkey]),
        ),
        (
            "sixteen keys",
            f"{HEAD}rotate {' '.join(key.vkey for key in many)}\n",
            _said(1234, vkeys=[key.vkey for key in many]),
        ),
        ("the end", FREEZE, _said(1234, successor=None)),
        (
            "another log goes on",
            f"{HEAD}freeze log.example/two\n",
            _said(1234, successor="log.example/two"),
        ),
        ("index 0", FREEZE.replace("1234", "0"), _said(0, successor=None)),
        ("the last index", FREEZE.replace("1234", str(LAST)), _said(LAST, successor=None)),
    ]
    return [{"desc": what, "input": {"text": text}, "expected": said} for what, text, said in good]


def _bad_texts() -> list[Case]:
    bad = {
        "nothing": "",
        "another version": FREEZE.replace("control/1", "control/2"),
        "three lines": HEAD,
        "no LF at the end": FREEZE[:-1],
        "a fifth line": f"{FREEZE}more\n",
        "an empty line at the end": f"{FREEZE}\n",
        "lines that end in CR LF": FREEZE.replace("\n", "\r\n"),
        "no origin": FREEZE.replace(ORIGIN, ""),
        "an origin with a space": FREEZE.replace(ORIGIN, "log example"),
        "an origin that is reserved": FREEZE.replace(ORIGIN, "tlog/control/1"),
        "an origin of 256 bytes": FREEZE.replace(ORIGIN, "o" * 256),
        "no index": FREEZE.replace("1234", ""),
        "an index with a leading zero": FREEZE.replace("1234", "01234"),
        "an index of 2^63": FREEZE.replace("1234", str(2**63)),
        "another action": f"{HEAD}thaw -\n",
        "an action in capitals": f"{HEAD}FREEZE -\n",
        "freeze alone": f"{HEAD}freeze\n",
        "freeze and a space": f"{HEAD}freeze \n",
        "freeze and two spaces": f"{HEAD}freeze  -\n",
        "freeze, and a successor with a space at its end": f"{HEAD}freeze - \n",
        "freeze, and a successor with spaces": f"{HEAD}freeze Go \u00e8 log\n",
        "freeze, and a successor with a plus sign": f"{HEAD}freeze log.example+two\n",
        "freeze, and a successor that is reserved": f"{HEAD}freeze tlog/two\n",
        "freeze, and the log itself goes on": f"{HEAD}freeze {ORIGIN}\n",
        "freeze, and a successor of 256 bytes": f"{HEAD}freeze {'o' * 256}\n",
        "rotate alone": f"{HEAD}rotate\n",
        "rotate and a space": f"{HEAD}rotate \n",
        "rotate and two spaces": f"{HEAD}rotate  {LOG.vkey}\n",
        "rotate and a space at the end": f"{HEAD}rotate {LOG.vkey} \n",
        "rotate by tabs": f"{HEAD}rotate\t{LOG.vkey}\n",
        "a vkey whose id is another's": f"{HEAD}rotate {LOG.vkey} {_wrong_id()}\n",
        "a vkey of another log": f"{HEAD}rotate {LOG.vkey} {OTHER_LOG.vkey}\n",
        "a vkey of type 0x04": f"{HEAD}rotate {LOG.vkey} {Key(ORIGIN, ED25519).vkey}\n",
        "no vkey of type 0x01": f"{HEAD}rotate {ML_DSA_LOG.vkey}\n",
        "a vkey twice": f"{HEAD}rotate {LOG.vkey} {LOG.vkey}\n",
        "seventeen keys": (
            f"{HEAD}rotate {' '.join(Key(ORIGIN, NOTE, number).vkey for number in range(17))}\n"
        ),
    }
    cases: list[Case] = [
        {"desc": what, "input": {"text": text}, "wantErr": MALFORMED} for what, text in bad.items()
    ]
    return [
        *cases,
        {
            "desc": "a byte that is not UTF-8",
            "input": {"text_hex": (FREEZE[:-2].encode() + b"\xff\n").hex()},
            "wantErr": MALFORMED,
        },
    ]


def _wrong_id() -> str:
    return NEXT_LOG.vkey.replace(NEXT_LOG.key_id.hex(), LOG.key_id.hex())


def _entries() -> list[Case]:
    def note(text: str, *keys: Key) -> str:
        return f"{text}\n" + "".join(key.raw_line(key.sign(text.encode())) for key in keys)

    stranger = Key("stranger.example", NOTE)
    good = [
        ("a rotation by the only key", note(ROTATE, LOG), [LOG], ROTATED),
        ("a rotation by both keys", note(ROTATE, NEXT_LOG, LOG), [LOG, NEXT_LOG], ROTATED),
        ("a freeze, signed by a stranger too", note(FREEZE, stranger, LOG), [LOG], FROZEN),
        (
            "a log with an ML-DSA-44 key, which signs trees alone",
            note(FREEZE, LOG),
            [ML_DSA_LOG, LOG],
            FROZEN,
        ),
        (
            "a line at the ML-DSA-44 key's name and id, which is a stranger's here",
            note(FREEZE, LOG) + ML_DSA_LOG.raw_line(bytes(8)),
            [ML_DSA_LOG, LOG],
            FROZEN,
        ),
    ]
    flipped = bytearray(LOG.sign(FREEZE.encode()))
    flipped[0] ^= 1
    unknown, other = "UnknownKeyError", "OriginMismatchError"
    bad = [
        ("one of two keys did not sign", note(ROTATE, LOG), [LOG, NEXT_LOG], unknown),
        ("signed by the new key alone", note(ROTATE, NEXT_LOG), [LOG], unknown),
        ("signed by nobody that is known", note(FREEZE, stranger), [LOG], unknown),
        ("no key that signs notes", note(FREEZE, LOG), [ML_DSA_LOG], unknown),
        ("no key", note(FREEZE, LOG), [], unknown),
        (
            "a signature with a wrong bit",
            f"{FREEZE}\n{LOG.raw_line(bytes(flipped))}",
            [LOG],
            "BadSignatureError",
        ),
        (
            "of another index",
            note(FREEZE.replace("1234", "1235"), LOG),
            [LOG],
            "IndexMismatchError",
        ),
        (
            "of another log, by a key of that name",
            note(FREEZE.replace(ORIGIN, "log.example/three"), LOG),
            [LOG],
            other,
        ),
        ("signed, and no control note", note("a text\n", LOG), [LOG], MALFORMED),
        ("no note", FREEZE, [LOG], "MalformedNoteError"),
    ]
    return [
        {"desc": what, "input": _entry(entry, keys), "expected": said}
        for what, entry, keys, said in good
    ] + [
        {"desc": what, "input": _entry(entry, keys), "wantErr": error}
        for what, entry, keys, error in bad
    ]


def _entry(entry: str, keys: list[Key]) -> Case:
    return {
        "note": entry,
        "origin": ORIGIN,
        "index": 1234,
        "vkeys": [key.vkey for key in keys],
    }
