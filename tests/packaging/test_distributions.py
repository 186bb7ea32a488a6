"""Each of the three distributions holds what it says, and imports with everything else absent."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.wheels import PROJECTS, ROOT, Wheel, run_python

SOURCES = {
    "tlog": ROOT / "tlog",
    "tlog_clients": ROOT / "clients" / "tlog_clients",
    "tlog_proofs": ROOT / "proofs" / "tlog_proofs",
}
PACKAGES = {
    "tlog": {"tlog", "tlog_clients", "tlog_proofs"},
    "tlog_clients": {"tlog_clients", "tlog_proofs"},
    "tlog_proofs": {"tlog_proofs"},
}

# Imports every module of a package; names in BLOCKED and all below them are as if not installed.
IMPORT_ALL = """
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)

sys.meta_path.insert(0, Blocked())
package = importlib.import_module(PACKAGE)
for module in pkgutil.walk_packages(package.__path__, PACKAGE + "."):
    if not module.name.endswith(".__main__"):
        importlib.import_module(module.name)
print(package.__path__[0])
"""

NO_EXTRA = """
import sys
sys.path.insert(0, sys.argv[1])
import tlog_proofs as t
for use in (
    lambda: t.Ed25519Verifier("log.example", bytes(32)).verify(b"text", bytes(64)),
    lambda: t.decode_cbor(bytes(1), max_bytes=1),
):
    try:
        use()
    except t.TlogError as error:
        print(type(error).__name__, error)
"""


def import_all(package: str, blocked: set[str], *options: str, folder: Path) -> Path:
    """Import all modules of a package in a new interpreter; return the folder it came from."""
    preamble = f"PACKAGE = {package!r}\nBLOCKED = {sorted(blocked)!r}\n"
    preamble += f"import sys\nsys.path.insert(0, {str(folder)!r})\n"
    return Path(run_python(*options, "-c", preamble + IMPORT_ALL, cwd=folder).strip())


@pytest.mark.parametrize("name", PROJECTS)
def test_wheel_holds_exactly_its_packages(name: str, wheel: Callable[[str], Wheel]) -> None:
    """A wheel holds every file of its packages' sources, py.typed included, and nothing else."""
    expected = {
        str(Path(package, path.relative_to(SOURCES[package])))
        for package in PACKAGES[name]
        for path in SOURCES[package].rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {path for path in wheel(name).names if ".dist-info/" not in path}
    assert held == expected
    assert {f"{package}/py.typed" for package in PACKAGES[name]} <= held


@pytest.mark.parametrize("name", PROJECTS)
def test_wheel_carries_the_licence(name: str, wheel: Callable[[str], Wheel]) -> None:
    """The licence's full text travels with each wheel."""
    built = wheel(name)
    (licence,) = built.folder.glob("*.dist-info/licenses/LICENSE")
    assert licence.read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert built.metadata["License-Expression"] == "Apache-2.0"


def test_versions_agree(wheel: Callable[[str], Wheel]) -> None:
    """The three distributions are released as one: they have one version."""
    assert len({str(wheel(name).metadata["Version"]) for name in PROJECTS}) == 1


def test_requirements_of_the_alternatives(wheel: Callable[[str], Wheel]) -> None:
    """The verifier needs nothing, and the clients nothing that only the server uses."""
    server = wheel("tlog").requirements
    clients = wheel("tlog_clients").requirements
    assert wheel("tlog_proofs").requirements == {}
    assert set(clients) == {"aiohttp", "cbor2", "cryptography"}
    assert "plyvel" in server
    assert clients.keys() < server.keys()


def test_extras_of_the_verifier(wheel: Callable[[str], Wheel]) -> None:
    """Signatures and CBOR are extras of the verifier, with the floors of the server."""
    guarded = set(wheel("tlog_proofs").metadata.get_all("Requires-Dist") or [])
    server = wheel("tlog").requirements
    assert guarded == {
        f"{server['cryptography']}; extra == 'signatures'",
        f"{server['cryptography']}; extra == 'cbor'",
        f"{server['cbor2']}; extra == 'cbor'",
    }


def test_verifier_imports_with_the_standard_library_alone(wheel: Callable[[str], Wheel]) -> None:
    """Every module of the proofs wheel imports in an interpreter without any other package."""
    folder = wheel("tlog_proofs").folder
    assert import_all("tlog_proofs", set(), "-I", "-S", folder=folder) == folder / "tlog_proofs"


def test_verifier_names_the_missing_extra(wheel: Callable[[str], Wheel]) -> None:
    """Without extras, a signature and a CBOR function raise the named error, saying which extra."""
    folder = wheel("tlog_proofs").folder
    printed = run_python("-I", "-S", "-c", NO_EXTRA, str(folder), cwd=folder)
    assert [line.split()[0] for line in printed.splitlines()] == ["MissingDependencyError"] * 2
    assert "tlog-proofs[signatures]" in printed
    assert "tlog-proofs[cbor]" in printed


def test_clients_import_without_the_server(wheel: Callable[[str], Wheel]) -> None:
    """Every module of the clients wheel imports where only its own requirements are installed."""
    only_server = set(wheel("tlog").requirements) - set(wheel("tlog_clients").requirements)
    folder = wheel("tlog_clients").folder
    found = import_all("tlog_clients", only_server | {"tlog"}, "-I", folder=folder)
    assert found == folder / "tlog_clients"


def test_server_imports_from_its_wheel(wheel: Callable[[str], Wheel]) -> None:
    """Every module of the root wheel imports, and its `tlog` command points at one of them."""
    folder = wheel("tlog").folder
    assert import_all("tlog", set(), "-I", folder=folder) == folder / "tlog"
    command = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["tlog"]
    module, function = command.split(":")
    check = f"import sys; sys.path.insert(0, {str(folder)!r})\n"
    check += f"import {module} as m; print(callable(m.{function}), m.__file__)"
    assert run_python("-I", "-c", check, cwd=folder).startswith(f"True {folder}")


def test_examples_of_the_verifier_run(wheel: Callable[[str], Wheel]) -> None:
    """The examples in the verifier's README run with the verifier alone; others with its extras."""
    first, *others = re.findall(
        r"```python\n(.*?)```", (ROOT / "proofs/README.md").read_text(), re.DOTALL
    )
    folder = wheel("tlog_proofs").folder
    preamble = f"import sys; sys.path.insert(0, {str(folder)!r})\n"
    printed = run_python("-I", "-S", "-c", preamble + first, cwd=folder)
    assert printed.startswith("not in the log: ")
    for example in others:
        run_python("-I", "-c", preamble + example, cwd=folder)
