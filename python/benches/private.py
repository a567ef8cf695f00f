"""Each record's gradients against the plain training step of the same model: onnxruntime, one thread, batch 64.

    PYTHONPATH=python/src python python/benches/private.py [--seconds 3] [--part 16] [name ...]

Both are built as authors build them, as learning tasks with and without ``privacy=``, and both are what a node runs: for the
plain step the graph that also takes the optimizer's step, under privacy the graph that bounds each record's gradients, whose
sum and step come later. Prints for each model the median time of each, and the median over turns of the one over the other.
What is written is a block of all parameters for each record: 52 MB of a batch of the MLP, against 1 MB of the plain step. The
last columns tell how much of the time that is: the same records some at a time, whose blocks stay nearer to the processor, and a
program that writes as many numbers and nothing else. A node takes one at a time (``docs/privacy.md``, Noise): ``--part 1``.
Dropout is left out on both sides, as privacy has none. What is measured is the time that the thread computes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from node import Bench, stepper
from steps import ROWS, turns  # first: it sets the threads, and finds the tests' models

import delta
from step_models import CASES, Case

PRIVACY = delta.Privacy(multiplier=1.0, delta=1e-5, clip=1.0)


class Private(Bench):
    def __init__(self, case: Case, x: torch.Tensor, privacy: delta.Privacy | None) -> None:
        super().__init__(case, x, privacy=privacy)
        for module in self.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            if isinstance(module, torch.nn.MultiheadAttention):
                module.dropout = 0.0


def per_record(
    bundle: delta.Bundle, x: Any, y: Any, part: int
) -> tuple[Callable[[], object], Callable[[], object], int]:
    """One batch of records through the graph of a private task, at once and in parts; and how many nodes it has."""
    step = bundle.manifest["rounds"][0]["map"]["steps"][0]
    graph = bundle.graphs[step.get("graph_onnxruntime") or step["graph"]]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = list(step["outputs"])

    def fed(start: int, end: int) -> dict[str, Any]:
        data = {"x": x[start:end].astype(np.float32), "y": y[start:end]}
        return {p.name: data[p.name] if p.name in data else bundle.initial(p.name) for p in session.get_inputs()}

    whole, parts = fed(0, len(x)), [fed(i, i + part) for i in range(0, len(x), part)]
    nodes = len(onnx.load_from_string(graph).graph.node)
    return (lambda: session.run(names, whole)), (lambda: [session.run(names, p) for p in parts]), nodes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--part", type=int, default=16, help="records at a time in the second column of ratios")
    parser.add_argument("names", nargs="*", default=["MLP", "LeNet"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, one thread, batch {ROWS}, medians")
    columns = "model | parameters | nodes | plain ms | per record ms | over plain | some at a time | only writing"
    print(f"| {columns} |\n{'|---' * (columns.count('|') + 1)}|")
    for name, case in CASES.items():
        if not any(n.lower() in name.lower() for n in given.names):
            continue
        x, y = case.data(ROWS)
        plain = stepper(Private(case, x, None).build(), x.numpy(), y.numpy(), threads=1)
        whole, parts, nodes = per_record(Private(case, x, PRIVACY).build(), x.numpy(), y.numpy(), given.part)
        size = sum(p.numel() for p in case.model().parameters())
        memory = np.empty((ROWS, size), np.float32)
        first, *others = turns([plain, whole, parts, lambda memory=memory: memory.fill(1.0)], given.seconds)
        ratios = " | ".join(f"{median(b / a for a, b in zip(first, o, strict=True)):.2f}" for o in others)
        print(f"| {name} | {size} | {nodes} | {median(first):.3f} | {median(others[0]):.3f} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
