"""What is public: modules keep to each other's public names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import delta

PACKAGE = Path(delta.__file__).parent


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
