"""The one seam to the network: the Fetcher protocol, and the bounded HTTP client behind it."""

from __future__ import annotations

import io
import re
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import aiohttp

from tlog_clients.bounded_body import read_body
from tlog_clients.connection_errors import broke_off, reason_of
from tlog_clients.errors import (
    FetchTimeoutError,
    HttpStatusError,
    MalformedAnswerError,
    NotReachableError,
    OutcomeUnknownError,
    TooLargeError,
)
from tlog_clients.log_url import parse_log_url
from tlog_clients.problem import MAX_PROBLEM_BYTES, PROBLEM_CONTENT_TYPE, parse_problem
from tlog_clients.retry import Retries
from tlog_proofs import MAX_NOTE_BYTES, MalformedError, TlogError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from ssl import SSLContext
    from types import TracebackType

DEFAULT_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 16
MAX_TOKEN_CHARS = 1000
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
_DELAY_SECONDS = re.compile(r"[0-9]{1,9}")
_OK = 200
_FIRST = "checkpoint"  # what every log has
_SUCCESS = range(200, 203)


class Fetcher(Protocol):
    """Whatever can read a log's public resources: HTTP, a directory, a test's memory."""

    async def fetch(self, path: str, *, max_bytes: int) -> bytes:
        """Return the whole resource.

        Args:
            path: relative to the log's address, as "checkpoint" or "tile/0/000.p/5".
            max_bytes: reading stops at this bound.

        Raises:
            HttpStatusError: the log has no such resource (404) or does not give it.
            TooLargeError: the resource is longer than max_bytes.
            FetchError: it could not be read.
        """
        ...


class Poster(Protocol):
    """Whatever can submit entries to a log."""

    async def post(
        self,
        path: str,
        body: bytes,
        *,
        content_type: str,
        params: Mapping[str, str],
        max_bytes: int,
        idempotency_key: str | None = None,
    ) -> PostAnswer:
        """Send body and return the answer, of status 200 to 202 and at most max_bytes.

        Args:
            path: relative to the log's address.
            body: sent exactly as it is.
            content_type: its media type.
            params: of the query.
            max_bytes: reading the answer stops at this bound.
            idempotency_key: sent as Idempotency-Key: the id of the one entry in body.

        Raises:
            OutcomeUnknownError: the request went out, and no answer came back that can be read.
            HttpStatusError: another status.
            FetchError: nothing was sent.
        """
        ...


@dataclass(frozen=True, slots=True)
class PostAnswer:
    """Status and body of an accepted submission."""

    status: int
    body: bytes


class HttpFetcher:
    """Reads from and appends to one log over HTTP; an asynchronous context manager.

    Redirects are not followed, cookies and proxy settings not used, and the token is sent to no
    other address and stands in no error. What is read is asked for again while a failure may pass;
    what is posted is sent once.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        connector: aiohttp.BaseConnector | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: Retries | None = None,
        ssl: SSLContext | None = None,
    ) -> None:
        """Check the address and the token; nothing is opened before the context is entered.

        Args:
            url: the log's address, http(s)://HOST/logs/NAME or another project's.
            token: sent as Authorization: Bearer.
            connector: another way to the server, as aiohttp.UnixConnector; closed with the fetcher.
            timeout_s: seconds for one whole answer.
            retries: how to ask again when reading; without it by a RetryPolicy's defaults.
            ssl: whom to trust, and which certificate to show; without it the system's authorities
                and none. Not used with a connector.

        Raises:
            MalformedUrlError: url is no log's address.
            MalformedError: the token has characters that no token has.
        """
        self._url = parse_log_url(url)
        self._headers = {"Accept-Encoding": "gzip, identity"}
        if token is not None:
            if len(token) > MAX_TOKEN_CHARS or not _TOKEN.fullmatch(token):
                raise MalformedError("token: expected the characters of a bearer token (RFC 6750)")
            self._headers["Authorization"] = f"Bearer {token}"
        self._connector = connector
        self._ssl = ssl
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        self._retries = retries or Retries()
        self._session: aiohttp.ClientSession | None = None  # owned by the context
        self._has_answered = False

    @property
    def url(self) -> str:
        """The log's address, without trailing slash."""
        return self._url

    async def __aenter__(self) -> Self:
        """Open the session."""
        self._session = aiohttp.ClientSession(
            connector=self._connector
            or aiohttp.TCPConnector(
                limit=MAX_CONNECTIONS, ssl=True if self._ssl is None else self._ssl
            ),
            headers=self._headers,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # read_body decompresses, with a bound
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch(self, path: str, *, max_bytes: int, accept: str | None = None) -> bytes:
        """Return the resource, as Fetcher says; `accept` is the media type that is asked for.

        Raises:
            FetchError: its kinds, as Fetcher says.
            MalformedAnswerError: a damaged gzip stream.
        """
        return await self._retries.run(lambda: self._fetch_once(path, max_bytes, accept))

    async def _fetch_once(self, path: str, max_bytes: int, accept: str | None) -> bytes:
        headers = {} if accept is None else {"Accept": accept}
        # `from None`: aiohttp's errors hold the request's headers, the token among them.
        try:
            async with self._request("GET", path, headers=headers) as response:
                if response.status != _OK:
                    raise await _status_error(response, path)
                return await read_body(response, path, max_bytes)
        except TimeoutError:
            raise FetchTimeoutError(f"{self._url}/{path}: no whole answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NotReachableError(f"{self._url}/{path}: {self._reason(error)}") from None

    async def post(
        self,
        path: str,
        body: bytes,
        *,
        content_type: str,
        params: Mapping[str, str],
        max_bytes: int,
        idempotency_key: str | None = None,
    ) -> PostAnswer:
        """Send body and return the answer, as Poster says.

        Raises:
            FetchError: its kinds, as Poster says.
        """
        await self._meet()
        where = f"{self._url}/{path}"
        headers = {"Content-Type": content_type}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        try:
            async with self._request(
                "POST", path, body=body, headers=headers, params=params
            ) as response:
                if response.status not in _SUCCESS:
                    raise await _status_error(response, path)
                return PostAnswer(response.status, await read_body(response, path, max_bytes))
        except (TooLargeError, MalformedAnswerError) as error:
            raise OutcomeUnknownError(f"{where}: sent, but no answer: {error}") from error
        except aiohttp.ClientConnectorError as error:
            raise NotReachableError(f"{where}: {self._reason(error)}") from None
        except aiohttp.ConnectionTimeoutError:
            raise FetchTimeoutError(f"{where}: no connection in time") from None
        except TimeoutError:
            raise OutcomeUnknownError(f"{where}: sent, but no whole answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise OutcomeUnknownError(f"{where}: sent, but {reason_of(error)}") from None

    async def _meet(self) -> None:
        """Let a server under TLS answer once before anything is sent that may take effect.

        In TLS 1.3 a refused certificate shows only after the first request, as if it had gone out.
        """
        if self._has_answered or not self._url.startswith("https:"):
            return
        try:
            async with self._request("GET", _FIRST) as response:
                with suppress(TooLargeError, MalformedAnswerError):
                    await read_body(response, _FIRST, MAX_NOTE_BYTES)
        except TimeoutError:
            raise FetchTimeoutError(f"{self._url}: no answer in time; nothing was sent") from None
        except (aiohttp.ClientError, OSError) as error:
            reason = self._reason(error)
            raise NotReachableError(f"{self._url}: {reason}; nothing was sent") from None

    def _reason(self, error: Exception) -> str:
        hint = " (perhaps the server wants a client's certificate, or refused this one)"
        is_hinted = self._url.startswith("https:") and not self._has_answered and broke_off(error)
        return reason_of(error) + (hint if is_hinted else "")

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("HttpFetcher is used outside its context")
        async with self._session.request(
            method,
            f"{self._url}/{path}",
            # As a file, a long body is written piece by piece.
            data=None if body is None else io.BytesIO(body),
            params=params,
            headers=headers,
            allow_redirects=False,
        ) as response:
            self._has_answered = True
            yield response


async def _status_error(response: aiohttp.ClientResponse, path: str) -> HttpStatusError:
    retry_after_s = _retry_after_s(response)
    if response.content_type != PROBLEM_CONTENT_TYPE:
        return HttpStatusError(path, response.status, retry_after_s=retry_after_s)
    try:
        problem = parse_problem(await read_body(response, path, MAX_PROBLEM_BYTES))
    except (TlogError, aiohttp.ClientError, OSError):  # the status alone says enough
        problem = None
    return HttpStatusError(path, response.status, problem, retry_after_s=retry_after_s)


def _retry_after_s(response: aiohttp.ClientResponse) -> int | None:
    """Seconds of Retry-After; None where it is absent or a date (RFC 9110 section 10.2.3)."""
    value = response.headers.get("Retry-After", "")
    return int(value) if _DELAY_SECONDS.fullmatch(value) else None
