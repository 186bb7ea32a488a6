"""The state file: the last verified head of each log, kept between runs of a client.

    {"version": 1, "heads": {VKEY: NOTE, ...}}

NOTE is the signed checkpoint exactly as it was served. Its signature is verified again at each
read, so the file itself needs no trust beyond not being lost. A damaged file is an error and never
reset: forgetting a head would let a log show another history unseen.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tlog_clients.errors import StateFileError
from tlog_clients.strict_json import parse_json_object
from tlog_proofs import SignedCheckpoint, TlogError, open_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tlog_clients.head_store import LogKey

MAX_STATE_BYTES = 4 * 1024 * 1024
LOCK_TIMEOUT_S = 10.0
_LOCK_POLL_S = 0.02
_VERSION = 1
_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700


def default_state_path(environment: Mapping[str, str]) -> Path:
    """Return $XDG_STATE_HOME/tlog/heads.json, by default ~/.local/state/tlog/heads.json.

    Source: XDG Base Directory Specification (a relative $XDG_STATE_HOME is to be ignored).
    """
    state_home = Path(environment.get("XDG_STATE_HOME", ""))
    if not state_home.is_absolute():
        state_home = Path.home() / ".local" / "state"
    return state_home / "tlog" / "heads.json"


class HeadFile:
    """A HeadStore in one file of mode 0600, shared by processes (flock on PATH.lock)."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Name the file; it and its directory are made when the first head is kept."""
        # A symbolic link keeps pointing at the file: the file it names is replaced.
        self._path = Path(os.path.realpath(path))

    @property
    def path(self) -> Path:
        """The file, symbolic links resolved."""
        return self._path

    def read(self, log_key: LogKey) -> SignedCheckpoint | None:
        """Return the trusted head, as HeadStore says."""
        return self._open_head(self._read_notes(), log_key)

    def replace(
        self, log_key: LogKey, expected: SignedCheckpoint | None, new: SignedCheckpoint
    ) -> bool:
        """Keep `new` in place of `expected`, as HeadStore says."""
        try:
            with self._locked():
                notes = self._read_notes()
                if self._open_head(notes, log_key) != expected:
                    return False
                self._write_notes({**notes, log_key.vkey: new.note.decode("utf-8")})
        except OSError as error:
            raise self._error(f"cannot be written ({error.strerror})") from error
        return True

    def _open_head(self, notes: Mapping[str, str], log_key: LogKey) -> SignedCheckpoint | None:
        note = notes.get(log_key.vkey)
        if note is None:
            return None
        try:
            return open_checkpoint(note.encode("utf-8"), log_key)
        except (TlogError, UnicodeEncodeError) as error:
            raise self._error(f"the head of {log_key.name} is damaged ({error})") from error

    def _read_notes(self) -> dict[str, str]:
        try:
            data = self._read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._error(f"cannot be read ({error.strerror})") from error
        try:
            value = parse_json_object(data, "contents")
        except TlogError as error:
            raise self._error(f"damaged: {error}") from error
        heads = value.get("heads")
        if (
            value.keys() != {"version", "heads"}
            or value["version"] != _VERSION
            or not isinstance(heads, dict)
            or not all(isinstance(note, str) for note in heads.values())
        ):
            raise self._error(f'damaged: expected {{"version": {_VERSION}, "heads": ...}}')
        return heads

    def _read_bytes(self) -> bytes:
        # O_NONBLOCK: a pipe in the file's place must not hang the client.
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise self._error("expected a regular file")
            data = file.read(MAX_STATE_BYTES + 1)
        if len(data) > MAX_STATE_BYTES:
            raise self._error(f"expected at most {MAX_STATE_BYTES} bytes")
        return data

    def _write_notes(self, notes: Mapping[str, str]) -> None:
        """Replace the file: after a crash at any point it is whole, the old one or the new one."""
        contents = {"version": _VERSION, "heads": notes}
        data = json.dumps(contents, indent=1, sort_keys=True).encode("ascii") + b"\n"
        if len(data) > MAX_STATE_BYTES:
            raise self._error(f"full: expected at most {MAX_STATE_BYTES} bytes; use another file")
        # One name is enough: whoever writes holds the lock, and a leftover of a crash is stale.
        temporary = self._path.with_name(self._path.name + ".tmp")
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, _FILE_MODE), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock between processes; it lies beside the file, which itself is replaced."""
        self._path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        lock = self._path.with_name(self._path.name + ".lock")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(lock, flags, _FILE_MODE)
        try:
            self._wait_for_lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _wait_for_lock(self, descriptor: int) -> None:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise self._error("another process keeps it locked") from None
                time.sleep(_LOCK_POLL_S)
            else:
                return

    def _error(self, detail: str) -> StateFileError:
        return StateFileError(str(self._path), detail)
