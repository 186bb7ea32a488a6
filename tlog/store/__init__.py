"""Where a log's rows live: one contract (base), its stores, one conformance suite."""
