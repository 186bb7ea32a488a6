"""Tessera's hammer: it loads a log and verifies each checkpoint to be consistent with the last.

It reads entries but compares them with nothing, so what it wrote is compared by the tests.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.peers.peer_log import PeerLog

LINE = re.compile(r"([IWEF])\d{4} [\d:.]+ +\d+ [\w.]+:\d+\] (.*)")
GRACE_S = 20.0  # its own limit is --max_runtime; this one is for a hang


class HammerFailedError(Exception):
    """hammer ended badly or warned of something; the text is what it said."""


@dataclass(frozen=True, slots=True)
class HammerReport:
    """What hammer says of a run that reached its goal without a warning."""

    written: tuple[int, ...]
    """Indexes that the log answered, in the order of the answers."""
    heads: tuple[tuple[int, int], ...]
    """Sizes of checkpoints between which it verified consistency."""
    reads: int
    """Entries read."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much is written, how fast, of what; all of hammer's writers together."""

    entries: int
    writes_per_s: int
    writers: int = 32
    min_bytes: int = 0
    duplicates: float = 0.0
    max_runtime_s: int = 100


@dataclass(frozen=True, slots=True)
class Hammer:
    """The program."""

    program: Path

    def run(
        self, log: PeerLog, load: Load, *, append_token: str, read_token: str = ""
    ) -> HammerReport:
        """Load the log until its verified size has grown by `load.entries`.

        Raises:
            HammerFailedError: the goal was not reached, or anything was warned of before it was.
        """
        command = [
            str(self.program),
            *("--log_url", log.url, "--log_public_key", log.vkey),
            *("--bearer_token", read_token, "--bearer_token_write", append_token),
            *("--num_writers", str(load.writers), "--max_write_ops", str(load.writes_per_s)),
            *("--leaf_write_goal", str(load.entries), "--max_runtime", f"{load.max_runtime_s}s"),
            *("--leaf_min_size", str(load.min_bytes), "--dup_chance", str(load.duplicates)),
            *("--show_ui=false", "--v=2"),
        ]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                check=False,
                text=True,
                timeout=load.max_runtime_s + GRACE_S,
            )
        except subprocess.TimeoutExpired:
            raise HammerFailedError("it did not end") from None
        return _read_output(done.returncode, done.stderr)


def _read_output(exit_code: int, output: str) -> HammerReport:
    """Judge all lines up to the one that says the goal is reached.

    Later ones come from workers that are being stopped.
    """
    written, heads, reads = [], [], 0
    for line in output.splitlines():
        known = LINE.fullmatch(line)
        if known is None or known[1] != "I":
            raise HammerFailedError(f"exit code {exit_code}; it said: {line}")
        words = known[2]
        if words.startswith("Reached tree size goal of "):
            break
        if index := re.fullmatch(r"Wrote leaf at index (\d+)", words):
            written.append(int(index[1]))
        elif sizes := re.fullmatch(r"Updated checkpoint from (\d+) to (\d+)", words):
            heads.append((int(sizes[1]), int(sizes[2])))
        elif words.startswith("LeafReader getting "):
            reads += 1
    else:
        raise HammerFailedError(f"exit code {exit_code}; it never said that it reached its goal")
    if exit_code != 0:
        raise HammerFailedError(f"exit code {exit_code}")
    return HammerReport(tuple(written), tuple(heads), reads)
