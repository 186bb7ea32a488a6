"""Content negotiation by Accept and Accept-Encoding (RFC 9110 section 12.5)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tlog.api.errors import NotAcceptableError

_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?", re.ASCII)
MAX_RANGES = 32  # of an Accept header; what comes behind them is not looked at


def choose_type(accept: str | None, offers: Sequence[str]) -> str:
    """The media type to answer with: the client's best, the earlier offer among equals.

    Args:
        accept: the Accept header; None and an empty one accept everything.
        offers: media types in lower case, without parameters.

    Raises:
        NotAcceptableError: none of the offers is accepted; names them.
    """
    if accept is None or not accept.strip():
        return offers[0]
    ranges = _weights(accept)
    weights = [_weight_of(offer, ranges) for offer in offers]
    best = max(weights)
    if best <= 0:
        message = f"this resource can be had as {', '.join(offers)}"
        raise NotAcceptableError(message)
    return offers[weights.index(best)]


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether the client takes the content coding gzip; silence is no."""
    weights = _weights(accept_encoding or "")
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weights(header: str) -> dict[str, float]:
    """The elements of the header with their weights; one that is malformed counts as refused."""
    weights: dict[str, float] = {}
    for element in header.split(",")[:MAX_RANGES]:
        name, *parameters = (part.strip().lower() for part in element.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                value = parameter[2:]
                weight = float(value) if _WEIGHT.fullmatch(value) else 0.0
        weights[name] = max(weight, weights.get(name, 0.0))
    return weights


def _weight_of(offer: str, ranges: dict[str, float]) -> float:
    """The weight of the most specific range that matches the offer."""
    for candidate in (offer, offer.partition("/")[0] + "/*", "*/*"):
        if candidate in ranges:
            return ranges[candidate]
    return 0.0
