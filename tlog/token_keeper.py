"""Who may have tokens and certificates: rows made, extended and revoked, in memory and on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from tlog.clock import Clock
from tlog.errors import AlreadyExistsError, UsageError
from tlog.tokens import Scope, TokenRow, TokenTable, hash_token, make_token


class TokenKeeper:
    """Changes the rows of a TokenTable, each durably; used on the event loop only."""

    def __init__(
        self,
        tokens: TokenTable,
        clock: Clock,
        put: Callable[[TokenRow], Awaitable[None]],
        announce: Callable[[], Awaitable[None]],
    ) -> None:
        """Put makes a row durable; announce is awaited after each change, before it is answered."""
        self._tokens = tokens
        self._clock = clock
        self._put = put
        self._announce = announce
        self._letting_in = asyncio.Lock()  # held from the look for a key's row to its being there

    async def create_token(
        self, logs: Sequence[str], scopes: Sequence[Scope], lifetime_s: int
    ) -> str:
        """Make a token for logs that exist; the returned text is kept nowhere.

        Raises:
            UsageError: no log, no scope or no lifetime.
        """
        token_id, text = make_token()
        await self._admit(self._row(token_id, hash_token(text), logs, scopes, lifetime_s))
        return text

    async def create_certificate(
        self, key_hash: bytes, logs: Sequence[str], scopes: Sequence[Scope], lifetime_s: int
    ) -> str:
        """Let certificates of a public key in (ClientCertificate.key_hash); the row's id.

        Raises:
            UsageError: as create_token. AlreadyExistsError: the key has a row that is valid.
        """
        row = self._row(make_token()[0], key_hash, logs, scopes, lifetime_s)
        async with self._letting_in:
            if self._tokens.has_key(key_hash):
                message = (
                    "the public key of this certificate has a valid entry: revoke that first, or "
                    "ask the operator if it is not among those that you see"
                )
                raise AlreadyExistsError(message)
            await self._admit(replace(row, certificate=True))
        return row.id

    async def extend(self, token_id: str, log_name: str) -> None:
        """Let a token have its rights on one more log; the caller announces it."""
        row = self._tokens.rows[token_id]
        row = replace(row, logs=row.logs | {log_name})
        # No await in between: a revocation finds this row or goes before it, here and on disk.
        self._tokens.add(row)
        await self._put(row)

    async def revoke(self, token_id: str) -> None:
        """Make a token invalid, at once and durably; NotFoundError for an unknown id."""
        row = self._tokens.revoked(token_id)
        # At once, whatever the disk says: a token that should be dead must not live on.
        self._tokens.add(row)
        try:
            await self._announce()
        finally:
            await self._put(row)

    def _row(
        self,
        row_id: str,
        secret_hash: bytes,
        logs: Sequence[str],
        scopes: Sequence[Scope],
        lifetime_s: int,
    ) -> TokenRow:
        if not logs or not scopes or lifetime_s < 1:
            message = "a token needs at least one log, one scope and one second to live"
            raise UsageError(message)
        created = self._clock.wall_ms() // 1000
        return TokenRow(
            id=row_id,
            token_hash=secret_hash,
            scopes=frozenset(scopes),
            logs=frozenset(logs),
            created=created,
            expires=created + lifetime_s,
        )

    async def _admit(self, row: TokenRow) -> None:
        await self._put(row)
        self._tokens.add(row)
        await self._announce()
