"""Our strategies beside Flower's own classes, on equal inputs. Needs flwr, which is in no extra of the package:

    python3 -m venv /tmp/flower
    /tmp/flower/bin/pip install torch --index-url https://download.pytorch.org/whl/cpu
    /tmp/flower/bin/pip install 'flwr>=1.20' './python[torch,test]'
    cd python && /tmp/flower/bin/python -m pytest -s tests/test_flower.py

Flower's server loop (``Strategy.start``) runs here as it is, over nodes in this process that train with torch.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import delta
from conftest import ROOT
from delta.task import FedAdagrad, FedAdam, FedAvg, FedAvgM, FedProx, FedYogi
from test_strategies import EPOCHS, ROUNDS, Arrays, Members, asked, members, run, state_of, task

flwr = pytest.importorskip("flwr", reason="Flower is not installed: see the head of this file")
pytest.importorskip("flwr.serverapp.strategy", reason="this Flower is older than its message API (1.20)")

CASES: dict[str, tuple[Callable[..., Any], dict[str, float]]] = {
    "FedAvg": (FedAvg, {}),
    "FedAvgM by default": (FedAvgM, {}),
    "FedAvgM": (FedAvgM, {"server_learning_rate": 0.7, "server_momentum": 0.9}),
    "FedAdagrad by default": (FedAdagrad, {}),
    "FedAdagrad": (FedAdagrad, {"eta": 0.05, "eta_l": 0.3, "tau": 1e-2}),
    "FedAdam by default": (FedAdam, {}),
    "FedAdam": (FedAdam, {"eta": 0.03, "beta_1": 0.5, "beta_2": 0.9, "tau": 1e-4}),
    "FedYogi by default": (FedYogi, {}),
    "FedYogi": (FedYogi, {"eta": 0.1, "beta_1": 0.8, "beta_2": 0.7, "tau": 1e-2}),
    "FedProx": (FedProx, {"proximal_mu": 0.8}),
}


def identified() -> None:
    """Newer versions ask which task of theirs this process is."""
    with contextlib.suppress(ImportError):
        from flwr.supercore.task_identity import TaskIdentity

        TaskIdentity.run_id = TaskIdentity.task_id = TaskIdentity.node_id = 1


def grid(nodes: int, answer: Callable[[Any], Any]) -> Any:
    """Flower's nodes, without processes between them and the server."""
    from flwr.serverapp import Grid

    class InProcess(Grid):
        def set_run(self, run: Any) -> None:
            raise NotImplementedError

        @property
        def run(self) -> Any:
            raise NotImplementedError

        def create_message(self, *given: Any, **more: Any) -> Any:
            raise NotImplementedError

        push_messages = pull_messages = create_message

        def get_node_ids(self) -> list[int]:
            return list(range(1, nodes + 1))

        def send_and_receive(self, messages: Iterable[Any], *, timeout: float | None = None) -> list[Any]:
            return [answer(m) for m in messages]

    identified()
    return InProcess()


def flower(kind: str, arguments: dict[str, float], parts: Members) -> Arrays:
    """A whole run of Flower's strategy of this name."""
    from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
    from flwr.serverapp import strategy

    def train(message: Any) -> Any:
        x, y = parts[message.metadata.dst_node_id - 1]
        mu = float(message.content["config"].get("proximal-mu", 0.0))
        weights = {k: torch.from_numpy(a.numpy().copy()) for k, a in message.content["arrays"].items()}
        one = task()
        one.model.load_state_dict(weights)
        start = [p.detach().clone() for p in one.model.parameters()]
        for _ in range(EPOCHS):
            one.optimizer.zero_grad()
            near = sum(((p - s) ** 2).sum() for p, s in zip(one.model.parameters(), start, strict=True))
            loss = one.loss_func(one.model(torch.from_numpy(x).double()), torch.from_numpy(y))
            (loss + mu / 2 * near).backward()
            one.optimizer.step()
        arrays = ArrayRecord({k: Array(v) for k, v in state_of(one.model).items()})
        metrics = MetricRecord({"num-examples": len(x)})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    made = getattr(strategy, kind)(fraction_evaluate=0.0, min_train_nodes=len(parts), **arguments)
    first = ArrayRecord({k: Array(v) for k, v in state_of(task().model).items()})
    result = made.start(grid(len(parts), train), first, num_rounds=ROUNDS)
    return {k: a.numpy() for k, a in result.arrays.items()}


@pytest.mark.parametrize("case", CASES)
def test_a_strategy_is_flowers_own(case: str) -> None:
    kind, arguments = CASES[case]
    expected = flower(kind.__name__, arguments, members())
    result = run(task(asked(kind, **arguments)))
    first = state_of(task().model)
    assert max(float(np.abs(expected[k] - v).max()) for k, v in first.items()) > 0.03
    off = max(float(np.abs(result.parameters[k] - v).max()) for k, v in expected.items())
    versions = f"Flower {importlib.metadata.version('flwr')}, torch {torch.__version__}"
    print(f"\n| {case} | {off:.1e} | {versions} |")
    assert result.parameters.keys() == expected.keys() and off < 1e-6


def programs() -> tuple[str, str]:
    """Those of ``docs/coming-from-flower.md``: Flower's, and ours without what needs a node."""
    text = (ROOT / "docs/coming-from-flower.md").read_text()
    theirs, ours = (re.search(rf"^```python{kind}\n(.*?)^```$", text, re.M | re.S) for kind in (" flower", ""))
    assert theirs and ours
    return theirs.group(1), ours.group(1).partition("\ntask = ")[0]


def test_the_two_programs_of_the_document_train_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flwr.app import Context, RecordDict

    rng = np.random.default_rng(2)
    x = rng.integers(0, 256, (150, 1, 8, 8)).astype(np.float32)
    parts = [(x[i::3], (x[i::3, 0, 0, 0] // 26).astype(np.int64)) for i in range(3)]
    sets = [torch.utils.data.TensorDataset(*map(torch.from_numpy, part)) for part in parts]
    written = tmp_path / "ours.py"
    theirs, ours = programs()
    written.write_text(ours)
    there: dict[str, Any] = {"load_digits": lambda i: sets[i]}
    here: dict[str, Any] = {"__name__": "ours"}
    exec(theirs, there)
    exec(compile(ours, str(written), "exec"), here)

    def answer(message: Any) -> Any:
        number = message.metadata.dst_node_id - 1
        return there["client_app"](message, Context(1, number + 1, {"partition-id": number}, RecordDict(), {}))

    monkeypatch.chdir(tmp_path)
    there["server_app"](grid(3, answer), Context(1, 0, {}, RecordDict(), {}))
    expected = torch.load(tmp_path / "model.pt")
    made = here["Digits"]()
    # Flower trains on all rows, and measures on the same ones.
    made.validate_interval = 0
    result = delta.debug(made, digits=parts, threads=1)
    first = here["Digits"]().model.state_dict()
    assert result.parameters.keys() == expected.keys()
    assert max(float((expected[k] - v).abs().max()) for k, v in first.items()) > 0.05
    off = max(float(np.abs(result.parameters[k] - v.numpy()).max()) for k, v in expected.items())
    print(f"\n| the programs of the document | {off:.1e} | single precision |")
    assert off < 2e-5
