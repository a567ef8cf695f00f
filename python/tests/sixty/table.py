"""All sixty tasks over three nodes of their own, as a table: python tests/sixty/table.py [words of names, or groups]

Needs the node's program, built by cargo or named by DELTA_NODE_BIN. ``--json FILE`` keeps the numbers as well.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import sixty_frames
import sixty_learning
import sixty_statistics
from sixty_cases import CASES, solve, write

from conftest import running

__all__ = ["sixty_frames", "sixty_learning", "sixty_statistics"]


def main() -> int:
    """Print the table; 1 where a task is further off than it may be."""
    parser = argparse.ArgumentParser(description="sixty tasks beside their libraries, over three nodes")
    parser.add_argument("words", nargs="*", help="only tasks whose names have one of these, or of these groups")
    parser.add_argument("--json", type=Path, help="where the numbers are kept")
    given = parser.parse_args()
    cases = [c for c in CASES if not given.words or any(w in c.name or w == c.group for w in given.words)]
    warnings.simplefilter("ignore")
    told, good = [], 0
    print("| task | against | difference | at most | seconds |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as network:
        write(network.folders)
        for case in cases:
            begun = time.monotonic()
            try:
                far, why = solve(case, network.node, network.folders), ""
            except Exception as error:
                far, why = float("inf"), f" {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            took = time.monotonic() - begun
            good += far <= case.within
            told.append({"task": case.name, "reference": case.reference, "difference": far, "within": case.within})
            print(f"| {case.name} | {case.reference} | {far:.1e} | {case.within:.0e} | {took:.1f} |{why}", flush=True)
    print(f"\n{good} of {len(cases)} are as close as they should be")
    if given.json:
        given.json.write_text(json.dumps(told, indent=1))
    return 0 if good == len(cases) else 1


if __name__ == "__main__":
    raise SystemExit(main())
