"""Servers with the order of durability turned round; each must be caught by its images."""

from __future__ import annotations

import time

from tlog.app import LevelDBStores
from tlog.log import Log
from tlog.publisher import HeadWriter, sign_head
from tlog.sequencer import Sequencer
from tlog.store.base import Batch
from tlog.store.leveldb import LevelDBStore
from tlog.submissions import Appended, Submission
from tlog_proofs import leaf_hash

ACKS_FIRST = "acks-first"
SIGNS_FIRST = "signs-first"
INDEX_UNFLUSHED = "index-unflushed"  # LevelDB itself writes out what is in memory of index/
PAUSE_S = 0.005


class AcksFirst(Sequencer):
    """Answers as soon as it knows the index, and commits a moment later."""

    def _take(self) -> list[Submission]:
        taken = super()._take()
        index = self.edge.size
        for submission in taken:
            hashes = tuple(leaf_hash(entry) for entry in submission.entries)
            submission.done.set_result(Appended(index, hashes))
            index += len(hashes)
        return taken

    def _write(self, *arguments: object) -> object:  # type: ignore[override]
        time.sleep(PAUSE_S)
        return super()._write(*arguments)  # type: ignore[arg-type]

    def _answer(self, submission: Submission, outcome: Appended | Exception) -> None:
        self._budget.give_back(submission.queued_bytes)


class SignsFirst(LevelDBStore):
    """Signs and stores the head of a batch before the batch itself."""

    writer: HeadWriter | None = None

    def commit(self, batch: Batch) -> None:
        writer, record = self.writer, batch.record
        if writer is not None:
            note = sign_head(writer.signer, record.size, record.root)
            writer.heads.compare_and_set(writer.signer.name, writer.head, note)
            writer.head = note
        super().commit(batch)


class SignsFirstStores(LevelDBStores):
    """Opens such stores."""

    def __call__(self, directory: object) -> SignsFirst:
        return SignsFirst(directory)  # type: ignore[arg-type]


def stores(mutant: str) -> LevelDBStores:
    """The stores of a run."""
    return SignsFirstStores() if mutant == SIGNS_FIRST else LevelDBStores()


def sequencer(mutant: str) -> type[Sequencer]:
    """The sequencer of a run."""
    return AcksFirst if mutant == ACKS_FIRST else Sequencer


def arm(log: Log) -> None:
    """Give a store that signs first what it signs with."""
    store = log._opened.store
    if isinstance(store, SignsFirst) and log._parts is not None:
        store.writer = log._parts.writer
