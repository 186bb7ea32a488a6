"""Signature algorithms over bytes. The only importer of cryptography, and only when one is used.

Keys as names, ids and text are the business of keys.py; what they sign, of note.py and others.

ML-DSA-44 signatures are made with fresh randomness of cryptography's own (FIPS 204, hedged), which
it takes from nobody: two signatures of one message differ, and both are good. Nothing else in this
package is random.

Source: RFC 8032 (Ed25519), FIPS 204 (ML-DSA-44).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tlog_proofs.errors import MissingDependencyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

SEED_SIZE = 32
"""Bytes of a private key of either algorithm, as it is kept."""
ED25519_PUBLIC_KEY_SIZE = 32
ED25519_SIGNATURE_SIZE = 64
ML_DSA_44_PUBLIC_KEY_SIZE = 1312
ML_DSA_44_SIGNATURE_SIZE = 2420


def ed25519_verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether an Ed25519 signature of 64 bytes is that of the 32-byte key over the message.

    Raises:
        MissingDependencyError: cryptography is not installed.
    """
    # Imported here: everything else in this package works without cryptography.
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise _missing() from error
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def ed25519_public_key(seed: bytes) -> bytes:
    """Compute the 32-byte public key of a 32-byte seed.

    Raises:
        MissingDependencyError: cryptography is not installed.
    """
    return _ed25519_key(seed).public_key().public_bytes_raw()


def ed25519_sign(seed: bytes, message: bytes) -> bytes:
    """Sign with the key of a 32-byte seed: 64 bytes, the same for the same message.

    Raises:
        MissingDependencyError: cryptography is not installed.
    """
    return _ed25519_key(seed).sign(message)


def ml_dsa_44_verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether a pure ML-DSA-44 signature, empty context, is that of the 1,312-byte key.

    Raises:
        MissingDependencyError: cryptography is not installed, or was built without ML-DSA.
    """
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import mldsa
    except ImportError as error:
        raise _missing() from error
    try:
        mldsa.MLDSA44PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    except UnsupportedAlgorithm as error:
        raise _missing() from error
    return True


def ml_dsa_44_public_key(seed: bytes) -> bytes:
    """Compute the 1,312-byte public key of a 32-byte seed.

    Raises:
        MissingDependencyError: cryptography is not installed, or was built without ML-DSA.
    """
    return _ml_dsa_44_key(seed).public_key().public_bytes_raw()


def ml_dsa_44_sign(seed: bytes, message: bytes) -> bytes:
    """Sign with the key of a 32-byte seed: 2,420 bytes, other ones each time.

    Raises:
        MissingDependencyError: cryptography is not installed, or was built without ML-DSA.
    """
    return _ml_dsa_44_key(seed).sign(message)


def _ed25519_key(seed: bytes) -> ed25519.Ed25519PrivateKey:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise _missing() from error
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)


def _ml_dsa_44_key(seed: bytes) -> mldsa.MLDSA44PrivateKey:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import mldsa
    except ImportError as error:
        raise _missing() from error
    try:
        return mldsa.MLDSA44PrivateKey.from_seed_bytes(seed)
    except UnsupportedAlgorithm as error:
        raise _missing() from error


def _missing() -> MissingDependencyError:
    return MissingDependencyError("cryptography", "signatures")
