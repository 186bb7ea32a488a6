"""Principals: bearer tokens and clients' certificates, their rows, and finding the valid one.

`tlog_` + 10 of [a-z2-7] (the id) + `_` + 43 of base64url (256 bits). Only the SHA-256 of a token
is stored: it has full entropy, so no slow hash is needed. A client's certificate has a row of the
same kind, with an id of its own, which is found by the hash of its public key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from tlog.clock import Clock
from tlog.errors import NotFoundError
from tlog.tls import ClientCertificate

ID_CHARACTERS = "abcdefghijklmnopqrstuvwxyz234567"
ID_LENGTH = 10
SECRET_BYTES = 32
DEFAULT_LIFETIME_S = 365 * 24 * 3600
MAX_LIFETIME_S = 100 * DEFAULT_LIFETIME_S

_TOKEN = re.compile(r"tlog_([a-z2-7]{10})_[A-Za-z0-9_-]{43}", re.ASCII)


class Scope(StrEnum):
    """What a token allows on its logs; none implies another."""

    APPEND = "append"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token or a certificate as control.db knows it; times are POSIX seconds.

    token_hash: of the token; of a certificate's public key (tlog.tls.ClientCertificate.key_hash).
    """

    id: str
    token_hash: bytes
    scopes: frozenset[Scope]
    logs: frozenset[str]
    created: int
    expires: int
    revoked: int | None = None
    certificate: bool = False


def make_token() -> tuple[str, str]:
    """A new (id, token text) from the system's randomness."""
    token_id = "".join(secrets.choice(ID_CHARACTERS) for _ in range(ID_LENGTH))
    secret = base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode()
    return token_id, f"tlog_{token_id}_{secret}"


def hash_token(text: str) -> bytes:
    """What is stored of a token: SHA-256 of its ASCII text."""
    return hashlib.sha256(text.encode()).digest()


class TokenTable:
    """All tokens in memory; control.db holds the same rows. Used on the event loop only."""

    def __init__(self, rows: Iterable[TokenRow], clock: Clock) -> None:
        self._rows: dict[str, TokenRow] = {}
        self._ids_by_key: dict[bytes, set[str]] = {}  # of certificates
        self._clock = clock
        for row in rows:
            self.add(row)

    @property
    def rows(self) -> Mapping[str, TokenRow]:
        """All rows by token id, revoked and expired ones too."""
        return MappingProxyType(self._rows)

    def find(self, text: str) -> TokenRow | None:
        """The row of a token that is known, not revoked and not expired; None otherwise."""
        match = _TOKEN.fullmatch(text)
        row = self._rows.get(match[1]) if match else None
        if (
            row is None
            or row.certificate
            or not hmac.compare_digest(row.token_hash, hash_token(text))
        ):
            return None
        return row if self._is_valid(row) else None

    def find_certificate(self, certificate: ClientCertificate) -> TokenRow | None:
        """The row of a certificate that TLS has verified; None when it or the row is not valid."""
        if certificate.expires <= self._clock.wall_ms() // 1000:
            return None  # since the connection was made
        return next(self._valid_rows(certificate.key_hash), None)

    def has_key(self, key_hash: bytes) -> bool:
        """Whether a public key has a valid row."""
        return next(self._valid_rows(key_hash), None) is not None

    def knows_key(self, key_hash: bytes) -> bool:
        """Whether a public key has a row, valid or not."""
        return key_hash in self._ids_by_key

    def holds(self, row: TokenRow) -> bool:
        """Whether the token of a row that was found before is valid still."""
        newest = self._rows.get(row.id)
        return newest is not None and self._is_valid(newest)

    def add(self, row: TokenRow) -> None:
        """Know a new row, or what became of one."""
        self._rows[row.id] = row
        if row.certificate:
            self._ids_by_key.setdefault(row.token_hash, set()).add(row.id)

    def revoked(self, token_id: str) -> TokenRow:
        """The row of a token as it is once revoked now; NotFoundError for an unknown id."""
        row = self._rows.get(token_id)
        if row is None:
            message = f"no token with the id {token_id}"
            raise NotFoundError(message)
        return row if row.revoked else replace(row, revoked=self._clock.wall_ms() // 1000)

    def _valid_rows(self, key_hash: bytes) -> Iterator[TokenRow]:
        for row_id in self._ids_by_key.get(key_hash, ()):
            row = self._rows[row_id]
            if self._is_valid(row):
                yield row

    def _is_valid(self, row: TokenRow) -> bool:
        return row.revoked is None and row.expires > self._clock.wall_ms() // 1000
