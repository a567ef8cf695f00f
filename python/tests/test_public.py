"""What is public: everything that documents name and nothing else, and modules keep to each other's public names."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import delta
from conftest import ROOT
from docstrings import public_modules

PACKAGE = Path(delta.__file__).parent
MODULES = public_modules()


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_every_public_module_says_what_is_public(module: ModuleType) -> None:
    assert len(set(module.__all__)) == len(module.__all__) > 0
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("module", [m for m in MODULES if hasattr(m, "__path__")], ids=lambda m: m.__name__)
def test_packages_have_no_other_names(module: ModuleType) -> None:
    submodules = {m.__name__.rpartition(".")[2] for m in MODULES if m.__name__.rpartition(".")[0] == module.__name__}
    assert {n for n in vars(module) if not n.startswith("_")} <= {*module.__all__, *submodules}


def test_what_documents_reach_through_delta_is_public() -> None:
    text = "\n".join(p.read_text() for p in [*(ROOT / "docs").glob("*.md"), ROOT / "python/README.md"])
    named = {*re.findall(r"(?<![\w./-])delta\.([A-Za-z]\w*)", text), *re.findall(r"from delta import (\w+)", text)}
    assert {"DeltaNode", "debug", "dataset", "task", "pandas", "manifest"} <= named
    assert named <= set(delta.__all__)


def test_what_delta_has_is_public() -> None:
    assert {n for n in vars(delta) if not n.startswith("_")} == {*delta.__all__} - {"__version__"}
    assert {n for n in delta.__all__ if inspect.ismodule(getattr(delta, n))} == {
        m.__name__.split(".")[1] for m in MODULES if m.__name__ != "delta"
    }


def test_delta_comes_without_torch_and_pandas() -> None:
    code = "import sys, delta; print(sorted({'torch', 'pandas', 'onnxruntime', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def imports(path: Path) -> Iterator[str]:
    """The full names of all that a module of the package imports, wherever in it."""
    module = ["delta", *path.relative_to(PACKAGE).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = ".".join(module[: -node.level]) + "." if node.level else ""
            yield from (f"{parent}{node.module + '.' if node.module else ''}{alias.name}" for alias in node.names)


def test_underscored_modules_are_imported_only_beside_them_and_below() -> None:
    crossed = []
    for path in sorted(PACKAGE.rglob("*.py")):
        importer = ".".join(["delta", *path.relative_to(PACKAGE).with_suffix("").parts])
        for name in imports(path):
            parts = name.split(".")
            private = [i for i, part in enumerate(parts) if part.startswith("_") and not part.startswith("__")]
            # `delta._export` belongs to `delta`, `delta.pandas._base` to `delta.pandas`.
            if parts[0] == "delta" and any(not importer.startswith(".".join(parts[:i]) + ".") for i in private):
                crossed.append(f"{importer} imports {name}")
    assert not crossed
