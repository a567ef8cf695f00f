"""Training steps a second: the node against onnxruntime from Python, on the same graph, batches and cores.

    PYTHONPATH=python/src python python/benches/node.py [--threads 1] [name ...]

Builds learning tasks of the models in `tests/step_models.py`, runs their training step through the node's own executor
(`cargo bench --bench executor`: worker process, walls, data read from disk, noise drawn) and in a plain loop over
`InferenceSession.run`. Needs cargo and onnxruntime's library, which it takes from this Python.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "python/tests"))

import numpy as np
import onnxruntime
import torch
from torch.utils.data import DataLoader

import delta
import delta.dataset
from delta.task.learning import FaultTolerantFedAvg, HorizontalLearning
from step_models import CASES, Case

ROWS = 64
BATCHES = 8
SECONDS = 5
NEEDED = ("MLP", "LeNet", "residual", "transformer", "GRU")


class Bench(HorizontalLearning):
    def __init__(self, case: Case, x: torch.Tensor, privacy: delta.Privacy | None = None) -> None:
        length = {"merge_iteration": 1} if privacy is None else {"merge_epoch": 1}
        super().__init__("bench", 1, validate_interval=0, strategy=FaultTolerantFedAvg(**length), privacy=privacy)
        torch.manual_seed(0)
        self.case, self.kind, self.shape = case, x.dtype, list(x.shape[1:])
        self.model = case.model()
        self.optimizer = case.optimizer.torch(self.model.parameters())

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset("bench.npz", shape=self.shape, classes=[str(k) for k in range(10)])

    def preprocess(self, x: Any, y: Any) -> Any:
        return x.to(self.kind), y

    def make_train_dataloader(self, dataset: Any) -> Any:
        return DataLoader(dataset, batch_size=ROWS, shuffle=True)

    def make_validate_dataloader(self, dataset: Any) -> Any:
        return DataLoader(dataset, batch_size=ROWS)

    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            loss = self.case.loss(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


def stepper(bundle: delta.Bundle, x: Any, y: Any, threads: int) -> Callable[[], object]:
    """The training step of a built task in onnxruntime, its outputs fed back."""
    step = bundle.manifest["rounds"][0]["map"]["steps"][0]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    graph = bundle.graphs[step.get("graph_onnxruntime") or step["graph"]]
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    feed: dict[str, Any] = {}
    for port in session.get_inputs():
        source = step["inputs"][port.name]
        if source["from"] == "variable":
            feed[port.name] = bundle.initial(source["name"])
        elif source["from"] == "data":
            feed[port.name] = x.astype(np.float32) if source["field"] == "x" else y
        elif source["from"] == "noise":
            feed[port.name] = np.random.default_rng(0).random((ROWS, *source["shape"]), np.float32)
        else:
            feed[port.name] = np.asarray(float(ROWS))
    names = list(step["outputs"])
    targets = [step["outputs"][n].get("input") for n in names]

    def one() -> None:
        feed.update((t, v) for t, v in zip(targets, session.run(names, feed), strict=True) if t)

    return one


def in_python(bundle: delta.Bundle, x: Any, y: Any, threads: int) -> float:
    """Milliseconds of a step in a plain loop: the best of some seconds, as the node's is."""
    one, least = stepper(bundle, x, y, threads), float("inf")
    for _ in range(SECONDS):
        start, steps = time.perf_counter(), 0
        while time.perf_counter() < start + 1:
            one()
            steps += 1
        least = min(least, (time.perf_counter() - start) / steps)
    return 1e3 * least


def in_node(bundle: delta.Bundle, data: Path, threads: int, runs: int) -> float:
    """Milliseconds of a step in the node's executor: a batch, or as many records where the task goes record by record."""
    file = bundle.save(data.parent / "bench.delta")
    command = [
        "cargo",
        "bench",
        "--quiet",
        "--no-default-features",
        "--bench",
        "executor",
        "--",
    ]
    command += ["--runs", str(runs), "--threads", str(threads), "--bundle", str(file), "--data", str(data)]
    library = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))
    environment = os.environ | {"ORT_DYLIB_PATH": str(library)}
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    found = re.search(r"^onnxruntime \S+: (\S+) ms a step", told.stdout, re.M)
    if not found:
        raise SystemExit(f"the node's executor did not run: {told.stdout}{told.stderr}")
    return float(found.group(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("names", nargs="*", default=[n for n in CASES if any(n.startswith(k) for k in NEEDED)])
    given = parser.parse_args()
    print("| model | node ms | Python ms | node's steps a second over Python's |\n|---|---|---|---|")
    for name in given.names:
        case = CASES[name]
        x, y = case.data(ROWS * BATCHES)
        labels = np.zeros(len(x), np.int64) if y.dtype.is_floating_point else y.numpy()
        bundle = Bench(case, x).build()
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data"
            data.mkdir()
            np.savez(data / "bench.npz", x=x.numpy().astype(np.float32), y=labels)
            # In turns: what else the machine does should fall on both.
            node = python = float("inf")
            for _ in range(2):
                node = min(node, in_node(bundle, data, given.threads, given.runs))
                python = min(python, in_python(bundle, x.numpy()[:ROWS], labels[:ROWS], given.threads))
        print(f"| {name} | {node:.3f} | {python:.3f} | {python / node:.2f} |", flush=True)


if __name__ == "__main__":
    main()
