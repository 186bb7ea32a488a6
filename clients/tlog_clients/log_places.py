"""Where a log's trusted heads and verified tiles are kept on this machine, as users say it."""

from __future__ import annotations

import os

from tlog_clients.errors import StateFileError
from tlog_clients.head_file import HeadFile, default_state_path
from tlog_clients.head_store import HeadStore, MemoryHeads
from tlog_clients.tile_cache import TileCache, default_cache_path

StatePlace = HeadStore | str | os.PathLike[str] | bool
CachePlace = TileCache | str | os.PathLike[str] | bool


def open_state(place: StatePlace) -> HeadStore:
    """Return the store of trusted heads: a file, the default one (True), or memory (False).

    Raises:
        StateFileError: there is no home directory for the default one.
    """
    if place is False:
        return MemoryHeads()
    if place is True:
        try:
            return HeadFile(default_state_path(os.environ))
        except RuntimeError as error:
            raise StateFileError("heads.json", f"{error}: name a state file") from None
    return HeadFile(place) if isinstance(place, str | os.PathLike) else place


def open_cache(place: CachePlace) -> TileCache | None:
    """Return the tile cache in a directory, in the default one (True), or none (False)."""
    if place is True:
        try:
            return TileCache(default_cache_path(os.environ))
        except RuntimeError:  # no home directory: as one that cannot be written
            return None
    if place is False:
        return None
    return place if isinstance(place, TileCache) else TileCache(place)
