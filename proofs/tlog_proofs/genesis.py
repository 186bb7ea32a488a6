"""The genesis: entry 0 of every log, which says what the log is, for ever.

    ["tlog/genesis/1", origin, kind, created, [vkey, ...], [origin, size, root] / null]

as deterministic CBOR (cbor.py). The vkeys are a record, not a root of trust. The page with CDDL is
spec/genesis.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from tlog_proofs.cbor import decode_cbor, encode_cbor
from tlog_proofs.checkpoint import MAX_ORIGIN_BYTES, Checkpoint, format_checkpoint
from tlog_proofs.entry_bundle import MAX_ENTRY_BYTES
from tlog_proofs.errors import MalformedError, MalformedGenesisError
from tlog_proofs.geometry import MAX_SIZE
from tlog_proofs.key_text import ED25519_TYPE, split_vkey
from tlog_proofs.keys import parse_vkey
from tlog_proofs.strict import show

KIND_OPAQUE = "opaque/1"
KIND_EVENT = "event/1"
KINDS = (KIND_OPAQUE, KIND_EVENT)
MAX_VKEYS = 16

_VERSION = "tlog/genesis/1"
_RESERVED_PREFIX = "tlog/"


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The tree head of the log that a log continues: origin, tree size, root hash (32 bytes)."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Genesis:
    """What a log is: origin, kind, time of creation (POSIX seconds), vkeys, what it continues."""

    origin: str
    kind: str
    created: int
    vkeys: tuple[str, ...]
    predecessor: Predecessor | None = None


def check_origin(origin: str) -> None:
    """Refuse an origin that a log of ours may not have.

    It has 1 to 255 characters from 0x21 to 0x7E, no plus sign, and does not begin `tlog/`.

    Raises:
        MalformedGenesisError: it is otherwise.
    """
    if not (
        1 <= len(origin) <= MAX_ORIGIN_BYTES
        and all("!" <= character <= "~" and character != "+" for character in origin)
    ):
        raise MalformedGenesisError(
            f"expected an origin of 1 to {MAX_ORIGIN_BYTES} visible ASCII characters without "
            f"plus signs, got {show(origin)}"
        )
    if origin.startswith(_RESERVED_PREFIX):
        raise MalformedGenesisError(
            f"expected an origin that does not begin {_RESERVED_PREFIX}, got {show(origin)}"
        )


def format_genesis(genesis: Genesis) -> bytes:
    """Write the entry; the inverse of parse_genesis.

    Raises:
        MalformedGenesisError: a field does not keep the rules.
        MissingDependencyError: cbor2 is not installed.
    """
    _check(genesis)
    previous = genesis.predecessor
    return encode_cbor(
        [
            _VERSION,
            genesis.origin,
            genesis.kind,
            genesis.created,
            genesis.vkeys,
            None if previous is None else [previous.origin, previous.size, previous.root],
        ]
    )


def parse_genesis(entry: bytes) -> Genesis:
    """Read entry 0 of a log.

    Raises:
        MalformedGenesisError: it is no genesis of this version, or a field breaks the rules.
        MissingDependencyError: cbor2 is not installed.
    """
    try:
        genesis = _from_fields(decode_cbor(entry, max_bytes=MAX_ENTRY_BYTES))
        _check(genesis)
    except MalformedGenesisError:
        raise
    except MalformedError as error:
        raise MalformedGenesisError(f"genesis: {error}") from error
    return genesis


def _from_fields(fields: object) -> Genesis:
    """Give the genesis that decoded CBOR holds: its types are checked here, its rules after it."""
    match fields:
        case [str(version), str(origin), str(kind), int(created), [*keys], previous] if (
            version == _VERSION
        ):
            vkeys = tuple(key for key in keys if isinstance(key, str))
            match previous:
                case None if len(vkeys) == len(keys):
                    return Genesis(origin, kind, created, vkeys)
                case [str(old), int(size), bytes(root)] if len(vkeys) == len(keys):
                    return Genesis(origin, kind, created, vkeys, Predecessor(old, size, root))
    raise MalformedGenesisError(
        f"expected a genesis [{_VERSION}, origin, kind, created, [vkey, ...], predecessor]"
    )


def _check(genesis: Genesis) -> None:
    check_origin(genesis.origin)
    if genesis.kind not in KINDS:
        raise MalformedGenesisError(
            f"expected a kind of {' or '.join(KINDS)}, got {show(genesis.kind)}"
        )
    _check_count("created", genesis.created, 0)
    _check_vkeys(genesis.origin, genesis.vkeys)
    if genesis.predecessor is not None:
        _check_predecessor(genesis.origin, genesis.predecessor)


def _check_vkeys(origin: str, vkeys: tuple[str, ...]) -> None:
    if not 1 <= len(vkeys) <= MAX_VKEYS:
        raise MalformedGenesisError(f"expected 1 to {MAX_VKEYS} vkeys, got {len(vkeys)}")
    for vkey in vkeys:
        try:
            name, _, key_type, _ = split_vkey(vkey)
            # Other types are written down by logs that have them; their ids are not ours to judge.
            if key_type == ED25519_TYPE:
                parse_vkey(vkey)
        except MalformedError as error:
            raise MalformedGenesisError(f"genesis: {error}") from error
        if name != origin:
            raise MalformedGenesisError(
                f"expected a vkey named {origin}, got one named {show(name)}"
            )
    if len(set(vkeys)) != len(vkeys):
        raise MalformedGenesisError("expected each vkey once")


def _check_predecessor(origin: str, previous: Predecessor) -> None:
    """Check the head of another log, which keeps tlog-checkpoint's rules, not ours."""
    _check_count("predecessor's size", previous.size, 1)
    try:
        format_checkpoint(Checkpoint(previous.origin, previous.size, previous.root))
    except MalformedError as error:
        raise MalformedGenesisError(f"predecessor: {error}") from error
    if previous.origin == origin:
        raise MalformedGenesisError(
            f"expected a predecessor with another origin, got {show(origin)} again"
        )


def _check_count(what: str, value: object, minimum: int) -> None:
    if not (type(value) is int and minimum <= value <= MAX_SIZE):
        raise MalformedGenesisError(
            f"expected {what} between {minimum} and 2^63-1, got {show(value)}"
        )
