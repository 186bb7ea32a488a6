"""Every bound of the server, with its unit, in one place (FORMATS.md, bounds)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How one server runs; the defaults are the documented bounds."""

    data_dir: Path
    queue_bytes: int = 64 * MIB  # of entries waiting for a commit, all logs together
    commit_entries: int = 4096  # in one commit
    commit_bytes: int = 8 * MIB  # of entries in one commit
    batch_entries: int = 1000  # in one request
    batch_bytes: int = 8 * MIB  # of one request's body, decompressed
    publish_interval_s: float = 0.1  # between publications when nobody waits
    open_logs: int = 32
    tile_cache_bytes: int = 80 * MIB  # all logs together; those of a million entries fit
    reader_threads: int = 4
    disk_reserve_bytes: int | None = None  # None: the larger of 2 GiB and 5 % of the disk
    clock_wait_s: int = 2  # how far behind the newest t a clock may be and is waited for
    clock_jump_s: int = 3600  # how far ahead of CLOCK_BOOTTIME a clock may jump
    body_timeout_s: float = 60.0  # for one request body
    connections: int = 4096  # over TCP at once; half of them from one address
    tls_connections: int = 1024  # in their place under TLS, which holds more for each
    admin_connections: int = 256  # likewise, on the administrative address, beside those
    response_bytes: int = 128 * MIB  # of large answers under way; half for one address
    wait_default_s: float = 10.0
    wait_max_s: int = 30
    tls_cert: Path | None = None  # PEM; without it HTTP is spoken plainly
    tls_key: Path | None = None
    tls_client_ca: Path | None = None  # whose certificates clients may show
    tls_client_required: bool = False
    workers: int = 1  # processes that do HTTP; 1: the one that writes does it too
    log_level: int = logging.WARNING  # what goes to stderr
    log_format: str = "text"  # or json: tlog.program_log.FORMATS
    stop_timeout_s: float = 9.0  # after that nothing is signed and the exit code is 1

    def disk_reserve(self, disk_bytes: int) -> int:
        """The free bytes below which appends stop, on a disk of disk_bytes."""
        if self.disk_reserve_bytes is not None:
            return self.disk_reserve_bytes
        return max(2 * GIB, disk_bytes // 20)
