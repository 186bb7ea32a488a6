"""Certificates made for a test: authorities, servers, clients; written as PEM files."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
USAGES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
DAY = dt.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True)
class Certificate:
    """A certificate with its private key; an authority when it was made as one."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def authority(cls, name: str = "test authority") -> Self:
        """An authority, signed by itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name, key, 365).issuer_name(_name(name))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        builder = builder.add_extension(SIGNS_CERTIFICATES, True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    def issue(
        self,
        name: str,
        *,
        days: int = 90,
        begins: int = 0,
        key: ec.EllipticCurvePrivateKey | None = None,
        usages: Sequence[x509.ObjectIdentifier] = USAGES,
    ) -> Certificate:
        """A certificate of this authority, for 127.0.0.1 and for clients; days may be past.

        begins: in how many days, 0 for yesterday.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            _builder(name, key, days, begins)
            .add_extension(issuer, False)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.SubjectAlternativeName([address]), False)
            .add_extension(x509.ExtendedKeyUsage(usages), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        )
        return Certificate(builder.sign(self.key, hashes.SHA256()), key)

    def crl(self) -> bytes:
        """An empty list of what this authority has revoked, PEM."""
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(now).next_update(now + DAY)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def of_version(self, client: Certificate, version: int) -> bytes:
        """A certificate of this authority, DER, with another version (v1 is 0), signed anew."""
        signed = bytearray(client.certificate.tbs_certificate_bytes)
        place = signed.index(b"\xa0\x03\x02\x01\x02") + 4
        signed[place] = version
        signature = self.key.sign(bytes(signed), ec.ECDSA(hashes.SHA256()))
        algorithm = _tlv(0x30, bytes.fromhex("06082a8648ce3d040302"))  # ecdsa-with-SHA256
        return _tlv(0x30, bytes(signed) + algorithm + _tlv(0x03, b"\0" + signature))

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The certificate as TLS shows it."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        """The private key, not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, directory: Path, name: str) -> tuple[Path, Path]:
        """Write NAME.pem and NAME.key; their paths."""
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.write_bytes(self.pem)
        key.touch(mode=0o600)
        key.write_bytes(self.key_pem)
        return certificate, key

    def client_context(self, own: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """What a client has that trusts this authority; own: its certificate and key, as files."""
        context = ssl.create_default_context(cadata=self.pem.decode())
        if own is not None:
            context.load_cert_chain(*own)
        return context


def _builder(
    name: str, key: ec.EllipticCurvePrivateKey, days: int, begins: int = 0
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    end = now + days * DAY
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins * DAY if begins else min(now, end) - DAY)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )


def _tlv(tag: int, content: bytes) -> bytes:
    """DER of one value, of less than 64 KiB."""
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2)
    return bytes([tag]) + length + content
