"""Conditions on the number of a batch: accumulated gradients and the like are what torch makes of them, leftovers included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import delta
import delta.dataset
from delta.task import FedAvg, FedProx, HorizontalLearning, Scaffold
from sampling import one_in
from short import WHOLE

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore::delta.ReleaseWarning")
BATCH = 4
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, 0.3),
    "momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
    "adam": lambda p: torch.optim.Adam(p, 0.05),
}


class Base(HorizontalLearning):
    """Tells two classes apart."""

    batch_size = BATCH
    strategy_asked: Any = None

    def __init__(self, k: int, kind: str = "sgd", rounds: int = 2, **strategy: Any) -> None:
        made = self.strategy_asked or FedAvg(**{"min_clients": 2, "max_clients": 2, "precision": 12, **strategy})
        super().__init__("accumulated", rounds, validate_interval=0, strategy=made)
        torch.manual_seed(k)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        self.model.register_buffer("seen", torch.zeros(3))
        self.loss_func = nn.CrossEntropyLoss()
        self.optimizer = OPTIMIZERS[kind](self.model.parameters())
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, 0.5)
        self.k, self.accumulation_steps = k, k

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset("rows", shape=[3], classes=["a", "b"])

    def make_train_dataloader(self, dataset: Any) -> DataLoader[Any]:
        return DataLoader(dataset, batch_size=self.batch_size)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        made: Tensor = self.loss_func(self.model(x), y)
        return made


class Plain(Base):
    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader):
            loss = self.loss(x, y) / self.k
            loss.backward()
            if (i + 1) % self.k == 0:
                self.optimizer.step()
                self.optimizer.zero_grad()


class Cleared(Base):
    """Leftovers are forgotten before the next round."""

    def train(self, dataloader: Any) -> None:
        self.optimizer.zero_grad()
        steps = self.accumulation_steps
        for index, (x, y) in enumerate(dataloader):
            (self.loss(x, y) / steps).backward()
            if index % steps == steps - 1:
                nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
                self.optimizer.step()
                self.optimizer.zero_grad()


class Last(Base):
    def train(self, dataloader: Any) -> None:
        self.model.train()
        self.optimizer.zero_grad()
        for i, (x, y) in enumerate(dataloader):
            (self.loss(x, y) / self.k).backward()
            if (i + 1) % self.k == 0 or (i + 1) == len(dataloader):
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)


class Named(Base):
    """The same said otherwise, with the rate of the steps."""

    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader, start=1):
            (self.loss(x, y) / self.k).backward()
            last = i >= len(dataloader)
            due = i % self.k == 0
            if due or last:
                self.optimizer.step()
                self.scheduler.step()
                self.optimizer.zero_grad()


class Behind(Base):
    """What is left over takes its step after the loop."""

    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader):
            (self.loss(x, y) / self.k).backward()
            if not (i + 1) % self.k:
                self.optimizer.step()
                self.optimizer.zero_grad()
        if (i + 1) % self.k != 0:
            self.optimizer.step()
            self.optimizer.zero_grad()


class Always(Base):
    """A step after the loop, where there is something or not: without gradients torch takes none."""

    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader):
            (self.loss(x, y) / self.k).backward()
            if (i + 1) % self.k == 0:
                self.optimizer.step()
                self.optimizer.zero_grad()
        self.optimizer.step()
        self.optimizer.zero_grad()


class Rest(Base):
    """The rest of a round takes its step in its last batch, said by itself."""

    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader):
            (self.loss(x, y) / self.k).backward()
            if (i + 1) % self.k == 0:
                self.optimizer.step()
                self.optimizer.zero_grad()
            if i + 1 == len(dataloader) and (i + 1) % self.k != 0:
                self.optimizer.step()
                self.optimizer.zero_grad()


class Before(Base):
    """Gradients are forgotten at the other end."""

    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader):
            if i % self.k == 0:
                self.optimizer.zero_grad()
            (self.loss(x, y) / self.k).backward()
            if i % self.k == self.k - 1:
                self.optimizer.step()


class Skipped(Base):
    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader):
            (self.loss(x, y) / self.k).backward()
            if (i + 1) % self.k:
                continue
            self.optimizer.step()
            self.optimizer.zero_grad()


class Nested(Base):
    """A condition in a condition, an other way, and a buffer."""

    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader):
            (self.loss(x, y) / self.k).backward()
            if (i + 1) % self.k == 0:
                if i >= 2 * self.k:
                    nn.utils.clip_grad_norm_(self.model.parameters(), 0.1)
                self.optimizer.step()
                self.optimizer.zero_grad()
            elif i % 2 == 0 and i > 1:
                with torch.no_grad():
                    self.model.seen.add_(x.mean(0))
            else:
                self.model.seen.mul_(0.5)


class First(Base):
    """Some batches are left out, and a bar counts."""

    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader):
            if i == self.k:
                continue
            self.optimizer.zero_grad()
            self.loss(x, y).backward()
            self.optimizer.step()
            if i % 10 == 0:
                print("batch", i)


class Clamped(Base):
    """Weights and gradients are written into by way of ``.data``, which torch does not count as a change."""

    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader):
            self.optimizer.zero_grad()
            self.loss(x, y).backward()
            if i % self.k == 0:
                for p in self.model.parameters():
                    assert p.grad is not None
                    p.grad.data.mul_(0.25)
            self.optimizer.step()
            if (i + 1) % self.k == 0:
                for p in self.model.parameters():
                    p.data.clamp_(-0.2, 0.2)


KINDS = [Plain, Cleared, Last, Named, Behind, Rest, Always, Before, Skipped, Nested, First, Clamped]


def same_as_torch(kind: type[Base], k: int, optimizer: str, sizes: list[int]) -> None:
    """Train on so many rows at two members that have the same, and with torch on these."""
    bundle = kind(k, optimizer).build()
    for rows in sizes:
        x, y = points(rows)
        found = delta.debug(bundle, rows=[(x, y), (x, y)], show=False)
        plain = kind(k, optimizer)
        first = {name: tensor.clone() for name, tensor in plain.model.state_dict().items()}
        cut = [slice(at, at + BATCH) for at in range(0, rows, BATCH)]
        batches = [(torch.from_numpy(x[at]), torch.from_numpy(y[at])) for at in cut]
        for _ in range(plain.max_rounds):
            plain.train(batches)
        for name, wanted in plain.model.state_dict().items():
            # What never changes is not sent.
            got = found.parameters.get(name, first[name].numpy())
            np.testing.assert_allclose(got, wanted.numpy(), atol=2e-5, err_msg=f"{k=} {rows=} {optimizer} {name}")


@pytest.mark.parametrize("kind", one_in(3, KINDS), ids=lambda k: k.__name__)
def test_it_is_what_torch_makes_of_it(kind: type[Base]) -> None:
    chance = np.random.default_rng(KINDS.index(kind))
    for _ in range(8 if WHOLE else 1):
        k = int(chance.integers(2, 6))
        # Some left over, or nothing; fewer batches than a step takes.
        batches = [int(chance.integers(1, 20)), k - 1, 2 * k, *([2 * k + 1, 3 * k - 1] if WHOLE else [])]
        rows = [BATCH * n - int(chance.integers(0, BATCH)) for n in batches]
        same_as_torch(kind, k, str(chance.choice([*OPTIMIZERS])), rows)


def test_each_batch_may_be_due() -> None:
    same_as_torch(Plain, 1, "momentum", [4, 13])


def test_only_what_is_read_goes_from_batch_to_batch() -> None:
    def kept(kind: type[Base]) -> set[str]:
        manifest = kind(3).build().manifest
        return {n for n, v in manifest["variables"].items() if n.startswith(("accumulated", "batches"))}

    names = {f"accumulated.{n}" for n in ("model.0.weight", "model.0.bias", "model.2.weight", "model.2.bias")}
    assert kept(Plain) == {"batches.over", *names}
    # After the loop it decides whether there is a gradient.
    assert kept(Last) == kept(Always) == {"batches.over", "accumulated", *names}
    assert kept(First) == {"batches.over"}, "gradients are forgotten in each batch"


def test_the_functions_are_what_they_were() -> None:
    code = Plain.train.__code__
    Plain(3).build()
    assert Plain.train.__code__ is code and "__delta_when__" not in globals()


@pytest.mark.parametrize("strategy", [FedProx(2, 2, proximal_mu=0.1), Scaffold(2, 2)], ids=lambda s: type(s).__name__)
def test_strategies_take_such_steps(strategy: Any) -> None:
    """With one step for all of its rows, a round is that of a loader with batches as large."""
    x, y = points(16)

    class Whole(Base):
        batch_size = 16

        def train(self, dataloader: Any) -> None:
            for x, y in dataloader:
                self.optimizer.zero_grad()
                self.loss(x, y).backward()
                self.optimizer.step()

    found = [
        delta.debug(kind(4), rows=[(x, y), (x * 0.5, y)], show=False)
        for kind in (type("Asked", (made,), {"strategy_asked": strategy}) for made in (Plain, Whole))
    ]
    for name, wanted in found[1].parameters.items():
        np.testing.assert_allclose(found[0].parameters[name], wanted, atol=1e-5, err_msg=name)


def points(rows: int) -> tuple[Any, Any]:
    chance = np.random.default_rng(rows)
    return chance.normal(size=(rows, 3)).astype(np.float32), chance.integers(0, 2, rows)
