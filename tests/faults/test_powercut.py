"""A power cut at any moment loses nothing that was acknowledged, and forks nothing.

The images come from a record of the real server core (tests/faults/power). POWER_IMAGES says how
many are opened in all: 200 by default, 2,000 in `make faults`.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.power import mutants
from tests.faults.power.disk import ORDERED, REORDERED, STRICT, Disk, File, Model, walk
from tests.faults.power.images import Image, images, index_cuts, left_out
from tests.faults.power.outcomes import READ_ONLY, UNBORN, WHOLE, Broken, outcome_of
from tests.faults.power.record import Call, missing_compiler, record_workload

pytestmark = pytest.mark.skipif(missing_compiler() is not None, reason=str(missing_compiler()))

IMAGES = int(os.environ.get("POWER_IMAGES", "200"))
MUTANT_IMAGES = 300  # of each mutant at most; the first that comes out wrong is enough

Table = Counter[tuple[str, str]]


async def open_images(
    calls: list[Call], machine: Path, model: Model, count: int, seed: int = 1
) -> tuple[Table, list[str]]:
    """The outcomes of so many images by kind of cut, and what is wrong with those that are."""
    table: Table = Counter()
    wrong: list[str] = []
    for image in images(calls, machine, model, count=count, seed=seed):
        outcome = await outcome_or_broken(image, machine, wrong)
        table[image.kind, outcome] += 1
    return table, wrong


async def outcome_or_broken(image: Image, machine: Path, wrong: list[str]) -> str:
    """The outcome's name; `broken` also goes to the list, as a sentence."""
    try:
        return await outcome_of(image, machine)
    except Broken as error:
        wrong.append(str(error))
        return "broken"


def show(title: str, table: Table) -> None:
    """Print a table of outcomes by kind of cut."""
    names = [name for name in (WHOLE, UNBORN, READ_ONLY, "broken") if _count(table, name)]
    print(f"\n{title}: {sum(table.values())} images")  # noqa: T201 - the closing note wants it
    print("  cut in          " + "".join(f"{name:>11}" for name in names))  # noqa: T201
    for kind in sorted({kind for kind, _ in table}):
        counts = "".join(f"{table[kind, name]:>11}" for name in names)
        print(f"  {kind:<16}{counts}")  # noqa: T201


def _count(table: Table, outcome: str) -> int:
    return sum(number for (_, name), number in table.items() if name == outcome)


@pytest.mark.parametrize("workload", ["appends", "bodies"])
async def test_a_power_cut_loses_nothing_and_forks_nothing(workload: str, tmp_path: Path) -> None:
    """Every image goes on by itself, or is the one refusal that outcomes.py allows."""
    machine = tmp_path / "machine"
    calls = record_workload(workload, machine)
    for model in (ORDERED, REORDERED):
        table, wrong = await open_images(calls, machine, model, IMAGES // 4)
        show(f"{workload}, {model.name}", table)
        assert wrong == []
        assert _count(table, WHOLE) > _count(table, UNBORN)
        if model is ORDERED:
            assert _count(table, READ_ONLY) == 0


@pytest.mark.skipif(IMAGES <= 200, reason="POWER_IMAGES is not above 200: shown by make faults")
@pytest.mark.parametrize("workload", ["appends", "bodies"])
async def test_what_posix_alone_allows_is_shown(workload: str, tmp_path: Path) -> None:
    """The strict model is no file system's: its table is printed, and no image of it forks."""
    machine = tmp_path / "machine"
    calls = record_workload(workload, machine)
    table, wrong = await open_images(calls, machine, STRICT, IMAGES // 10)
    show(f"{workload}, {STRICT.name}", table)
    for sentence in wrong:
        print(f"  {sentence}")  # noqa: T201 - what would be lost
        assert "of another tree" not in sentence


MUTANTS = {
    "no sync of leaves": ("appends", "", "*/logs/a/log/*.log"),
    "no sync of bodies": ("bodies", "", "*/bodies/*.log"),
    "no sync of the head file": ("appends", "", "*/heads/*.tmp"),
    "no sync of the head's directory": ("appends", "", "*/heads"),
    "signing before the commit": ("appends", mutants.SIGNS_FIRST, ""),
    "acknowledging before the commit": ("appends", mutants.ACKS_FIRST, ""),
}


@pytest.mark.parametrize("name", MUTANTS)
async def test_a_planted_fault_is_caught(name: str, tmp_path: Path) -> None:
    """With one step left out or turned round, images of the ordered model come out wrong."""
    workload, mutant, no_sync = MUTANTS[name]
    machine = tmp_path / "machine"
    calls = record_workload(workload, machine, mutant=mutant, no_sync=no_sync)
    wrong: list[str] = []
    for image in images(calls, machine, ORDERED, count=MUTANT_IMAGES, seed=1):
        # Not while the log is made: the fault must show in a log at work.
        if image.kind != "creation":
            await outcome_or_broken(image, machine, wrong)
        if wrong:
            break
    print(f"\n{name}: {wrong}")  # noqa: T201 - which invariant caught it
    assert wrong


@pytest.mark.parametrize("mutant", ["", mutants.INDEX_UNFLUSHED])
async def test_the_index_never_has_newer_rows_without_older_ones(
    mutant: str, tmp_path: Path
) -> None:
    """Left to LevelDB it would: two WALs are unsynced at once, and a cut may keep the newer one."""
    machine = tmp_path / "machine"
    calls = record_workload("appends", machine, mutant=mutant)
    eligible = index_cuts(calls, machine, ORDERED)
    wrong: list[str] = []
    if eligible:
        for image in images(calls, machine, ORDERED, count=100, seed=1, eligible=eligible):
            await outcome_or_broken(image, machine, wrong)
    assert bool(wrong) == (mutant == mutants.INDEX_UNFLUSHED), wrong


@pytest.mark.parametrize("workload", ["appends", "bodies"])
def test_the_record_is_complete(workload: str, tmp_path: Path) -> None:
    """Played to its end, the record is byte for byte what lies on the disk."""
    machine = tmp_path / "machine"
    disk = Disk(machine, ORDERED)
    for call in record_workload(workload, machine):
        disk.play(call)
    played = {}
    for path, node in walk(disk.root):
        if isinstance(node, File):
            content = bytearray(node.durable)
            for change in node.pending:
                change.apply(content)
            played[path] = bytes(content)
    found = {
        str(path.relative_to(machine)): path.read_bytes()
        for path in machine.rglob("*")
        if path.is_file()
    }
    derived = {path for path in found if left_out(path.rpartition("/")[2])} - played.keys()
    assert played == {path: data for path, data in found.items() if path not in derived}
    assert all(path.endswith("-shm") for path in disk.mapped)


async def test_an_image_without_a_cut_is_whole(tmp_path: Path) -> None:
    """The last image of a record that ended in order has everything that was told."""
    machine = tmp_path / "machine"
    calls = record_workload("appends", machine)
    end = {"end": [len(calls)]}
    (image,) = images(calls, machine, ORDERED, count=1, seed=1, eligible=end)
    assert await outcome_of(image, machine) == WHOLE
    assert len(image.told) > 100
    image.told.append({"acks": [10**6, ["eA=="]]})
    with pytest.raises(Broken, match="acknowledged entry 1000000 is lost"):
        await outcome_of(image, machine)
