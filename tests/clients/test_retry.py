"""Sending again: lost answers, refusals that pass and those that do not, and its bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import pytest

from tests.clients.simulator import LogSimulator, make_entries
from tlog_clients import (
    FetchError,
    FetchTimeoutError,
    HttpStatusError,
    LogClient,
    MalformedEntryIdError,
    NotReachableError,
    OutcomeUnknownError,
    PostAnswer,
    Problem,
    Retries,
    RetryPolicy,
    TooLargeError,
)
from tlog_clients.retry import MAX_TRIES

SIZE = 300


def refusal(status: int, name: str = "", retry_after_s: int | None = None) -> HttpStatusError:
    """A refusal, by tlog where it has a name."""
    problem = Problem(f"urn:tlog:problem:{name}", "No", "") if name else None
    return HttpStatusError("entries", status, problem, retry_after_s=retry_after_s)


def lost() -> OutcomeUnknownError:
    """What a client sees of a lost answer."""
    return OutcomeUnknownError("sent, but the connection was closed")


class Clock:
    """Time that passes by sleeping only, without jitter."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self.pauses.append(seconds)
        self.now_s += seconds

    def retries(self, total_s: float = 60.0) -> Retries:
        """Retries that live in this time; pauses are the longest possible."""
        policy = RetryPolicy(total_s)
        return Retries(
            policy, sleep=self.sleep, now_s=lambda: self.now_s, jitter=lambda _, longest: longest
        )


class FailingLog(LogSimulator):
    """Fails each post as planned: before it took effect, or after ("lost")."""

    def plan(
        self, failures: Sequence[FetchError], then: Callable[[], FetchError] | None = None
    ) -> Self:
        """Fail by these in turn, then each time by `then` if it is given."""
        self.failures = list(failures)
        self.then = then
        self.bodies: list[tuple[bytes, str | None]] = []
        return self

    async def post(self, path: str, body: bytes, **options: object) -> PostAnswer:
        """As Poster."""
        key = options["idempotency_key"]
        assert key is None or isinstance(key, str)
        self.bodies.append((body, key))
        failure = self.failures.pop(0) if self.failures else self.then and self.then()
        if failure is None or isinstance(failure, OutcomeUnknownError):
            answer = await super().post(path, body, **options)  # type: ignore[arg-type]
            if failure is None:
                return answer
        raise failure


PASSING: dict[str, list[FetchError]] = {
    "lost": [lost()],
    "lost thrice": [lost(), lost(), lost()],
    "lost, then starting again": [
        lost(),
        NotReachableError("refused"),
        FetchTimeoutError("no connection"),
        refusal(503, "starting", 1),
    ],
    "429 many times": [refusal(429, "queue-full", 1)] * 10,
    "outcome unknown": [refusal(503, "outcome-unknown")],
    "stopping": [refusal(503, "stopping", 1), NotReachableError("refused")],
    "a proxy": [refusal(502), refusal(503), refusal(504)],
}


@pytest.mark.parametrize("failures", PASSING.values(), ids=PASSING.keys())
async def test_passing_failures(failures: list[FetchError]) -> None:
    """What passes is waited for; the entry and the batch stand once, and each try is the same."""
    for batch in (False, True):
        log = FailingLog(make_entries(SIZE)).plan(failures)
        client = LogClient(log, log.key, retries=Clock().retries())
        if batch:
            result = await client.append_batch([b"one", b"two"])
            assert result.indexes == (SIZE, SIZE + 1)
            assert result.inclusion_verified
            assert log.entries[SIZE:] == [b"one", b"two"]
        else:
            assert (await client.append(b"one")).index == SIZE
            assert log.entries[SIZE:] == [b"one"]
        assert len(log.bodies) == len(failures) + 1
        assert len(set(log.bodies)) == 1


FINAL: dict[str, tuple[list[FetchError], type[FetchError]]] = {
    "read-only": ([refusal(503, "read-only")], HttpStatusError),
    "unreadable": ([refusal(503, "unreadable")], HttpStatusError),
    "disk reserve": ([refusal(507, "disk-reserve")], HttpStatusError),
    "forbidden": ([refusal(403, "forbidden")], HttpStatusError),
    "conflict": ([refusal(409, "id-conflict")], HttpStatusError),
    "a server that failed": ([refusal(500, "storage")], OutcomeUnknownError),
    "nobody ever answered": ([NotReachableError("refused")], NotReachableError),
    "no connection in time": ([FetchTimeoutError("no connection")], FetchTimeoutError),
    "answer too large": ([TooLargeError("entries", 9)], TooLargeError),
    "lost, then read-only": ([lost(), refusal(503, "read-only")], OutcomeUnknownError),
    "lost, then conflict": ([lost(), refusal(409, "id-conflict")], HttpStatusError),
}


@pytest.mark.parametrize(("failures", "error"), FINAL.values(), ids=FINAL.keys())
async def test_final_failures(failures: list[FetchError], error: type[FetchError]) -> None:
    """What does not pass ends it at once; after a lost answer a refusal says nothing of that."""
    log = FailingLog(make_entries(SIZE)).plan(failures)
    with pytest.raises(error) as caught:
        await LogClient(log, log.key, retries=Clock().retries()).append(b"one")
    assert type(caught.value) is error
    assert len(log.bodies) == len(failures)


async def test_time_is_bounded() -> None:
    """Tries begin within the time only, pauses double up to their bound, the last error is told."""
    clock = Clock()
    log = FailingLog(make_entries(SIZE)).plan([], lambda: refusal(429, "queue-full"))
    with pytest.raises(HttpStatusError):
        await LogClient(log, log.key, retries=clock.retries(20)).append(b"one")
    assert clock.pauses[:7] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0])
    assert 15 <= sum(clock.pauses) < 20


async def test_time_over_after_a_lost_answer() -> None:
    """When the server never comes back after a lost answer the outcome is unknown."""
    log = FailingLog(make_entries(SIZE)).plan([lost()], lambda: NotReachableError("refused"))
    with pytest.raises(OutcomeUnknownError, match=r"closed; sent again: refused"):
        await LogClient(log, log.key, retries=Clock().retries()).append(b"one")


async def test_pauses_differ() -> None:
    """A pause is drawn between half of the longest one and that, for each try again."""
    drawn: list[tuple[float, float]] = []
    clock = Clock()

    def draw(shortest: float, longest: float) -> float:
        drawn.append((shortest, longest))
        return shortest

    retries = Retries(RetryPolicy(60), sleep=clock.sleep, now_s=lambda: clock.now_s, jitter=draw)
    log = FailingLog(make_entries(SIZE)).plan([lost()] * 3)
    await LogClient(log, log.key, retries=retries).append(b"one")
    assert drawn == [(0.05, 0.1), (0.1, 0.2), (0.2, 0.4)]
    assert clock.pauses == [0.05, 0.1, 0.2]


async def test_no_time() -> None:
    """With no time nothing is sent twice."""
    clock = Clock()
    log = FailingLog(make_entries(SIZE)).plan([lost()])
    with pytest.raises(OutcomeUnknownError):
        await LogClient(log, log.key, retries=clock.retries(0)).append(b"one")
    assert (len(log.bodies), clock.pauses) == (1, [])


async def test_tries_are_bounded() -> None:
    """However much time there is, tries end."""
    log = FailingLog(make_entries(1)).plan([], lambda: refusal(429, "queue-full"))
    with pytest.raises(HttpStatusError):
        await LogClient(log, log.key, retries=Clock().retries(1e9)).append(b"one")
    assert len(log.bodies) == MAX_TRIES


async def test_retry_after() -> None:
    """Retry-After is kept to; one beyond the time ends it without waiting."""
    clock = Clock()
    log = FailingLog(make_entries(SIZE)).plan([refusal(429, "queue-full", 7)])
    await LogClient(log, log.key, retries=clock.retries()).append(b"one")
    assert clock.pauses == [7]
    clock = Clock()
    log = FailingLog(make_entries(SIZE)).plan([refusal(429, "queue-full", 999_999_999)])
    with pytest.raises(HttpStatusError):
        await LogClient(log, log.key, retries=clock.retries()).append(b"one")
    assert clock.pauses == []


async def test_own_ids() -> None:
    """With ids of one's own a batch sent later in part again adds the rest, and all is verified."""
    log = LogSimulator(make_entries(SIZE))
    client = LogClient(log, log.key)
    entries = make_entries(600, salt="mine ")
    ids = [f"job-{number}" for number in range(600)]
    await client.append_batch(entries[100:350], ids=ids[100:350])
    assert (await client.append(b"between")).index == SIZE + 250
    result = await client.append_batch(entries, ids=ids)
    assert result.first_index == SIZE + 251
    known = tuple(range(SIZE, SIZE + 250))
    new = tuple(range(SIZE + 251, SIZE + 601))
    assert result.indexes == (*new[:100], *known, *new[100:])
    assert result.inclusion_verified
    again = await client.append_batch(entries, ids=ids)
    assert (again.first_index, again.indexes) == (None, result.indexes)
    assert (await client.append(entries[7], entry_id="job-7")).index == new[7]
    assert len(log.entries) == SIZE + 601
    twice = await client.append_batch([b"same", b"same"], ids=["x", "x"])
    assert twice.indexes == (SIZE + 601, SIZE + 601)


async def test_tiles_between_are_not_fetched() -> None:
    """To find an entry far back and a new one, the tiles in between are not needed."""
    log = LogSimulator(make_entries(20_000))
    log.ids["old"] = 3
    client = LogClient(log, log.key)
    result = await client.append_batch([log.entries[3], b"new"], ids=["old", "new"])
    assert (result.indexes, result.inclusion_verified) == ((3, 20_000), True)
    tiles = [path for path in log.requests if path.startswith("tile/")]
    assert sorted(tiles) == ["tile/0/000", "tile/0/078.p/33", "tile/1/000.p/78"]


async def test_fresh_ids() -> None:
    """Without ids of one's own each entry has another, so that equal entries are two."""
    log = LogSimulator(make_entries(SIZE))
    client = LogClient(log, log.key)
    assert [(await client.append(b"same")).index for _ in range(2)] == [SIZE, SIZE + 1]
    assert (await client.append_batch([b"same", b"same"])).indexes == (SIZE + 2, SIZE + 3)
    assert len(log.ids) == 4
    assert all(len(entry_id) >= 32 for entry_id in log.ids)


@pytest.mark.parametrize("entry_id", ["", "x" * 256, "two words", "\u00e9", "a\r\nb", "\x7f"])
async def test_ids_that_are_none(entry_id: str) -> None:
    """What no id is, is refused before anything is sent."""
    log = LogSimulator(make_entries(3))
    with pytest.raises(MalformedEntryIdError):
        await LogClient(log, log.key).append(b"one", entry_id=entry_id)
    with pytest.raises(MalformedEntryIdError):
        await LogClient(log, log.key).append_batch([b"one"], ids=[entry_id])
    with pytest.raises(ValueError, match="argument"):
        await LogClient(log, log.key).append_batch([b"one"], ids=["a", "b"])
    assert log.posts == 0
