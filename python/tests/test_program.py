"""``delta_node_start`` of the wheel that brings program and package together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from delta import _program


def test_it_becomes_the_program(tmp_path: Path) -> None:
    program = tmp_path / "delta-node"
    program.write_text('#!/bin/sh\necho "$0 $*"; exit 7\n')
    program.chmod(0o755)
    start = tmp_path / "delta_node_start"
    start.write_text("import sys\nfrom delta._program import main\nsys.exit(main())\n")
    done = subprocess.run(
        [sys.executable, start, "task", "status", "a b"], capture_output=True, text=True, env=os.environ, check=False
    )
    assert (done.returncode, done.stdout) == (7, f"{program} task status a b\n")


def test_without_one_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(_program, "find", lambda: None)
    assert _program.main() == 1
    assert "pip install delta-node" in capsys.readouterr().err


def test_the_wheel_with_the_program_asks_for_what_the_package_does() -> None:
    tomllib = pytest.importorskip("tomllib")
    root = Path(__file__).parents[2]
    package, wheel = (
        tomllib.loads((root / file).read_text(encoding="utf-8"))["project"]
        for file in ("python/pyproject.toml", "deploy/wheel/pyproject.toml")
    )
    extras = package["optional-dependencies"]
    # The program runs graphs itself, so that what is an extra of the package comes along.
    assert wheel["dependencies"] == package["dependencies"] + extras["debug"]
    for name in ("torch", "pandas", "progress", "plot"):
        assert wheel["optional-dependencies"][name] == extras[name]
    assert wheel["requires-python"] == package["requires-python"]
    module, function = package["scripts"]["delta"].split(":")
    script = (root / "deploy/wheel/data/scripts/delta").read_text(encoding="utf-8")
    assert f"from {module} import {function}\n" in script
