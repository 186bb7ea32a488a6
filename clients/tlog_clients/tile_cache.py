"""Verified tiles on disk: what is full never changes, and so needs to be fetched once only.

    PATH/HEX/0-67    tile 67 of level 0; HEX is of the SHA-256 of the log's origin
    PATH/HEX/e-67    entry bundle 67, only of a cache that keeps entries

The files need no trust. Nothing is kept that was not verified under a trusted head, and what is
read is hashed again up to the root before it is used: a flipped bit costs one fetch. A cache that
cannot be read or written is as good as empty, and no error.

Whatever else is in the directory stays: read, counted and removed are files of these names alone,
in folders of these names, and no symbolic link is followed below PATH.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import stat
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tlog_proofs import HASH_SIZE, MAX_BUNDLE_BYTES, TILE_WIDTH, EntryBundle, Tile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

DEFAULT_CACHE_BYTES = 256 * 1024 * 1024
MIN_CACHE_BYTES = 1024 * 1024
_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700
_NAME_BYTES = 16
_TEMPORARY = ".tmp-"
_STALE_S = 3600.0  # a temporary file that old was left by a process that was killed
_TILE_BYTES = HASH_SIZE * TILE_WIDTH
_OWN_FOLDER = re.compile(r"[0-9a-f]{32}")
_OWN_TEMPORARY = re.compile(re.escape(_TEMPORARY) + r"[0-9a-f]{32}")
_OWN_PART = re.compile(r"(?:[0-9]{1,2}|e)-(?:0|[1-9][0-9]{0,18})")

Part = Tile | EntryBundle


def default_cache_path(environment: Mapping[str, str]) -> Path:
    """Return $XDG_CACHE_HOME/tlog, by default ~/.cache/tlog.

    Raises:
        RuntimeError: no home directory is known.
    Source: XDG Base Directory Specification (a relative $XDG_CACHE_HOME is to be ignored).
    """
    cache_home = Path(environment.get("XDG_CACHE_HOME", ""))
    if not cache_home.is_absolute():
        cache_home = Path.home() / ".cache"
    return cache_home / "tlog"


class TileCache:
    """A directory of mode 0700 with at most `max_bytes` of files, those used last.

    Several processes may share it; then it holds up to an eighth more for each of them.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = DEFAULT_CACHE_BYTES,
        keep_entries: bool = False,
    ) -> None:
        """Name the directory, which is made when something is kept.

        Args:
            path: the directory; what else is in it is left alone.
            max_bytes: bound of the files' lengths, at least 1 MiB.
            keep_entries: keep the entries themselves too, and not their hashes alone.

        Raises:
            ValueError: max_bytes is too small.
        """
        if max_bytes < MIN_CACHE_BYTES:
            raise ValueError(f"expected a cache of at least {MIN_CACHE_BYTES} bytes")
        self.keep_entries = keep_entries
        self._path = Path(path)
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        # Owned by the lock: bytes written since the files were counted; None: never counted.
        self._written: int | None = None

    async def read(self, origin: str, parts: Iterable[Part]) -> dict[Part, bytes]:
        """Return what is kept of these parts of the log, not yet verified again."""
        wanted = [part for part in parts if self._keeps(part)]
        return await asyncio.to_thread(self._read_all, self._folder(origin), wanted)

    async def write(
        self, origin: str, parts: Mapping[Tile, bytes] | Mapping[EntryBundle, bytes]
    ) -> None:
        """Keep those of these parts that are full; all were verified under a trusted head."""
        kept: dict[Part, bytes] = {part: data for part, data in parts.items() if self._keeps(part)}
        if kept:
            await asyncio.to_thread(self._write_all, self._folder(origin), kept)

    def _keeps(self, part: Part) -> bool:
        is_kind = isinstance(part, Tile) or self.keep_entries
        return is_kind and part.width == TILE_WIDTH

    def _folder(self, origin: str) -> Path:
        return self._path / hashlib.sha256(origin.encode()).digest()[:_NAME_BYTES].hex()

    def _read_all(self, folder: Path, parts: Iterable[Part]) -> dict[Part, bytes]:
        found = {}
        with suppress(OSError), _opened(folder) as directory:
            for part in parts:
                with suppress(OSError):
                    data = _read_file(directory, _name(part), _max_bytes(part))
                    if data is not None:
                        found[part] = data
        return found

    def _write_all(self, folder: Path, parts: Mapping[Part, bytes]) -> None:
        with suppress(OSError), self._lock:
            self._path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            folder.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
            with _opened(folder) as directory:
                for part, data in parts.items():
                    if self._written is None or self._written + len(data) > self._max_bytes // 8:
                        self._shrink()
                        self._written = 0
                    _write_file(directory, _name(part), data)
                    self._written += len(data)

    def _shrink(self) -> None:
        """Remove the files not used for longest, if there is no room for another eighth."""
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        if total <= self._max_bytes // 8 * 7:
            return
        for _, size, path in files:
            if total <= self._max_bytes // 4 * 3:
                return
            with suppress(FileNotFoundError):  # another process was faster
                path.unlink()
            total -= size

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Yield time of last use, length and path of every file; remove what was left behind."""
        with os.scandir(self._path) as folders:
            for folder in folders:
                if _OWN_FOLDER.fullmatch(folder.name) and folder.is_dir(follow_symlinks=False):
                    yield from _own_files(folder.path)


def _own_files(folder: str) -> Iterator[tuple[float, int, Path]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            is_temporary = _OWN_TEMPORARY.fullmatch(entry.name) is not None
            if not is_temporary and not _OWN_PART.fullmatch(entry.name):
                continue
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if not stat.S_ISREG(status.st_mode):
                    continue
                if is_temporary and status.st_mtime < _stale_before():
                    Path(entry.path).unlink()
                else:
                    yield status.st_mtime, status.st_size, Path(entry.path)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Open a folder of this cache; a symbolic link in its place leads to somebody else's files."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(folder, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _stale_before() -> float:
    return time.time() - _STALE_S


def _name(part: Part) -> str:
    return f"{part.level if isinstance(part, Tile) else 'e'}-{part.index}"


def _max_bytes(part: Part) -> int:
    return _TILE_BYTES if isinstance(part, Tile) else MAX_BUNDLE_BYTES


def _read_file(directory: int, name: str, max_bytes: int) -> bytes | None:
    """Return a file's contents and note that it was used; None for what cannot be a part."""
    # O_NONBLOCK: a pipe in the file's place must not hang the client.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, dir_fd=directory)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
            return None
        data = file.read(max_bytes)
        with suppress(OSError):  # of another user, or where nothing may be written
            os.utime(descriptor)
    return data


def _write_file(directory: int, name: str, data: bytes) -> None:
    """Put the file there whole; not synced, for what a power cut leaves is found out by reading."""
    temporary = _TEMPORARY + secrets.token_hex(_NAME_BYTES)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, _FILE_MODE, dir_fd=directory), "wb") as file:
            file.write(data)
        os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
