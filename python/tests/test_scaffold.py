"""SCAFFOLD beside its algorithm as it stands in the paper (option II), written out in torch, round by round."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import delta
from conftest import Network
from delta.bundle import Bundle
from delta.task import FedAvg, Scaffold, _building
from delta.task.learning import ExportError, LearningStrategy
from learning_cases import Simple

Members = list[tuple[Any, Any]]
ROUNDS, EPOCHS = 5, 4


@pytest.fixture(autouse=True, scope="module")
def traced_once() -> Iterator[None]:
    """Most tests are about what the coordinator does with one and the same step."""
    known: dict[str, Any] = {}
    trace = _building.controlled_step

    def step(owner: Any, run: Any, batch: Any, names: Any, **more: Any) -> Any:
        key = f"{type(owner)} {owner.model[0].weight.dtype} {owner.optimizer} {sorted(names)} {more}"
        if key not in known:
            known[key] = trace(owner, run, batch, names, **more)
        return copy.deepcopy(known[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_building, "controlled_step", step)
        yield


def members(rows: Sequence[int] = (12, 20, 30)) -> Members:
    """Parts that pull apart: each has its own centre, spread and border between the classes."""
    rng = np.random.default_rng(5)
    made = []
    for number, count in enumerate(rows):
        x = rng.normal(1.5 * number, 1.0 + number, size=(count, 4)).astype(np.float32)
        made.append((x, (x[:, number] > number).astype(np.int64)))
    return made


class Points(Simple):
    """In double precision; a member's rows are one batch, in the order in which they are."""

    def __init__(self, strategy: LearningStrategy | None = None, optimizer: Any = None, **more: Any) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double()
        super().__init__(
            model, nn.CrossEntropyLoss(), optimizer or (lambda p: torch.optim.SGD(p, 0.2)), (4,), classes=2,
            **({"rounds": ROUNDS} | more), strategy=strategy, prepare=lambda x, y: (x.double(), y),
        )  # fmt: skip
        self.batch_size = 1000


def asked(**more: Any) -> Scaffold:
    return Scaffold(**{"min_clients": 2, "max_clients": 3, "merge_epoch": EPOCHS, "precision": 12, **more})


def reference(
    parts: Members,
    *,
    weighting: str = "mean",
    server_learning_rate: float = 1.0,
    population: int | None = None,
    rates: Sequence[float] = (0.2,) * ROUNDS,
    decay: float = 0.0,
    absent: Mapping[int, Sequence[int]] = {},
    personal: Sequence[int] = (),
    rounds: int = ROUNDS,
) -> list[Tensor]:
    """Algorithm 1 of Karimireddy et al. 2020.

    Where members count by their rows, so do their variates; without ``population`` c is the mean over those that came.
    """
    model = Points().model
    x = [p.detach().clone() for p in model.parameters()]
    shared = [i for i in range(len(x)) if i not in personal]
    own = [[p.clone() for p in x] for _ in parts]
    c = [torch.zeros_like(p) for p in x]
    variates = [[torch.zeros_like(p) for p in x] for _ in parts]
    seen: set[int] = set()
    size = [len(y) if weighting == "samples" else 1 for _, y in parts]
    for number in range(1, rounds + 1):
        there = [i for i in range(len(parts)) if i not in absent.get(number, ())]
        rate, moved = rates[number - 1], {}
        for i in there:
            y = [own[i][j] if j in personal else x[j].clone() for j in range(len(x))]
            for _ in range(EPOCHS):
                for p, value in zip(model.parameters(), y, strict=True):
                    p.data, p.grad = value.clone(), None
                rows, labels = parts[i]
                nn.functional.cross_entropy(model(torch.from_numpy(rows).double()), torch.from_numpy(labels)).backward()
                for j, p in enumerate(model.parameters()):
                    gradient = p.grad + decay * y[j]
                    y[j] = y[j] - rate * (gradient - variates[i][j] + c[j] if j in shared else gradient)
            new = [variates[i][j] - c[j] + (x[j] - y[j]) / (EPOCHS * rate) for j in range(len(x))]
            moved[i], own[i] = (y, new), y
        seen |= set(there)
        total = sum(size[i] for i in there)
        for j in shared:
            step = sum(size[i] * (moved[i][0][j] - x[j]) for i in there) / total
            x[j] = x[j] + server_learning_rate * step
        for i in there:
            variates[i] = moved[i][1]
        if population:
            c = [sum(variates[i][j] for i in range(len(parts))) / population for j in range(len(x))]
        else:
            c = [sum(size[i] * variates[i][j] for i in seen) / sum(size[i] for i in seen) for j in range(len(x))]
    return [x[j] for j in shared]


def same(result: Any, expected: Sequence[Tensor], atol: float = 1e-9) -> None:
    assert len(result.parameters) == len(expected)
    for value, other in zip(result.parameters.values(), expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=0, atol=atol)


def run(made: Any, parts: Members | None = None, **more: Any) -> Any:
    return delta.debug(made, data=parts or members(), threads=1, **more)


CASES: dict[str, dict[str, Any]] = {
    "by members": {"weighting": "mean"},
    "by rows, at half speed": {"weighting": "samples", "server_learning_rate": 0.6},
    "population": {"weighting": "mean", "population": 7},
}
AWAY = {1: [2], 2: [0], 3: [1], 4: [0]}


@pytest.mark.parametrize("case", CASES)
def test_scaffold_is_the_papers(case: str) -> None:
    bundle = Points(asked(**CASES[case])).build()
    leaves_and_stays(bundle, case)
    for absent in ({}, AWAY):
        same(run(bundle, absent=absent), reference(members(), absent=absent, **CASES[case]))
    if case == "by members":
        # Once all have come, that is the paper's mean over all.
        same(run(bundle), reference(members(), weighting="mean", population=3))


def leaves_and_stays(bundle: Bundle, case: str) -> None:
    [spec] = bundle.manifest["rounds"]
    entries = [f"model.{k}" for k in Points().model.state_dict()]
    counted = {"by members": {"members", "scaffold.weight"}, "population": {"members"}}.get(
        case, {"rows", "scaffold.weight"}
    )
    assert {c["name"] for c in spec["map"]["contribute"]} == {*entries, *(f"scaffold.{e}" for e in entries), *counted}
    assert set(spec["map"]["assign"]) == {*(f"scaffold.own.{e}" for e in entries), "scaffold.weight"}
    assert set(bundle.manifest["outputs"]) == set(entries)


def test_variates_hold_members_together() -> None:
    """After many rounds the model is that of all rows, where plain averaging stays apart from it."""

    class Plain(Simple):
        """One layer and a penalty: there is one best model."""

        def __init__(self, strategy: LearningStrategy, rounds: int = 30) -> None:
            torch.manual_seed(0)
            model, optimizer = (
                nn.Sequential(nn.Linear(4, 2)).double(),
                lambda p: torch.optim.SGD(p, 0.2, weight_decay=0.3),
            )
            prepare = lambda x, y: (x.double() / 4, y)  # noqa: E731
            more = {"classes": 2, "rounds": rounds, "strategy": strategy, "prepare": prepare}
            super().__init__(model, nn.CrossEntropyLoss(), optimizer, (4,), **more)
            self.batch_size = 1000

    parts = members()
    pooled = Plain(FedAvg(), 1)
    x, y = (np.concatenate(p) for p in zip(*parts, strict=True))
    for _ in range(600):
        pooled.optimizer.zero_grad()
        pooled.loss_func(pooled.model(torch.from_numpy(x).double() / 4), torch.from_numpy(y)).backward()
        pooled.optimizer.step()
    best = pooled.model[0].weight.detach().numpy()
    many = {"min_clients": 3, "max_clients": 3, "merge_epoch": 10, "precision": 12}
    far = {
        kind: np.abs(run(Plain(kind(**many)), parts).parameters["0.weight"] - best).max() for kind in (FedAvg, Scaffold)
    }
    assert far[Scaffold] < 1e-5 and far[FedAvg] > 1e-3


def test_rates_that_change_weight_decay_and_several_optimizers() -> None:
    """The way is divided by the sum of the rates of each parameter's own steps."""

    class Scheduled(Points):
        def __init__(self, strategy: LearningStrategy) -> None:
            super().__init__(strategy, lambda p: torch.optim.SGD(p, 0.2, weight_decay=0.03))
            self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, gamma=0.5)

    rates = [0.2, 0.2, 0.1, 0.1, 0.05]
    # Rates of a table are single numbers.
    same(run(Scheduled(asked())), reference(members(), rates=rates, decay=0.03, weighting="samples"), 1e-7)

    class Two(Points):
        def __init__(self, strategy: LearningStrategy) -> None:
            super().__init__(strategy)
            self.optimizer = torch.optim.SGD(self.model[0].parameters(), 0.2)
            self.head = torch.optim.SGD(self.model[2].parameters(), 0.2, maximize=True)

        def train(self, dataloader: Any) -> None:
            for x, y in dataloader:
                loss = self.loss_func(self.model(x), y)
                self.optimizer.zero_grad()
                self.head.zero_grad()
                loss.backward()
                for p in self.model[2].parameters():
                    p.grad = -p.grad
                self.optimizer.step()
                self.head.step()

    same(run(Two(asked())), reference(members(), weighting="samples"))


def test_what_is_personal_has_no_variate() -> None:
    made = Points(asked(), personal=["2.*"])
    bundle = made.build()
    assert not [
        n for n in bundle.manifest["variables"] if n.startswith("scaffold.") and n.endswith(("2.weight", "2.bias"))
    ]
    same(run(bundle), reference(members(), weighting="samples", personal=(2, 3)))


def test_a_members_rows_are_measured_in_between() -> None:
    seen: list[Any] = []
    run(
        Points(asked(), validate_interval=2, validate_frac=0.3), members((40, 40, 40)),
        on_round=lambda number, metrics: seen.append(metrics),
    )  # fmt: skip
    assert seen[-1]["loss"] < seen[0]["loss"] and [bool(m) for m in seen] == [True, False] * 2 + [True, True]


@pytest.mark.parametrize(
    ("optimizer", "told"),
    [
        (lambda p: torch.optim.Adam(p, 0.1), "torch.optim.Adam: Scaffold reads gradients off how far plain SGD went"),
        (lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), "with momentum it goes further"),
    ],
)
def test_other_optimizers_are_refused(optimizer: Any, told: str) -> None:
    with pytest.raises(ExportError, match=told):
        Points(asked(), optimizer).build()


def test_numbers_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^server_learning_rate=0: must be greater than 0"):
        Scaffold(server_learning_rate=0)
    with pytest.raises(ValueError, match=r"^population=2: must be at least max_clients, 3"):
        Scaffold(2, 3, population=2, weighting="mean")
    with pytest.raises(ValueError, match=r"^population: .*weighting='mean'"):
        Scaffold(2, 3, population=5)
    for member in (False, True):
        with pytest.raises(ValueError, match=r"^strategy=Scaffold: control variates"):
            Points(Scaffold(2, 3), privacy=delta.Privacy(epsilon=1.0, delta=1e-5, clip=1.0, member=member))


def test_scaffold_over_nodes_in_single_precision(network: Network) -> None:
    parts = members()
    for folder, (x, y) in zip(network.folders, parts, strict=True):
        with (folder / "data").open("wb") as file:
            np.savez(file, x=x, y=y)
    made = Points(asked(min_clients=3, connection_timeout=10, precision=8))
    made.model.float()
    made.prepare = lambda x, y: (x, y)
    node = network.node
    task_id = node.create_task(made)
    assert node.wait(task_id, timeout=120, progress=False), [r["message"] for r in node.logs(task_id)]
    same(node.get_result(task_id), reference(parts, weighting="samples"), 2e-5)
