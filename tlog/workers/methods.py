"""The calls that workers make, with the types of their arguments and results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import msgspec

from tlog import errors
from tlog.checkpoints import Published
from tlog.errors import QueueFullError, ServerError, UnknownIdsError
from tlog.facts import LogFacts
from tlog.idempotency import Placed
from tlog.ids import EntryId
from tlog.workers.messages import Failure
from tlog_proofs import EntryBundle, Tile

Result = TypeVar("Result")


@dataclass(frozen=True)
class Method(Generic[Result]):
    """A method by its name, with msgspec's types of its arguments, a tuple, and of its result."""

    name: str
    arguments: object
    result: object

    def encode_arguments(self, arguments: tuple[object, ...]) -> msgspec.Raw:
        """The arguments as msgpack."""
        return msgspec.Raw(msgspec.msgpack.encode(arguments))

    def decode_arguments(self, encoded: msgspec.Raw) -> tuple[object, ...]:
        """The arguments; msgspec.DecodeError when they are not of their types."""
        return cast(
            "tuple[object, ...]",
            msgspec.msgpack.decode(encoded, type=cast("type[object]", self.arguments)),
        )

    def encode_result(self, result: Result) -> msgspec.Raw:
        """The result as msgpack."""
        return msgspec.Raw(msgspec.msgpack.encode(result, enc_hook=_indexes_of))

    def decode_result(self, encoded: msgspec.Raw) -> Result:
        """The result; msgspec.DecodeError when it is not of its type."""
        return cast(
            "Result", msgspec.msgpack.decode(encoded, type=cast("type[object]", self.result))
        )


# Of tlog.api.backend.LogBackend.
APPEND = Method[Placed]("append", tuple[list[bytes], list[EntryId | None]], Placed)
CHECK_ACCEPTING = Method[None]("check_accepting", tuple[()], None)
WAIT_PUBLISHED = Method[Published | None]("wait_published", tuple[int, float], Published | None)
READ_FACTS = Method[LogFacts]("read_facts", tuple[()], LogFacts)
READ_PUBLISHED = Method[Published]("read_published", tuple[()], Published)
CHECKPOINT_AT = Method[bytes]("checkpoint_at", tuple[int], bytes)
CHECKPOINT_NOT_AFTER = Method[bytes]("checkpoint_not_after", tuple[int], bytes)
READ_TILE = Method[bytes]("read_tile", tuple[Tile], bytes)
READ_BUNDLE = Method[bytes]("read_bundle", tuple[EntryBundle], bytes)
READ_ENTRY = Method[bytes]("read_entry", tuple[int], bytes)
INCLUSION = Method[tuple[bytes, tuple[bytes, ...]]](
    "inclusion", tuple[int, int], tuple[bytes, tuple[bytes, ...]]
)
CONSISTENCY = Method[tuple[bytes, ...]]("consistency", tuple[int, int], tuple[bytes, ...])
FIND_LEAF = Method[int]("find_leaf", tuple[bytes], int)
# Of tlog.api.backend.Backend.
IS_ACCEPTING = Method[bool]("is_accepting", tuple[()], bool)

_LOG_METHODS: tuple[Method[Any], ...] = (
    APPEND,
    CHECK_ACCEPTING,
    WAIT_PUBLISHED,
    READ_FACTS,
    READ_PUBLISHED,
    CHECKPOINT_AT,
    CHECKPOINT_NOT_AFTER,
    READ_TILE,
    READ_BUNDLE,
    READ_ENTRY,
    INCLUSION,
    CONSISTENCY,
    FIND_LEAF,
)
LOG_METHODS: Mapping[str, Method[Any]] = {method.name: method for method in _LOG_METHODS}
BACKEND_METHODS: Mapping[str, Method[Any]] = {IS_ACCEPTING.name: IS_ACCEPTING}

_KINDS: Mapping[str, type[ServerError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, ServerError)
}


def _indexes_of(value: object) -> list[int]:
    """The indexes of a Placed, which may come as a range."""
    if isinstance(value, range):
        return list(value)
    message = f"no encoding for {type(value).__name__}"
    raise TypeError(message)


def failure_of(call: int, error: BaseException) -> Failure:
    """What a worker is told of an error; of one that is not ours nothing but that it happened."""
    if not isinstance(error, ServerError) or type(error).__name__ not in _KINDS:
        return Failure(call, ServerError.__name__, "", None)
    number = None
    if isinstance(error, QueueFullError):
        number = error.retry_after_s
    elif isinstance(error, UnknownIdsError):
        number = error.key_week
    return Failure(call, type(error).__name__, str(error), number)


def error_of(failure: Failure) -> ServerError:
    """The error that a Failure stands for."""
    kind = _KINDS[failure.kind]
    if issubclass(kind, QueueFullError | UnknownIdsError):
        return kind(failure.detail, failure.number or 0)
    return kind(failure.detail)
