"""The server with slow commits, so that a kill at any moment falls into one.

Only time is added. Before one commit, so that an answer that does not wait for it is out long
before it is durable; after the next one, so that it is durable and nobody was told: then only the
ids of the entries, sent again, keep them from standing twice. Each byte of DATA.commits is 1
while a commit is under way, so that the test knows in which cycles the server died in one.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import count
from pathlib import Path
from unittest.mock import patch

from tlog.cli import main
from tlog.store.base import Batch
from tlog.store.leveldb import LevelDBStore

PAUSE_S = 0.05


def commits_file(data_dir: Path) -> Path:
    """Where the server notes that a commit is under way."""
    return data_dir.with_name(f"{data_dir.name}.commits")


if __name__ == "__main__":
    commit = LevelDBStore.commit
    path = commits_file(Path(sys.argv[sys.argv.index("--data") + 1]))
    notes = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    places = count()

    def slow_commit(store: LevelDBStore, batch: Batch) -> None:
        """The same commit, later or longer."""
        place = next(places)
        before = PAUSE_S if place % 2 else 0
        os.pwrite(notes, b"\x01", place)
        time.sleep(before)
        commit(store, batch)
        time.sleep(PAUSE_S - before)
        os.pwrite(notes, b"\x00", place)

    with patch.object(LevelDBStore, "commit", slow_commit):
        main()
