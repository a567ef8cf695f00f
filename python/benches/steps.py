"""One training step: torch eager against onnxruntime in both forms, one thread, batch 64.

    PYTHONPATH=python/src python python/benches/steps.py [--seconds 2] [--package] [name ...]

Prints for each model the median time of many turns in one process, and the median over turns of torch's time over ours.
What is measured is the time that the thread computes: both sides run in the calling thread, and other work on the machine
shows less than on a clock. With `--package` the step is also built as authors build it, a learning task whose `train`
calls `loss.backward()`: that column is what a node runs (of models that tell classes).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
logging.disable(logging.WARNING)
warnings.simplefilter("ignore")

import numpy as np
import onnx
import onnxruntime
import torch

from step_models import CASES, Case
from stepping import Step, session

ROWS = 64


def eager(case: Case, step: Step) -> Callable[[], object]:
    """The step as an author writes it without us, on the same state."""
    model = case.model().train()
    optimizer = case.optimizer.torch(model.parameters())
    x, y = case.data(ROWS)

    def one() -> None:
        optimizer.zero_grad()
        case.loss(model(x), y).backward()
        optimizer.step()

    return one


def exported(case: Case, step: Step, model: bytes) -> Callable[[], object]:
    """The step in onnxruntime, its outputs fed back as the node does."""
    runner = session(model)
    names = [i.name for i in runner.get_inputs()]
    values = [*step.state, *case.data(ROWS), *step.noise(ROWS)]
    feed = {n: np.ascontiguousarray(v.numpy()) for n, v in zip(names, values, strict=True)}
    outputs = [o.name for o in runner.get_outputs()]

    def one() -> None:
        for name, value in zip(outputs[:-1], runner.run(None, feed)[:-1], strict=True):
            feed[name.removesuffix(".next")] = value

    return one


def packaged(case: Case) -> Callable[[], object]:
    """The step of a learning task, in the form that the node takes where it has onnxruntime."""
    from node import BATCHES, Bench, stepper

    x, y = case.data(ROWS * BATCHES)
    return stepper(Bench(case, x).build(), x.numpy()[:ROWS], y.numpy()[:ROWS], threads=1)


def turns(functions: list[Callable[[], object]], seconds: float) -> list[list[float]]:
    """Milliseconds of a step of each function, one entry a turn: all take their turn one after the other, three steps each."""
    for function in functions:
        function()
    times: list[list[float]] = [[] for _ in functions]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for function, mine in zip(functions, times, strict=True):
            start = time.thread_time()
            for _ in range(3):
                function()
            mine.append((time.thread_time() - start) * 1e3 / 3)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--package", action="store_true", help="measure the step of a built learning task too")
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, one thread, batch {ROWS}, medians")
    columns = "model | build s | nodes | kB | torch eager ms | portable ms | onnxruntime form ms"
    columns += " | package ms" * given.package + " | ratios"
    print(f"| {columns} |")
    print("|---" * (columns.count("|") + 1) + "|")
    for name, case in CASES.items():
        if given.names and not any(n.lower() in name.lower() for n in given.names):
            continue
        step = case.step()
        start = time.perf_counter()
        portable = step.export("portable")
        built = time.perf_counter() - start
        fast = step.export("onnxruntime")
        nodes = len(onnx.load_from_string(portable).graph.node)
        functions = [eager(case, step), exported(case, step, portable), exported(case, step, fast)]
        if given.package and not case.data(1)[1].dtype.is_floating_point:
            functions.append(packaged(case))
        eagerly, *ours = turns(functions, given.seconds)
        size = f"{built:.1f} | {nodes} | {len(portable) / 1e3:.0f}"
        times = " | ".join(f"{median(t):.3f}" for t in (eagerly, *ours)) + " | " * (given.package and len(ours) == 2)
        ratios = " ".join(f"{median(e / t for e, t in zip(eagerly, mine, strict=True)):.2f}" for mine in ours)
        print(f"| {name} | {size} | {times} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
