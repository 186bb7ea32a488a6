"""The budget of large answers: in order, never over, and nothing lost by who gives up."""

from __future__ import annotations

import asyncio

import pytest

from tlog.api import response_budget
from tlog.api.errors import OverloadedError
from tlog.api.large_response import LargeResponse
from tlog.api.response_budget import ResponseBudget, ResponseShare

LIMIT_S = 10.0


async def test_who_waited_first_is_served_first() -> None:
    """A small wish does not pass a large one that came before it."""
    budget = ResponseBudget(20)
    share = await budget.take(8, "a")
    order: list[int] = []

    async def take(count: int) -> ResponseShare:
        taken = await budget.take(count, "a")
        order.append(count)
        return taken

    async with asyncio.timeout(LIMIT_S):
        waiting = [asyncio.create_task(take(count)) for count in (7, 1, 2)]
        await asyncio.sleep(0)
        assert budget.used_bytes == 8
        share.shrink(4)
        await asyncio.sleep(0)
        assert order == []
        share.release()
        share.release()
        shares = await asyncio.gather(*waiting)
    assert order == [7, 1, 2]
    assert budget.used_bytes == 10
    for one in shares:
        one.release()
    assert budget.used_bytes == 0


async def test_one_address_leaves_half_to_others() -> None:
    """An address at its half waits for itself alone; when all is taken everybody waits in turn."""
    budget = ResponseBudget(20)
    order: list[str] = []

    async def take(count: int, address: str) -> ResponseShare:
        taken = await budget.take(count, address)
        order.append(address)
        return taken

    async with asyncio.timeout(LIMIT_S):
        first = await take(10, "a")
        again = asyncio.create_task(take(10, "a"))
        await asyncio.sleep(0)
        other = await take(6, "b")
        await asyncio.sleep(0)
        assert order == ["a", "b"]
        third, last = (asyncio.create_task(take(count, "c")) for count in (5, 4))
        await asyncio.sleep(0)
        assert budget.used_bytes == 16
        first.release()
        shares = [await again, other]
        assert order == ["a", "b", "a"]
        for one in shares:
            one.release()
        for one in (await third, await last):
            one.release()
    assert order == ["a", "b", "a", "c", "c"]
    assert budget.used_bytes == 0


@pytest.mark.parametrize("granted", [False, True])
async def test_who_gives_up_takes_nothing(granted: bool) -> None:
    """A cancelled wait lets those behind it pass, also when it was granted at that moment."""
    budget = ResponseBudget(20)
    share = await budget.take(6, "a")
    async with asyncio.timeout(LIMIT_S):
        first, second = (asyncio.create_task(budget.take(count, "a")) for count in (10, 4))
        await asyncio.sleep(0)
        if granted:
            share.release()
        first.cancel()
        (await second).release()
        with pytest.raises(asyncio.CancelledError):
            await first
    share.release()
    assert budget.used_bytes == 0


async def test_a_wait_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """OverloadedError, and the budget is as it was; a wish too large is one for all."""
    monkeypatch.setattr(response_budget, "WAIT_S", 0.05)
    budget = ResponseBudget(20)
    share = await budget.take(1000, "a")
    assert budget.used_bytes == 10
    with pytest.raises(OverloadedError):
        await budget.take(1, "a")
    assert budget.used_bytes == 10
    share.release()
    (await budget.take(10, "a")).release()
    assert budget.used_bytes == 0


async def test_an_answer_that_ended_holds_no_body() -> None:
    """A connection that is kept alive remembers its last answer: that must be small."""
    budget = ResponseBudget(20)
    response = LargeResponse(b"x" * 10, {}, await budget.take(10, "a"))
    response.end()
    assert response.body is None
    assert response._held == b""
    assert budget.used_bytes == 0
