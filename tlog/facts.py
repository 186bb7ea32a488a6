"""What may be told of a log, the same in the API, on the socket and on the command line."""

from __future__ import annotations

from dataclasses import dataclass

from tlog_proofs import encode_base64


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What may be told of a log to whoever sees it; size and root are the published ones."""

    name: str
    origin: str
    kind: str
    public: bool
    vkey: str
    size: int
    root: bytes
    state: str
    reason: str | None

    def as_json(self) -> dict[str, object]:
        """The object of `GET /logs` and `tlog log show --json`."""
        return {
            "name": self.name,
            "origin": self.origin,
            "kind": self.kind,
            "public": self.public,
            "vkey": self.vkey,
            "size": self.size,
            "root": encode_base64(self.root),
            "state": self.state,
            "reason": self.reason,
        }
