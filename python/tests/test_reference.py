"""The reference site: every public object has a place on it, and Sphinx has nothing to say against it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from docstrings import public_modules, public_objects

pytest.importorskip("sphinx", reason="pip install 'sphinx>=8.1'")


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "python/docs/build.py"), str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    pages = {p.stem: p.read_text() for p in (tmp_path / "api").glob("*.html")}
    assert set(pages) == {m.__name__ for m in public_modules()}
    # What several modules have is told once, and linked from the others.
    lost = [
        name
        for module in public_modules()
        for name, _ in public_objects(module)
        if name.count(".") == module.__name__.count(".") + 1
        and f'id="{name}"' not in pages[module.__name__]
        and not re.search(rf'#delta[\w.]*\.{name.rpartition(".")[2]}"', pages[module.__name__])
    ]
    assert not lost
    assert 'id="delta.task.FedAvg"' in pages["delta.task"]
    assert 'href="delta.task.html#delta.task.FedAvg"' in pages["delta.task.learning"]
