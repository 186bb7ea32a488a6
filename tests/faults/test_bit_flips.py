"""A flipped bit on disk: refused at start, found by fsck or harmless; never a wrong answer."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

from tests.faults.bit_flips import KINDS, NAME, draw_flips, make_data, outcome_of, read_all
from tests.server.hosts import open_host
from tlog.app import check_log

FLIPS = int(os.environ.get("BIT_FLIPS", "20"))  # of each kind of file
SEED = int(os.environ.get("BIT_FLIPS_SEED", "1"))
VERDICTS = ("refused at start", "found by fsck", "harmless")


async def test_no_flipped_bit_leads_to_a_wrong_answer(tmp_path: Path) -> None:
    """Drawn by seed over the used bytes of every kind of file; the outcomes are printed."""
    data_dir = tmp_path / "data"
    token = await make_data(data_dir, tmp_path)
    # SQLite drops what follows a flipped bit in there without a word, a revocation for example.
    assert [path.stat().st_size for path in data_dir.rglob("*-wal")] == [0, 0]
    shutil.copytree(data_dir, tmp_path / "sound")
    assert check_log(tmp_path / "sound", NAME, lambda _done, _total: None).notes == []
    async with open_host(tmp_path / "sound") as host:
        sound = await read_all(host, token)
    wrong = []
    table = [f"{'file':<16}" + "".join(f"{verdict:>18}" for verdict in VERDICTS)]
    for kind in KINDS:
        counts: Counter[str] = Counter()
        for flip in draw_flips(data_dir, kind, FLIPS, SEED):
            verdict = await outcome_of(data_dir, tmp_path, flip, token, sound)
            counts[verdict] += 1
            if verdict not in VERDICTS:
                wrong.append(f"{flip}: {verdict}")
        table.append(f"{kind:<16}" + "".join(f"{counts[verdict]:>18}" for verdict in VERDICTS))
    (tmp_path / "outcomes.txt").write_text("\n".join(table) + "\n")
    print("\n" + "\n".join(table))  # noqa: T201 - the table is what this test is run for
    assert wrong == []
