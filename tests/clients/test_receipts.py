"""Fetching a receipt: an honest log's is taken, and whatever does not fit is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.clients.simulator import OTHER_SEED, SEED, LogSimulator, make_entries
from tlog_clients import (
    ForkDetectedError,
    HttpStatusError,
    LogMisbehaviourError,
    LogReader,
    LogTrust,
    MalformedAnswerError,
    TooLargeError,
    fetch_receipt,
)
from tlog_proofs import (
    BadSignatureError,
    Ed25519Cosigner,
    Ed25519Signer,
    MalformedReceiptError,
    QuorumError,
    TlogError,
    UnknownKeyError,
    format_consistency_receipt,
    format_receipt,
    parse_policy,
    sign_receipts,
)

SIZE = 10
OTHER = LogSimulator([b"another genesis", *make_entries(SIZE - 1)])


def make_receipt(log: LogSimulator, index: int, size: int = SIZE, seed: bytes = SEED) -> bytes:
    """The receipt of an honest log."""
    signer = Ed25519Signer(log.origin, seed)
    signature = sign_receipts(signer, size, log.root(size))
    return format_receipt(signer.verifier, index, size, log.tree.path(index, 0, size), signature)


@dataclass
class Receipts:
    """An honest log that serves receipts and stored checkpoints; `planted` replaces resources."""

    log: LogSimulator
    planted: dict[str, bytes] = field(default_factory=dict)
    accepted: dict[str, str | None] = field(default_factory=dict)

    async def fetch(self, path: str, *, max_bytes: int, accept: str | None = None) -> bytes:
        self.accepted[path] = accept
        if path in self.planted:
            data = self.planted[path]
            if len(data) > max_bytes:
                raise TooLargeError(path, max_bytes)
            return data
        if path.startswith("proof/inclusion/"):
            return make_receipt(self.log, int(path.rpartition("/")[2]), self.log.published)
        if path.startswith("checkpoints/"):
            return self.log.checkpoint(int(path.rpartition("/")[2]))
        return await self.log.fetch(path, max_bytes=max_bytes)


@pytest.fixture
def served() -> Receipts:
    """A log of ten entries."""
    return Receipts(LogSimulator(make_entries(SIZE)))


async def fetch(served: Receipts, index: int, trust: LogTrust | None = None) -> bytes:
    """Fetch a receipt with a reader that has seen nothing before."""
    trust = trust or LogTrust.of(served.log.key)
    return (await fetch_receipt(served, LogReader(served, trust), trust, index))[0]


async def test_every_entry_has_a_receipt(served: Receipts) -> None:
    """It is asked for by its media type, and comes as the log wrote it, with its checkpoint."""
    trust = LogTrust.of(served.log.key)
    for index in range(SIZE):
        data, head = await fetch_receipt(served, LogReader(served, trust), trust, index)
        assert data == make_receipt(served.log, index)
        assert (head.size, head.note) == (SIZE, served.log.checkpoint())
    assert served.accepted["proof/inclusion/5"] == "application/cose"
    assert served.accepted["entries/5"] is None


async def test_a_receipt_moves_the_trusted_head(served: Receipts) -> None:
    """The head under a receipt is kept, so that a log with another tree is found out."""
    trust = LogTrust.of(served.log.key)
    reader = LogReader(served, trust)
    await fetch_receipt(served, reader, trust, 3)
    served.log.entries.append(b"one more")
    await fetch_receipt(served, reader, trust, 3)
    served.log.entries[0] = b"another genesis"
    with pytest.raises(ForkDetectedError):
        await fetch_receipt(served, reader, trust, 3)


async def test_policies(served: Receipts) -> None:
    """A receipt is enough for a policy without a quorum alone, whoever cosigned the checkpoint."""
    witness = Ed25519Cosigner("w", bytes(32))
    served.log.cosigners = (witness,)
    vkeys = f"log {served.log.key.vkey}\nwitness w {witness.verifier.vkey}\n"
    trust = LogTrust.of(parse_policy(f"{vkeys}quorum none\n".encode()))
    assert await fetch(served, 5, trust) == make_receipt(served.log, 5)
    trust = LogTrust.of(parse_policy(f"{vkeys}quorum w\n".encode()))
    with pytest.raises(QuorumError):
        await fetch(served, 5, trust)


def _consistency(log: LogSimulator) -> bytes:
    signer = Ed25519Signer(log.origin, log.seed)
    return format_consistency_receipt(
        signer.verifier, 8, SIZE, [log.tree.root(8, 10)], sign_receipts(signer, SIZE, log.root())
    )


LIES: dict[str, tuple[Callable[[LogSimulator], dict[str, bytes]], type[TlogError]]] = {
    "the receipt of another entry": (
        lambda log: {"proof/inclusion/5": make_receipt(log, 6)},
        MalformedAnswerError,
    ),
    "a receipt of consistency": (
        lambda log: {"proof/inclusion/5": _consistency(log)},
        MalformedAnswerError,
    ),
    "a receipt that signs no size": (
        lambda log: {"proof/inclusion/5": _without_size(log)},
        MalformedAnswerError,
    ),
    "a tlog-proof": (lambda log: {"proof/inclusion/5": log.tlog_proof(5)}, MalformedReceiptError),
    "more than a receipt has": (lambda log: {"proof/inclusion/5": bytes(1 << 17)}, TooLargeError),
    "another entry": (lambda log: {"entries/5": b"another"}, BadSignatureError),
    "a receipt by another key": (
        lambda log: {"proof/inclusion/5": make_receipt(log, 5, seed=OTHER_SEED)},
        BadSignatureError,
    ),
    "the checkpoint of another size": (
        lambda log: {"checkpoints/10": log.checkpoint(9)},
        MalformedAnswerError,
    ),
    "a checkpoint by another key": (
        lambda log: {"checkpoints/10": LogSimulator(log.entries, seed=OTHER_SEED).checkpoint()},
        UnknownKeyError,
    ),
    "a checkpoint of another tree": (
        lambda log: {"checkpoints/10": OTHER.checkpoint()},
        LogMisbehaviourError,
    ),
}


def _without_size(log: LogSimulator) -> bytes:
    """A receipt with the algorithm and structure alone in its header, written byte by byte."""
    header = b"\xa2\x01\x27\x19\x01\x8b\x01"
    text = b"\x84\x6aSignature1\x47" + header + b"\x40\x58\x20" + log.root()
    signature = Ed25519Signer(log.origin, log.seed).sign(text)
    ours = make_receipt(log, 5)
    proofs = ours[ours.index(b"\xa1\x19\x01\x8c") : ours.rindex(b"\xf6\x58\x40")]
    return b"\xd2\x84\x47" + header + proofs + b"\xf6\x58\x40" + signature


@pytest.mark.parametrize(("plant", "error"), LIES.values(), ids=LIES.keys())
async def test_lies(
    served: Receipts,
    plant: Callable[[LogSimulator], dict[str, bytes]],
    error: type[TlogError],
) -> None:
    """What is not a receipt of that entry under the log's own checkpoint is never given."""
    served.planted = plant(served.log)
    with pytest.raises(error):
        await fetch(served, 5)


async def test_a_log_without_receipts(served: Receipts) -> None:
    """A log that has none says so by its status."""
    with pytest.raises(HttpStatusError):
        await fetch_receipt(
            _NoReceipts(served.log),
            LogReader(served, served.log.key),
            LogTrust.of(served.log.key),
            5,
        )


class _NoReceipts(Receipts):
    async def fetch(self, path: str, *, max_bytes: int, accept: str | None = None) -> bytes:
        return await self.log.fetch(path, max_bytes=max_bytes)
