"""Promises about every package: what it says of itself, what it makes public, and what it leaves alone.

In go the packages as installed in this environment and the files that describe them.
"""

import importlib
import operator
import pkgutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import sequencer
import sequencer_operator

ROOT = Path(__file__).parents[2]
ROOT_PACKAGES = [sequencer, sequencer_operator]


def packages() -> list[ModuleType]:
    """List both root packages and every package below them."""
    found = []
    for root in ROOT_PACKAGES:
        found.append(root)
        for module in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
            if module.ispkg:
                found.append(importlib.import_module(module.name))
    return found


@pytest.mark.parametrize("package", packages(), ids=lambda package: package.__name__)
def test_a_package_says_what_belongs_in_it(package: ModuleType) -> None:
    summary, _, rest = (package.__doc__ or "").partition("\n\n")
    assert summary.endswith(".")
    assert "belong" in rest


@pytest.mark.parametrize("package", packages(), ids=lambda package: package.__name__)
def test_what_is_public_exists(package: ModuleType) -> None:
    public = package.__all__
    assert list(public) == sorted(public)
    for name in public:
        assert hasattr(package, name)


@pytest.mark.parametrize("name", sequencer.__all__)
def test_what_is_public_is_documented(name: str) -> None:
    # A NewType carries no docstring of its own; its sentence stands below it in types.py.
    value = getattr(sequencer, name)
    assert value.__doc__


def test_the_operator_folder_is_no_package() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_the_operator_of_the_standard_library_stays_in_reach() -> None:
    # In a process of its own that starts in the repository, where a package named `operator` would come first.
    program = "import operator; print(operator.__file__, operator.add(2, 3))"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    path, total = result.stdout.split()
    assert Path(path).parent == Path(sysconfig.get_path("stdlib"))
    assert total == "5"
    assert operator.add(2, 3) == 5


def test_every_distribution_has_the_version_of_the_workspace() -> None:
    cargo = tomllib.loads((ROOT / "node" / "Cargo.toml").read_text(encoding="utf-8"))
    version = cargo["workspace"]["package"]["version"]
    for project in ("pyproject.toml", "node/pyproject.toml", "operator/pyproject.toml"):
        settings = tomllib.loads((ROOT / project).read_text(encoding="utf-8"))
        assert settings["project"]["version"] == version, project
