"""Speed, measured beside the machine's own limits in the same minutes (docs/bench.md)."""
