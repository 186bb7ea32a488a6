"""Vectors of checkpoints and tlog-proofs, built byte by byte from their parts."""

from __future__ import annotations

from typing import Any

from tests import reference
from tests.vectors.keys import LOG, ORIGIN, WITNESS, signer
from tests.vectors.notes import b64, flipped, line

Case = dict[str, Any]

MALFORMED = "MalformedCheckpointError"
PROOF = "MalformedTlogProofError"
LEAVES = tuple(reference.leaf(b"entry %d" % i) for i in range(13))
ROOT = reference.root(LEAVES)
EMPTY_ROOT = reference.root(())
TEXT = f"{ORIGIN}\n13\n{b64(ROOT)}\n"
NOTE = f"{TEXT}\n{line(LOG, TEXT)}"


def files() -> dict[str, Case]:
    """Make the files of the folders checkpoint and tlog-proof."""
    return {
        "checkpoint/texts.json": {
            "desc": "Texts of checkpoints.",
            "operation": "parse_checkpoint",
            "cases": [*_good_texts(), *_bad_texts()],
        },
        "checkpoint/open.json": {
            "desc": "Signed checkpoints, opened with the log's key, whose name is the origin.",
            "operation": "open_checkpoint",
            "cases": _open_cases(),
        },
        "tlog-proof/proofs.json": {
            "desc": "Files of the .tlog-proof format, verified with the log's key and a leaf hash.",
            "operation": "verify_tlog_proof",
            "cases": [*_good_proofs(), *_false_proofs(), *_malformed_proofs()],
        },
    }


def _fields(origin: str, size: int | str, root: bytes, extensions: list[str]) -> Case:
    return {"origin": origin, "size": size, "root": root.hex(), "extensions": extensions}


def _good_texts() -> list[Case]:
    big = 2**63 - 1
    good: list[tuple[str, str, Case]] = [
        ("size 13", TEXT, _fields(ORIGIN, 13, ROOT, [])),
        ("empty tree", f"o\n0\n{b64(EMPTY_ROOT)}\n", _fields("o", 0, EMPTY_ROOT, [])),
        ("largest size", f"o\n{big}\n{b64(ROOT)}\n", _fields("o", str(big), ROOT, [])),
        ("extension lines", f"{TEXT}one\n two \n", _fields(ORIGIN, 13, ROOT, ["one", " two "])),
        (
            "an origin with spaces, as some logs have",
            f"log.example - 2605\n13\n{b64(ROOT)}\n",
            _fields("log.example - 2605", 13, ROOT, []),
        ),
        (
            "an origin of 255 bytes",
            f"{'o' * 255}\n13\n{b64(ROOT)}\n",
            _fields("o" * 255, 13, ROOT, []),
        ),
        (
            "a line separator splits no lines",
            f"o\u2028p\n13\n{b64(ROOT)}\n",
            _fields("o\u2028p", 13, ROOT, []),
        ),
    ]
    return [
        {"desc": what, "input": {"checkpoint": text}, "expected": fields}
        for what, text, fields in good
    ]


def _bad_texts() -> list[Case]:
    root = b64(ROOT)
    # 32 bytes leave two spare bits in the last character, which must be zero.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    dirty = f"{root[:-2]}{alphabet[alphabet.index(root[-2]) + 1]}="
    bad = {
        "nothing": "",
        "one line break": "\n",
        "two lines": f"{ORIGIN}\n13\n",
        "no line break at the end": TEXT[:-1],
        "the whole note": NOTE,
        "an empty line at the end": f"{TEXT}\n",
        "an empty origin": f"\n13\n{root}\n",
        "an origin of 256 bytes": f"{'o' * 256}\n13\n{root}\n",
        "lines that end in CR LF": TEXT.replace("\n", "\r\n"),
        "a NUL in the origin": f"o\x00\n13\n{root}\n",
        "an empty extension line": f"{TEXT}one\n\ntwo\n",
        "root with dirty bits": f"o\n13\n{dirty}\n",
        "root without padding": f"o\n13\n{root.rstrip('=')}\n",
        "root of the URL alphabet": "o\n13\n" + b64(b"\xff" * 32).replace("/", "_") + "\n",
        "root of 31 bytes": f"o\n13\n{b64(ROOT[:-1])}\n",
        "root of 33 bytes": f"o\n13\n{b64(ROOT + b'0')}\n",
        "root in hex": f"o\n13\n{ROOT.hex()}\n",
        "a space before the root": f"o\n13\n {root}\n",
        "a line break inside the root": f"o\n13\n{root[:20]}\n{root[20:]}\n",
        "size 0 with another root": f"o\n0\n{root}\n",
        "sixty-five kilobytes": f"{TEXT}{'x' * 65536}\n",
    }
    sizes = ["", "+13", "-13", "013", " 13", "13 ", "1_3", "0x13", "1e1", "13.0", "\u0661\u0663"]
    sizes += ["13\u2009", str(2**63), "9" * 400]
    bad |= {f"size {size!a:.30}": f"o\n{size}\n{root}\n" for size in sizes}
    return [
        {"desc": what, "input": {"checkpoint": text}, "wantErr": MALFORMED}
        for what, text in bad.items()
    ] + [
        {
            "desc": "a byte that is not UTF-8",
            "input": {"checkpoint_hex": (b"\xff" + TEXT.encode()).hex()},
            "wantErr": MALFORMED,
        }
    ]


def _open_cases() -> list[Case]:
    vkey = LOG.verifier.vkey
    log, witness = line(LOG, TEXT), line(WITNESS, TEXT)
    other = TEXT.replace(ORIGIN, "log.example/two")
    extended = f"{TEXT}extension\n"
    good = {
        "log signature alone": NOTE,
        "witness line first, log line second": f"{TEXT}\n{witness}{log}",
    }
    bad = {
        "another origin": (f"{other}\n{line(LOG, other)}", "OriginMismatchError"),
        "an origin that differs in case": (
            f"{TEXT.replace('log', 'Log')}\n{line(LOG, TEXT.replace('log', 'Log'))}",
            "OriginMismatchError",
        ),
        "a witness alone": (f"{TEXT}\n{witness}", "UnknownKeyError"),
        "another key of that name": (
            f"{TEXT}\n{line(signer(ORIGIN, 1), TEXT)}",
            "UnknownKeyError",
        ),
        "a bad signature": (f"{TEXT}\n{flipped(TEXT, LOG)}", "BadSignatureError"),
        "log key twice, second bad": (f"{NOTE}{flipped(TEXT, LOG)}", "BadSignatureError"),
        "another size than was signed": (NOTE.replace("\n13\n", "\n14\n"), "BadSignatureError"),
        "a signed text that is no checkpoint": (_signed("hello\n"), MALFORMED),
        "an empty line between its lines": (
            _signed(f"{ORIGIN}\n\n13\n"),
            MALFORMED,
        ),
        "the text alone": (TEXT, "MalformedNoteError"),
    }
    return (
        [
            {
                "desc": what,
                "input": {"note": note, "vkey": vkey},
                "expected": _fields(ORIGIN, 13, ROOT, []),
            }
            for what, note in good.items()
        ]
        + [
            {
                "desc": "an extension line",
                "input": {"note": f"{extended}\n{line(LOG, extended)}", "vkey": vkey},
                "expected": _fields(ORIGIN, 13, ROOT, ["extension"]),
            }
        ]
        + [
            {"desc": what, "input": {"note": note, "vkey": vkey}, "wantErr": error}
            for what, (note, error) in bad.items()
        ]
    )


def _signed(text: str) -> str:
    return f"{text}\n{line(LOG, text)}"


def _tlog_proof(index: int = 5, extra: str = "", note: str = NOTE) -> str:
    hashes = "".join(f"{b64(value)}\n" for value in reference.path(index, LEAVES))
    return f"c2sp.org/tlog-proof@v1\n{extra}index {index}\n{hashes}\n{note}"


def _case(what: str, text: str, index: int = 5) -> Case:
    leaf = LEAVES[index].hex()
    given = {"tlog_proof": text, "vkey": LOG.verifier.vkey, "leaf_hash": leaf}
    return {"desc": what, "input": given}


def _good_proofs() -> list[Case]:
    one = f"{ORIGIN}\n1\n{b64(LEAVES[0])}\n"
    single = f"c2sp.org/tlog-proof@v1\nindex 0\n\n{one}\n{line(LOG, one)}"
    cosigned = f"{NOTE}{line(WITNESS, TEXT)}"
    good: list[tuple[str, str, int, int, str | None]] = [
        ("leaf 5 of 13", _tlog_proof(), 5, 13, None),
        ("leaf 0 of 13", _tlog_proof(0), 0, 13, None),
        ("leaf 12 of 13", _tlog_proof(12), 12, 13, None),
        ("the only leaf: no hashes", single, 0, 1, None),
        ("with extra data", _tlog_proof(extra=f"extra {b64(b'extra')}\n"), 5, 13, b"extra".hex()),
        ("with one byte of extra data", _tlog_proof(extra="extra AA==\n"), 5, 13, "00"),
        ("with a cosignature", _tlog_proof(note=cosigned), 5, 13, None),
    ]
    return [
        {**_case(what, text, index), "expected": {"index": index, "size": size, "extra": extra}}
        for what, text, index, size, extra in good
    ]


def _false_proofs() -> list[Case]:
    proof = _tlog_proof()
    first = b64(reference.path(5, LEAVES)[0])
    other = TEXT.replace(ORIGIN, "log.example/two")
    false: dict[str, tuple[str, str]] = {
        "one hash wrong": (proof.replace(first, b64(ROOT)), "RootMismatchError"),
        "index of the neighbour": (proof.replace("index 5", "index 4"), "RootMismatchError"),
        "a hash missing": (proof.replace(f"{first}\n", ""), "MalformedProofError"),
        "a hash too many": (proof.replace(first, f"{first}\n{first}"), "MalformedProofError"),
        "sixty-three hashes": (
            proof.replace(first, "\n".join([first] * 60)),
            "MalformedProofError",
        ),
        "index beyond the tree": (proof.replace("index 5", "index 13"), "MalformedProofError"),
        "signature wrong": (
            _tlog_proof(note=f"{TEXT}\n{flipped(TEXT, LOG)}"),
            "BadSignatureError",
        ),
        "signed by a stranger": (
            _tlog_proof(note=f"{TEXT}\n{line(WITNESS, TEXT)}"),
            "UnknownKeyError",
        ),
        "checkpoint of another log": (
            _tlog_proof(note=f"{other}\n{line(LOG, other)}"),
            "OriginMismatchError",
        ),
    }
    cases: list[Case] = [
        {**_case(what, text), "wantErr": error} for what, (text, error) in false.items()
    ]
    wrong_leaf = _case("another leaf hash", proof, 6)
    return [*cases, {**wrong_leaf, "wantErr": "RootMismatchError"}]


def _malformed_proofs() -> list[Case]:
    proof = _tlog_proof()
    extra = _tlog_proof(extra=f"extra {b64(b'extra')}\n")
    first = b64(reference.path(5, LEAVES)[0])
    head = "c2sp.org/tlog-proof@v1\n"
    malformed = {
        "nothing": "",
        "the first line alone": head,
        "another version": proof.replace("@v1", "@v2"),
        "a byte order mark": f"\ufeff{proof}",
        "lines that end in CR LF": proof.replace("\n", "\r\n"),
        "no index line": proof.replace("index 5\n", ""),
        "index 007": proof.replace("index 5", "index 007"),
        "index +5": proof.replace("index 5", "index +5"),
        "two spaces before the index": proof.replace("index 5", "index  5"),
        "index twice": proof.replace("index 5\n", "index 5\nindex 5\n"),
        "index 2^63": proof.replace("index 5", f"index {2**63}"),
        "an empty extra line": proof.replace("index 5", "extra \nindex 5"),
        "extra after the index": proof.replace("index 5\n", "index 5\nextra AAAA\n"),
        "extra twice": extra.replace("extra ", "extra AAAA\nextra ", 1),
        "extra that is no base64": extra.replace(b64(b"extra"), "ex*ra"),
        "a hash of 31 bytes": proof.replace(first, b64(ROOT[:-1])),
        "a hash in hex": proof.replace(first, ROOT.hex()),
        "a space before a hash": proof.replace(first, f" {first}"),
        "sixty-four hashes": head + "index 5\n" + f"{first}\n" * 64 + f"\n{NOTE}",
        "no checkpoint": proof.partition("\n\n")[0] + "\n\n",
        "no empty line before the checkpoint": proof.replace(f"\n\n{ORIGIN}", f"\n{ORIGIN}"),
        "two empty lines before the checkpoint": proof.replace(f"\n\n{ORIGIN}", f"\n\n\n{ORIGIN}"),
        "a checkpoint without signatures": _tlog_proof(note=f"{TEXT}\n"),
        "a note that is no checkpoint": _tlog_proof(note=_signed("hello\n")),
        "no line break at the end": proof[:-1],
        "text after the checkpoint": f"{proof}\n",
    }
    return [{**_case(what, text), "wantErr": PROOF} for what, text in malformed.items()]
