"""Vectors of tile paths."""

from __future__ import annotations

from typing import Any

Case = dict[str, Any]


def cases() -> list[Case]:
    """Make paths that name a tile or bundle, and paths that spell one wrongly or name none."""
    return [*_good_paths(), *_bad_paths()]


def _good_paths() -> list[Case]:
    good: list[tuple[str, int | str, int, int]] = [
        ("tile/0/000", 0, 0, 256),
        ("tile/0/000.p/1", 0, 0, 1),
        ("tile/0/000.p/255", 0, 0, 255),
        ("tile/0/999", 0, 999, 256),
        ("tile/0/x001/000", 0, 1000, 256),
        ("tile/1/x001/x234/067.p/8", 1, 1234067, 8),
        ("tile/7/000.p/127", 7, 0, 127),
        ("tile/63/000", 63, 0, 256),
        ("tile/entries/000", "entries", 0, 256),
        ("tile/entries/x999/x999/999.p/9", "entries", 999999999, 9),
    ]
    return [
        {
            "desc": f"level {level}, index {index}, width {width}",
            "input": {"path": path},
            "expected": {"level": level, "index": index, "width": width},
        }
        for path, level, index, width in good
    ]


def _bad_paths() -> list[Case]:
    bad = {
        "nothing": "",
        "a slash before it": "/tile/0/000",
        "a slash after it": "tile/0/000/",
        "another first part": "tiles/0/000",
        "no index": "tile/0",
        "an empty index": "tile/0/",
        "level with a leading zero": "tile/00/000",
        "level 64": "tile/64/000",
        "a negative level": "tile/-1/000",
        "a level in capitals": "tile/ENTRIES/000",
        "the level of CT entries": "tile/data/000",
        "index of one digit": "tile/0/1",
        "index of four digits": "tile/0/0001",
        "a group of zeros before it": "tile/0/x000/001",
        "a group without x": "tile/0/001/000",
        "an x on the last group": "tile/0/x001/x000",
        "an x on the only group": "tile/0/x001",
        "a group of four digits": "tile/0/x0001/000",
        "a capital X": "tile/0/X001/000",
        "two x": "tile/0/xx001/000",
        "width 0": "tile/0/000.p/0",
        "width 256": "tile/0/000.p/256",
        "width with a leading zero": "tile/0/000.p/01",
        "no width": "tile/0/000.p/",
        "no slash before the width": "tile/0/000.p1",
        "two widths": "tile/0/000.p/1.p/1",
        "index 2^63": "tile/0/x009/x223/x372/x036/x854/x775/808",
        "a plus sign": "tile/0/+00",
        "digits that are not ASCII": "tile/0/00\u0663",
        "a space": "tile/0/000 ",
        "a line break": "tile/0/000\n",
        "a dot segment": "tile/0/../000",
        "a percent escape": "tile/0/%30%30%30",
        "a thousand characters": "tile/0/" + "x000/" * 200 + "000",
    }
    return [
        {"desc": what, "input": {"path": path}, "wantErr": "MalformedTileError"}
        for what, path in bad.items()
    ]
