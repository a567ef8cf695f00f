"""How many clients a second `delta.simulate` runs: a small network over clients with a hundred rows each, one thread.

    PYTHONPATH=python/src python python/benches/simulate.py [--clients 100] [--rounds 20]

Each client of a round goes once over its rows, in batches of 32, and trains 1,994 parameters. What is measured is the time that
this process computes, and beside it the time on a clock; building the task is not in it.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import nn

import delta
import delta.dataset
from delta.simulation import dirichlet
from delta.task import FedAvg, HorizontalLearning

ROWS = 100


class Points(HorizontalLearning):
    batch_size = 32

    def __init__(self, rounds: int) -> None:
        super().__init__("points", rounds, validate_interval=0, strategy=FedAvg(2, 100))
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10))
        self.loss_func = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)

    def dataset(self) -> Any:
        return delta.dataset.Dataset("points", shape=[20], classes=[str(d) for d in range(10)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS * arguments.clients, 20)).astype(np.float32)
    y = (x @ rng.normal(size=(20, 10))).argmax(1)
    bundle = Points(arguments.rounds).build()
    for turn in range(3):
        clock, computed = time.perf_counter(), time.process_time()
        result = delta.simulate(bundle, (x, y), arguments.clients, dirichlet(0.3), 0.5, progress=False)
        clock, computed = time.perf_counter() - clock, time.process_time() - computed
        ran = sum(told["members"] for told in result.rounds)
        said = f"{ran} clients in {computed:.2f} s of computing: {ran / computed:.0f} a second"
        print(f"turn {turn + 1}: {said} ({ran / clock:.0f} on the clock)")


if __name__ == "__main__":
    main()
