"""What the comparisons in this folder share: our own figures, CPU time, the table."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median

LENGTHS = (100_000, 1_000_000)
ROOT = Path(__file__).resolve().parents[2]


def cpu(work: Callable[[], object], times: int = 1) -> float:
    """CPU seconds of one call, the mean of ``times``."""
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times


def json_lines(command: list[str]) -> list[dict[str, float]]:
    """The lines of JSON that a command prints, run in the repository's root."""
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout
    return [json.loads(line) for line in lines.splitlines() if line.startswith("{")]


def ours(built: list[str]) -> dict[tuple[int, int], tuple[float, float]]:
    """(n, d) to our (member, coordinator) CPU seconds.

    ``built``: empty or the path of the built bench; without it cargo builds it.
    """
    bench = [str(Path(path).resolve()) for path in built[:1]]
    cargo = ["cargo", "bench", "--no-default-features", "--features", "testing", "--bench", "secagg", "--"]
    rows = json_lines([*(bench or cargo), "compare"])
    return {(int(row["n"]), int(row["d"])): (row["client"], row["coordinator"]) for row in rows}


def heading(versions: str, columns: Iterable[str]) -> None:
    """Prints what was measured and under which load, and the head of a markdown table."""
    print(f"{versions}; load {os.getloadavg()[0]:.1f}.\n")
    names = list(columns)
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")


def both_sides(peer: str) -> list[str]:
    """The columns of a table with members and coordinators of a peer and of ours."""
    return ["members", "numbers", f"member: {peer}, ms", "ours", "ratio", f"coordinator: {peer}, ms", "ours", "ratio"]


def cells(theirs: Sequence[float], mine: Sequence[float]) -> str:
    """Their milliseconds, ours and the ratio: medians, of seconds taken in turn."""
    ratios = [a / b for a, b in zip(theirs, mine, strict=True)]
    return f"{median(theirs) * 1e3:,.1f} | {median(mine) * 1e3:,.1f} | {median(ratios):,.0f}"
