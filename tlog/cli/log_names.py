"""Names of logs for the shell's completion, as the directory of their stores has them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click

from tlog.control import LOG_NAME

MAX_SHOWN = 100  # what else lies there is not looked at


def complete_log_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The logs of --data, where it stands before the cursor, that begin so.

    No file is opened, for that is the right of who holds the lock.
    """
    del param
    data_dir = ctx.params.get("data_dir")
    if not isinstance(data_dir, str | Path):
        return []
    try:
        logs = Path(data_dir).expanduser() / "logs"
        found = [path.name for path in islice(logs.iterdir(), MAX_SHOWN)]
    except (OSError, RuntimeError):  # the latter: nobody's home
        return []
    return sorted(
        name for name in found if name.startswith(incomplete) and LOG_NAME.fullmatch(name)
    )
