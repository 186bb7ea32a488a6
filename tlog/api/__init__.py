"""The HTTP API: CONTRACT.md's routes over a Host, for TCP and for the unix socket."""
