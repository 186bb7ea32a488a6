"""The three wheels, built from the checkout without any network."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from email.parser import BytesParser

import pytest

from tests.packaging.wheels import PROJECTS, Wheel, run_python


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Wheel]:
    """Build and install a distribution of the checkout once, without a package index."""
    built: dict[str, Wheel] = {}

    def build(name: str) -> Wheel:
        if name not in built:
            folder = tmp_path_factory.mktemp(name)
            run_python(
                "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=PROJECTS[name]
            )
            (file,) = folder.glob(f"{name}-*.whl")
            target = folder / "installed"
            pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
            run_python(*pip, "--target", str(target), str(file), cwd=folder)
            with zipfile.ZipFile(file) as archive:
                names = frozenset(archive.namelist())
                (metadata,) = (n for n in names if n.endswith(".dist-info/METADATA"))
                message = BytesParser().parsebytes(archive.read(metadata))
            built[name] = Wheel(names, message, target)
        return built[name]

    return build
