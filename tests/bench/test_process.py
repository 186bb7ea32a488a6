"""What is read from Linux is of the process that was meant, with its children."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench.machine import latency
from bench.process import cpu_seconds, disk_bytes, empty_page_cache, ticks_of, with_children

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
input()
child.communicate()
"""


def test_a_name_of_a_process_may_look_like_fields() -> None:
    """The times are counted from the last bracket on, whatever the program is called."""
    line = "7 (a) S 1 (x) R 3 4) S 1 7 7 0 -1 4194304 10 0 0 0 250 31 9 9 20 0 1 0 100"
    assert ticks_of(line) == 281


def test_children_of_children_count() -> None:
    """A process started by a child of ours is among our descendants, and is not its own."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        family = with_children(os.getpid())
        assert {parent.pid, grandchild} <= set(family)
        assert family[0] == os.getpid()
        assert set(with_children(parent.pid)) == {parent.pid, grandchild}
        assert with_children(grandchild) == [grandchild]
        assert cpu_seconds(parent.pid) >= cpu_seconds(grandchild)
        parent.communicate("\n", timeout=20)


def test_percentiles_are_milliseconds_of_what_was_measured() -> None:
    """Of 0 to 100 s the median is 50 s, and 99 s is the 99th percentile, in any order."""
    measured = latency([float(number) for number in reversed(range(101))])
    assert (measured.p50_ms, measured.p99_ms) == (50_000, 99_000)


def test_forgetting_pages_changes_no_file(tmp_path: Path) -> None:
    """Files in folders are whole afterwards, and take the disk that they took."""
    file = tmp_path / "folder" / "file"
    file.parent.mkdir()
    file.write_bytes(os.urandom(100_000))
    content, used = file.read_bytes(), disk_bytes(tmp_path)
    empty_page_cache(tmp_path)
    assert file.read_bytes() == content
    assert disk_bytes(tmp_path) >= used
