"""The socket between core and worker, and what is said on it."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Callable

import msgspec
import pytest

from tlog import errors
from tlog.api.backend import Backend, LogBackend
from tlog.errors import (
    OutcomeUnknownError,
    QueueFullError,
    ServerError,
    StoppingError,
    UnknownIdsError,
)
from tlog.workers.channel import MAX_FRAME_BYTES, Channel
from tlog.workers.messages import Call, Cancel, ToCore, make_core_decoder
from tlog.workers.methods import BACKEND_METHODS, LOG_METHODS, READ_ENTRY, error_of, failure_of
from tlog.workers.remote import Link

SYNCHRONOUS = {"reserve"}  # answered where it is asked


async def _pair(on_message: Callable[[ToCore], None], on_lost: Callable[[], None]) -> socket.socket:
    """A channel that receives, and the plain socket at its other end."""
    ours, theirs = socket.socketpair()
    channel: Channel[ToCore] = Channel(make_core_decoder(), on_message, on_lost)
    await asyncio.get_running_loop().create_unix_connection(lambda: channel, sock=ours)
    theirs.setblocking(False)
    return theirs


def _frame(message: object) -> bytes:
    encoded = msgspec.msgpack.encode(message)
    return len(encoded).to_bytes(4, "little") + encoded


async def test_frames_may_come_in_any_pieces() -> None:
    """A byte at a time or three at once: every message once, in order."""
    received: list[ToCore] = []
    theirs = await _pair(received.append, lambda: None)
    messages = [Call(number, "a", "m", msgspec.Raw(b"\x90")) for number in range(3)]
    data = b"".join(map(_frame, messages))
    loop = asyncio.get_running_loop()
    with theirs:
        for byte in data:
            await loop.sock_sendall(theirs, bytes([byte]))
            await asyncio.sleep(0)
        await loop.sock_sendall(theirs, data)
        async with asyncio.timeout(10):
            while len(received) < 2 * len(messages):  # noqa: ASYNC110 - a callback fills it
                await asyncio.sleep(0.001)
    assert [message.call for message in received if isinstance(message, Call)] == [0, 1, 2] * 2
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    "data",
    [
        (MAX_FRAME_BYTES + 1).to_bytes(4, "little"),
        _frame(["Unknown", 1]),
        _frame(["Cancel", "text"]),
        b"\x01\x00\x00\x00\xc1",
    ],
)
async def test_what_is_no_message_ends_the_channel(data: bytes) -> None:
    """A frame too long, of no known kind, or with wrong types."""
    lost = asyncio.Event()
    theirs = await _pair(lambda message: pytest.fail(repr(message)), lost.set)
    with theirs:
        await asyncio.get_running_loop().sock_sendall(theirs, data)
        async with asyncio.timeout(10):
            await lost.wait()
    await asyncio.sleep(0)


def test_every_method_of_the_backends_can_be_called() -> None:
    """What the API may ask for is what workers can ask for, no more and no less."""
    for protocol, methods in ((LogBackend, LOG_METHODS), (Backend, BACKEND_METHODS)):
        names = {
            name for name, member in vars(protocol).items() if inspect.iscoroutinefunction(member)
        }
        assert names == set(methods)


def test_every_error_of_the_server_comes_back_as_itself() -> None:
    """Kind, sentence and Retry-After survive; anything else says only that it failed."""
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ServerError)
    ]
    assert len(kinds) > 20
    for kind in kinds:
        with_number = issubclass(kind, QueueFullError | UnknownIdsError)
        error = kind("why", 7) if with_number else kind("why")
        back = error_of(failure_of(1, error))
        assert type(back) is kind
        assert str(back) == "why"
        assert vars(back) == vars(error)
    hidden = error_of(failure_of(1, ValueError("a secret")))
    assert type(hidden) is ServerError
    assert "secret" not in str(hidden)


async def test_a_core_that_is_gone_leaves_outcomes_unknown() -> None:
    """What was asked for is unknown, what is asked afterwards is refused."""
    link = Link(lambda message: None)
    read = asyncio.ensure_future(link.call("a", READ_ENTRY, (1,)))
    append = link.append_each("a", [b"x"])
    await asyncio.sleep(0)
    link.lose()
    for waiting in (read, append):
        with pytest.raises(OutcomeUnknownError):
            await waiting
    with pytest.raises(StoppingError):
        link.append_each("a", [b"x"])
    with pytest.raises(StoppingError):
        await link.call("a", READ_ENTRY, (1,))


async def test_who_waits_no_more_tells_the_core() -> None:
    """A cancelled call is cancelled in the core too, and its late answer is nobody's."""
    sent: list[msgspec.Struct] = []
    link = Link(sent.append)
    read = asyncio.ensure_future(link.call("a", READ_ENTRY, (1,)))
    await asyncio.sleep(0)
    read.cancel()
    with pytest.raises(asyncio.CancelledError):
        await read
    assert isinstance(sent[-1], Cancel)
    assert sent[-1].call == sent[0].call  # type: ignore[attr-defined] # a Call
    link.answered(failure_of(sent[-1].call, ValueError("late")))
