"""The shape of the repository: public names, package names, what tracked files must not say."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import tlog_clients
import tlog_proofs

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = (tlog_proofs, tlog_clients)
LONG_FILE_LINES = 300

MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:root|home/\w+|Users/\w+|work|tmp/\w+)/")
INDEX_HOSTS = re.compile(r"\b(?:pypi|pythonhosted|registry\.npmjs|proxy\.golang)\.org\b")
LOCK_LINE = re.compile(r"#.*|[a-z0-9-]+==[^ ]+( ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")


def tracked_text() -> dict[Path, str]:
    """Text of every file that git tracks, by its path in the repository."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: git knows which files are tracked")
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True
    )
    texts = {}
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if not name or not path.is_file():
            continue
        try:
            texts[Path(name)] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return texts


def reexported(package: ModuleType) -> set[str]:
    """Names that a package's __init__ imports or assigns, as its source says."""
    names: set[str] = set()
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            names.update(t.id for t in node.targets if isinstance(t, ast.Name))
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("package", PUBLIC, ids=lambda package: str(package.__name__))
def test_public_names_are_sorted(package: ModuleType) -> None:
    """__all__ is sorted as the linter does: constants, classes, functions; nothing twice."""
    names = list(package.__all__)
    assert len(set(names)) == len(names)
    order = [(0 if name.isupper() else 1 if name[0].isupper() else 2, name) for name in names]
    assert order == sorted(order)


@pytest.mark.parametrize("package", PUBLIC, ids=lambda package: str(package.__name__))
def test_public_names_are_complete(package: ModuleType) -> None:
    """Whatever a package's __init__ brings in is in __all__, and everything in __all__ exists."""
    assert set(package.__all__) == reexported(package)
    assert all(hasattr(package, name) for name in package.__all__)


@pytest.mark.parametrize("package", PUBLIC, ids=lambda package: str(package.__name__))
def test_every_error_is_public(package: ModuleType) -> None:
    """Each exception class defined anywhere in a package can be named from its top."""
    errors = set()
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(found.name)
        errors |= {
            name
            for name, value in vars(module).items()
            if isinstance(value, type)
            and issubclass(value, tlog_proofs.TlogError)
            and value.__module__ == module.__name__
        }
    assert errors
    assert errors <= set(package.__all__)


@pytest.mark.parametrize("folder", ["proofs", "clients"])
def test_folders_are_not_packages(folder: str) -> None:
    """The source roots hold no __init__: `import proofs` finds nothing outside the checkout."""
    assert not (ROOT / folder / "__init__.py").exists()
    found = subprocess.run(
        [sys.executable, "-I", "-c", f"import {folder}; print({folder}.__file__)"],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # The editable install puts the root on the path, where the folder is at most a namespace.
    assert "ModuleNotFoundError" in found.stderr or found.stdout.strip() == "None"


def found_in_tracked_text(pattern: re.Pattern[str]) -> set[str]:
    """Where a pattern occurs, as "path: text"."""
    return {
        f"{path}: {match.group()}"
        for path, text in tracked_text().items()
        for match in pattern.finditer(text)
    }


def test_no_machine_paths() -> None:
    """No tracked file names a path of the machine that it was written on."""
    assert found_in_tracked_text(MACHINE_PATHS) == set()


def test_no_index_hosts() -> None:
    """No tracked file says from where packages are downloaded: that is the machine's choice."""
    assert found_in_tracked_text(INDEX_HOSTS) == set()


def test_lock_file_pins_every_package_with_hashes() -> None:
    """Each line of the lock file is a comment, an exact version or a SHA-256 of its files."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert [line for line in lines if not LOCK_LINE.fullmatch(line)] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pinned = {line.split("==")[0] for line in lines if "==" in line}
    assert {line.split(">")[0] for line in required} <= pinned


def test_make_targets_in_the_documents_exist() -> None:
    """Every `make` command that a document mentions is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    command = re.compile(r"(?:`|^|exec )make ([a-z-]+)", flags=re.MULTILINE)
    mentioned = {
        target
        for document in ("README.md", "CONTRIBUTING.md", "SECURITY.md", ".ci/run")
        for target in command.findall((ROOT / document).read_text())
    }
    assert {"install", "run", "test", "lint", "vectors"} <= targets
    assert {"run", "test"} <= mentioned
    assert mentioned <= targets


def test_report_of_file_sizes() -> None:
    """Long source files are reported (pytest -rP), not refused: one idea may need the length."""
    sizes = {path: len(text.splitlines()) for path, text in tracked_text().items()}
    assert Path("tests/test_layout.py") in sizes
    for path, lines in sorted(sizes.items(), key=lambda item: -item[1]):
        if path.suffix == ".py" and lines > LONG_FILE_LINES:
            print(f"{lines:5} lines  {path}")  # noqa: T201
