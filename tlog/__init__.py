"""The tlog server: storage, sequencer, publisher, HTTP API and command line."""
