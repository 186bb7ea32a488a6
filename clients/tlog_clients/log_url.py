"""The address of a log: checked once, before anything is sent to it."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from tlog_proofs import MalformedError

MAX_URL_CHARS = 2000
_URL_CHARS = re.compile(r"[!-~]+")
_NETLOC = re.compile(
    r"(?:\[[^\[\]]+\]|[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?)(?::[0-9]*)?"
)
_TLOG_PATH = re.compile(r"(?:.*/)?logs/[a-z0-9][a-z0-9-]{0,62}")


class MalformedUrlError(MalformedError):
    """A log's address is not http(s)://HOST/PATH."""


def parse_log_url(url: str) -> str:
    """Return the log's address without trailing slash, ready for "/" and a resource's path.

    Any path is allowed, because other projects' logs lie where they like; a log of tlog is at
    http(s)://HOST/logs/NAME (see is_tlog_url).

    Raises:
        MalformedUrlError: not http or https, no host or none that can be, a port that is none, a
            user name or password, a query or a fragment, characters that an address does not have,
            or longer than 2,000 characters.
    """
    # The address itself is not repeated in errors: it may hold a password.
    if len(url) > MAX_URL_CHARS or not _URL_CHARS.fullmatch(url):
        raise MalformedUrlError("log URL: expected at most 2,000 printable ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
        if "[" in parts.netloc:
            ipaddress.IPv6Address(parts.hostname or "")
    except ValueError:
        raise MalformedUrlError("log URL: expected http(s)://HOST[:PORT]/logs/NAME") from None
    if "@" in parts.netloc:
        raise MalformedUrlError("log URL: expected no user name or password (use a token)")
    if parts.scheme not in ("http", "https") or not _NETLOC.fullmatch(parts.netloc) or port == 0:
        raise MalformedUrlError("log URL: expected http(s)://HOST[:PORT]/logs/NAME")
    if "?" in url or "#" in url:
        raise MalformedUrlError("log URL: expected no query and no fragment")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def is_tlog_url(log_url: str) -> bool:
    """Whether a parsed address has the form of a log served by tlog: .../logs/NAME."""
    return _TLOG_PATH.fullmatch(urlsplit(log_url).path.lstrip("/")) is not None


def is_private_transport(log_url: str) -> bool:
    """Whether a token sent to the address cannot be read on the way: https, or this machine."""
    parts = urlsplit(log_url)
    return parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")
