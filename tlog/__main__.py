"""`python -m tlog` is the `tlog` command."""

from __future__ import annotations

from tlog.cli import main

main()
