"""Each record's gradients against the plain training step of the same model: batch 64, one thread.

    PYTHONPATH=python/src python python/benches/private.py [--seconds 3] [--runs 3] [--no-node] [name ...]

Both are built as authors build them, as learning tasks with and without ``privacy=``, and both are what a node runs: for the
plain step the graph that also takes the optimizer's step, under privacy what bounds each record's gradients and sums them, whose
step comes later at the coordinator. First the graphs alone, in onnxruntime from Python, in turns; wide layers leave them as two
vectors for each record. Then on the node (``cargo bench --bench executor``, as ``node.py``), with reading the records, bounding
and summing, which is what a member pays: the ratio over the plain step on the node. Where Opacus is installed, its step and
torch's plain one as well. Dropout is left out everywhere, as privacy has none.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from node import Bench, in_node, stepper
from steps import ROWS, turns  # first: it sets the threads, and finds the tests' models

import delta
from step_models import CASES, Case

PRIVACY = delta.Privacy(multiplier=1.0, delta=1e-5, clip=1.0)
BATCHES = 128
"""Of data for the node: the time of a step is what more of them take."""


class Private(Bench):
    def __init__(self, case: Case, x: torch.Tensor, privacy: delta.Privacy | None) -> None:
        super().__init__(case, x, privacy=privacy)
        without_dropout(self.model)


def without_dropout(model: torch.nn.Module) -> torch.nn.Module:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
    return model


def per_record(bundle: delta.Bundle, x: Any, y: Any) -> tuple[Callable[[], object], int]:
    """One batch of records through the graph of a private task; and how many nodes it has."""
    step = bundle.manifest["rounds"][0]["map"]["steps"][0]
    graph = bundle.graphs[step.get("graph_onnxruntime") or step["graph"]]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = list(step["outputs"])
    data = {"x": x.astype(np.float32), "y": y}
    feed = {p.name: data[p.name] if p.name in data else bundle.initial(p.name) for p in session.get_inputs()}
    return (lambda: session.run(names, feed)), len(onnx.load_from_string(graph).graph.node)


def on_node(case: Case, runs: int) -> tuple[float, float]:
    """Milliseconds of a plain step and of the same records under privacy, both in the node's executor, in turns."""
    x, y = case.data(ROWS * BATCHES)
    labels = np.zeros(len(x), np.int64) if y.dtype.is_floating_point else y.numpy()
    plain, private = Private(case, x, None).build(), Private(case, x, PRIVACY).build()
    least = [float("inf")] * 2
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        np.savez(data / "bench.npz", x=x.numpy().astype(np.float32), y=labels)
        for _ in range(2):
            took = [in_node(bundle, data, 1, runs) for bundle in (plain, private)]
            least = [min(pair) for pair in zip(least, took, strict=True)]
    return least[0], least[1]


def with_opacus(case: Case, seconds: float) -> float | None:
    """Opacus' private step over torch's plain one, noise included, as it is used; nothing where it cannot be had."""
    try:
        from opacus import GradSampleModule
        from opacus.optimizers import DPOptimizer
    except ImportError:
        return None
    x, y = case.data(ROWS)
    model = without_dropout(case.model())
    model(x)
    private = GradSampleModule(copy.deepcopy(model))
    plain_optimizer = case.optimizer.torch(model.parameters())
    private_optimizer = DPOptimizer(
        case.optimizer.torch(private.parameters()), noise_multiplier=1.0, max_grad_norm=1.0, expected_batch_size=ROWS
    )

    def step(model: torch.nn.Module, optimizer: Any) -> Callable[[], object]:
        def one() -> None:
            optimizer.zero_grad()
            case.loss(model(x), y).backward()
            optimizer.step()

        return one

    plain, other = turns([step(model, plain_optimizer), step(private, private_optimizer)], seconds)
    return median(b / a for a, b in zip(plain, other, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--runs", type=int, default=3, help="of each job on the node")
    parser.add_argument("--no-node", action="store_true", help="the graphs alone")
    parser.add_argument("names", nargs="*", default=["MLP", "LeNet"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, one thread, batch {ROWS}, medians")
    columns = (
        "model | parameters | nodes | plain ms | per record ms | over plain | "
        "on the node: plain ms | private ms | over plain | Opacus over torch"
    )
    print(f"| {columns} |\n{'|---' * (columns.count('|') + 1)}|")
    for name, case in CASES.items():
        if not any(n.lower() in name.lower() for n in given.names):
            continue
        x, y = case.data(ROWS)
        plain = stepper(Private(case, x, None).build(), x.numpy(), y.numpy(), threads=1)
        private, nodes = per_record(Private(case, x, PRIVACY).build(), x.numpy(), y.numpy())
        size = sum(p.numel() for p in case.model().parameters())
        first, other = turns([plain, private], given.seconds)
        ratio = median(b / a for a, b in zip(first, other, strict=True))
        cells = [name, size, nodes, f"{median(first):.3f}", f"{median(other):.3f}", f"{ratio:.2f}"]
        if given.no_node:
            cells += ["", "", ""]
        else:
            least = on_node(case, given.runs)
            cells += [f"{least[0]:.3f}", f"{least[1]:.3f}", f"{least[1] / least[0]:.2f}"]
        opacus = with_opacus(case, given.seconds)
        cells.append("not installed" if opacus is None else f"{opacus:.2f}")
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
