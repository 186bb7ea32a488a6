"""The state file: the last verified head of each log, kept between runs of a client.

    {"version": 1, "heads": {VKEY: NOTE, ...}}

NOTE is the signed checkpoint exactly as it was served. Its signature is verified again at each
read, so the file itself needs no trust beyond not being lost. A damaged file is an error and never
reset: forgetting a head would let a log show another history unseen.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tlog_clients.head_store import largest
from tlog_clients.log_trust import LogTrust
from tlog_clients.state_file import StateFile
from tlog_clients.strict_json import parse_json_object
from tlog_proofs import SignedCheckpoint, TlogError, open_checkpoint

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from tlog_clients.log_trust import LogKey

MAX_STATE_BYTES = 4 * 1024 * 1024
_VERSION = 1


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
        self._file = StateFile(path, MAX_STATE_BYTES)

    @property
    def path(self) -> Path:
        """The file, symbolic links resolved."""
        return self._file.path

    def read(self, log_key: LogKey | LogTrust) -> SignedCheckpoint | None:
        """Return the trusted head, as HeadStore says."""
        notes = self._read_notes()
        return largest(self._find_head(notes, key) for key in LogTrust.of(log_key).keys)

    def replace(
        self, log_key: LogKey, expected: SignedCheckpoint | None, new: SignedCheckpoint
    ) -> bool:
        """Keep `new` in place of `expected`, as HeadStore says."""
        with self._file.locked():
            notes = self._read_notes()
            if self._find_head(notes, log_key) != expected:
                return False
            self._write_notes({**notes, log_key.vkey: new.note.decode("utf-8")})
        return True

    def _find_head(self, notes: Mapping[str, str], log_key: LogKey) -> SignedCheckpoint | None:
        note = notes.get(log_key.vkey)
        if note is None:
            return None
        try:
            return open_checkpoint(note.encode("utf-8"), log_key)
        except (TlogError, UnicodeEncodeError) as error:
            raise self._file.error(f"the head of {log_key.name} is damaged ({error})") from error

    def _read_notes(self) -> dict[str, str]:
        data = self._file.read()
        if data is None:
            return {}
        try:
            value = parse_json_object(data, "contents")
        except TlogError as error:
            raise self._file.error(f"damaged: {error}") from error
        heads = value.get("heads")
        if (
            value.keys() != {"version", "heads"}
            or type(value["version"]) is not int  # true is 1, elsewhere
            or value["version"] != _VERSION
            or not isinstance(heads, dict)
            or not all(isinstance(note, str) for note in heads.values())
        ):
            raise self._file.error(f'damaged: expected {{"version": {_VERSION}, "heads": ...}}')
        return heads

    def _write_notes(self, notes: Mapping[str, str]) -> None:
        contents = {"version": _VERSION, "heads": notes}
        self._file.replace(json.dumps(contents, indent=1, sort_keys=True).encode("ascii") + b"\n")
