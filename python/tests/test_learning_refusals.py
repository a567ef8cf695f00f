"""What cannot become a graph is refused at build(), with the author's line and what to write instead."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, WeightedRandomSampler

from delta._export.errors import ExportError
from learning_cases import Simple


class Base(Simple):
    """A small task; the tests replace one of its methods."""

    def __init__(self, **arguments: Any) -> None:
        torch.manual_seed(0)
        layers = [nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)]
        model, optimizer = nn.Sequential(*layers), lambda p: torch.optim.SGD(p, 0.1)
        super().__init__(model, nn.CrossEntropyLoss(), optimizer, (4,), classes=2, **arguments)

    def forward_loss(self, x: Tensor, y: Tensor) -> Tensor:
        return self.loss_func(self.model(x), y)

    def update(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


class Item(Base):
    def train(self, dataloader: Any) -> None:
        total = 0.0
        for x, y in dataloader:
            loss = self.forward_loss(x, y)
            total += loss.item()  # here
            self.update(loss)


class Float(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            loss = self.forward_loss(x, y)
            _ = float(loss)  # here
            self.update(loss)


class Print(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            loss = self.forward_loss(x, y)
            print(f"loss {loss}")  # here
            self.update(loss)


class Decision(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            loss = self.forward_loss(x, y)
            if loss > 3.0:  # here
                loss = loss * 0.5
            self.update(loss)


class Numpy(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            loss = self.forward_loss(x, y)
            np.mean(x.numpy())  # here
            self.update(loss)


class ToList(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            y.tolist()  # here
            self.update(self.forward_loss(x, y))


class Length(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.update(self.forward_loss(x, y) / len(y))  # here


class LoopOverRows(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            loss = sum(self.forward_loss(row[None], y[:1]) for row in x)  # here
            self.update(loss)


class DecisionByRows(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            if x.shape[0] > 30:  # here
                self.update(self.forward_loss(x, y))


class Mask(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            keep = x.sum(1) > 0
            self.update(self.forward_loss(x[keep], y[keep]))  # here


class Closure(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.optimizer.step(lambda: self.forward_loss(x, y))  # here  # noqa: B023


class NoZeroGrad(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.forward_loss(x, y).backward()  # here
            self.optimizer.step()


class Carried(Base):
    def train(self, dataloader: Any) -> None:
        mean = torch.zeros(())
        for x, y in dataloader:
            loss = self.forward_loss(x, y)
            mean = 0.9 * mean + 0.1 * loss.detach()  # here
            self.update(loss / (1 + mean))


class Kept(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.last = self.forward_loss(x, y)
            self.update(self.last)


class EverySecond(Base):
    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader):
            loss = self.forward_loss(x, y)
            if i % 2 == 0:
                loss = loss * 0.5  # here
            self.update(loss)


class Epochs(Base):
    def train(self, dataloader: Any) -> None:
        for _ in range(3):
            for x, y in dataloader:  # here
                self.update(self.forward_loss(x, y))


class Break(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.update(self.forward_loss(x, y))
            break  # here


class Grown(Base):
    def train(self, dataloader: Any) -> None:
        total = torch.zeros(())
        for x, y in dataloader:
            loss = self.forward_loss(x, y)
            self.update(loss)
            total += loss.detach()  # here
        with torch.no_grad():
            self.model[1].bias.add_(total)


class Counted(Base):
    def train(self, dataloader: Any) -> None:
        number = torch.zeros(())
        for x, y in dataloader:
            number += 1  # here
            self.update(self.forward_loss(x, y) / number)


class CountedAnew(Base):
    def train(self, dataloader: Any) -> None:
        number = torch.zeros(())
        for x, y in dataloader:
            number = number + 1
            self.update(self.forward_loss(x, y) / number)  # here


class LenLoader(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.update(self.forward_loss(x, y) / len(dataloader))  # here


class Alias(Base):
    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader):
            last = i % 3 == 2
            self.update(self.forward_loss(x, y) * (0.0 if last else 1.0))  # here


class Arithmetic(Base):
    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader):
            self.update(self.forward_loss(x, y) * (1 - i // 2))  # here


class InAList(Base):
    def train(self, dataloader: Any) -> None:
        count = [0]
        for x, y in dataloader:
            count[0] += 1
            if count[0] > 2:  # here
                continue
            self.update(self.forward_loss(x, y))


class InAFunction(Base):
    def train(self, dataloader: Any) -> None:
        n = 0

        def scaled(loss: Tensor) -> Tensor:
            nonlocal n
            n += 1
            return loss if n < 3 else loss * 0

        for x, y in dataloader:  # here
            self.update(scaled(self.forward_loss(x, y)))


class RowsSoFar(Base):
    def train(self, dataloader: Any) -> None:
        n = 0
        for x, y in dataloader:
            n += x.shape[0]
            self.update(self.forward_loss(x, y) * (4 / n))  # here


class AfterCounting(Base):
    def train(self, dataloader: Any) -> None:
        n = 0
        for x, y in dataloader:
            n += 1
            self.update(self.forward_loss(x, y))
        with torch.no_grad():
            self.model[1].weight.mul_(n / 2)  # here


class ByHand(Base):
    def train(self, dataloader: Any) -> None:
        batches = iter(dataloader)
        while (batch := next(batches, None)) is not None:  # here
            self.update(self.forward_loss(*batch))


class Some(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in (b for i, b in enumerate(dataloader) if i != 2):  # here
            self.update(self.forward_loss(x, y))


class InADict(Base):
    def train(self, dataloader: Any) -> None:
        self.seen = {"rounds": 0}
        for x, y in dataloader:
            self.update(self.forward_loss(x, y))


class Rebound(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.update(self.forward_loss(x, y))
        self.model[1].weight = nn.Parameter(self.model[1].weight.detach() * 0.5)


class Rate(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.update(self.forward_loss(x, y))
        self.optimizer.param_groups[0]["lr"] *= 0.5


class NoiseAfter(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.update(self.forward_loss(x, y))
        with torch.no_grad():
            self.model[1].weight.add_(torch.randn_like(self.model[1].weight))  # here


class NoUpdate(Base):
    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.optimizer.zero_grad()
            self.forward_loss(x, y).backward()


REFUSED: dict[type[Base], tuple[str, str]] = {
    Item: (".item()", "validate() or metrics"),
    Float: ("float()", "validate() or metrics"),
    Print: ("print", "remove the print"),
    Decision: ("a decision on a tensor's value", "torch.where"),
    Numpy: (".numpy()", "torch operations"),
    ToList: (".tolist()", "keep it a tensor"),
    Length: ("len()", "x.shape[0]"),
    LoopOverRows: ("a loop over the rows", "operations on the whole batch"),
    DecisionByRows: ("batch size", "any number of rows"),
    Mask: ("indexing by a mask", "torch.where(mask, value, 0)"),
    Closure: ("closure", "loss.backward() and step()"),
    NoZeroGrad: ("loss.backward()", "zero_grad()"),
    Carried: ("a value of one batch is used in the next", "validate() or metrics"),
    Kept: ("self.last", "register_buffer"),
    EverySecond: ("loss =: it is set under a condition", "torch.where"),
    Epochs: ("a second loop", "merge_epoch"),
    Break: ("break in the loop", "merge_iteration"),
    Grown: ("a value of one batch is used in the next", "validate() or metrics"),
    Counted: ("a value of one batch is used in the next", "validate() or metrics"),
    CountedAnew: ("does not treat every batch alike", "lr_scheduler"),
    LenLoader: ("len(dataloader)", "the node counts"),
    Alias: ("last is used", "merge_iteration"),
    Arithmetic: ("i is used", "merge_iteration"),
    InAList: ("count is used", "merge_iteration"),
    InAFunction: ("n is counted in a function", "merge_iteration"),
    RowsSoFar: ("n is used", "merge_iteration"),
    AfterCounting: ("n is used", "merge_iteration"),
    ByHand: ("the loop over dataloader", "for x, y in dataloader:"),
    Some: ("the loop over dataloader", "for x, y in dataloader:"),
    InADict: ("self.seen", "register_buffer"),
    Rebound: ("self.model.1.weight =", "copy_"),
    Rate: ("param_groups", "lr_scheduler"),
    NoiseAfter: ("random numbers", "draw in the loop"),
    NoUpdate: ("no parameter changes", "self.optimizer.step()"),
}


def marked_line(kind: type) -> tuple[int, str] | None:
    lines, first = inspect.getsourcelines(kind)
    return next(((first + i, line.strip()) for i, line in enumerate(lines) if "# here" in line), None)


@pytest.mark.parametrize("kind", REFUSED, ids=lambda k: k.__name__)
def test_refused_with_line_and_advice(kind: type[Base]) -> None:
    with pytest.raises(ExportError) as caught:
        kind().build()
    what, advice = REFUSED[kind]
    assert what in str(caught.value)
    assert caught.value.instead is not None and advice in caught.value.instead
    if (marked := marked_line(kind)) is not None:
        assert f"{__file__}:{marked[0]}" in str(caught.value) and marked[1] in str(caught.value)


def refused(build: Callable[[], object]) -> str:
    with pytest.raises(ExportError) as caught:
        build()
    assert caught.value.instead
    return str(caught.value)


@pytest.mark.parametrize("kind", [torch.optim.LBFGS, torch.optim.Adafactor])
def test_other_optimizers_are_refused_by_name_with_those_that_work(kind: Any) -> None:
    task = Base()
    task.optimizer = kind(task.model.parameters(), lr=0.1)
    message = refused(task.build)
    assert kind.__name__ in message and "SGD, Adam, AdamW" in message


def test_an_optimizer_that_has_taken_steps_is_refused() -> None:
    task = Base()
    task.optimizer = torch.optim.Adam(task.model.parameters())
    task.train([(torch.randn(4, 4), torch.zeros(4, dtype=torch.int64))])
    assert "taken steps" in refused(task.build)


def test_parameters_outside_of_the_task_are_refused() -> None:
    task = Base()
    task.optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(3))], 0.1)
    assert "no module of the task holds" in refused(task.build)


def test_a_scheduler_that_looks_at_the_loss_is_refused() -> None:
    task = Base()
    task.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(task.optimizer)
    assert "ReduceLROnPlateau" in refused(task.build)


def test_numpy_collate_functions_are_refused_with_their_line() -> None:
    def transform_data(samples: Any) -> Any:
        return torch.tensor(np.array([x for x, _ in samples])), torch.tensor([y for _, y in samples])

    task = Base()
    task.make_train_dataloader = lambda dataset: DataLoader(dataset, batch_size=4, collate_fn=transform_data)  # type: ignore[method-assign]
    message = refused(task.build)
    assert "transform_data" in message and "preprocess(self, x, y)" in message
    assert f"{__file__}:{transform_data.__code__.co_firstlineno}" in message


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda d: DataLoader(Subset(d, range(10)), batch_size=4), "changes the dataset"),
        (lambda d: DataLoader(d, batch_size=4, sampler=WeightedRandomSampler([1.0] * 10, 10)), "WeightedRandomSampler"),
        (lambda d: [d], "list"),
        (lambda d: d[0], "its rows are at the nodes"),
    ],
)
def test_loaders_that_nodes_cannot_follow_are_refused(make: Any, what: str) -> None:
    task = Base()
    task.make_train_dataloader = make  # type: ignore[method-assign]
    assert what in refused(task.build)


def test_state_that_is_no_parameter_is_refused() -> None:
    task = Base()
    task.state_dict = lambda: {"w": torch.zeros(3)}  # type: ignore[method-assign]
    assert "state_dict()['w']" in refused(task.build)


def test_operators_without_translation_name_the_line_of_the_model() -> None:
    class Solve(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.eye(4))

        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.solve(self.a, x.T).T  # there

    task = Simple(Solve(), nn.CrossEntropyLoss(), lambda p: torch.optim.SGD(p, 0.1), (4,), classes=4)
    message = refused(task.build)
    assert "# there" in message and "solve" in message


def test_the_task_is_as_before_after_a_refusal() -> None:
    task = Decision()
    before = {k: v.clone() for k, v in task.model.state_dict().items()}
    refused(task.build)
    assert isinstance(task.optimizer, torch.optim.SGD)
    assert all(isinstance(p, nn.Parameter) and p.grad is None for p in task.model.parameters())
    assert all((before[k] == v).all() for k, v in task.model.state_dict().items())


class Shown(Base):
    """Numbers that are only shown, and lists that nobody reads, are no matter."""

    def train(self, dataloader: Any) -> None:
        first, seen, losses = True, 0, []
        for i, (x, y) in enumerate(dataloader):
            loss = self.forward_loss(x, y)
            self.update(loss)
            seen += x.shape[0]
            losses.append(loss.detach())
            if first:
                print("first")
                first = False
            if i % 100 == 0:
                print(f"batch {i}")
        for p in self.model.parameters():
            p.data = p.data.clamp(-1.0, 1.0)
        print(f"{seen} rows")


def test_what_is_only_shown_is_no_matter() -> None:
    steps = Shown().build().manifest["rounds"][0]["map"]["steps"]
    assert any(s["graph"].startswith("graphs/after") for s in steps)
