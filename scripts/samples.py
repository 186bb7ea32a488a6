"""Entries for `make run`: real audit records where there are any, else the history in git."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tlog_proofs import MAX_ENTRY_BYTES

MAX_LINES = 10_000
CLOUDTRAIL = "cloudtrail.ndjson"
BUILT_IN = (
    b'{"time":"2026-01-05T08:59:31Z","actor":"alice","action":"login","target":"console"}',
    b'{"time":"2026-01-05T09:02:10Z","actor":"alice","action":"grant","target":"role/admin"}',
    b'{"time":"2026-01-05T09:02:44Z","actor":"deploy","action":"release","target":"shop/4.2"}',
    b'{"time":"2026-01-05T09:15:03Z","actor":"bob","action":"export","target":"customers"}',
)


@dataclass(frozen=True, slots=True)
class Samples:
    """Distinct non-empty lines, at least one, and where they are from."""

    source: str
    lines: tuple[bytes, ...]


def read_samples(root: Path, named: str | None) -> Samples:
    """Read the folder `named`, else the one beside the checkout, else git, else the built-in few.

    Raises:
        FileNotFoundError: `named` is not a folder with lines of JSON in it.
    """
    folder = Path(named) if named else root.parent / "shared" / "data"
    files = [folder / CLOUDTRAIL]
    if named and not files[0].exists():
        files = sorted(folder.glob("*.ndjson"))
    chosen = [path for path in files if path.is_file()]
    lines = distinct(b"\n".join(path.read_bytes() for path in chosen))
    if lines:
        return Samples(", ".join(map(str, chosen)), lines)
    if named:
        message = f"SAMPLES={named} holds no .ndjson file with a line in it"
        raise FileNotFoundError(message)
    lines = distinct(history(root))
    if lines:
        return Samples("the history of this repository", lines)
    return Samples("a built-in example", BUILT_IN)


def history(root: Path) -> bytes:
    """Read one line a commit, oldest first; nothing where git or its repository is missing."""
    command = ["git", "-C", str(root), "log", "--reverse", "--format=%H %cI %s"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        return b""
    return done.stdout if done.returncode == 0 else b""


def distinct(text: bytes) -> tuple[bytes, ...]:
    """Split into lines, each once, in order: equal entries cannot be told apart by their hash."""
    lines = dict.fromkeys(line for line in text.split(b"\n") if 0 < len(line) <= MAX_ENTRY_BYTES)
    return tuple(lines)[:MAX_LINES]
