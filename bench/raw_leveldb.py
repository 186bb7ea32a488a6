"""What LevelDB itself takes: synced batches of the same entries, and synced single puts.

The same library, buffers and flags as the store of a log, one thread, keys that grow, no tree.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import plyvel

from bench.machine import Latency, latency
from tlog.store.leveldb import LOG_CACHE_BYTES, LOG_WRITE_BUFFER_BYTES


@dataclass(frozen=True, slots=True)
class RawWrites:
    """Entries a second of the time inside LevelDB, and the latency of one synced write."""

    rate: float
    latency: Latency


def write_raw(directory: Path, *, batch: int, entry_bytes: int, seconds: float) -> RawWrites:
    """Write synced batches to a new database under `directory` for so long, then remove it."""
    path = directory / "raw-leveldb"
    database = plyvel.DB(
        os.fspath(path),
        create_if_missing=True,
        error_if_exists=True,
        paranoid_checks=True,
        write_buffer_size=LOG_WRITE_BUFFER_BYTES,
        lru_cache_size=LOG_CACHE_BYTES,
        bloom_filter_bits=10,
    )
    durations = []
    index = 0
    end = time.perf_counter() + seconds
    try:
        while time.perf_counter() < end:
            noise = os.urandom(batch * entry_bytes)
            entries = [noise[at : at + entry_bytes] for at in range(0, len(noise), entry_bytes)]
            start = time.perf_counter()
            with database.write_batch(transaction=True, sync=True) as rows:
                for number, entry in enumerate(entries, index):
                    rows.put(number.to_bytes(8, "big"), entry)
            durations.append(time.perf_counter() - start)
            index += batch
    finally:
        database.close()
        shutil.rmtree(path)
    return RawWrites(index / sum(durations), latency(durations))
