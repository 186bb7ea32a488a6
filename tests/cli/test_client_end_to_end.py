"""The client commands against the real server on loopback: every command, and every failure."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import plyvel
import pytest

from tests.cli.site import ORIGIN, Site
from tests.clients.simulator import LogSimulator
from tlog_proofs import Ed25519Cosigner

LINES = [f'{{"number": {number}}}'.encode() for number in range(700)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A new log behind a running server."""
    site = Site(tmp_path)
    yield site
    site.server.kill()


def test_an_entry_from_append_to_offline_proof(site: Site, tmp_path: Path) -> None:
    """An entry is appended, read, proved and audited; the proof then needs no server at all."""
    entry, proof = tmp_path / "entry", tmp_path / "1.tlog-proof"
    entry.write_bytes(b"\x00first\r\n")
    appended = site.run("append", str(entry))
    assert (appended.returncode, appended.stdout, appended.stderr) == (0, b"1\n", b"")

    lines = site.run("append", "--lines", "-", stdin=b"\n".join(LINES))
    assert (lines.returncode, lines.stderr) == (0, b"")
    assert lines.stdout.split() == [b"%d" % index for index in range(2, 702)]

    for index, expected in ((1, b"\x00first\r\n"), (2, LINES[0]), (701, LINES[-1])):
        got = site.run("get", str(index))
        assert (got.returncode, got.stdout) == (0, expected)

    head = json.loads(site.run("head", "--json").stdout)
    assert (head["origin"], head["size"], head["vkey"]) == (ORIGIN, 702, site.vkey)
    assert site.run("prove", "1", "-o", str(proof)).returncode == 0

    audit = site.run("audit", "--json")
    report = json.loads(audit.stdout)
    assert audit.returncode == 0
    assert (report["entries"], report["root"], report["kind"]) == (702, head["root"], "opaque/1")
    assert report["warnings"] == []
    here = ("audit", "--data", str(site.data), "--log", "a", "--json")
    through_socket = site.run(*here)
    assert json.loads(through_socket.stdout)["root"] == head["root"], through_socket.stderr
    assert site.run(*here, "--vkey", site.vkey).returncode == 0
    pinned = site.run(*here, "--vkey", LogSimulator([], ORIGIN).key.vkey)
    assert (pinned.returncode, pinned.stdout) == (1, b"")
    assert b"expected a signature by" in pinned.stderr
    both = site.run(*here, "--url", site.url)
    assert (both.returncode, both.stdout) == (2, b"")
    assert b"--url and --data exclude each other" in both.stderr

    assert site.server.stop() == 0
    assert json.loads(site.run(*here).stdout)["root"] == head["root"]  # in the directory itself
    verified = site.run("verify", str(proof), "--entry", str(entry), "--json")
    facts = json.loads(verified.stdout)
    assert verified.returncode == 0
    assert (facts["origin"], facts["index"], facts["size"]) == (ORIGIN, 1, 702)
    leaf_hash = hashlib.sha256(b"\x00" + entry.read_bytes()).digest()
    assert base64.b64decode(facts["leaf_hash"]) == leaf_hash
    entry.write_bytes(b"\x00first\n")
    assert site.run("verify", str(proof), "--entry", str(entry)).returncode == 1
    assert site.run("append", str(entry)).returncode == 3


def test_receipts(site: Site, tmp_path: Path) -> None:
    """The server's receipt is verified before it is written; a log of one entry has none."""
    entry, receipt = tmp_path / "entry", tmp_path / "1.cose"
    write = ("prove", "--format", "receipt", "--json", "-o", str(receipt))
    alone = site.run(*write, "0")
    assert (alone.returncode, alone.stdout, receipt.exists()) == (4, b"", False)
    assert b"no such receipt" in alone.stderr
    entry.write_bytes(b"first")
    assert site.run("append", str(entry)).returncode == 0
    written = site.run(*write, "1")
    facts = json.loads(written.stdout)
    assert (written.returncode, written.stderr) == (0, b"")
    assert (facts["index"], facts["size"], facts["format"]) == (1, 2, "receipt")
    assert receipt.read_bytes()[0] == 0xD2

    policy = tmp_path / "policy"
    policy.write_text(f"log {site.vkey}\nquorum none\n")
    for trust in ((), ("--vkey", site.vkey), ("--policy", str(policy))):
        verified = site.run("verify", str(receipt), "--entry", str(entry), "--json", *trust)
        assert verified.returncode == 0, verified.stderr
        proved = json.loads(verified.stdout)
        assert (proved["origin"], proved["index"], proved["size"]) == (ORIGIN, 1, 2)
        assert proved["root"] == facts["root"]
    entry.write_bytes(b"second")
    assert site.run("verify", str(receipt), "--entry", str(entry)).returncode == 1
    witness = Ed25519Cosigner("w", bytes(32)).verifier.vkey
    policy.write_text(f"log {site.vkey}\nwitness w {witness}\nquorum w\n")
    refused = site.run(*write, "1", "--policy", str(policy))
    assert refused.returncode == 2
    assert b"expected --format tlog-proof" in refused.stderr
    assert (
        b"not proved"
        in site.run("verify", str(receipt), "--entry", str(entry), "--policy", str(policy)).stderr
    )
    beyond = site.run(*write, "7")
    assert (beyond.returncode, beyond.stdout) == (4, b"")


def test_ids(site: Site) -> None:
    """What is sent again with its id keeps its index, after a crash too; other bytes: refused."""
    lines = ("append", "--lines", "--id-prefix", "job", "-")
    assert site.run("append", "--id", "one", "-", stdin=b"one").stdout == b"1\n"
    assert site.run(*lines, stdin=b"two\nthree\n").stdout == b"2\n3\n"
    site.server.kill()
    site.server.start()
    assert site.run("append", "--id", "one", "-", stdin=b"one").stdout == b"1\n"
    again = site.run(*lines, "--json", stdin=b"two\nthree\nfour\n")
    facts = json.loads(again.stdout)
    assert (facts["indexes"], facts["first_index"], facts["verified"]) == ([2, 3, 4], 4, True)
    known = json.loads(site.run(*lines, "--json", stdin=b"two\nthree\nfour\n").stdout)
    assert (known["indexes"], known["first_index"], known["size"]) == ([2, 3, 4], None, 5)
    for arguments in (("append", "--id", "one", "-"), lines):
        conflict = site.run(*arguments, stdin=b"other bytes")
        assert (conflict.returncode, conflict.stdout) == (4, b"")
        assert b"refused by the server: entries: " in conflict.stderr
        assert conflict.stderr.count(b"\n") == 1
    assert json.loads(site.run("head", "--json").stdout)["size"] == 5


def test_scopes(site: Site) -> None:
    """A token's scopes are enough for what they allow, and a refusal prints the problem's title."""
    append, read = site.make_token("append"), site.make_token("read")
    assert site.run("head", token=read).returncode == 0
    appended = site.run("append", "-", stdin=b"entry", token=append)
    assert (appended.returncode, appended.stdout) == (0, b"1\n")
    assert b"reported, not trusted" in appended.stderr
    assert json.loads(site.run("head", "--json", token=read).stdout)["step"] == "forward"

    for arguments, token in (
        (("append", "-"), read),
        (("append", "--lines", "-"), read),
        (("head",), append),
        (("get", "0"), append),
        (("prove", "0", "-o", "-"), append),
        (("audit",), append),
        (("head",), "tlog_unknown"),
        (("get", "2"), read),
    ):
        refused = site.run(*arguments, stdin=b"entry", token=token)
        assert (refused.returncode, refused.stdout) == (4, b""), arguments
        assert refused.stderr.count(b"\n") == 1
        assert token.encode() not in refused.stderr


def test_fork_of_a_copied_directory(site: Site, tmp_path: Path) -> None:
    """A directory restored from a copy, head store and all, forks; who saw the newer head knows."""
    assert site.run("append", "--lines", "-", stdin=b"one\ntwo\n").returncode == 0
    other = tmp_path / "copy"
    assert site.server.stop() == 0
    shutil.copytree(site.data, other, ignore=shutil.ignore_patterns("*.sock"))
    site.server.start()
    assert site.run("append", "-", stdin=b"after the copy").returncode == 0
    trusted = json.loads(site.run("head", "--json").stdout)["checkpoint"]

    site.swap_in(other)
    # An older head of the same history is no fork yet, but the newer tree cannot be shown.
    stale = site.run("head")
    assert stale.returncode == 1
    assert b"not proved" in stale.stderr
    assert b"FORK" not in stale.stderr
    forked = site.run("append", "-", stdin=b"on the copy")
    assert (forked.returncode, forked.stdout) == (1, b""), forked.stderr
    assert b"FORK" in forked.stderr
    assert trusted.encode() in forked.stderr
    for arguments in (("head",), ("get", "1"), ("prove", "1", "-o", "-"), ("audit",)):
        assert site.run(*arguments).returncode == 1
    # Who has seen the copy alone cannot know.
    assert site.run("audit", state="other").returncode == 0

    site.swap_in(other)
    assert site.run("audit").returncode == 0


def test_changed_database(site: Site, tmp_path: Path) -> None:
    """An entry changed in the database is found by audit and get, and named."""
    assert site.run("append", "--lines", "-", stdin=b"\n".join(LINES)).returncode == 0
    assert site.server.stop() == 0
    database = plyvel.DB(str(site.data / "logs" / "a" / "log"))
    key = (100).to_bytes(8, "big") + b"\x00"
    assert database.get(key) == LINES[99]
    database.put(key, b'{"number": "?"}')
    database.close()

    here = site.run("audit", "--data", str(site.data), "--log", "a")
    site.server.start()
    over_http = site.run("audit")
    for audit in (here, over_http):
        assert (audit.returncode, audit.stdout) == (1, b"")
        assert b"tile/0/000: " in audit.stderr
        assert b"entry: 100" in audit.stderr
    got = site.run("get", "100")
    assert (got.returncode, got.stdout) == (1, b"")
    assert site.run("get", "101").stdout == LINES[100]
