"""TLS as the server speaks it: what its files held, and the contexts that are made of it.

A context is made of bytes that were read once, so that certificate and key are of one moment, and
so that worker processes, which are given the bytes, need not be able to read the files.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tlog.errors import TlsFileError

_REVOCATION_LIST = b"-----BEGIN X509 CRL-----"
_UNREADABLE = (ValueError, x509.InvalidVersion, UnsupportedAlgorithm)  # what cryptography raises
_SENTENCES = {
    "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
    "NO_START_LINE": "expected PEM",
    "BAD_END_LINE": "expected PEM, got a part of it",
    "EE_KEY_TOO_SMALL": "the key is too short",
    "CA_MD_TOO_WEAK": "a signature in the chain is of a broken hash",
}


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """What TLS is done with: PEM, the server's certificate first in its chain.

    client_ca: certificates of those who sign clients' certificates; None asks clients for none.
    client_required: whether a client without a certificate is refused.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None = None
    client_required: bool = False


def make_context(material: TlsMaterial) -> ssl.SSLContext:
    """A server's context: HTTP/1.1 over TLS 1.2 and later, over 1.3 with clients' certificates.

    Raises:
        TlsFileError: certificate, key and authorities are not PEM, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    with _readable(material.certificate) as certificate, _readable(material.key) as key:
        try:
            context.load_cert_chain(certificate, key, password=_refuse_encrypted)
        except (ssl.SSLError, OSError) as error:
            message = f"certificate and key: {_sentence(error)}"
            raise TlsFileError(message) from error
    if material.client_ca is not None:
        # A session that is taken up again would skip the check of the client's certificate; and
        # those of TLS 1.2 are kept, with what clients have shown, by a cache that ssl cannot end.
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        context.verify_mode = ssl.CERT_REQUIRED if material.client_required else ssl.CERT_OPTIONAL
        if _REVOCATION_LIST in material.client_ca:
            message = (
                "certificates of the clients' authorities: expected certificates alone, got a "
                "revocation list, which is not looked at (tlog token revoke)"
            )
            raise TlsFileError(message)
        with _readable(material.client_ca) as authorities:
            try:
                context.load_verify_locations(authorities)
            except (ssl.SSLError, OSError) as error:
                message = f"certificates of the clients' authorities: {_sentence(error)}"
                raise TlsFileError(message) from error
    return context


@dataclass(frozen=True, slots=True)
class LoadedTls:
    """Material, and the context that was made of it."""

    material: TlsMaterial
    context: ssl.SSLContext = field(repr=False)

    @classmethod
    def of(cls, material: TlsMaterial) -> Self:
        """Make the context, which takes long where there are many authorities; as make_context."""
        return cls(material, make_context(material))


def expiry_of(certificate: bytes) -> int:
    """Not-after of the first certificate in PEM, as POSIX seconds.

    Raises:
        TlsFileError: it cannot be read.
    """
    try:
        first = x509.load_pem_x509_certificates(certificate)[0]
        return int(first.not_valid_after_utc.timestamp())
    except _UNREADABLE as error:
        message = "certificate: expected X.509 in PEM"
        raise TlsFileError(message) from error


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What tells who a client is: SHA-256 of the public key, and not-after in POSIX seconds."""

    key_hash: bytes
    expires: int


def read_client_certificate(der: bytes) -> ClientCertificate:
    """Read a client's certificate.

    The hash is of SubjectPublicKeyInfo (RFC 5280, 4.1), DER: certificates that replace one another
    for the same key have it in common, and it is a client's name.

    Raises:
        TlsFileError: it cannot be read, or its key is of a kind that is not known.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        expires = int(certificate.not_valid_after_utc.timestamp())
    except _UNREADABLE as error:
        message = "certificate: expected X.509 with a public key of a known kind"
        raise TlsFileError(message) from error
    return ClientCertificate(hashlib.sha256(encoded).digest(), expires)


def read_client_pem(text: str) -> ClientCertificate:
    """Read the first certificate in PEM; as read_client_certificate."""
    try:
        certificate = x509.load_pem_x509_certificates(text.encode())[0]
    except _UNREADABLE as error:
        message = "certificate: expected X.509 in PEM"
        raise TlsFileError(message) from error
    return read_client_certificate(certificate.public_bytes(Encoding.DER))


@contextmanager
def _readable(content: bytes) -> Iterator[str]:
    """A path of content, which is in memory only; for OpenSSL, which takes no bytes."""
    with os.fdopen(os.memfd_create("tlog-tls"), "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def _refuse_encrypted() -> NoReturn:
    """Called for a pass phrase: a server that begins unattended has none."""
    message = "certificate and key: the key is encrypted, expected one without a pass phrase"
    raise TlsFileError(message)


def _sentence(error: OSError) -> str:
    """What is wrong, without the name of a file that only OpenSSL knew."""
    reason = getattr(error, "reason", None) or "NO_START_LINE"
    return _SENTENCES.get(reason, reason.lower().replace("_", " "))
