"""What core and workers say to each other: msgpack, tagged; both ends are of one version."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tlog.config import Config
from tlog.control import LogRow
from tlog.measures import HttpReport
from tlog.tls import TlsMaterial
from tlog.tokens import TokenRow


class _Message(msgspec.Struct, array_like=True, tag=True):
    """One message; `call` numbers a worker's calls."""


class State(_Message):
    """Core to worker: which logs and tokens there are from now on; to be confirmed."""

    number: int
    logs: list[LogRow]
    tokens: list[TokenRow]


class Hello(_Message):
    """Core to worker, first of all: how to serve; process is its name in the log."""

    process: str
    config: Config
    grace_s: float
    tls: TlsMaterial | None
    state: State


class UseTls(_Message):
    """Core to worker: do TLS with this from the next connection on."""

    tls: TlsMaterial


class Stop(_Message):
    """Core to worker: accept nothing more, let requests end, and exit."""


class Confirmed(_Message):
    """Worker to core: the State of that number holds; the first one says that it is ready."""

    number: int


class Call(_Message):
    """Worker to core: call a method of a log, or of the backend when log is empty."""

    call: int
    log: str
    method: str
    arguments: msgspec.Raw


class AppendEach(_Message):
    """Worker to core: entries without ids, each of another request, to be appended together."""

    call: int
    log: str
    entries: list[bytes]


class Measured(_Message):
    """Worker to core, again and again: that it is alive, and what was counted since the last one.

    report: None when none could be made now; the next one has what this one lacks.
    """

    report: HttpReport | None


class Cancel(_Message):
    """Worker to core: nobody waits for the answer to a call any more."""

    call: int


class Answer(_Message):
    """Core to worker: what a call returned."""

    call: int
    result: msgspec.Raw


class AppendedEach(_Message):
    """Core to worker: where the entries of an AppendEach stand, in their order."""

    call: int
    first_index: int
    leaf_hashes: list[bytes]


class Failure(_Message):
    """Core to worker: what a call raised, by the name of its class in tlog.errors.

    number: the seconds or the week that an error of some classes has beside its sentence.
    """

    call: int
    kind: str
    detail: str
    number: int | None


ToWorker = Hello | State | UseTls | Stop | Answer | AppendedEach | Failure
ToCore = Confirmed | Call | AppendEach | Cancel | Measured


def make_core_decoder() -> msgspec.msgpack.Decoder[ToCore]:
    """What reads a worker's messages."""
    return msgspec.msgpack.Decoder(ToCore)


def make_worker_decoder() -> msgspec.msgpack.Decoder[ToWorker]:
    """What reads the core's messages."""
    return msgspec.msgpack.Decoder(ToWorker, dec_hook=_decode_path)


def encode_path(value: object) -> str:
    """The text of a path, which msgpack has no type for."""
    if isinstance(value, Path):
        return str(value)
    message = f"no encoding for {type(value).__name__}"
    raise TypeError(message)


def _decode_path(kind: type, value: object) -> Path:
    if issubclass(kind, Path) and isinstance(value, str):
        return Path(value)
    message = f"no decoding for {kind.__name__}"
    raise TypeError(message)
