"""Running a workload under the shim, and reading what it recorded."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

SHIM = Path(__file__).with_name("shim.c")
ROOT = Path(__file__).parents[3]
WORKLOAD_TIMEOUT_S = 120.0

OPEN, CREATE, TRUNCATE, WRITE = b"o", b"c", b"t", b"w"
SYNC_BEGIN, SYNC_END, RENAME, UNLINK = b"s", b"e", b"r", b"u"
MKDIR, RMDIR, CLOSE, MAP, START = b"m", b"d", b"x", b"p", b"b"

_ROW = struct.Struct("<ciqII")


@dataclass(frozen=True, slots=True)
class Call:
    """One recorded call; number is a write's offset or a truncation's size, in bytes."""

    kind: bytes
    descriptor: int
    number: int
    path: str
    data: bytes


def missing_compiler() -> str | None:
    """Why the shim cannot be built here, as one sentence, or None."""
    if not sys.platform.startswith("linux"):
        return "the shim is written for Linux"
    if shutil.which("gcc") is None:
        return "no gcc: the shim that records syncs is compiled at test time"
    return None


@cache
def build_shim() -> Path:
    """Compile the shim once a run."""
    library = Path(mkdtemp(prefix="tlog-shim-")) / "shim.so"
    command = ["gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o", str(library)]
    built = subprocess.run(
        [*command, str(SHIM), "-ldl", "-lpthread"], capture_output=True, check=False, text=True
    )
    if built.returncode != 0:
        raise AssertionError(f"compiling the shim: {built.stderr}")
    return library


def record_workload(name: str, machine: Path, *, mutant: str = "", no_sync: str = "") -> list[Call]:
    """Run `tests.faults.power.workloads NAME machine RUN MUTANT` twice, all of it recorded.

    machine: a path that is not there yet. no_sync: paths whose sync the shim leaves out.
    """
    machine.mkdir()
    record = machine.with_name(f"{machine.name}.record")
    settings: Mapping[str, str] = {
        "LD_PRELOAD": str(build_shim()),
        "POWER_ROOT": str(machine),
        "POWER_RECORD": str(record),
        "PYTHONPATH": os.pathsep.join(sys.path),
        **({"POWER_NO_SYNC": no_sync} if no_sync else {}),
    }
    for run in ("first", "second"):
        ran = subprocess.run(
            [sys.executable, "-m", "tests.faults.power.workloads", name, str(machine), run, mutant],
            env={**os.environ, **settings},
            cwd=ROOT,
            capture_output=True,
            check=False,
            text=True,
            timeout=WORKLOAD_TIMEOUT_S,
        )
        if ran.returncode != 0:
            raise AssertionError(f"the {run} run of {name} {mutant} failed: {ran.stderr}")
    calls = list(parse(record.read_bytes()))
    record.unlink()
    return calls


def parse(data: bytes) -> Iterator[Call]:
    """The rows of a record."""
    at = 0
    while at < len(data):
        kind, descriptor, number, path_length, data_length = _ROW.unpack_from(data, at)
        at += _ROW.size
        path = data[at : at + path_length].decode()
        at += path_length
        yield Call(kind, descriptor, number, path, data[at : at + data_length])
        at += data_length
