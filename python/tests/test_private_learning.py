"""Learning with ``privacy=``: what is refused and why, what a task says, and steps that are torch's own but for the noise."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import delta
from delta._export.errors import ExportError
from delta.privacy import epsilon_of
from delta.task import FedAvg, HorizontalLearning
from learning_cases import Simple
from private_cases import LOOSE, Private, flat, gradients, torch_gradients


def rows(count: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(count, 6), torch.randint(0, 3, (count,))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


class Base(Private):
    def __init__(self, **arguments: Any) -> None:
        super().__init__(network(), nn.CrossEntropyLoss(), rows, **arguments)
        self.norm = nn.BatchNorm1d(6, affine=False)

    def update(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


class TwoSteps(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.update(self.loss_func(self.model(x), y))
            self.optimizer.step()  # here


class TwoLosses(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.loss_func(self.model(x), y).backward()
            self.loss_func(self.model(-x), y).backward()  # here
            self.optimizer.step()
            self.optimizer.zero_grad()


class Normed(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            z = self.norm(x)  # here
            self.update(self.loss_func(self.model(z), y))


class Centred(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            z = x - x.mean(0)  # here
            self.update(self.loss_func(self.model(z), y))


class Dropped(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            z = nn.functional.dropout(x, 0.5)  # here
            self.update(self.loss_func(self.model(z), y))


class Root(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            loss = self.loss_func(self.model(x), y).sqrt()  # here
            self.update(loss)


class Contrast(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            z = self.model(x)
            likeness = z @ z.flip(0).T  # here
            self.update(likeness.mean() + self.loss_func(z, y))


class Rates(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.optimizer.param_groups[0]["lr"] = 0.5
            loss = self.loss_func(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()  # here


@pytest.mark.parametrize("kind", [TwoSteps, TwoLosses, Normed, Centred, Dropped, Root, Contrast, Rates])
def test_what_is_no_sum_over_records_is_refused_with_its_line(kind: type[Base]) -> None:
    with pytest.raises(ExportError) as caught:
        kind().build()
    lines, first = inspect.getsourcelines(kind)
    here = first + next(i for i, line in enumerate(lines) if line.rstrip().endswith("# here"))
    assert caught.value.location is not None and caught.value.location.line == here, str(caught.value)
    assert caught.value.instead


class Clipped(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.optimizer.zero_grad()
            self.loss_func(self.model(x), y).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 0.1)
            self.optimizer.step()


class Unused(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.loss_func(self.model(x), y)


@pytest.mark.parametrize(("kind", "says"), [(Clipped, "gradients are changed"), (Unused, "backward")])
def test_what_has_no_line_of_its_own_is_refused_too(kind: type[Base], says: str) -> None:
    with pytest.raises(ExportError, match=says):
        kind().build()


def test_rounds_under_privacy_take_no_other_length() -> None:
    for strategy, says in [
        (FedAvg(merge_epoch=2), "merge_epoch=2: under privacy"),
        (FedAvg(merge_epoch=0, merge_iteration=3), "merge_iteration=3: under privacy"),
        (FedAvg(weighting="mean"), "weighting='mean': under privacy"),
    ]:
        with pytest.raises(ValueError, match=says):
            Simple(
                network(),
                nn.CrossEntropyLoss(),
                lambda p: torch.optim.SGD(p, 0.1),
                (6,),
                strategy=strategy,
                privacy=LOOSE,
            )
    with pytest.raises(ValueError, match="validate_interval=1: under privacy nothing is measured"):
        Base(validate_interval=1)
    assert HorizontalLearning.__init__.__kwdefaults__["privacy"] is None


def test_the_task_says_what_it_costs() -> None:
    privacy = delta.Privacy(epsilon=2.0, delta=1e-5, clip=0.5)
    bundle = Base(rounds=7, privacy=privacy).build()
    assert bundle.rounds == 7 and len(bundle.manifest["rounds"]) == 1
    (step,) = bundle.manifest["rounds"][0]["map"]["steps"]
    z = privacy.plan(7).multiplier
    assert step["driver"]["clip"] == {"l2": 0.5} and step["driver"]["noise"] == {"multiplier": z, "delta": 1e-5}
    assert {v["location"] for v in bundle.manifest["variables"].values()} == {"server"}
    assert bundle.privacy is not None
    assert bundle.privacy["epsilon"] <= 2.0 and bundle.privacy["rounds"] == 7
    assert bundle.privacy["epsilon"] == pytest.approx(epsilon_of(float(z), 1e-5, 7))
    text = bundle.describe()
    for words in ("Class: private", "of length 0.5 at most", f"with noise of {z} times", "7 rounds cost epsilon 2"):
        assert words in text, text


def test_no_record_is_longer_than_its_bound_and_each_counts_alike() -> None:
    task = Base(privacy=delta.Privacy(multiplier=1.0, clip=0.2))
    x, y = rows(50)
    x[0] *= 1e4
    found = gradients(task.build(), flat(x, y))
    count = found.pop("records")
    vectors = np.concatenate([g.reshape(50, -1) for g in found.values()], 1)
    lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(1) + count.astype(np.float64) ** 2)
    assert (count == np.float32(0.02)).all() and (lengths <= 0.2 * (1 + 1e-6)).all()
    together = [torch_gradients(task, x[i : i + 1], y[i : i + 1]) for i in range(50)]
    steep = np.array([np.sqrt(sum((g**2).sum() for g in one.values())) for one in together])
    bound = np.sqrt(0.2**2 - 0.02**2)
    assert (steep > bound).any(), "some are bound"
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), np.minimum(steep, bound), rtol=1e-4)


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, 0.3),
    "nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "dampened": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, dampening=0.3),
    "adam": lambda p: torch.optim.Adam(p, 0.05, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, 0.05),
}


def same_as_torch(task: Private, scheduler: Any = None, rounds: int = 5) -> None:
    x, y = rows(120)
    found = delta.debug(task.build(), flat=flat(x, y), parts=3)
    model = task.model.train()
    for _ in range(rounds):
        task.optimizer.zero_grad()
        task.loss_func(model(x), y).backward()
        for p in model.parameters():
            assert p.grad is not None
        if getattr(task, "summed", False):
            for p in model.parameters():
                p.grad /= len(x)
        task.optimizer.step()
        if scheduler is not None:
            scheduler.step()
    for name, p in model.named_parameters():
        # Adam divides by the size of a gradient: noise shows most where that is small.
        close = 2e-4 if isinstance(task.optimizer, torch.optim.SGD) else 2e-3
        np.testing.assert_allclose(found.parameters[name], p.detach().numpy(), atol=close, err_msg=name)


TINY = delta.Privacy(multiplier=0.0001, delta=1e-5, clip=5.0)
"""Noise of 0.0005 in the sums over 120 records: of 4e-6 in the mean gradient."""


class Optimized(Private):
    def __init__(self, name: str) -> None:
        super().__init__(network(), nn.CrossEntropyLoss(), rows, OPTIMIZERS[name], 5, TINY)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rounds_are_full_steps_of_the_optimizer(name: str) -> None:
    # Adam divides by the size of a gradient, so that noise counts most where it is near 0; no gradient of these is.
    same_as_torch(Optimized(name))


class Scheduled(Private):
    lr_schedule = "round"

    def __init__(self, where: Any) -> None:
        super().__init__(network(), nn.CrossEntropyLoss(), rows, OPTIMIZERS["nesterov"], 5, TINY)
        self.lr_schedule = where
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, 0.5)


@pytest.mark.parametrize("where", ["step", "round"])
def test_schedules_step_once_a_round(where: str) -> None:
    task = Scheduled(where)
    same_as_torch(task, task.scheduler)


class Summed(Private):
    summed = True

    def __init__(self) -> None:
        super().__init__(network(), nn.CrossEntropyLoss(reduction="sum"), rows, OPTIMIZERS["sgd"], 3, TINY)


def test_a_sum_takes_its_step_with_the_mean() -> None:
    same_as_torch(Summed(), rounds=3)


def test_the_result_says_its_cost() -> None:
    task = Base(rounds=2, privacy=delta.Privacy(multiplier=3.0, delta=1e-6, clip=1.0))
    found = delta.debug(task.build(), flat=flat(*rows(60)), parts=3)
    assert found.epsilon == pytest.approx(epsilon_of(3.0, 1e-6, 2)) and found.delta == 1e-6
    assert found.privacy["clip"] == 1.0 and found.metrics == {}
    plain = Simple(network(), nn.CrossEntropyLoss(), lambda p: torch.optim.SGD(p, 0.1), (6,), classes=3)
    alone = delta.debug(plain.build(), data=(rows(60)[0].numpy(), rows(60)[1].numpy()), parts=3)
    assert alone.privacy is None and alone.epsilon is None and alone.delta is None
