"""Tessera's POSIX log as a peer: bench/peers/tessera-server, at the settings it was measured best.

The settings were found beforehand, by trying; its batches must be about as large as the number
of clients, or a full batch is never waited for and each waits its whole age.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.go import CACHE, build
from bench.process import Child

SOURCES = Path(__file__).parent / "peers" / "tessera-server"
PROGRAM = CACHE / "tessera-server"
ADD_PATH = "/add"
CHECKPOINT_PATH = "/checkpoint"


@dataclass(frozen=True, slots=True)
class Settings:
    """Entries of a batch at most, how long it waits to be full, how often a checkpoint comes."""

    batch: int
    age: str
    checkpoint: str


AS_SHIPPED = Settings(256, "1s", "1s")  # those of its own conformance server
BEST = {
    1: Settings(256, "1ms", "100ms"),
    32: Settings(32, "10ms", "100ms"),
    256: AS_SHIPPED,
    512: Settings(512, "100ms", "1s"),
}


def build_tessera() -> str:
    """Build it; why it cannot be, or an empty string."""
    return build(SOURCES, PROGRAM)


def start_tessera(directory: Path, settings: Settings) -> Child:
    """Start it on a new log in a directory that is not there yet."""
    command = [str(PROGRAM), "-directory", str(directory), "-batch", str(settings.batch)]
    return Child(
        [*command, "-age", settings.age, "-cp", settings.checkpoint],
        errors=directory.with_name(f"{directory.name}.stderr"),
    )
