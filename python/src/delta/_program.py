"""The node's program under the original's name: ``delta_node_start``, where one wheel brings both (deploy/wheel)."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path


def find() -> Path | None:
    """Find ``delta-node``: beside this Python's scripts, beside the script that runs, or in ``PATH``."""
    beside = [Path(sysconfig.get_path("scripts")), Path(sys.argv[0]).resolve().parent]
    for folder in beside:
        program = folder / "delta-node"
        if program.is_file():
            return program
    found = shutil.which("delta-node")
    return Path(found) if found else None


def main() -> int:
    """Become the program; only where there is none this returns."""
    program = find()
    if program is None:
        print("error: there is no program delta-node; pip install delta-node brings it", file=sys.stderr)
        return 1
    os.execv(program, [str(program), *sys.argv[1:]])
