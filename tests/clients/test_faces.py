"""Log and AsyncLog, each asked the same: append, read, prove, verify and follow over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tests.cli.served_log import ServedLog
from tests.clients.faces import FACES, Opener
from tests.clients.simulator import OTHER_SEED, LogSimulator, make_entries
from tests.clients.test_log_trust import WITNESSES, policy_text
from tlog_clients import (
    BeyondSizeError,
    EntryMismatchError,
    EntryProof,
    EntryTooLargeError,
    FetchError,
    ForkDetectedError,
    HttpStatusError,
    LogTrust,
    MalformedUrlError,
    MemoryHeads,
    OutcomeUnknownError,
    Problem,
    StateFileError,
    TileCache,
    TooLargeError,
    Trust,
    verify_entry,
)
from tlog_proofs import (
    MalformedError,
    MalformedTlogProofError,
    QuorumError,
    RootMismatchError,
    TlogError,
    VerificationError,
    parse_policy,
)

SIZE = 700
TIMEOUT_S = 30.0


@pytest.fixture
def served() -> Iterator[ServedLog]:
    """A log of 700 entries on loopback."""
    with ServedLog(LogSimulator(make_entries(SIZE))) as served_log:
        yield served_log


@pytest.fixture(params=FACES)
def open_log(request: pytest.FixtureRequest, served: ServedLog, tmp_path: Path) -> Opener:
    """Opens the log by one of the faces."""
    return Opener(request.param, served, tmp_path)


def test_append_read_prove(open_log: Opener) -> None:
    """What is appended is read back, proved, and the proof holds without the server."""
    with open_log() as log:
        result = log.append(b"an entry")
        assert (result.index, result.trust) == (SIZE, Trust.TRUSTED)
        assert log.read(SIZE) == b"an entry"
        proof = log.prove(SIZE)
        path = open_log.directory / "proof"
        proof.save(path)
        head = log.head()
        assert (head.size, head.root) == (SIZE + 1, open_log.served.log.root())
        assert log.verify(proof, b"an entry") == head
    assert EntryProof.load(path) == proof == EntryProof.from_bytes(proof.to_bytes())
    assert (proof.index, proof.checkpoint) == (SIZE, head.checkpoint)
    assert path.read_bytes() == open_log.served.log.tlog_proof(SIZE)


def test_verify_refuses(open_log: Opener) -> None:
    """Another entry, another log's key, a policy without its quorum, bytes that are no proof."""
    key = open_log.served.log.key
    with open_log() as log:
        proof = log.prove(7)
        with pytest.raises(RootMismatchError):
            log.verify(proof, b"another entry")
    entry = open_log.served.log.entries[7]
    assert verify_entry(proof.to_bytes(), entry, key.vkey).size == SIZE
    assert verify_entry(proof.tlog_proof, entry, [key]).size == SIZE
    with pytest.raises(VerificationError):
        verify_entry(proof, entry, LogSimulator([], seed=OTHER_SEED).key)
    with pytest.raises(QuorumError):
        verify_entry(proof, entry, parse_policy(policy_text(open_log.served.log)))
    with pytest.raises(MalformedTlogProofError):
        verify_entry(proof.to_bytes()[:-1], entry, key)
    too_long = open_log.directory / "too-long"
    too_long.write_bytes(proof.to_bytes() + b"\n" * (1 << 20))
    with pytest.raises(MalformedTlogProofError):
        EntryProof.load(too_long)


RANGES = ((0, SIZE), (0, 0), (SIZE, SIZE), (5, 6), (255, 257), (256, 512), (300, 699), (1, None))


@pytest.mark.parametrize(("start", "end"), RANGES)
def test_read_range(open_log: Opener, start: int, end: int | None) -> None:
    """A range is the entries from start up to end, whole bundles fetched once."""
    with open_log() as log:
        assert list(log.read_range(start, end)) == open_log.served.log.entries[start:end]
    bundles = [p for p in open_log.served.log.requests if p.startswith("tile/entries/")]
    assert len(bundles) == len(set(bundles)) <= 3


def test_read_range_of_many_tiles(open_log: Opener) -> None:
    """A range longer than what is verified at once comes whole and in order."""
    open_log.served.log.entries += make_entries(17_000, "more ")
    with open_log() as log:
        assert list(log.read_range(200, 17_300)) == open_log.served.log.entries[200:17_300]
        first = log.read_range(100)
        assert list(islice(first, 3)) == open_log.served.log.entries[100:103]
        del first  # left in the middle: nothing waits, nothing warns
        assert log.read(3) == open_log.served.log.entries[3]


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (0, SIZE + 1), (SIZE + 1, None), (5, -1)])
def test_range_beyond(open_log: Opener, start: int, end: int | None) -> None:
    """A range that the verified tree does not have is refused, as an index is."""
    with open_log() as log:
        with pytest.raises(BeyondSizeError):
            list(log.read_range(start, end))
        for index in (-1, SIZE):
            with pytest.raises(BeyondSizeError):
                log.read(index)
            with pytest.raises(BeyondSizeError):
                log.prove(index)
        assert list(log.read_range(5, 4)) == []


def lie_about_entry(served: ServedLog, index: int) -> None:
    """Serve another byte in the bundle of an entry whose content is its own."""
    entry = served.log.entries[index]

    def lie(path: str, data: bytes | None) -> bytes | None:
        if data is not None and path.startswith("tile/entries/"):
            return data.replace(entry, entry[:-1] + b"!")
        return data

    served.log.answer = lie


def test_lies_in_ranges(open_log: Opener) -> None:
    """One wrong byte in a bundle ends reading and following before the entry is given."""
    lie_about_entry(open_log.served, 301)
    with open_log() as log:
        for items in (log.read_range(0), log.follow(0, timeout_s=0)):
            seen: list[object] = []
            with pytest.raises(EntryMismatchError) as caught:
                seen.extend(items)
            assert caught.value.index == 301
            assert len(seen) <= 301


def test_follow(open_log: Opener) -> None:
    """Following gives what is there, then what comes, and goes on where a caller had come to."""
    log_entries = open_log.served.log.entries
    with open_log() as log:
        following = log.follow(SIZE - 2, poll_s=0.01)
        assert list(islice(following, 2)) == [
            (SIZE - 2, log_entries[SIZE - 2]),
            (SIZE - 1, log_entries[SIZE - 1]),
        ]
        with open_log() as other:
            other.append_many([b"a", b"b", b"c"])
        assert list(islice(following, 2)) == [(SIZE, b"a"), (SIZE + 1, b"b")]
        assert list(log.follow(SIZE + 2, timeout_s=0)) == [(SIZE + 2, b"c")]
        assert list(log.follow(SIZE + 3, timeout_s=0)) == []
        assert [index for index, _ in log.follow(timeout_s=0.02, poll_s=0.01)] == list(
            range(SIZE + 3)
        )


@pytest.mark.parametrize("has_entries", [True, False])
def test_following_reads_few_entries_alone(open_log: Opener, has_entries: bool) -> None:
    """One new entry is read without the bundle around it, where the log serves entries alone."""
    served = open_log.served
    served.log.has_entries_route = has_entries
    with open_log() as log:
        following = log.follow(SIZE, poll_s=0.01)
        for index in (SIZE, SIZE + 1):
            log.append(b"new")
            assert next(following) == (index, b"new")
        bundles = [path for path in served.log.requests if path.startswith("tile/entries/")]
        assert len(bundles) == (0 if has_entries else 2)
        served.log.answer = lambda path, data: (
            data.replace(b"new", b"old") if data and "entries/" in path else data
        )
        log.append(b"new")
        with pytest.raises(EntryMismatchError):
            next(following)


def test_follow_from_beyond_the_end(open_log: Opener) -> None:
    """A start beyond the newest entry is waited for, and what comes before it is not given."""
    with open_log() as log:
        assert list(log.follow(SIZE + 1, timeout_s=0)) == []
        following = log.follow(SIZE + 1, poll_s=0.01)
        open_log.served.log.entries += [b"a", b"b"]
        assert next(following) == (SIZE + 1, b"b")
        with pytest.raises(ValueError, match="from 0 on"):
            next(log.follow(-1))


def test_follow_stops(open_log: Opener) -> None:
    """It ends when it is told to: between two entries, and while it waits for more."""
    stop = threading.Event()
    with open_log() as log:
        seen = []
        for index, _ in log.follow(0, poll_s=0.01, stop=stop.is_set):
            seen.append(index)
            if index == 10:
                stop.set()
        assert seen == list(range(11))
        stop.clear()
        timer = threading.Timer(0.05, stop.set)
        timer.start()
        assert list(log.follow(SIZE, poll_s=0.01, stop=stop.is_set)) == []
        timer.join()


def test_ids_that_do_not_count(open_log: Opener) -> None:
    """One id too few or too many: nothing is sent; of what only counts as it comes, what stands."""
    entries, ids = [b"x"] * 1500, [f"id-{number}" for number in range(1500)]
    with open_log() as log:
        for wrong in (ids[:-1], [*ids, "more"]):
            with pytest.raises(ValueError, match="1500 entries"):
                log.append_many(entries, ids=wrong)
        assert len(open_log.served.log.entries) == SIZE
        with pytest.raises(ValueError, match="shorter") as caught:
            log.append_many(iter(entries), ids=iter(ids[:-1]))
        stands = f"the first 1000 entries stand, from index {SIZE} to {SIZE + 999}"
        assert caught.value.__notes__ == [stands]


def test_a_source_that_fails(open_log: Opener) -> None:
    """An error of the caller's own entries comes to the caller, and says what stands."""

    def entries() -> Iterator[bytes]:
        for number in range(2000):
            if number == 1500:
                raise KeyError(number)
            yield b"x"

    with open_log() as log:
        with pytest.raises(KeyError) as caught:
            log.append_many(entries())
        assert caught.value.__notes__ == [
            f"the first 1000 entries stand, from index {SIZE} to {SIZE + 999}"
        ]


@pytest.mark.parametrize("stalled", ["checkpoint", "tile/entries/001"])
@pytest.mark.parametrize("by", ["stop", "timeout"])
def test_follow_stops_while_nobody_answers(open_log: Opener, stalled: str, by: str) -> None:
    """It ends when it is told to, or its time is over, also while the server gives no answer."""
    stop = threading.Event()
    options = {"stop": stop.is_set} if by == "stop" else {"timeout_s": 0.01}

    def stall(path: str, data: bytes | None) -> bytes | None:
        if path.startswith(stalled):
            stop.set()
            raise HttpStatusError(path, 503)
        return data

    with open_log(retry_for_s=1e6) as log:
        log.head()
        open_log.served.log.answer = stall
        ends = threading.Timer(TIMEOUT_S, setattr, (open_log.served.log, "answer", None))
        ends.start()
        seen = [index for index, _ in log.follow(0, poll_s=0.01, **options)]
        assert ends.is_alive(), "it waited for the answer"
        ends.cancel()
        assert seen == list(range(0 if stalled == "checkpoint" else 256))
        open_log.served.log.answer = None
        assert log.head().size == SIZE


def test_follow_finds_a_fork(open_log: Opener) -> None:
    """A head that does not continue the ones before ends following, before anything of it comes."""
    with open_log() as log:
        following = log.follow(SIZE - 1, poll_s=0.01)
        next(following)
        open_log.served.log.entries[5] = b"another history"
        open_log.served.log.entries.append(b"new")
        with pytest.raises(ForkDetectedError):
            next(following)


def test_heads_outlive_the_object(open_log: Opener) -> None:
    """The state file holds the log to what an earlier object saw; without it nothing does."""
    with open_log() as log:
        log.head()
    open_log.served.log.entries[5] = b"another history"
    with open_log() as log, pytest.raises(ForkDetectedError):
        log.head()
    for state in (False, MemoryHeads()):
        with open_log(state=state) as log:
            assert log.head().size == SIZE


def test_damaged_state(open_log: Opener) -> None:
    """A damaged state file is an error, and stays as it is: a head is never forgotten quietly."""
    state = open_log.directory / "heads.json"
    state.write_bytes(b"{}")
    with open_log() as log, pytest.raises(StateFileError):
        log.read(5)
    assert state.read_bytes() == b"{}"


def test_default_places(open_log: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless said otherwise, heads and tiles are kept where the command line keeps its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(open_log.directory / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(open_log.directory / "caches"))
    with open_log(state=True, cache=True) as log:
        log.read(5)
    assert (open_log.directory / "state" / "tlog" / "heads.json").is_file()
    assert list((open_log.directory / "caches" / "tlog").rglob("0-0"))


def test_cache(open_log: Opener) -> None:
    """A second object on the same cache fetches no full tile; bundles only where they are kept."""
    for cache, bundles in ((open_log.directory / "a", 2), (TileCache(open_log.directory / "b"), 2)):
        for _ in range(2):
            open_log.served.log.requests.clear()
            with open_log(cache=cache) as log:
                assert len(list(log.read_range(0, 512))) == 512
        full = [p for p in open_log.served.log.requests if "tile/" in p and ".p/" not in p]
        assert len(full) == bundles
        assert all(p.startswith("tile/entries/") for p in full)
    keeping = TileCache(open_log.directory / "c", keep_entries=True)
    for _ in range(2):
        open_log.served.log.requests.clear()
        with open_log(cache=keeping) as log:
            assert list(log.read_range(5, 6)) == open_log.served.log.entries[5:6]
    assert not [p for p in open_log.served.log.requests if "entries/" in p]
    with open_log(cache=False) as log:
        log.read(5)
    assert "tile/0/000" in open_log.served.log.requests


def test_ids(open_log: Opener) -> None:
    """An entry sent twice with one id stands once; without an id of one's own, twice."""
    with open_log() as log:
        assert [log.append(b"x", id="a").index for _ in range(2)] == [SIZE] * 2
        assert [log.append(b"x").index for _ in range(2)] == [SIZE + 1, SIZE + 2]
        many = [log.append_many([b"x", b"y"], ids=["b", "c"]).indexes for _ in range(2)]
        assert many == [(SIZE + 3, SIZE + 4)] * 2
    assert open_log.served.log.entries[SIZE:] == [b"x"] * 4 + [b"y"]


def test_append_many_splits(open_log: Opener) -> None:
    """Any number of entries, also from a generator, go in as few requests as the bounds allow."""
    with open_log() as log:
        result = log.append_many(b"%d" % n for n in range(2500))
        assert result.indexes == tuple(range(SIZE, SIZE + 2500))
        assert (result.state, result.trust, result.first_index) == (
            "published",
            Trust.TRUSTED,
            SIZE,
        )
        assert result.inclusion_verified
        assert result.head is not None
        assert (result.head.size, len(result.leaf_hashes)) == (SIZE + 2500, 2500)
        assert open_log.served.log.posts == 3
        log.append_many([b"x" * 65_535] * 100)
        assert open_log.served.log.posts == 5, "8 MiB of base64 are 95 of the largest entries"
    assert open_log.served.log.entries[SIZE : SIZE + 2500] == [b"%d" % n for n in range(2500)]


def test_append_many_refuses(open_log: Opener) -> None:
    """No entry, one too large, too few ids; and an error says what of the entries stands."""
    with open_log() as log:
        with pytest.raises(EntryTooLargeError):
            log.append_many([])
        with pytest.raises(EntryTooLargeError):
            log.append_many([b"x" * 65_536])
        with pytest.raises(ValueError, match="each of 2 entries"):
            log.append_many([b"x", b"y"], ids=["a"])
        assert open_log.served.log.posts == 0
        with pytest.raises(EntryTooLargeError) as caught:
            log.append_many([*[b"x"] * 1000, b"x" * 65_536])
        (note,) = caught.value.__notes__
        assert note == f"the first 1000 entries stand, from index {SIZE} to {SIZE + 999}"


def test_retries(open_log: Opener) -> None:
    """Lost answers, 429, 503 and 504 are tried again, and nothing is appended twice."""
    open_log.served.post_failures = ["lost", (429, None), (503, None), "lost"]
    with open_log() as log:
        assert log.append(b"x").index == SIZE
        open_log.served.post_failures = ["lost", (503, None)]
        assert log.append_many([b"y", b"z"]).indexes == (SIZE + 1, SIZE + 2)
        open_log.served.get_failures = [(503, None), (429, None)]
        assert log.read(SIZE) == b"x"
        open_log.served.get_failures = [(504, None)]
        assert len(list(log.read_range(0))) == SIZE + 3
    assert open_log.served.log.entries[SIZE:] == [b"x", b"y", b"z"]


def test_retry_after(open_log: Opener) -> None:
    """What the server asks to wait for is believed: beyond one's own patience nothing is sent."""
    open_log.served.retry_after_s = 30
    with open_log(retry_for_s=20) as log:
        busy = Problem("urn:tlog:problem:overloaded", "Overloaded", "")
        open_log.served.post_failures = [(503, busy), (503, None), "lost"]
        with pytest.raises(HttpStatusError) as caught:
            log.append(b"x")
        assert (caught.value.status, caught.value.retry_after_s) == (503, 30)
        with pytest.raises(OutcomeUnknownError):  # by a proxy, which knows nothing of the commit
            log.append(b"x")
        assert open_log.served.post_failures == ["lost"], "no second try of either"
        open_log.served.get_failures = [(429, None), (500, None)]
        with pytest.raises(HttpStatusError) as caught:
            log.head()
        assert (caught.value.status, caught.value.retry_after_s) == (429, 30)
        assert len(open_log.served.get_failures) == 1
    open_log.served.post_failures, open_log.served.get_failures = ["lost"], []
    with open_log(retry_for_s=0) as log, pytest.raises(OutcomeUnknownError):
        log.append(b"x")


TOO_LONG_AT = ("checkpoint", "tile/0/000.p/8", "tile/entries/000.p/8", "entries/7")


@pytest.mark.parametrize("path", TOO_LONG_AT)
def test_bounded_reads(open_log: Opener, path: str) -> None:
    """Of an answer longer than its kind can be nothing is kept, whatever is asked for."""
    del open_log.served.log.entries[8:]
    too_long = b"x" * ((1 << 20) + 1)
    open_log.served.log.answer = lambda at, data: too_long if at == path else data
    with open_log() as log, pytest.raises(TooLargeError) as caught:
        list(log.read_range(0)) if "entries/0" in path else log.read(7)
    assert caught.value.max_bytes < len(too_long)


def test_policy_file(open_log: Opener) -> None:
    """A policy file is trusted by its path; without the quorum nothing is read."""
    file = open_log.directory / "policy"
    file.write_bytes(policy_text(open_log.served.log))
    with open_log(trust=file) as log, pytest.raises(QuorumError):
        log.read(7)
    open_log.served.log.cosigners = WITNESSES
    with open_log(trust=file) as log:
        assert log.read(7) == open_log.served.log.entries[7]
        assert log.append(b"x").trust is Trust.TRUSTED
    with open_log(trust=LogTrust.of(file)) as log:
        assert log.verify(log.prove(7), open_log.served.log.entries[7]).size == SIZE + 1


def test_settings_are_checked_first(open_log: Opener) -> None:
    """Settings that are none are refused before anything is opened or sent."""
    wrong: tuple[dict[str, object], ...]
    wrong = ({"token": "two words"}, {"trust": "nothing"}, {"trust": []})
    for settings in wrong:
        with pytest.raises(MalformedError):
            open_log(**settings)
    open_log.served.url = "ftp://127.0.0.1/logs/a"
    with pytest.raises(MalformedUrlError):
        open_log()
    assert open_log.served.log.requests == []


def test_only_errors_of_the_tree_escape(open_log: Opener) -> None:
    """Whatever a server answers, what is raised is a kind of TlogError."""
    answers = (b"", b"\x00" * 100, b"log.example/simulated\n700\n", None, b"\xff" * 9000)
    for answer in answers:
        for path in ("checkpoint", "tile/0/000", "tile/entries/000"):
            open_log.served.log.answer = lambda at, data, path=path, answer=answer: (
                answer if at == path else data
            )
            with open_log(cache=False, retry_for_s=0) as log, pytest.raises(TlogError):
                list(log.read_range(0))


def test_no_server(open_log: Opener) -> None:
    """An address where nobody answers is a FetchError."""
    open_log.served.url = "http://127.0.0.1:9/logs/test"
    with open_log() as log, pytest.raises(FetchError):
        log.head()
