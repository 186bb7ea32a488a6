"""`tlog fsck`: every stored row of a log checked, the first wrong one named (see check.py)."""
