"""Every notebook runs, each in its own folder, and is kept without outputs.

In a kernel of Jupyter where nbclient and ipykernel are installed (extra ``notebooks``), else cell by cell in one namespace.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, Network, program

FOLDER = ROOT / "python/examples/notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
URL = "http://127.0.0.1:6700"
KERNEL = all(importlib.util.find_spec(name) for name in ("nbclient", "ipykernel"))


def code(path: Path) -> list[str]:
    """The code of a notebook's cells."""
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def run(source: str, name: str, namespace: dict[str, Any]) -> None:
    """Run a cell, and show what its last line is, as a notebook would."""
    tree = ast.parse(source, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), namespace)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
        shown = getattr(value, "_repr_html_", lambda: None)() or repr(value)
        assert isinstance(shown, str)


def run_in_a_kernel(path: Path, url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a notebook as Jupyter does; ``url``: of the network that it talks to."""
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(Path(p).resolve()) for p in sys.path if p))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        if cell.cell_type == "code" and url is not None:
            cell.source = cell.source.replace(URL, url)
    NotebookClient(book, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}).execute()
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells) and any(cell.outputs for cell in cells)
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"]


def test_there_are_ten_and_each_says_what_it_needs() -> None:
    assert len(NOTEBOOKS) >= 10
    for path in NOTEBOOKS:
        book = json.loads(path.read_text())
        said = "".join(book["cells"][0]["source"])
        assert ("`delta-node demo --keep`" in said) == any(URL in text for text in code(path)), path.name
        assert said.startswith("# ") and (
            "Needed:" in said or "Nothing else is needed" in said or "starts three nodes" in said
        )
        assert f"`{path.name}`" in (FOLDER.parent / "README.md").read_text()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_no_outputs_are_kept(path: Path) -> None:
    book = json.loads(path.read_text())
    assert all(not c["outputs"] and c["execution_count"] is None for c in book["cells"] if c["cell_type"] == "code")
    assert (
        path.stat().st_size < 20_000
        and path.read_text() == json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    )


@pytest.mark.filterwarnings("ignore::delta.ReleaseWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_cell_runs(
    path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cells = code(path)
    if any(".plot(" in text for text in cells):
        pytest.importorskip("matplotlib").use("Agg")
    network: Network | None = request.getfixturevalue("network") if any(URL in text for text in cells) else None
    monkeypatch.setenv("DELTA_NODE_BIN", program())
    monkeypatch.chdir(FOLDER)
    if KERNEL:
        run_in_a_kernel(path, network.urls[0] if network else None, monkeypatch)
        return
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, text in enumerate(cells, 1):
        # A file of the author's, as the exporter's messages quote source lines.
        source = tmp_path / f"{path.stem}_{number}.py"
        source.write_text(text.replace(URL, network.urls[0]) if network else text)
        run(source.read_text(), str(source), namespace)
