"""The progress file of an audit: beside the state file, one for each log key.

    {"version": 1, "vkey": VKEY, "head": NOTE, "size": N, "edge": [BASE64, ...], "begun": SECONDS,
     "kind": TEXT or null, "warnings": [TEXT, ...], "sha256": HEX}

It saves work and decides nothing: an audit shows that it fits the signed tree before it builds on
it. `sha256` is of the other members, as json.dumps(..., sort_keys=True) writes them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, TypeGuard

from tlog_clients.audit_progress import AuditProgress
from tlog_clients.errors import MalformedAnswerError, StateFileError
from tlog_clients.log_trust import LogTrust
from tlog_clients.state_file import StateFile
from tlog_clients.strict_json import JsonObject, parse_json_object, read_int, read_text
from tlog_clients.tree_rebuild import TreeRebuild
from tlog_proofs import (
    HASH_SIZE,
    TILE_WIDTH,
    MalformedError,
    TlogError,
    decode_base64,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Collection
    from pathlib import Path

    from tlog_clients.log_trust import LogKey
    from tlog_proofs import SignedCheckpoint

MAX_PROGRESS_BYTES = 1024 * 1024
_VERSION = 1
_NAME_BYTES = 8
_MAX_BEGUN_S = 253_402_300_799  # 9999-12-31T23:59:59Z
_MEMBERS = frozenset(
    {"version", "vkey", "head", "size", "edge", "begun", "kind", "warnings", "sha256"}
)


class ProgressFiles:
    """A ProgressStore of files of mode 0600 named after the state file: PATH.audit-HEX."""

    def __init__(self, state_path: str | os.PathLike[str]) -> None:
        """Name the state file beside which they lie."""
        self._state_path = StateFile(state_path, MAX_PROGRESS_BYTES).path

    def path(self, log_key: LogKey | LogTrust) -> Path:
        """Return the file of a log key; HEX is of the SHA-256 of its vkey."""
        name = hashlib.sha256(log_key.vkey.encode()).digest()[:_NAME_BYTES].hex()
        return self._state_path.with_name(f"{self._state_path.name}.audit-{name}")

    def read(self, log_key: LogKey | LogTrust) -> AuditProgress | None:
        """Return what was kept, as ProgressStore says."""
        file = self._file(log_key)
        data = file.read()
        if data is None:
            return None
        try:
            return _parse(data, log_key)
        except (TlogError, ValueError) as error:
            raise file.error(f"damaged: {error}") from error

    def write(
        self,
        log_key: LogKey | LogTrust,
        progress: AuditProgress,
        known: Collection[SignedCheckpoint],
    ) -> None:
        """Keep progress, as ProgressStore says."""
        file = self._file(log_key)
        with file.locked():
            if self._is_of_another_run(log_key, known):
                raise file.error("another audit of the log keeps its own there")
            # The checksum finds what a power cut made of it; waiting for the disk is not worth it.
            file.replace(_format(log_key, progress), durable=False)

    def drop(self, log_key: LogKey | LogTrust, known: Collection[SignedCheckpoint]) -> None:
        """Remove the file, as ProgressStore says."""
        file = self._file(log_key)
        if file.path.exists():
            with file.locked():
                if not self._is_of_another_run(log_key, known):
                    file.path.unlink(missing_ok=True)

    def _is_of_another_run(
        self, log_key: LogKey | LogTrust, known: Collection[SignedCheckpoint]
    ) -> bool:
        try:
            kept = self.read(log_key)
        except StateFileError:
            return False  # damaged: it tells nothing that could be lost
        return kept is not None and kept.head not in known

    def _file(self, log_key: LogKey | LogTrust) -> StateFile:
        # The state file's own lock: a lock file for each progress file would stay behind.
        lock = self._state_path.with_name(self._state_path.name + ".lock")
        return StateFile(self.path(log_key), MAX_PROGRESS_BYTES, lock)


def _format(log_key: LogKey | LogTrust, progress: AuditProgress) -> bytes:
    value: JsonObject = {
        "version": _VERSION,
        "vkey": log_key.vkey,
        "head": progress.head.note.decode("utf-8"),
        "size": progress.size,
        "edge": [base64.b64encode(hashes).decode("ascii") for hashes in progress.edge],
        "begun": progress.begun_s,
        "kind": progress.kind,
        "warnings": list(progress.warnings),
    }
    return json.dumps(value | {"sha256": _checksum(value)}, indent=1).encode("ascii") + b"\n"


def _checksum(value: JsonObject) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("ascii")).hexdigest()


def _parse(data: bytes, log_key: LogKey | LogTrust) -> AuditProgress:
    what = "contents"
    value = parse_json_object(data, what)
    if value.keys() != _MEMBERS or read_int(value, "version", what) != _VERSION:
        raise MalformedAnswerError(f"{what}: expected the members of version {_VERSION}")
    if value.pop("sha256") != _checksum(value):
        raise MalformedAnswerError(f"{what}: the checksum is of other contents")
    if read_text(value, "vkey", what) != log_key.vkey:
        raise MalformedAnswerError(f"{what}: of another log")
    head = LogTrust.of(log_key).open_signed(read_text(value, "head", what).encode("utf-8"))
    size, edge = read_int(value, "size", what), _read_edge(value["edge"])
    if not TILE_WIDTH <= size <= head.size:
        raise MalformedAnswerError(f"{what}: expected a size up to that of the head")
    TreeRebuild.restore(size, edge)
    kind, warnings = value["kind"], value["warnings"]
    if not isinstance(kind, str | None) or not _is_texts(warnings):
        raise MalformedAnswerError(f"{what}: expected texts as 'kind' and 'warnings'")
    begun_s = read_int(value, "begun", what)
    if begun_s > _MAX_BEGUN_S:
        raise MalformedAnswerError(f"{what}: expected a time before the year 10000 as 'begun'")
    return AuditProgress(head, size, edge, begun_s, kind, tuple(warnings))


def _read_edge(value: object) -> tuple[bytes, ...]:
    if not _is_texts(value):
        raise MalformedError("expected a list of texts as 'edge'")
    return tuple(decode_base64(text, max_bytes=HASH_SIZE * TILE_WIDTH) for text in value)


def _is_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
