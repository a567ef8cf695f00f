"""Statistics of one large table over real nodes, against polars and pandas on the same file and the same processors.

    pip install polars
    DELTA_NODE_BIN=target/release/delta-node PYTHONPATH=python/src python python/benches/tables.py [--rows 10000000]

Three nodes take part; the first has the large table, the others a thousand rows. Counted is the time from sending a task to
having its result: of a first one, for which the node looks at the whole file before it takes part, and of the same once more.
Polars and pandas read the file and compute the same in a process of their own each, with nothing else running. A ratio is ours
over polars'. Memory is the highest resident set of one worker, and of one process of polars or pandas.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from large import NODES, Memory, allowing, network_of

import delta
import delta.pandas as dpd

VALUES = [f"x{i}" for i in range(17)]
COLUMNS = ["id", *VALUES, "ward", "y"]
TASKS = ["count, mean, std", "group by", "logit"]


def make(folder: Path, rows: int, kind: str) -> Path:
    """A table of 20 columns: whole numbers, 17 columns of numbers with six digits, ten wards, and 0 or 1."""
    import polars as pl

    path = folder / f"table.{kind}"
    rng = np.random.default_rng(rows)
    numbers = {name: np.round(rng.normal(100 + i, 15, rows), 4) for i, name in enumerate(VALUES)}
    odds = 1 / (1 + np.exp(-(numbers["x0"] - 100) / 15 + 0.3 * (numbers["x1"] - 101) / 15))
    frame = pl.DataFrame(
        {
            "id": np.arange(rows),
            **numbers,
            "ward": rng.integers(0, 10, rows),
            "y": (rng.random(rows) < odds).astype(np.int64),
        }
    )
    frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    return path


class Moments(delta.task.HorizontalAnalytics):
    """Count, mean and standard deviation of three columns."""

    def __init__(self, table: str) -> None:
        super().__init__("moments", min_clients=NODES, max_clients=NODES, wait_timeout=600, connection_timeout=600)
        self.table = table

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"t": delta.dataset.DataFrame(self.table, columns=VALUES[:3])}

    def execute(self, t: dpd.DataFrame) -> Any:
        return t.count(), t.mean(), t.std()


class Wards(Moments):
    """Means of two columns by ward."""

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"t": delta.dataset.DataFrame(self.table, columns=["x0", "x1", "ward"])}

    def execute(self, t: dpd.DataFrame) -> Any:
        return t.groupby("ward", categories=list(range(10))).mean()


class Odds(delta.statsmodel.LogitTask):
    """y by three columns and a constant."""

    def __init__(self, table: str) -> None:
        super().__init__("odds", min_clients=NODES, max_clients=NODES, wait_timeout=600, connection_timeout=600)
        self.table = table

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"t": delta.dataset.DataFrame(self.table, columns=["x0", "x1", "x2", "y"])}

    def preprocess(self, t: dpd.DataFrame) -> tuple[Any, Any]:
        return delta.statsmodel.add_constant(t[["x0", "x1", "x2"]]), t["y"]


def ours(path: Path, small: Path, folder: Path) -> tuple[list[tuple[float, float]], float]:
    """Seconds of each task, first and again, and the largest worker in MiB."""

    def fill(data: Path, number: int) -> str:
        (data / path.name).hardlink_to(small if number else path)
        return path.name

    took = []
    with network_of(folder, fill) as (urls, pids), Memory(pids) as memory, allowing(urls):
        node = delta.DeltaNode(urls[0], timeout=600)
        for task in (Moments, Wards, Odds):
            pair = []
            for _ in range(2):
                begun = time.monotonic()
                number = node.create_task(task(path.name))
                if not node.wait(number, timeout=3600, progress=False):
                    raise SystemExit(f"{task.__name__}: {node.progress(number).error}")
                pair.append(time.monotonic() - begun)
            took.append((pair[0], pair[1]))
    return took, memory.largest["workers"] / 1024


LIBRARY = """
import json, resource, sys, time
import numpy as np
name, path = sys.argv[1:]
kind = path.rsplit(".", 1)[1]
begun = time.monotonic()
def done(): global begun; now = time.monotonic(); took.append(now - begun); begun = time.monotonic()
took = []
if name == "polars":
    import polars as pl
    read = lambda columns: (pl.read_csv if kind == "csv" else pl.read_parquet)(path, columns=columns)
else:
    import pandas as pd
    read = lambda columns: pd.read_csv(path, usecols=columns) if kind == "csv" else pd.read_parquet(path, columns=columns)
begun = time.monotonic()
t = read(["x0", "x1", "x2"]); t.count(); t.mean(); t.std(); done()
t = read(["x0", "x1", "ward"])
t.group_by("ward").mean() if name == "polars" else t.groupby("ward").mean()
done()
t = read(["x0", "x1", "x2", "y"])
x = np.column_stack([np.ones(len(t)), *(t[c].to_numpy() for c in ["x0", "x1", "x2"])])
y = t["y"].to_numpy(); b = np.zeros(4)
for _ in range(7):
    p = 1 / (1 + np.exp(-(x @ b)))
    b = b + np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x, x.T @ (y - p))
done()
print(json.dumps({"took": took, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def library(name: str, path: Path) -> tuple[list[float], float]:
    """Seconds of each of the three, and the process's memory in MiB."""
    done = subprocess.run([sys.executable, "-c", LIBRARY, name, str(path)], check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    return told["took"], told["mib"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--format", nargs="+", default=["csv", "parquet"], choices=["csv", "parquet"])
    parser.add_argument("--without-pandas", action="store_true", help="pandas takes long, and much memory")
    given = parser.parse_args()
    columns = "file | task | first, s | again, s | polars, s | pandas, s | ratio, first | ratio, again"
    print(f"| {columns} |\n{'|---' * (columns.count('|') + 1)}|", flush=True)
    for kind in given.format:
        with tempfile.TemporaryDirectory(prefix="delta-tables-") as made:
            folder = Path(made)
            (folder / "large").mkdir()
            (folder / "small").mkdir()
            path, small = make(folder / "large", given.rows, kind), make(folder / "small", 1000, kind)
            # Once, so that everybody finds the file in memory.
            sum(len(piece) for piece in iter(_pieces(path), b""))
            theirs, their_mib = library("polars", path)
            pandas, pandas_mib = ([float("nan")] * 3, float("nan")) if given.without_pandas else library("pandas", path)
            took, mib = ours(path, small, folder / "nodes")
            for i, name in enumerate(TASKS):
                first, again = took[i]
                row = [f"{kind} ({os.path.getsize(path) >> 20} MiB)", name, first, again, theirs[i], pandas[i]]
                told = [cell if isinstance(cell, str) else f"{cell:.1f}" for cell in row]
                print(f"| {' | '.join(told)} | {first / theirs[i]:.2f} | {again / theirs[i]:.2f} |", flush=True)
            print(
                f"# {kind}: MiB of a worker {mib:.0f}, of polars {their_mib:.0f}, of pandas {pandas_mib:.0f}",
                flush=True,
            )


def _pieces(path: Path) -> Callable[[], bytes]:
    file = path.open("rb")
    return lambda: file.read(1 << 24)


if __name__ == "__main__":
    main()
