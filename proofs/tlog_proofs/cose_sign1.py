"""COSE_Sign1: one signature over a payload and a protected header, in CBOR with the tag 18.

    18([protected header, unprotected header, payload / null, signature])

The protected header is a map within a byte string, which the signature covers as it stands: its
keys may come in any order. All that no signature covers has one spelling, deterministic CBOR.

Source: RFC 9052 sections 3, 4.2 and 4.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tlog_proofs.cbor import decode_cbor, encode_cbor
from tlog_proofs.errors import MalformedCborError, MalformedReceiptError

MAX_COSE_BYTES = 1 << 16
Label = int | str | bytes
"""What names a header parameter; COSE has the first two."""

CRITICAL = 2
"""Header label `crit`: the labels that whoever does not understand them must refuse."""

_TAG_18 = b"\xd2"
_CONTEXT = "Signature1"


@dataclass(frozen=True, slots=True)
class CoseSign1:
    """A COSE_Sign1 with nothing verified.

    protected: the encoded protected header, a map. unprotected: a map that nothing vouches for.
    payload: None where it is detached.
    """

    protected: bytes
    unprotected: Mapping[Label, object]
    payload: bytes | None
    signature: bytes

    @property
    def headers(self) -> Mapping[Label, object]:
        """The protected header, decoded.

        Raises:
            MalformedReceiptError: it is no map.
            MissingDependencyError: cbor2 is not installed.
        """
        try:
            headers = decode_cbor(self.protected, max_bytes=MAX_COSE_BYTES, any_key_order=True)
        except MalformedCborError as error:
            raise MalformedReceiptError(f"protected header: {error}") from error
        if not isinstance(headers, Mapping):
            raise MalformedReceiptError("expected a protected header that is a map")
        return headers


def parse_cose_sign1(data: bytes) -> CoseSign1:
    """Take a tagged COSE_Sign1 apart without verifying anything.

    Raises:
        MalformedReceiptError: it is none, spells one otherwise than format_cose_sign1 does, has a
            label in both headers, or a protected header that is no map.
        MissingDependencyError: cbor2 is not installed.
    """
    if not data.startswith(_TAG_18):
        raise MalformedReceiptError("expected a COSE_Sign1 with its tag 18, 0xd2 its first byte")
    try:
        fields = decode_cbor(data[1:], max_bytes=MAX_COSE_BYTES - 1)
    except MalformedCborError as error:
        raise MalformedReceiptError(f"COSE_Sign1: {error}") from error
    match fields:
        case [
            bytes(protected),
            Mapping() as unprotected,
            None | bytes() as payload,
            bytes(signature),
        ]:
            message = CoseSign1(protected, unprotected, payload, signature)
        case _:
            raise MalformedReceiptError(
                "expected [protected bstr, unprotected map, payload bstr / null, signature bstr]"
            )
    if not set(message.headers).isdisjoint(unprotected):
        raise MalformedReceiptError("expected each label in one of the two headers")
    return message


def format_cose_sign1(message: CoseSign1) -> bytes:
    """Write a COSE_Sign1 with its tag; the inverse of parse_cose_sign1.

    Raises:
        MalformedCborError: a field cannot be encoded.
        MissingDependencyError: cbor2 is not installed.
    """
    return _TAG_18 + encode_cbor(
        [message.protected, dict(message.unprotected), message.payload, message.signature]
    )


def text_to_sign(protected: bytes, payload: bytes) -> bytes:
    """Give what a signature covers: the Sig_structure, without external data.

    Its first byte is 0x84, with which no UTF-8 begins: so it is the text of no signed note.

    Source: RFC 9052 section 4.4.
    """
    return encode_cbor([_CONTEXT, protected, b"", payload])


def check_critical(headers: Mapping[Label, object], understood: frozenset[int]) -> None:
    """Refuse a message that demands of its reader what this one does not know.

    Raises:
        MalformedReceiptError: `crit` is there and is not a list of one or more labels that are in
            the protected header and understood.

    Source: RFC 9052 section 3.1.
    """
    if CRITICAL not in headers:
        return
    labels = headers[CRITICAL]
    if not (isinstance(labels, (list, tuple)) and labels):
        raise MalformedReceiptError("expected critical labels (crit) as a list of one or more")
    for label in labels:
        if not (type(label) is int and label in headers and label in understood):
            raise MalformedReceiptError("expected critical labels (crit) that are known and there")
