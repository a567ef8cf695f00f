"""Each optimizer in the graph takes torch's own steps, and keeps torch's own state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn, optim
from torch.optim import lr_scheduler as lr

import delta
from delta._export.errors import ExportError
from delta._export.optimizers import SUPPORTED
from delta.task import HorizontalLearning
from delta.task.learning import FaultTolerantFedAvg, FedAvg
from learning_cases import train

STEPS, WIDTH = 24, 4
Row = tuple[Any, ...]
"""A class, its options, and those of a second group of parameters where there is one."""

ROWS: list[Row] = [
    (optim.RMSprop, {}),
    (optim.RMSprop, {"alpha": 0.4, "eps": 1e-3}),
    (optim.RMSprop, {"momentum": 0.9}),
    (optim.RMSprop, {"centered": True}),
    (optim.RMSprop, {"centered": True, "momentum": 0.5, "weight_decay": 0.1, "maximize": True}),
    (optim.Adagrad, {}),
    (optim.Adagrad, {"lr": 0.1, "lr_decay": 0.2}),
    (optim.Adagrad, {"initial_accumulator_value": 0.3, "weight_decay": 0.1}),
    (optim.Adagrad, {"lr_decay": 0.01, "initial_accumulator_value": 0.1, "eps": 1e-3, "maximize": True}),
    (optim.NAdam, {}),
    (optim.NAdam, {"momentum_decay": 0.3, "betas": (0.8, 0.95)}),
    (optim.NAdam, {"weight_decay": 0.1}),
    (optim.NAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    (optim.RAdam, {"lr": 0.01}),
    (optim.RAdam, {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-3}),
    (optim.RAdam, {"lr": 0.01, "betas": (0.8, 0.5)}),
    (optim.RAdam, {"lr": 0.01, "betas": (0.9, 0.6)}),
    (optim.RAdam, {"lr": 0.01, "weight_decay": 0.1}),
    (optim.RAdam, {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    (optim.Adadelta, {}),
    (optim.Adadelta, {"lr": 0.5, "rho": 0.8, "eps": 1e-4}),
    (optim.Adadelta, {"weight_decay": 0.1, "maximize": True}),
    (optim.Adamax, {}),
    (optim.Adamax, {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-3}),
    (optim.Adamax, {"weight_decay": 0.1, "maximize": True}),
    (optim.ASGD, {"lr": 0.1}),
    (optim.ASGD, {"lr": 0.1, "lambd": 0.05, "alpha": 0.6, "t0": 4}),
    (optim.ASGD, {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 0, "weight_decay": 0.1, "maximize": True}),
    (optim.Rprop, {}),
    (optim.Rprop, {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.05)}),
    (optim.Rprop, {"lr": 1e-4, "step_sizes": (1e-3, 1.0), "maximize": True}),
]

STATE = {
    "momentum_buffer": "momentum", "exp_avg": "mean", "grad_avg": "mean", "exp_avg_sq": "square", "square_avg": "square",
    "max_exp_avg_sq": "largest", "sum": "sum", "acc_delta": "changes", "exp_inf": "norm", "ax": "average", "prev": "previous",
    "step_size": "size", "step": "steps", "eta": "eta", "mu": "mu", "mu_product": "product",
}  # fmt: skip
"""Torch's names of its state, and ours."""


class Several(nn.Module):
    """A linear regression for each parameter; a tracer is slow, and this way they share most of their operators."""

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__()
        torch.manual_seed(0)
        for index, row in enumerate(rows):
            for name in "pq"[: len(row) - 1]:
                self.register_parameter(f"{name}{index}", nn.Parameter(torch.randn(WIDTH)))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x[:, :WIDTH], torch.stack(list(self.parameters())))


class Many(HorizontalLearning):
    """A task with an optimizer, and if asked a scheduler, for each row. Its rows are their own labels."""

    def __init__(
        self, rows: Sequence[Row], schedules: Any = (), when: str = "step", rounds: int = 1, **more: Any
    ) -> None:
        super().__init__("many", rounds, **{"validate_interval": 0, "strategy": FedAvg()} | more)
        self.model, self.rows, self.when, self.schedules = Several(rows), list(rows), when, list(schedules)
        self.names = [f"o{i}" for i in range(len(rows))]
        for index, (name, (kind, options, *other)) in enumerate(zip(self.names, rows, strict=True)):
            p, q = (getattr(self.model, f"{n}{index}", None) for n in "pq")
            setattr(self, name, kind([{"params": [p]}, {"params": [q], **other[0]}] if other else [p], **options))
        for name, schedule in zip(self.names, self.schedules, strict=False):
            setattr(self, f"s{name}", schedule(getattr(self, name)))

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset("data", shape=(WIDTH + 1,))

    def train(self, dataloader: Any) -> None:
        for x in dataloader:
            for name in self.names:
                getattr(self, name).zero_grad()
            (self.model(x) - x[:, WIDTH:]).square().sum(1).mean().backward()
            for name in self.names:
                getattr(self, name).step()
            if self.when == "step":
                self.schedule()
        if self.when == "round":
            self.schedule()

    def schedule(self) -> None:
        for name, _ in zip(self.names, self.schedules, strict=False):
            getattr(self, f"s{name}").step()


def batches(count: int = STEPS) -> list[Tensor]:
    torch.manual_seed(3)
    return [torch.randn(8, WIDTH + 1) for _ in range(count)]


def assert_same(task: Many, found: Any, close: float = 2e-6, prefix: str = "") -> None:
    """Compare parameters, relative to the greatest of each."""
    for name, parameter in task.model.named_parameters():
        theirs, row = parameter.detach().numpy(), task.rows[int(name[1:])]
        worst = float(np.abs(found[prefix + name] - theirs).max() / np.abs(theirs).max())
        assert worst < close, f"{worst} after {row[0].__name__} {row[1:]}"


def assert_same_state(task: Many, found: Any) -> None:
    names = {p: n for n, p in task.model.named_parameters()}
    for name in task.names:
        optimizer = getattr(task, name)
        for index, group in enumerate(optimizer.param_groups):
            for parameter in group["params"]:
                for key, theirs in optimizer.state[parameter].items():
                    slot = f"{name}.{STATE[key]}."
                    ours = found.get(f"{slot}model.{names[parameter]}", found.get(f"{slot}{index}"))
                    # Where nothing hangs on the number of steps, only torch counts them.
                    if theirs is not None and not (key == "step" and ours is None):
                        close = 2e-6 * float(theirs.abs().max())
                        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=close, err_msg=slot)


def check(task: Many, count: int = STEPS) -> None:
    found, _ = train(task.build(), [(x,) for x in batches(count)])
    task.train(batches(count))
    assert_same(task, found, prefix="model.")
    assert_same_state(task, found)


@pytest.mark.parametrize("kind", dict.fromkeys(row[0] for row in ROWS), ids=lambda k: k.__name__)
def test_steps_and_state_are_those_of_torch(kind: type[optim.Optimizer]) -> None:
    check(Many([row for row in ROWS if row[0] is kind]))


def test_groups_have_their_own_options_and_counts() -> None:
    rows: list[Row] = [
        (optim.RMSprop, {"lr": 0.01}, {"lr": 0.02, "momentum": 0.9, "centered": True}),
        (optim.NAdam, {"lr": 0.01}, {"momentum_decay": 0.2, "weight_decay": 0.1, "decoupled_weight_decay": True}),
        (optim.ASGD, {"lr": 0.1}, {"lr": 0.05, "t0": 3, "alpha": 0.9}),
    ]
    check(Many(rows), 10)


def test_schedules_set_the_rate_of_each_step() -> None:
    rows: list[tuple[Row, Any]] = [
        ((optim.RMSprop, {"momentum": 0.5}), lambda o: lr.StepLR(o, 3, 0.5)),
        (
            (optim.NAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
            lambda o: lr.MultiStepLR(o, [2, 5], 0.3),
        ),
        ((optim.ASGD, {"lr": 0.1, "lambd": 0.1, "t0": 2}), lambda o: lr.ExponentialLR(o, 0.8)),
        ((optim.Adagrad, {"lr_decay": 0.1}), lambda o: lr.CosineAnnealingLR(o, 5, eta_min=0.001)),
        ((optim.RAdam, {"lr": 0.01}), lambda o: lr.LinearLR(o, 0.1, 1.0, 6)),
        ((optim.Adadelta, {}), lambda o: lr.LambdaLR(o, lambda n: 1.0 / (1 + n))),
        ((optim.Adamax, {}), lambda o: lr.OneCycleLR(o, 0.1, total_steps=20, cycle_momentum=False)),
        # The rate is that of the first step: torch reads it no more.
        ((optim.Rprop, {"lr": 0.1}), lambda o: lr.SequentialLR(o, [lr.LinearLR(o, 0.1, 1.0, 3), lr.StepLR(o, 2)], [3])),
    ]
    counted = FedAvg(merge_epoch=0, merge_iteration=4)
    check(Many([r for r, _ in rows], [s for _, s in rows], strategy=counted, rounds=3), 12)


@pytest.mark.parametrize("state", ["keep", "reset"])
def test_from_round_to_round_state_is_kept_or_starts_afresh(state: Any) -> None:
    rows: list[Row] = [
        (optim.Rprop, {"lr": 0.1}),
        (optim.ASGD, {"lr": 0.1, "lambd": 0.1, "t0": 4}),
        (optim.Adagrad, {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.1}),
    ]
    halved = lambda o: lr.ExponentialLR(o, 0.5)  # noqa: E731
    epochs, rounds, [x] = 3, 3, batches(1)
    task = Many(rows, [halved], "round", rounds=rounds, strategy=FedAvg(merge_epoch=epochs), optimizer_state=state)
    task.batch_size = len(x)
    found = delta.debug(task.build(), parts=2, data=[x.numpy()] * 2)
    for _ in range(rounds):
        for name, (kind, options) in zip(task.names, rows, strict=True) if state == "reset" else ():
            optimizer = getattr(task, name)
            optimizer.state.clear()
            optimizer.state.update(kind(optimizer.param_groups[0]["params"], **options).state)
        task.train([x] * epochs)
    assert_same(task, found.parameters)


def test_under_privacy_the_coordinator_takes_the_steps() -> None:
    rows = list({row[0]: row for row in ROWS}.values())
    assert len(rows) == 8
    quiet = delta.Privacy(multiplier=1e-4, delta=1e-5, clip=20.0)
    torch.manual_seed(5)
    x, rounds = torch.rand(120, WIDTH + 1) - 0.3, 8
    task = Many(rows, rounds=rounds, privacy=quiet, strategy=FaultTolerantFedAvg(2, 3, merge_epoch=1))
    found = delta.debug(task.build(), parts=3, data=x.numpy())
    for _ in range(rounds):
        task.train([x])
    assert_same(task, found.parameters, close=1e-3)


# ---------------------------------------------------------------- refused
class Own(optim.RMSprop):
    """It may step otherwise."""


REFUSED: dict[str, tuple[Any, str]] = {
    "LBFGS": (optim.LBFGS, "several times in a step"),
    "SparseAdam": (optim.SparseAdam, "sparse"),
    "Adafactor": (optim.Adafactor, "rows and columns"),
    "Own": (Own, "not part of the package"),
}


def refusal(task: Many) -> str:
    with pytest.raises(ExportError) as caught:
        task.build()
    assert caught.value.instead
    return str(caught.value)


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused_by_name_with_those_that_work(name: str) -> None:
    kind, why = REFUSED[name]
    message = refusal(Many([(kind, {})]))
    assert f"optimizer {name}" in message and why in message and SUPPORTED in message
    assert all(word in message for word in ("SGD", "RMSprop", "Adagrad", "NAdam", "ASGD and Rprop"))


@pytest.mark.skipif(not hasattr(optim, "Muon"), reason="torch has it since 2.9")
def test_muon_is_refused() -> None:
    task = Many([(optim.SGD, {"lr": 0.1})])
    task.model.matrix = nn.Linear(2, 2, bias=False)
    task.o0 = optim.Muon(task.model.matrix.parameters())  # type: ignore[attr-defined]
    assert "optimizer Muon: its update takes a whole matrix in bfloat16" in refusal(task)


@pytest.mark.parametrize("options", [{"differentiable": True}, {"lr": torch.tensor(0.1)}], ids=["differentiable", "lr"])
@pytest.mark.parametrize("kind", [optim.RMSprop, optim.Rprop])
def test_options_that_make_a_graph_of_torch_are_refused(kind: Any, options: Any) -> None:
    assert "give lr as a number" in refusal(Many([(kind, options)]))


@pytest.mark.parametrize("kind", [optim.Adagrad, optim.ASGD])
def test_one_that_has_taken_steps_is_refused(kind: Any) -> None:
    task = Many([(kind, {})])
    task.train(batches(1))
    assert "taken steps" in refusal(task)


def test_parameters_that_step_at_different_times_cannot_be_counted_together() -> None:
    class Alternating(Many):
        def train(self, dataloader: Any) -> None:
            for x in dataloader:
                for weight in self.model.parameters():
                    self.o0.zero_grad()
                    (x[:, :WIDTH] @ weight).square().mean().backward()
                    self.o0.step()

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.p, self.q = nn.Parameter(torch.ones(WIDTH)), nn.Parameter(torch.zeros(WIDTH) + 2)

    def task(kind: Any, grouped: bool, **options: Any) -> Alternating:
        made = Alternating([(optim.SGD, {"lr": 0.1})])
        made.model = Both()  # type: ignore[assignment]
        each = list(made.model.parameters())
        made.o0 = kind([{"params": [p]} for p in each] if grouped else each, **options)
        return made

    assert "of their own" in refusal(task(optim.RAdam, grouped=False))
    fine = task(optim.ASGD, grouped=True, lr=0.1, lambd=0.1)
    found, _ = train(fine.build(), [(x,) for x in batches(8)])
    fine.train(batches(8))
    for name, parameter in fine.model.named_parameters():
        np.testing.assert_allclose(found[f"model.{name}"], parameter.detach(), rtol=2e-6, err_msg=name)
