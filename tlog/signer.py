"""The log key on disk: one line, mode 0600, refused otherwise."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tlog.errors import DataDirectoryError
from tlog_proofs import Ed25519Signer, TlogError, parse_signer_key

KEY_MODE = 0o600
MAX_KEY_BYTES = 1024
# A pipe in the key's place must not be waited for.
_READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def write_key(path: Path, signer: Ed25519Signer) -> None:
    """Write a new key file `PRIVATE+KEY+...` LF, its bytes durable (OSError as it comes)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, KEY_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(signer.text.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_key(path: Path) -> Ed25519Signer:
    """The signer of a key file.

    Raises:
        DataDirectoryError: missing, open to others, or not one well-formed line. No message
            holds any of the file's bytes.
    """
    try:
        descriptor = os.open(path, _READ_FLAGS)
    except OSError as error:
        message = f"the log key cannot be opened: {error.strerror}"
        raise DataDirectoryError(message) from error
    try:
        status = os.fstat(descriptor)
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISREG(status.st_mode) or mode & 0o077:
            message = f"the log key has mode {mode:04o}, expected a file of mode 0600"
            raise DataDirectoryError(message)
        data = os.read(descriptor, MAX_KEY_BYTES + 1)
    except OSError as error:
        message = f"the log key cannot be read: {error.strerror}"
        raise DataDirectoryError(message) from error
    finally:
        os.close(descriptor)
    if len(data) > MAX_KEY_BYTES or not data.endswith(b"\n"):
        message = "the log key is not one line"
        raise DataDirectoryError(message)
    try:
        return parse_signer_key(data[:-1].decode("ascii"))
    except (TlogError, UnicodeDecodeError):
        message = "the log key is not a PRIVATE+KEY line"
        raise DataDirectoryError(message) from None
