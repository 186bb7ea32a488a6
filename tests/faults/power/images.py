"""Crash images: what a disk holds after a power cut at some call, drawn by seed.

What a program derives and rebuilds is left out: LevelDB's own LOG files, and the `-shm` beside a
SQLite database, which is mapped memory. `index/` is derived too, but it stays: start-up must cope
with whatever is left of it. Only cuts count at which a file outside of it has unsynced bytes, or
the head store an unsynced name.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.power.disk import LEVELDB_LOGS, Directory, Disk, File, Model, Naming
from tests.faults.power.record import Call

TOLD = "told"  # the file to which a workload writes what its clients are told
HEADS = "data/heads"
PAGE_BYTES = 4096


@dataclass
class Image:
    """One crash image, written to the machine's path.

    kind: what had unsynced bytes. told: what the workload told before the cut. signed: heads
    that were written before it, whether or not they were ever seen. holes: paths of files that
    lost bytes before others that they kept.
    """

    number: int
    model: Model
    cut: int
    kind: str
    told: list[dict[str, Any]]
    signed: list[bytes]
    holes: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """How to find this image again."""
        return f"image {self.number} ({self.model.name}, cut at call {self.cut}, {self.kind})"


class Cuts:
    """Follows a record and knows what was told and signed so far."""

    def __init__(self, machine: Path, model: Model) -> None:
        self.disk = Disk(machine, model)
        self.told: list[dict[str, Any]] = []
        self.signed: list[bytes] = []

    def play(self, call: Call) -> None:
        """Follow one call."""
        written = self.disk.play(call)
        if written is None or not written[1]:
            return
        path, data = written
        if path == TOLD:
            self.told.append(json.loads(data))
        elif path.startswith(HEADS):
            self.signed.append(data)


def kind_of(path: str) -> str:
    """The kind of a file of a data directory: its database, or its name."""
    for kind in ("log", "bodies", "index", "heads"):
        if f"/{kind}/" in f"/{path}":
            return kind
    return path.rpartition("/")[2].partition("-")[0]


def left_out(name: str) -> bool:
    """Whether a file is derived and belongs to no image."""
    return name in (*LEVELDB_LOGS, TOLD) or name.endswith("-shm")


def unsynced(disk: Disk) -> set[str]:
    """The kinds of files that have something unsynced now, as far as it makes a cut count."""
    kinds = {
        kind_of(path)
        for path, file in disk.files()
        if file.pending and not left_out(path.rpartition("/")[2])
    }
    kinds |= {"heads" for path, found in disk.directories() if path == HEADS and found.pending}
    return kinds - {"index"}


def eligible_cuts(calls: Sequence[Call], machine: Path, model: Model) -> dict[str, list[int]]:
    """The cuts that count, by kind: after how many calls."""
    cuts = Cuts(machine, model)
    found: dict[str, list[int]] = {}
    for number, call in enumerate(calls, 1):
        cuts.play(call)
        for kind in unsynced(cuts.disk):
            # Until somebody was told that the log exists, all kinds are one.
            found.setdefault(kind if cuts.told else "creation", []).append(number)
    return found


def index_cuts(calls: Sequence[Call], machine: Path, model: Model) -> dict[str, list[int]]:
    """The cuts at which more than one WAL of `index/` has unsynced bytes, as eligible_cuts."""
    cuts = Cuts(machine, model)
    found = []
    for number, call in enumerate(calls, 1):
        cuts.play(call)
        pending = [path for path, file in cuts.disk.files() if file.pending]
        wals = [path for path in pending if "/index/" in path and path.endswith(".log")]
        if len(wals) > 1 and cuts.told:
            found.append(number)
    return {"index": found} if found else {}


def images(
    calls: Sequence[Call],
    machine: Path,
    model: Model,
    *,
    count: int,
    seed: int,
    eligible: dict[str, list[int]] | None = None,
) -> Iterator[Image]:
    """So many images one after the other, each written to `machine`; in the order of their cuts.

    eligible: the cuts to draw from, if not all those that count.
    """
    draw = random.Random(f"{seed} {model.name}")
    if eligible is None:
        eligible = eligible_cuts(calls, machine, model)
    kinds = sorted(eligible)
    drawn = []
    for _ in range(count):
        kind = draw.choice(kinds)
        drawn.append((draw.choice(eligible[kind]), kind))
    drawn.sort()
    cuts = Cuts(machine, model)
    played = 0
    for number, (cut, kind) in enumerate(drawn):
        for call in calls[played:cut]:
            cuts.play(call)
        played = cut
        image = Image(number, model, cut, kind, list(cuts.told), list(cuts.signed))
        Writer(draw, model, image).write(cuts.disk, machine)
        yield image


class Writer:
    """Draws what survives of one cut, and writes it."""

    def __init__(self, draw: random.Random, model: Model, image: Image) -> None:
        self._draw = draw
        self._model = model
        self._image = image
        # Some images lose all that was pending, some only the end of the last write.
        self._mood = draw.choice(("none", "last", "some", "some", "some"))

    def write(self, disk: Disk, machine: Path) -> None:
        """Replace what lies at the machine's path by the image."""
        shutil.rmtree(machine, ignore_errors=True)
        self._write_directory(disk.root, machine, "")

    def _write_directory(self, directory: Directory, target: Path, path: str) -> None:
        target.mkdir(mode=0o700)
        names = dict(directory.durable)
        for naming in self._kept(directory.pending, ordered=not self._model.any_name):
            naming.apply(names)
        for name, node in names.items():
            if isinstance(node, Directory):
                self._write_directory(node, target / name, f"{path}{name}/")
            elif not left_out(name):
                (target / name).touch(mode=0o600)
                (target / name).write_bytes(self._content(node, f"{path}{name}"))

    def _kept(self, pending: Sequence[Naming], *, ordered: bool) -> list[Naming]:
        """Which pending changes survive, as the mood says."""
        mood = self._mood_of_one()
        if mood == "none":
            return []
        if mood in ("all", "last"):
            return list(pending)
        if ordered:
            return list(pending[: self._draw.randint(0, len(pending))])
        return [change for change in pending if self._draw.random() < 0.5]

    def _mood_of_one(self) -> str:
        """What one file or directory keeps: nothing, all, all but a torn last write, or some."""
        if self._mood != "some":
            return self._mood
        return self._draw.choice(("none", "all", "last", "some"))

    def _content(self, file: File, path: str) -> bytes:
        content = bytearray(file.durable)
        if not file.pending:
            return bytes(content)
        mood = self._mood_of_one()
        if mood == "none":
            return bytes(content)
        if self._model.any_page and mood == "some":
            return self._pages(file, path)
        changes = file.pending
        count = len(changes) if mood == "all" else self._draw.randrange(len(changes))
        count = len(changes) - 1 if mood == "last" else count
        for change in changes[:count]:
            change.apply(content)
        if mood == "all":
            return bytes(content)
        torn = changes[count]
        if torn.data is not None:
            kept = self._draw.randint(0, len(torn.data))
            type(torn)(torn.number, torn.offset, torn.data[:kept]).apply(content)
        return bytes(content)

    def _pages(self, file: File, path: str) -> bytes:
        """The content when each page of the pending bytes survives or not by itself."""
        whole = bytearray(file.durable)
        for change in file.pending:
            change.apply(whole)
        content = bytearray(file.durable)
        lost = False
        for start in range(0, len(whole), PAGE_BYTES):
            page = whole[start : start + PAGE_BYTES]
            if page == content[start : start + PAGE_BYTES]:
                continue
            if self._draw.random() < 0.5:
                lost = True
                continue
            content.extend(bytes(max(0, start + len(page) - len(content))))
            content[start : start + len(page)] = page
            if lost and path not in self._image.holes:
                self._image.holes.append(path)
        return bytes(content)
