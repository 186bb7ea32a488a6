"""Verification mathematics and formats of tlog: pure, strict, bounded."""

__version__ = "0.1.0"
