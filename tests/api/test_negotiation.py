from __future__ import annotations

import pytest

from tlog.api.errors import NotAcceptableError
from tlog.api.negotiation import accepts_gzip, choose_type


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("APPLICATION/JSON; charset=utf-8", "application/json"),
        ("text/plain", "text/plain"),
        ("text/*", "text/plain"),
        ("text/plain, */*;q=0.1", "text/plain"),
        ("text/plain;q=0.5, application/json;q=0.4", "text/plain"),
        ("text/plain;q=0.5, application/*;q=0.6", "application/json"),
        ("application/json;q=0, */*", "text/plain"),
        ("application/cose, text/plain;q=0.2", "text/plain"),
        ("text/plain;q=2, application/json;q=0.1", "application/json"),
        ("application/cose", None),
        ("text/html, image/*;q=0.8", None),
        ("*/*;q=0", None),
        ("application/json;q=0.000", None),
        (",,;;", None),
    ],
)
def test_accept_chooses_by_weight_then_by_our_order(accept: str | None, chosen: str | None) -> None:
    """RFC 9110 section 12.5.1: the most specific range counts, weight 0 refuses."""
    offers = ("application/json", "text/plain")
    if chosen is None:
        with pytest.raises(NotAcceptableError, match="application/json, text/plain"):
            choose_type(accept, offers)
    else:
        assert choose_type(accept, offers) == chosen


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("GZip, identity", True),
        ("gzip;q=0", False),
        ("*", True),
        ("*, gzip;q=0", False),
        ("br;q=1, gzip;q=0.001", True),
    ],
)
def test_gzip_is_sent_only_when_asked_for(header: str | None, taken: bool) -> None:
    """RFC 9110 section 12.5.3, without Accept-Encoding: nothing is assumed."""
    assert accepts_gzip(header) is taken
