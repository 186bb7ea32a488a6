"""Vectors of policy files."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.vectors.cosignatures import ORIGIN
from tests.vectors.cosigners import ED25519, ML_DSA, NOTE, Key, vkey_of

Case = dict[str, Any]

MALFORMED = "MalformedPolicyError"

LOG = Key(ORIGIN, NOTE)
NEXT_LOG = Key(ORIGIN, NOTE, 1)
ML_DSA_LOG = Key(ORIGIN, ML_DSA)
OTHER_LOG = Key("log.example/two", NOTE)
LOGS = (LOG, NEXT_LOG, ML_DSA_LOG, OTHER_LOG)
W = [Key(f"witness.example/w{n}", ED25519) for n in range(1, 6)]
W4 = Key("witness.example/w4", ML_DSA)

GROUPS = f"""log {LOG.vkey}

# Two operators: of the first any two, of the second either.
witness X1 {W[0].vkey}
witness X2 {W[1].vkey}
witness X3 {W[2].vkey}
group X 2 X1 X2 X3

witness Y1 {W4.vkey}
witness Y2 {W[4].vkey}
group Y any Y1 Y2

group both all X Y
quorum both
"""


# Two numbers whose hashes, as public keys, have one key id: found by trying 141,208.
TWINS = [
    vkey_of("w", hashlib.sha256(b"%d" % number).digest(), ED25519) for number in (129766, 141208)
]


def files() -> dict[str, Case]:
    """Make the files of policies' texts in the folder policy."""
    return {
        "policy/texts.json": {
            "desc": "Policy files, and what they say.",
            "operation": "parse_policy",
            "cases": _good_texts(),
        },
        "policy/malformed.json": {
            "desc": "Texts that are no policy.",
            "operation": "parse_policy",
            "cases": _bad_texts(),
        },
    }


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def _log(key: Key, url: str | None = None) -> Case:
    return {"vkey": key.vkey, "url": url}


def _witness(name: str, key: Key, url: str | None = None) -> Case:
    return {"name": name, "vkey": key.vkey, "url": url}


def _group(name: str, threshold: int, *members: str) -> Case:
    return {"name": name, "threshold": threshold, "members": list(members)}


def _said(logs: list[Case], witnesses: list[Case], groups: list[Case], quorum: str | None) -> Case:
    return {"logs": logs, "witnesses": witnesses, "groups": groups, "quorum": quorum}


def _good_texts() -> list[Case]:
    a, b, c = W[:3]
    log, first, second = (
        f"log {LOG.vkey}\n",
        f"witness a {a.vkey}\n",
        f"witness b {b.vkey}\n",
    )
    in_groups = [_witness(name, key) for name, key in zip(("X1", "X2", "X3"), W, strict=False)]
    in_groups += [_witness("Y1", W4), _witness("Y2", W[4])]
    both = [
        _group("X", 2, "X1", "X2", "X3"),
        _group("Y", 1, "Y1", "Y2"),
        _group("both", 2, "X", "Y"),
    ]
    many = "".join(f"log {Key(f'log{n}', NOTE).vkey}\n" for n in range(32))
    many += "".join(
        f"witness w{n} {Key('w', ED25519, n).vkey}\ngroup g{n} 1 w{n}\n" for n in range(32)
    )
    good: list[tuple[str, str, Case]] = [
        ("quorum none, and nothing else", "quorum none\n", _said([], [], [], None)),
        ("a log without witnesses", f"{log}quorum none\n", _said([_log(LOG)], [], [], None)),
        (
            "a witness as quorum",
            f"{log}{first}quorum a\n",
            _said([_log(LOG)], [_witness("a", a)], [], "a"),
        ),
        ("groups of groups", GROUPS, _said([_log(LOG)], in_groups, both, "both")),
        (
            "URLs",
            f"log {LOG.vkey} https://log.example/one/#top\nwitness a {a.vkey} x:y\nquorum a\n",
            _said([_log(LOG, "https://log.example/one/#top")], [_witness("a", a, "x:y")], [], "a"),
        ),
        (
            "several keys of one log, and of another",
            "".join(f"log {key.vkey}\n" for key in LOGS) + "quorum none\n",
            _said([_log(key) for key in LOGS], [], [], None),
        ),
        (
            "blanks, empty lines and comments",
            f" \t \n\n#\n\t # a comment\n \tlog\t {LOG.vkey} \t\n#log\nquorum\t\tnone \n",
            _said([_log(LOG)], [], [], None),
        ),
        (
            "a log and a witness after the quorum",
            f"{first}quorum a\n{second}{log}",
            _said([_log(LOG)], [_witness("a", a), _witness("b", b)], [], "a"),
        ),
        (
            "a group after the quorum, of the witness that is the quorum",
            f"{first}quorum a\ngroup g all a\n",
            _said([], [_witness("a", a)], [_group("g", 1, "a")], "a"),
        ),
        (
            "names that are keywords",
            _lines(
                f"witness quorum {a.vkey}",
                f"witness any {b.vkey}",
                "group all all any quorum",
                "quorum all",
            ),
            _said(
                [],
                [_witness("quorum", a), _witness("any", b)],
                [_group("all", 2, "any", "quorum")],
                "all",
            ),
        ),
        (
            "names of other characters, one of them with a number sign",
            _lines(
                f"witness #a {a.vkey}",
                f"witness K {b.vkey}",
                f"witness \u212a {c.vkey}",
                "group 2 2 K \u212a",
                "quorum #a",
            ),
            _said(
                [],
                [_witness("#a", a), _witness("K", b), _witness("\u00e2\u0084\u00aa", c)],
                [_group("2", 2, "K", "\u00e2\u0084\u00aa")],
                "#a",
            ),
        ),
        (
            "the same key as a log's and a witness's",
            f"log {ML_DSA_LOG.vkey}\nwitness a {ML_DSA_LOG.vkey}\nquorum a\n",
            _said([_log(ML_DSA_LOG)], [_witness("a", ML_DSA_LOG)], [], "a"),
        ),
        (
            "32 logs, witnesses and groups",
            f"{many}quorum g31\n",
            _said(
                [_log(Key(f"log{n}", NOTE)) for n in range(32)],
                [_witness(f"w{n}", Key("w", ED25519, n)) for n in range(32)],
                [_group(f"g{n}", 1, f"w{n}") for n in range(32)],
                "g31",
            ),
        ),
    ]
    cases: list[Case] = [
        {"desc": what, "input": {"policy": text}, "expected": said} for what, text, said in good
    ]
    octets = f"witness \u00ff {a.vkey} \u00fe\nquorum \u00ff\n# \u0080\n".encode("latin-1")
    return [
        *cases,
        {
            "desc": "names, URLs and comments that are not UTF-8",
            "input": {"policy_hex": octets.hex()},
            "expected": _said([], [_witness("\u00ff", a, "\u00fe")], [], "\u00ff"),
        },
    ]


def _bad_texts() -> list[Case]:
    a, b = W[:2]
    log, first, second = (
        f"log {LOG.vkey}\n",
        f"witness a {a.vkey}\n",
        f"witness b {b.vkey}\n",
    )
    end = "quorum none\n"
    bad: dict[str, str] = {
        "nothing": "",
        "no quorum": f"{log}{first}",
        "a comment alone": "# quorum none\n",
        "no LF at the end": f"{log}quorum none",
        "no LF at the end of a comment": f"{log}{end}# end",
        "lines that end in CR LF": f"{log}{end}".replace("\n", "\r\n"),
        "a NUL": f"{log}{end}#\x00\n",
        "a form feed": f"{log}\x0c\n{end}",
        "a vertical tab between the items": f"{log}quorum\x0bnone\n",
        "a byte order mark": f"\ufeff{log}{end}",
        "DEL": f"{log}{end}# \x7f\n",
        "an unknown line": f"{log}threshold 3\n{end}",
        "a keyword in capitals": f"LOG {LOG.vkey}\n{end}",
        "a comment after items": f"{log}quorum none # of course\n",
        "two quorums": f"{end}{end}",
        "a second quorum, of another name": f"{first}quorum a\n{end}",
        "a quorum without a name": f"{log}quorum\n",
        "a quorum of two names": f"{first}{second}quorum a b\n",
        "a quorum that is not defined": f"{log}quorum a\n",
        "a quorum that is defined below": f"quorum a\n{first}",
        "a log without a key": f"log\n{end}",
        "a log with two URLs": f"log {LOG.vkey} a b\n{end}",
        "a log with a name": f"log name {LOG.vkey}\n{end}",
        "a log's key id of another key": log.replace(LOG.key_id.hex(), a.key_id.hex()) + end,
        "a log with a key of type 0x04": f"log {a.vkey}\n{end}",
        "the same log twice": f"{log}log {LOG.vkey} url\n{end}",
        "the same log key under another name": (
            f"{log}log {Key('another.example', NOTE, seed_of=ORIGIN).vkey}\n{end}"
        ),
        "a witness without a key": f"witness a\n{end}",
        "a witness without a name": f"witness {a.vkey}\n{end}",
        "a witness with two URLs": f"witness a {a.vkey} x y\n{end}",
        "a witness with a key of type 0x01": f"witness a {LOG.vkey}\n{end}",
        "a witness called none": f"witness none {a.vkey}\n{end}",
        "two witnesses of one name": f"{first}witness a {b.vkey}\n{end}",
        "the same witness twice": f"{first}witness b {a.vkey}\n{end}",
        "the same witness key under another name": (
            f"{first}witness b {Key('another.example', seed_of=a.name).vkey}\n{end}"
        ),
        "a group without members": f"{first}group g all\n{end}",
        "a group without a threshold": f"{first}group g\n{end}",
        "a group whose threshold is a name": f"{first}{second}group g a b\n{end}",
        "a threshold of 0": f"{first}group g 0 a\n{end}",
        "a threshold above the members": f"{first}{second}group g 3 a b\n{end}",
        "a negative threshold": f"{first}group g -1 a\n{end}",
        "a threshold with a sign": f"{first}group g +1 a\n{end}",
        "a threshold with a leading zero": f"{first}group g 01 a\n{end}",
        "a threshold in hex": f"{first}group g 0x1 a\n{end}",
        "a threshold of twenty digits": f"{first}group g {'1' * 20} a\n{end}",
        "all in capitals": f"{first}group g ALL a\n{end}",
        "a member that is not defined": f"{first}group g any a b\n{end}",
        "a member that is defined below": f"group g any a\n{first}{end}",
        "a group in itself": f"{first}group g any a g\n{end}",
        "none as a member": f"{first}group g any a none\n{end}",
        "a member twice in a group": f"{first}group g any a a\n{end}",
        "a member of two groups": f"{first}{second}group g any a\ngroup h any a b\n{end}",
        "a group in two groups": f"{first}group g any a\ngroup h any g\ngroup i any g\n{end}",
        "a group called none": f"{first}group none any a\n{end}",
        "two groups of one name": f"{first}{second}group g any a\ngroup g any b\n{end}",
        "a group with a witness's name": f"{first}{second}group b any a\n{end}",
        "a witness with a group's name": f"{first}group b any a\n{second}{end}",
        "two keys of one name and key id": (f"witness a {TWINS[0]}\nwitness b {TWINS[1]}\n{end}"),
        "257 logs": "".join(f"log {Key(f'log{n}', NOTE).vkey}\n" for n in range(257)) + end,
        "a no-break space between the items": f"log\u00a0{LOG.vkey}\n{end}",
    }
    cases: list[Case] = [
        {"desc": what, "input": {"policy": text}, "wantErr": MALFORMED}
        for what, text in bad.items()
    ]
    not_text = f"log \u00ff{LOG.vkey}\n{end}".encode("latin-1")
    return [
        *cases,
        {
            "desc": "a vkey that is not UTF-8",
            "input": {"policy_hex": not_text.hex()},
            "wantErr": MALFORMED,
        },
    ]
