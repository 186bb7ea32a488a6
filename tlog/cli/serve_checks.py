"""What the options of `tlog serve` must be together, and what they name: found without starting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tlog.addresses import collide, is_loopback
from tlog.control import ControlDatabase
from tlog.errors import LockHeldError, ServerError, TlsFileError
from tlog.local import is_listened_at
from tlog.lock import DirectoryLock
from tlog.tls import make_context
from tlog.tls_files import TlsFiles

Found = tuple[str, str]  # key, sentence


def combination_problems(values: Mapping[str, Any]) -> Iterator[Found]:
    """Which options cannot go together, by the names of their parameters.

    Raises:
        OSError: an address does not resolve.
    """
    certificate, authorities = values["tls_cert"], values["tls_client_ca"]
    if (certificate is None) != (values["tls_key"] is None):
        yield "tls_cert", "--tls-cert and --tls-key are given together or not at all"
    if authorities is not None and certificate is None:
        yield "tls_client_ca", "--tls-client-ca needs --tls-cert and --tls-key"
    if values["tls_client_required"] and authorities is None:
        yield "tls_client_required", "--tls-client-required needs --tls-client-ca"
    public, admin = values["address"], values["admin_address"]
    if admin is not None and collide(public, admin):
        yield "admin_listen", "--admin-listen and --listen are one address: each needs its own"
    if values["behind_tls_proxy"] or certificate is not None:
        return
    for key, address in (("listen", public), ("admin_listen", admin)):
        if address is not None and not is_loopback(address):
            sentence = (
                f"{address.host} is not loopback: tokens and entries would travel unencrypted. "
                "Give --tls-cert and --tls-key, "
                "or put a TLS proxy in front and say --behind-tls-proxy"
            )
            yield key, sentence


def tls_problems(values: Mapping[str, Any]) -> Iterator[Found]:
    """Why TLS cannot be done with the files that are named."""
    certificate, key = values["tls_cert"], values["tls_key"]
    if certificate is None or key is None:
        return
    files = TlsFiles(certificate, key, values["tls_client_ca"], values["tls_client_required"])
    try:
        make_context(files.read())
    except TlsFileError as error:
        yield "tls_cert", str(error)


def directory_problems(data_dir: Path) -> Iterator[Found]:
    """What is wrong with a data directory and its heads; no file is changed, made or removed.

    Raises:
        LockHeldError: a server or a command has it, so that its heads cannot be asked for.
    """
    control_path = data_dir / "control.db"
    if not control_path.exists():
        yield "data", f"{data_dir} is no data directory: run `tlog init` first"
        return
    try:
        if is_listened_at(data_dir):
            message = f"a server has {data_dir}"
            raise LockHeldError(message)
        # Who has no lock file has no server, but commands that are about to make one.
        there = (data_dir / "lock").exists()
        with DirectoryLock(data_dir, make=False) if there else nullcontext():
            control = ControlDatabase(control_path, unchanged=True)
            heads = control.heads
            control.close()
    except LockHeldError:
        raise
    except ServerError as error:
        yield "data", str(error)
        return
    if not heads.is_dir():
        yield "data", f"the directory of its heads, {heads}, is not there"
