"""Many tasks at once over three real nodes, against the work that they are.

    DELTA_NODE_BIN=target/release/delta-node PYTHONPATH=python/src python python/benches/tasks.py [--tasks 20]

The same learning tasks run once so that their owners allow them, then one after the other, and then all at once, over a
connector and three nodes as processes. What a task is worth is the processors' seconds of nodes, workers and connector while they
ran one after the other; the ratio is how long all at once took on the wall, over that work spread evenly over the processors.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from pathlib import Path

import httpx
import torch
from large import DATASET, NODES, TICK, allowing, network
from torch import Tensor, nn

import delta


class Small(delta.task.HorizontalLearning):
    """64 numbers a row, one hidden layer, ten classes; a pass over a node's rows a round."""

    batch_size = 64

    def __init__(self, number: int, rounds: int) -> None:
        strategy = delta.task.FedAvg(min_clients=NODES, max_clients=NODES, wait_timeout=600, connection_timeout=600)
        super().__init__(f"small-{number}", rounds, validate_interval=0, strategy=strategy)
        torch.manual_seed(number)
        self.model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
        self.loss_func = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset(DATASET, shape=(64,), classes=[str(i) for i in range(10)])

    def preprocess(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x / 255 - 0.5, y


def processors(pids: dict[str, list[int]]) -> float:
    """Seconds of processors that these processes and their ended children have used."""
    ticks = 0
    for pid in [pid for group in pids.values() for pid in group]:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICK


def run(nodes: list[delta.DeltaNode], bundles: list[delta.Bundle], at_once: int) -> float:
    """Seconds until all have ended; at most so many of them at a time. Nodes coordinate in turn."""
    begun = time.monotonic()
    pairs = list(zip(itertools.cycle(nodes), bundles, strict=False))
    for first in range(0, len(pairs), at_once):
        group = pairs[first : first + at_once]
        for node, number in [(node, node.create_task(bundle)) for node, bundle in group]:
            if not node.wait(number, timeout=1800, progress=False):
                raise SystemExit(f"task {number}: {node.progress(number).error}")
    return time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    bundles = [Small(i, options.rounds).build() for i in range(options.tasks)]
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as name, network(Path(name), options.rows) as (urls, pids):
        nodes = [delta.DeltaNode(url, timeout=600) for url in urls]
        for url in urls:
            while not httpx.get(f"{url}/readyz", timeout=30).is_success:
                time.sleep(0.1)
        # Owners are asked once for each task's graphs.
        with allowing(urls):
            run(nodes, bundles, len(bundles))
        before = processors(pids)
        alone = run(nodes, bundles, 1)
        work = processors(pids) - before
        before = processors(pids)
        together = run(nodes, bundles, len(bundles))
        crowd = processors(pids) - before
    print(
        "| tasks | one by one s | their work, s of processors | at once s | its work | at once over work a processor |"
    )
    print("|---|---|---|---|---|---|")
    print(
        f"| {options.tasks} | {alone:.1f} | {work:.1f} | {together:.1f} | {crowd:.1f} | {together / (work / cores):.2f} |"
    )


if __name__ == "__main__":
    main()
