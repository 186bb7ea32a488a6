"""A worker that begins while things change: what comes behind its Hello holds from the start."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from pathlib import Path

import msgspec
import pytest

from tests.certificates import Certificate
from tlog.config import Config
from tlog.tls import TlsMaterial
from tlog.tokens import Scope, TokenRow, hash_token, make_token
from tlog.workers import process
from tlog.workers.messages import Confirmed, Hello, State, Stop, UseTls, encode_path

LIMIT_S = 20.0
AUTHORITY = Certificate.authority()


def _frame(message: msgspec.Struct) -> bytes:
    body = msgspec.msgpack.Encoder(enc_hook=encode_path).encode(message)
    return len(body).to_bytes(4, "little") + body


def _material(name: str) -> TlsMaterial:
    pair = AUTHORITY.issue(name)
    return TlsMaterial(pair.pem, pair.key_pem)


async def test_what_comes_at_once_with_the_hello_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revocation and another certificate, in the same read of the socket as the Hello."""
    monkeypatch.setattr(process, "configure_log", lambda *_: None)  # it is this process's too
    token_id, text = make_token()
    logs = frozenset(("a",))
    valid = TokenRow(token_id, hash_token(text), frozenset((Scope.READ,)), logs, 0, 2**40)
    revoked = TokenRow(
        token_id, hash_token(text), frozenset((Scope.READ,)), logs, 0, 2**40, revoked=1
    )
    config = Config(data_dir=tmp_path, log_level=logging.ERROR)
    first, second, third = (_material(name) for name in ("first", "second", "third"))
    hello = Hello("worker-0", config, 1.0, first, State(1, [], [valid]))
    core, channel = socket.socketpair()
    passing, passed = socket.socketpair()
    passed.setblocking(False)
    core.sendall(b"".join(map(_frame, (hello, State(2, [], [revoked]), UseTls(second)))))
    with core, passing, passed, channel:
        worker = process._Worker()
        running = asyncio.create_task(worker.run(channel, passed))
        reader, writer = await asyncio.open_connection(sock=core)
        async with asyncio.timeout(LIMIT_S):
            confirmed: set[int] = set()
            while confirmed != {1, 2}:
                length = int.from_bytes(await reader.readexactly(4), "little")
                message = msgspec.msgpack.decode(await reader.readexactly(length))
                if message[0] == Confirmed.__name__:
                    confirmed.add(message[1])
            assert worker._backend is not None
            assert worker._backend.tokens.find(text) is None
            assert await asyncio.to_thread(_shown, passing) == _der(second)
            writer.write(_frame(UseTls(third)))
            while await asyncio.to_thread(_shown, passing) != _der(third):
                continue
            writer.write(_frame(Stop()))
            await running
        writer.close()


def _shown(passing: socket.socket) -> bytes | None:
    """The certificate that a worker shows on a connection that is passed to it."""
    ours, accepted = socket.socketpair()
    with accepted:
        socket.send_fds(passing, [b"\0"], [accepted.fileno()])
    ours.settimeout(LIMIT_S)
    with AUTHORITY.client_context().wrap_socket(ours, server_hostname="127.0.0.1") as session:
        return session.getpeercert(binary_form=True)


def _der(material: TlsMaterial) -> bytes:
    return ssl.PEM_cert_to_DER_cert(material.certificate.decode())
