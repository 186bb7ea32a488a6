"""The server with slow commits, so that a kill at any moment falls into one.

Only time is added, before the synced batch: an answer that does not wait for the commit
is out long before the commit is durable, and the kill shows it.
"""

from __future__ import annotations

import time
from unittest.mock import patch

import plyvel

from tlog.cli import main
from tlog.store import leveldb
from tlog.store.base import Batch

PAUSE_S = 0.05

if __name__ == "__main__":
    write_log = leveldb._write_log

    def slow_write_log(log: plyvel.DB, batch: Batch) -> None:
        """The same batch, later."""
        time.sleep(PAUSE_S)
        write_log(log, batch)

    with patch.object(leveldb, "_write_log", slow_write_log):
        main()
