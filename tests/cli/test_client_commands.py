"""The client commands against a small fake log on loopback: what they print, and how they end."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.cli.served_log import START_TIMEOUT_S, PostFailure, ServedLog
from tests.clients.simulator import OTHER_SEED, LogSimulator, make_entries
from tlog.cli import main, output
from tlog.cli.output import Progress
from tlog_clients import Problem
from tlog_proofs import KIND_OPAQUE, Ed25519Cosigner, Genesis, format_genesis, parse_tlog_proof

SIZE = 300
VKEY = LogSimulator([]).key.vkey
TOKEN = "tlog_abcdefghij_made-up-for-tests"


@pytest.fixture
def served() -> Iterator[ServedLog]:
    """A log of 300 entries, the first its genesis, served on loopback."""
    log = LogSimulator(make_entries(SIZE))
    log.entries[0] = format_genesis(
        Genesis(log.origin, KIND_OPAQUE, 1_700_000_000, (log.key.vkey,))
    )
    with ServedLog(log) as served_log:
        yield served_log


class Command:
    """Runs a client command with the settings of its log in the environment."""

    def __init__(self, served: ServedLog, directory: Path) -> None:
        self.state = directory / "heads.json"
        self.environment: dict[str, str | None] = {
            "TLOG_URL": served.url,
            "TLOG_VKEY": served.log.key.vkey,
            "TLOG_TOKEN": TOKEN,
            "XDG_STATE_HOME": str(directory / "default"),
        }

    def __call__(self, *arguments: str, stdin: bytes = b"", keeps: bool = True) -> Result:
        state = ["--state", str(self.state)] if keeps else []
        return CliRunner().invoke(main, [*arguments, *state], stdin, env=self.environment)


@pytest.fixture
def run(served: ServedLog, tmp_path: Path) -> Command:
    """The command line, set up for the served log."""
    return Command(served, tmp_path)


def test_head(run: Command, served: ServedLog) -> None:
    """The verified head is printed as text and as JSON, and kept in the state file."""
    root = base64.b64encode(served.log.root()).decode()
    result = run("head")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["origin", served.log.origin],
        ["size", str(SIZE)],
        ["root", root],
        ["vkey", served.log.key.vkey],
    ]
    assert json.loads(run("head", "--json").stdout) == {
        "origin": served.log.origin,
        "size": SIZE,
        "root": root,
        "vkey": served.log.key.vkey,
        "step": "same",
        "checkpoint": served.log.checkpoint().decode(),
    }
    assert run.state.exists()
    assert served.tokens == {f"Bearer {TOKEN}"}


def test_default_state_file(run: Command, tmp_path: Path) -> None:
    """Without --state the head is kept in $XDG_STATE_HOME/tlog/heads.json."""
    assert run("head", keeps=False).exit_code == 0
    assert (tmp_path / "default" / "tlog" / "heads.json").exists()


def test_older_head(run: Command, served: ServedLog) -> None:
    """A stale answer is said on stderr, and the newest head seen is shown."""
    run("head")
    served.log.answer = lambda path, data: (
        served.log.checkpoint(7) if path == "checkpoint" else data
    )
    result = run("head", "--json")
    assert (result.exit_code, json.loads(result.stdout)["size"]) == (0, SIZE)
    assert "older head" in result.stderr


def test_get(run: Command, served: ServedLog, tmp_path: Path) -> None:
    """The entry's bytes go to stdout or to a file, and nothing else does."""
    result = run("get", "5")
    assert (result.exit_code, result.stdout_bytes) == (0, served.log.entries[5])
    assert run("get", "8", "-o", str(tmp_path / "entry")).stdout == ""
    assert (tmp_path / "entry").read_bytes() == served.log.entries[8]


def test_prove_and_verify(run: Command, served: ServedLog, tmp_path: Path) -> None:
    """A proof that was written is verified offline, and says what it proves."""
    proof, entry = tmp_path / "5.tlog-proof", tmp_path / "entry"
    entry.write_bytes(served.log.entries[5])
    result = run("prove", "5", "-o", str(proof), "--json")
    assert result.exit_code == 0
    assert proof.read_bytes() == served.log.tlog_proof(5)
    assert json.loads(result.stdout)["index"] == 5
    assert run("prove", "5", "-o", "-").stdout_bytes == proof.read_bytes()

    run.environment["TLOG_URL"] = None
    requests = len(served.log.requests)
    result = run("verify", str(proof), "--entry", str(entry), "--json", keeps=False)
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert (facts["origin"], facts["index"], facts["size"]) == (served.log.origin, 5, SIZE)
    assert facts["root"] == base64.b64encode(served.log.root()).decode()
    result = run("verify", "-", "--entry", str(entry), stdin=proof.read_bytes(), keeps=False)
    assert (result.exit_code, result.stdout.split()[0]) == (0, "proved:")
    assert len(served.log.requests) == requests  # nothing was asked of the server


def test_verify_refuses(run: Command, served: ServedLog, tmp_path: Path) -> None:
    """Another entry, another key, a changed proof or garbage: exit 1, one line, no traceback."""
    proof = served.log.tlog_proof(5)
    other = LogSimulator([], seed=OTHER_SEED).key.vkey
    good = served.log.entries[5]
    cases: list[tuple[bytes, bytes, str | None]] = [
        (proof, good + b"\n", None),
        (proof, good, other),
        (served.log.tlog_proof(4), good, None),
        (proof.replace(b"index 5", b"index 4"), good, None),
        (proof[:-1], good, None),
        (b"\xff", good, None),
        (b"", good, None),
        (proof, b"x" * 65_536, None),
    ]
    for data, entry, vkey in cases:
        (tmp_path / "proof").write_bytes(data)
        (tmp_path / "entry").write_bytes(entry)
        key = ["--vkey", vkey] if vkey else []
        arguments = [str(tmp_path / "proof"), "--entry", str(tmp_path / "entry"), *key]
        result = run("verify", *arguments, keeps=False)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "not proved" in result.stderr
        assert result.stderr.count("\n") == 1


def test_append_files(run: Command, served: ServedLog, tmp_path: Path) -> None:
    """Each FILE is one entry, byte for byte; the indexes are printed, one a line."""
    (tmp_path / "a").write_bytes(b"first\r\n\n")
    (tmp_path / "b").write_bytes(b"")
    result = run("append", str(tmp_path / "a"), str(tmp_path / "b"), "-", stdin=b"third\x00")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "300\n301\n302\n", "")
    assert served.log.entries[SIZE:] == [b"first\r\n\n", b"", b"third\x00"]
    result = run("append", "--json", "-", stdin=b"fourth")
    facts = json.loads(result.stdout)
    assert (facts["index"], facts["verified"], facts["trusted"]) == (303, True, True)
    assert (facts["size"], facts["state"]) == (304, "published")


def test_append_lines(run: Command, served: ServedLog, tmp_path: Path) -> None:
    """Each line is one entry without its LF; empty ones are skipped and counted."""
    lines = [b"line %d" % number for number in range(2500)]
    (tmp_path / "a").write_bytes(b"\n".join(lines[:2000]) + b"\n\n\nwith cr\r\n")
    (tmp_path / "b").write_bytes(b"\n".join(lines[2000:]))
    result = run("append", "--lines", str(tmp_path / "a"), str(tmp_path / "b"))
    assert result.exit_code == 0
    assert result.stdout == "".join(f"{index}\n" for index in range(SIZE, SIZE + 2501))
    assert "2 empty lines were skipped" in result.stderr
    assert served.log.entries[SIZE:] == [*lines[:2000], b"with cr\r", *lines[2000:]]
    result = run("append", "--lines", "--json", "-", stdin=b"x\ny\n")
    facts = json.loads(result.stdout)
    assert (facts["first_index"], facts["count"], facts["verified"]) == (2801, 2, True)


def test_append_long_lines_in_small_batches(run: Command, served: ServedLog) -> None:
    """Batches keep below 8 MiB of body, however long the lines are."""
    line = b"x" * 65_535 + b"\n"
    result = run("append", "--lines", "--json", "-", stdin=line * 130)
    assert result.exit_code == 0
    counts = [json.loads(text)["count"] for text in result.stdout.splitlines()]
    # 95 lines of 87,394 bytes are 8,302,430; one more would pass 8 MiB.
    assert counts == [95, 35]


def test_append_too_long(run: Command, served: ServedLog, tmp_path: Path) -> None:
    """An entry over the bound is named by file and line, and nothing of its batch is sent."""
    (tmp_path / "big").write_bytes(b"x" * 65_536)
    (tmp_path / "lines").write_bytes(b"fine\n" * 1200 + b"x" * 65_536 + b"\nfine\n")
    result = run("append", str(tmp_path / "big"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{tmp_path / 'big'}: expected an entry of at most 65535 bytes" in result.stderr
    result = run("append", "--lines", str(tmp_path / "lines"))
    assert result.exit_code == 2
    assert f"{tmp_path / 'lines'}:1201: " in result.stderr
    # The full batch before it was sent, and its indexes printed.
    assert result.stdout.split() == [str(index) for index in range(SIZE, SIZE + 1000)]
    assert len(served.log.entries) == SIZE + 1000


def test_append_without_vkey(run: Command) -> None:
    """Without a key nothing can be verified, which is said; the index is printed all the same."""
    run.environment["TLOG_VKEY"] = None
    result = run("append", "-", stdin=b"entry")
    assert (result.exit_code, result.stdout) == (0, "300\n")
    assert result.stderr == "tlog: not verified: no --vkey\n"
    result = run("append", "--lines", "--json", "-", stdin=b"entry\n")
    assert json.loads(result.stdout)["verified"] is False


def test_append_without_scope_read(run: Command, served: ServedLog) -> None:
    """A head whose consistency may not be read is reported; the trusted one stays."""
    run("head")
    before = run.state.read_bytes()
    served.log.may_read = False
    result = run("append", "-", stdin=b"entry")
    assert (result.exit_code, result.stdout) == (0, "300\n")
    assert "reported, not trusted" in result.stderr
    assert result.stderr.count("\n") == 1
    assert run.state.read_bytes() == before


def test_append_not_yet_published(run: Command, served: ServedLog) -> None:
    """When the wait ends first the index is printed, the state said, and the exit code is 0."""
    served.log.post_status = 202
    served.log.answer_post = lambda value: {
        "index": value["index"],
        "leaf_hash": value["leaf_hash"],
        "state": "committed",
    }
    result = run("append", "-", stdin=b"entry")
    assert (result.exit_code, result.stdout) == (0, "300\n")
    assert "not verified: committed" in result.stderr


def test_append_of_unknown_outcome(run: Command, served: ServedLog) -> None:
    """With --retry-for 0 a lost answer is told as unknown, exit 3, and nothing is sent again."""
    served.drops_answers = True
    result = run("append", "-", "--retry-for", "0", stdin=b"entry")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "may or may not be in the log" in result.stderr
    assert served.log.entries[SIZE:] == [b"entry"]
    served.drops_answers = False
    served.refusal = 503, Problem("urn:tlog:problem:outcome-unknown", "Outcome unknown", "")
    result = run("append", "--lines", "-", "--retry-for", "0", stdin=b"entry\n")
    assert result.exit_code == 3
    assert "may or may not be in the log" in result.stderr


QUEUE_FULL = Problem("urn:tlog:problem:queue-full", "Too many entries are waiting", "")


@pytest.mark.parametrize(
    "failures",
    [["lost"], ["lost", "lost"], [(429, QUEUE_FULL)] * 3, ["lost", (502, None), (429, QUEUE_FULL)]],
    ids=str,
)
@pytest.mark.parametrize("keyed", [True, False], ids=["vkey", "no vkey"])
def test_append_sends_again(
    run: Command, served: ServedLog, failures: list[PostFailure], keyed: bool
) -> None:
    """A lost answer or a full queue is told on stderr, and every entry stands once in the end."""
    if not keyed:
        run.environment["TLOG_VKEY"] = None
    for arguments in (["append", "-"], ["append", "--lines", "-"]):
        size = len(served.log.entries)
        served.post_failures = list(failures)
        result = run(*arguments, stdin=b"entry")
        assert (result.exit_code, result.stdout) == (0, f"{size}\n")
        assert result.stderr.count("trying again in") == len(failures)
        assert served.log.entries[size:] == [b"entry"]


def test_append_again_with_ids(run: Command, served: ServedLog, tmp_path: Path) -> None:
    """A rerun with the same --id-prefix appends what is missing; --id is for one entry."""
    lines, more = b"one\n\ntwo\nthree\n", b"one\n\ntwo\nthree\nfour\n"
    assert run("append", "--lines", "--id-prefix", "job", "-", stdin=lines).exit_code == 0
    assert list(served.log.ids) == ["job-1", "job-3", "job-4"]
    run("append", "-", stdin=b"between")
    result = run("append", "--lines", "--id-prefix", "job", "-", stdin=more)
    assert (result.exit_code, result.stdout) == (0, "300\n301\n302\n304\n")
    facts = json.loads(
        run("append", "--lines", "--json", "--id-prefix=job", "-", stdin=more).stdout
    )
    assert (facts["first_index"], facts["count"], facts["verified"]) == (None, 4, True)
    assert facts["indexes"] == [300, 301, 302, 304]

    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    files = (str(tmp_path / "a"), str(tmp_path / "b"))
    for _ in range(2):
        assert run("append", "--id-prefix", "files", *files).stdout == "305\n306\n"
        assert run("append", "--id", "third", "-", stdin=b"c").stdout == "307\n"
    assert list(served.log.ids)[-3:] == ["files-1", "files-2", "third"]


def test_append_id_conflict(run: Command, served: ServedLog) -> None:
    """Other bytes under an id that stands: exit 4 with the problem's title, nothing appended."""
    run("append", "--id-prefix", "job", "--lines", "-", stdin=b"one\ntwo\n")
    for arguments in (["--id-prefix", "job", "--lines"], ["--id", "job-1"]):
        result = run("append", *arguments, "-", stdin=b"other")
        assert (result.exit_code, result.stdout) == (4, "")
        assert "The id was sent before" in result.stderr
    assert served.log.entries[SIZE:] == [b"one", b"two"]


def test_append_says_how_to_go_on(run: Command, served: ServedLog) -> None:
    """When the time is over the message names the ids with which nothing is appended twice."""
    served.drops_answers = True
    result = run("append", "--lines", "--retry-for", "0", "-", stdin=b"one\ntwo\n")
    assert (result.exit_code, result.stdout) == (3, "")
    advice = re.search(r"run again with (--id-prefix [0-9a-f]{32}), it appends", result.stderr)
    assert advice is not None
    served.drops_answers = False
    result = run("append", "--lines", *advice[1].split(), "-", stdin=b"one\ntwo\n")
    assert (result.exit_code, result.stdout) == (0, "300\n301\n")
    assert served.log.entries[SIZE:] == [b"one", b"two"]


def test_append_answered_wrongly(run: Command, served: ServedLog) -> None:
    """An answer that is wrong leaves it open what stands: how to go on is told, also at first."""
    other: dict[str, object] = {"index": SIZE, "leaf_hash": base64.b64encode(bytes(32)).decode()}
    answers: list[dict[str, object]] = [{}, other | {"entries": [other]}]
    for answer in answers:
        for arguments in (["append", "-"], ["append", "--lines", "-"]):
            served.log.answer_post = lambda _, answer=answer: answer
            result = run(*arguments, stdin=b"entry")
            assert (result.exit_code, result.stdout) == (1, "")
            advice = re.search(r"run again with (--id-prefix \S+), it appends", result.stderr)
            assert advice is not None
            size = len(served.log.entries)
            served.log.answer_post = None
            assert run(*arguments, *advice[1].split(), stdin=b"entry").stdout == f"{size - 1}\n"
    served.refusal = 403, None
    assert "run again" not in run("append", "-", stdin=b"entry").stderr


def test_append_input_that_ends_badly(run: Command, served: ServedLog, tmp_path: Path) -> None:
    """Where input fails after some entries stand it is told how to go on, and only there."""
    good, lines = tmp_path / "good", tmp_path / "lines"
    good.write_bytes(b"entry")
    absent = str(tmp_path / "absent")
    lines.write_bytes(b"line\n" * 1_500 + b"x" * 70_000)
    for arguments, exit_code, count in (
        ([str(good), absent], 3, 1),
        (["--lines", str(lines)], 2, 1_000),
        ([absent, str(good)], 3, 0),
    ):
        size = len(served.log.entries)
        result = run("append", *arguments)
        assert (result.exit_code, result.stdout.count("\n")) == (exit_code, count)
        assert len(served.log.entries) == size + count
        assert result.stderr.count("run again with --id-prefix ") == bool(count)


@pytest.mark.parametrize("options", [[], ["--lines"]], ids=["file", "lines"])
def test_append_adds_nothing(run: Command, served: ServedLog, options: list[str]) -> None:
    """A log that answers a new entry with an old one of equal bytes is found out: exit 1."""
    first = run("append", *options, "--id-prefix", "a", "-", stdin=b"entry")
    assert (first.exit_code, first.stdout) == (0, f"{SIZE}\n")
    place = served.log._place
    served.log._place = lambda lines: place([(lines[0][0], "a-1")])  # type: ignore[method-assign]
    again = run("append", *options, "--id-prefix", "a", "-", stdin=b"entry")
    assert (again.exit_code, again.stdout) == (0, f"{SIZE}\n")
    new = run("append", *options, "-", stdin=b"entry")
    assert (new.exit_code, new.stdout) == (1, "")
    assert f"said to stand at index {SIZE}" in new.stderr


def test_append_read_only(run: Command, served: ServedLog) -> None:
    """A log that is read-only is not asked again."""
    problem = Problem("urn:tlog:problem:read-only", "The log is read-only", "")
    served.post_failures = [(503, problem)] * 2
    result = run("append", "-", stdin=b"entry")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "The log is read-only" in result.stderr
    assert len(served.post_failures) == 1


def test_append_interrupted() -> None:
    """Ctrl-C while an answer is awaited: exit 130, and the entry's fate is said to be open."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(START_TIMEOUT_S)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/logs/a"
        command = [sys.executable, "-m", "tlog", "append", "--url", url, "-"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            process.stdin.write(b"entry")
            process.stdin.close()
            connection, _ = silent.accept()
            with connection:
                while b"entry" not in connection.recv(65_536):
                    pass
                process.send_signal(signal.SIGINT)
                stderr = process.stderr.read().decode()
            assert process.wait(START_TIMEOUT_S) == 130
    assert "may or may not be in the log; run again with --id-prefix " in stderr
    assert stderr.endswith("tlog: interrupted\n")


def test_progress_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Off a terminal progress is a line on stderr now and then, and nothing when quiet."""
    monkeypatch.setattr(output, "_PROGRESS_INTERVAL_S", 0.0)
    with Progress("auditing") as progress:
        progress.update(256, 300)
        progress.update(300)
    with Progress("appending", quiet=True) as progress:
        progress.update(1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "tlog: auditing: 256 of 300 entries\ntlog: auditing: 300 entries\n"


def plant_edit(log: LogSimulator) -> None:
    """Serve other bytes as entry 5."""
    log.answer = lambda path, data: b"edited" if path == "entries/5" else data


def plant_tile(log: LogSimulator) -> None:
    """Serve a wrong tile."""
    log.answer = lambda path, data: bytes(8192) if path == "tile/0/000" else data


def plant_other_key(log: LogSimulator) -> None:
    """Sign with another key."""
    log.seed = OTHER_SEED


def plant_garbage(log: LogSimulator) -> None:
    """Answer everything with garbage."""
    log.answer = lambda path, data: b"\x1b[2J\xff"


LIES = [
    (plant_edit, ["get 5"]),
    (plant_tile, ["get 5", "prove 5 -o -", "audit"]),
    (plant_other_key, ["head", "get 5", "prove 5 -o -", "audit"]),
    (plant_garbage, ["head", "get 5", "prove 5 -o -", "audit"]),
]


@pytest.mark.parametrize(("plant", "commands"), LIES)
def test_lies(
    run: Command, served: ServedLog, plant: Callable[[LogSimulator], None], commands: list[str]
) -> None:
    """A wrong answer ends each command with exit 1 and one line, and nothing on stdout."""
    plant(served.log)
    for command in commands:
        result = run(*command.split())
        assert (result.exit_code, result.stdout) == (1, ""), command
        assert result.stderr.count("\n") == 1
        assert "\x1b" not in result.stderr


@pytest.mark.parametrize("command", ["head", "get 5", "prove 5 -o -", "audit", "append -"])
def test_fork(run: Command, served: ServedLog, command: str) -> None:
    """A conflicting history ends each command with exit 1, and both signed heads are printed."""
    run("head")
    before = served.log.checkpoint().decode()
    served.log.entries[7] = b"rewritten"
    served.log.entries.append(b"more")
    result = run(*command.split(), stdin=b"entry")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "FORK" in result.stderr
    assert before in result.stderr
    assert served.log.checkpoint().decode() in result.stderr


@pytest.mark.parametrize("command", ["head", "get 5", "prove 5 -o -", "audit", "append -"])
def test_refused(run: Command, served: ServedLog, command: str) -> None:
    """A refusal ends each command with exit 4; the problem's title is printed, the token not."""
    served.refusal = 403, Problem("urn:tlog:problem:forbidden", "Not allowed here", "")
    result = run(*command.split(), stdin=b"entry")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "Not allowed here" in result.stderr
    assert TOKEN not in result.stderr


@pytest.mark.parametrize("command", ["head", "get 5", "prove 5 -o -", "audit", "append -"])
def test_unreachable(run: Command, served: ServedLog, command: str) -> None:
    """Without a server each command ends with exit 3; with a broken proxy too."""
    served.refusal = 502, None
    assert run(*command.split(), "--retry-for", "0", stdin=b"entry").exit_code == 3
    run.environment["TLOG_URL"] = "http://127.0.0.1:1/logs/test"
    result = run(*command.split(), stdin=b"entry")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "Connection refused" in result.stderr


def test_answer_too_long(run: Command, served: ServedLog) -> None:
    """An answer over the bound of its kind is the other side's fault: exit 1."""
    served.log.answer = lambda path, data: bytes(1 << 21) if path == "checkpoint" else data
    result = run("head")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "checkpoint: expected at most 1048576 bytes" in result.stderr


def test_nobody_reads_the_output(run: Command) -> None:
    """Output that nobody takes ends a command with exit 3 and one line."""
    reader, writer = os.pipe()
    os.close(reader)
    settings = {name: value for name, value in run.environment.items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-m", "tlog", "head", "--state", str(run.state)],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=os.environ | settings,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (3, b"tlog: Broken pipe\n")


USAGE = {
    "no index": ["get"],
    "index no number": ["get", "x"],
    "index negative": ["get", "--", "-1"],
    "index beyond 2^63-1": ["get", str(2**63)],
    "no such command": ["nothing"],
    "no such option": ["head", "--nothing"],
    "URL of no log": ["append", "-", "--url", "http://127.0.0.1/"],
    "URL of another scheme": ["head", "--url", "ftp://127.0.0.1/logs/a"],
    "vkey that is none": ["head", "--vkey", "nothing"],
    "policy that is none": ["head", "--policy", __file__],
    "no policy": ["head", "--policy", "/nonexistent"],
    "vkey and policy": ["head", "--vkey", VKEY, "--policy", "POLICY"],
    "token that is none": ["head", "--token", "two words"],
    "stdin twice": ["append", "-", "-"],
    "no file": ["append"],
    "one id for lines": ["append", "--lines", "--id", "a", "-"],
    "one id for two files": ["append", "--id", "a", "x", "y"],
    "id and prefix": ["append", "--id", "a", "--id-prefix", "b", "-"],
    "id of two words": ["append", "--id", "a b", "-"],
    "prefix too long": ["append", "--id-prefix", "x" * 240, "-"],
    "time no number": ["append", "--retry-for", "nan", "-"],
    "negative time": ["append", "--retry-for", "-1", "-"],
    "proof without output": ["prove", "5"],
    "stdin as proof and entry": ["verify", "-", "--entry", "-"],
    "verify without entry": ["verify", "-"],
    "audit of a directory without a name": ["audit", "--data", "."],
    "audit of a name without a directory": ["audit", "--log", "a"],
    "JSON and proof on stdout": ["prove", "5", "-o", "-", "--json"],
}


def test_policy(run: Command, served: ServedLog, tmp_path: Path) -> None:
    """By --policy or TLOG_POLICY every command asks for the cosignatures that the policy wants."""
    witness = Ed25519Cosigner("witness.example/w", bytes(32))
    policy = tmp_path / "policy"
    policy.write_text(f"log {VKEY}\nwitness w {witness.verifier.vkey}\nquorum w\n")
    entry = tmp_path / "entry"
    entry.write_bytes(b"entry")
    commands = [
        ["head"],
        ["get", "7"],
        ["prove", "7", "-o", str(tmp_path / "proof")],
        ["audit"],
    ]
    for command in commands:
        result = run(*command, "--policy", str(policy))
        assert result.exit_code == 1, result.stderr
        assert "quorum" in result.stderr
    appended = run("append", str(entry), "--policy", str(policy))
    assert (appended.exit_code, appended.stdout) == (0, f"{SIZE}\n")
    assert "the new head is reported, not trusted" in appended.stderr
    served.log.cosigners = (witness,)
    run.environment |= {"TLOG_VKEY": None, "TLOG_POLICY": str(policy)}
    for command in [*commands, ["append", str(entry)]]:
        result = run(*command)
        assert (result.exit_code, result.stderr) == (0, ""), command
    run.environment["TLOG_VKEY"] = VKEY
    assert run("head").exit_code == 2, "both from the environment: neither is meant more"
    served.log.cosigners = ()
    assert run("head", "--vkey", VKEY).exit_code == 0
    assert run("head", "--policy", str(policy)).exit_code == 1


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE.keys())
def test_usage(run: Command, served: ServedLog, arguments: list[str], tmp_path: Path) -> None:
    """Wrong usage ends with exit 2 before anything is asked of the server."""
    policy = tmp_path / "policy"
    policy.write_text(f"log {VKEY}\nquorum none\n")
    typed = [str(policy) if argument == "POLICY" else argument for argument in arguments]
    result = run(*typed, keeps=False)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "two words" not in result.stderr
    assert served.log.requests == []


def test_input_and_output_errors(run: Command, tmp_path: Path) -> None:
    """A file that cannot be read or written, or a damaged state file: exit 3, the file named."""
    absent, proof = str(tmp_path / "absent"), str(tmp_path / "proof")
    for arguments in (
        ["append", absent],
        ["append", "--lines", absent],
        ["verify", absent, "--entry", absent],
        ["get", "5", "-o", str(tmp_path / "absent" / "file")],
        ["prove", "5", "-o", str(tmp_path)],
    ):
        keeps = arguments[0] != "verify"
        result = run(*arguments, keeps=keeps)
        assert (result.exit_code, result.stdout) == (3, ""), arguments
        assert str(tmp_path) in result.stderr
    run.state.write_bytes(b"damaged")
    for command in ("head", "get 5", "audit", f"prove 5 -o {proof}"):
        result = run(*command.split())
        assert result.exit_code == 3
        assert "state file" in result.stderr
    assert run.state.read_bytes() == b"damaged"


def test_audit(run: Command, served: ServedLog) -> None:
    """An audit says what it compared, as text and as JSON."""
    result = run("audit")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "clean: every entry, tile and head is of one tree"
    facts = json.loads(run("audit", "--json").stdout)
    assert facts == {
        "origin": served.log.origin,
        "size": SIZE,
        "root": base64.b64encode(served.log.root()).decode(),
        "entries": SIZE,
        "tiles": 3,
        "resumed_at": None,
        "begun": facts["begun"],
        "trusted_size": SIZE,
        "kind": "opaque/1",
        "warnings": [],
    }
    served.log.answer = lambda path, data: (
        data[:-1] + b"?" if data and path.startswith("tile/entries/001") else data
    )
    result = run("audit", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "tile/0/001.p/44" in result.stderr
    assert "299" in result.stderr


def long_log(served: ServedLog) -> int:
    """Make the served log long enough to be interrupted at half; return its size."""
    served.log.entries += make_entries(64 * 256 - SIZE)
    return len(served.log.entries)


def start_killed_audit(run: Command, served: ServedLog, half: str) -> None:
    """Start an audit in a process of its own and kill it when it asks for a resource."""
    reached, killed = threading.Event(), threading.Event()

    def hold(path: str, data: bytes | None) -> bytes | None:
        if path == half:
            reached.set()
            killed.wait(START_TIMEOUT_S)
        return data

    served.log.answer = hold
    command = [sys.executable, "-m", "tlog", "audit", "--state", str(run.state)]
    environment = {**os.environ, **{k: v for k, v in run.environment.items() if v is not None}}
    with subprocess.Popen(command, env=environment) as process:
        try:
            assert reached.wait(START_TIMEOUT_S)
        finally:
            process.kill()
            killed.set()
    served.log.answer = None


def test_audit_killed(run: Command, served: ServedLog) -> None:
    """A killed audit is gone on with at half the requests, and says what it compared itself."""
    size = long_log(served)
    assert run("audit").exit_code == 0
    requests = len(served.log.requests)
    start_killed_audit(run, served, "tile/entries/038")  # eight are fetched ahead
    served.log.requests.clear()
    result = run("audit", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    facts = json.loads(result.stdout)
    assert len(served.log.requests) <= 0.6 * requests
    assert facts["resumed_at"] >= 28 * 256
    assert facts["entries"] == size - facts["resumed_at"]

    start_killed_audit(run, served, "tile/entries/038")
    last = run("audit").stdout.splitlines()[-1]
    assert re.match(r"clean: the entries from \d+ on, .* interrupted runs since 20\S+Z,", last)
    start_killed_audit(run, served, "tile/entries/038")
    result = run("audit", "--fresh")
    assert result.stdout.splitlines()[-1] == "clean: every entry, tile and head is of one tree"


def test_audit_with_a_damaged_progress_file(run: Command, served: ServedLog) -> None:
    """A damaged progress file is said on stderr and costs nothing but the work."""
    long_log(served)
    start_killed_audit(run, served, "tile/entries/038")
    # A kill in the middle of a write leaves its temporary file too.
    found = run.state.parent.glob("heads.json.audit-*")
    (progress,) = [path for path in found if path.suffix not in {".tmp", ".lock"}]
    progress.write_bytes(b"damaged")
    result = run("audit")
    assert result.exit_code == 0
    assert f"state file {progress}: damaged" in result.stderr
    assert result.stdout.splitlines()[-1] == "clean: every entry, tile and head is of one tree"
    assert not progress.exists()


def test_unencrypted_token(run: Command) -> None:
    """A token that others on the way could read is warned of, and not repeated."""
    run.environment["TLOG_URL"] = "http://tlog.invalid/logs/test"
    result = run("head")
    assert result.exit_code == 3
    assert "unencrypted" in result.stderr
    assert TOKEN not in result.stderr


def test_beyond_the_log(run: Command) -> None:
    """An index that the log does not have: exit 4, and the size is said."""
    result = run("get", "300")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "its newest verified size is 300" in result.stderr


def test_proof_on_stdout_is_whole(run: Command) -> None:
    """What `prove -o -` prints is one tlog-proof and nothing else."""
    assert parse_tlog_proof(run("prove", "7", "-o", "-").stdout_bytes).index == 7


def test_verify_loads_no_server() -> None:
    """`tlog verify` imports neither the database nor the server: it runs where they are absent."""
    code = (
        "import sys, click.testing, tlog.cli; "
        "click.testing.CliRunner().invoke(tlog.cli.main, ['verify', 'x', '--entry', 'y']); "
        "print([name for name in ('plyvel', 'uvloop', 'tlog.host') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n"
