"""Learning under noise over three nodes that let it run within a budget: how near, at what cost, and what ends it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import delta
from conftest import program
from delta.privacy import epsilon_of
from test_private_examples import charged, ends_with_the_budget, example, told

POOLED = "pooled"
ROUNDS, MULTIPLIER, DELTA, RATE = 6, 0.5, 1e-5, 0.5
ASKED = delta.Privacy(multiplier=MULTIPLIER, delta=DELTA, clip=2.02)
"""A record's gradient is at most 2 long, and what counts it a tenth of the bound."""

# For the rounds of one run, and not for one more.
ENOUGH = (epsilon_of(MULTIPLIER, DELTA, ROUNDS) + epsilon_of(MULTIPLIER, DELTA, ROUNDS + 1)) / 2


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """The examples' nodes, which have their digits under a second name, with a budget of its own."""
    made = example("private_nodes")
    rules = {**made.POLICIES[made.DIGITS], "privacy": {"unit": "record", "epsilon": ENOUGH, "delta": DELTA}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DELTA_NODE_BIN", program())
        patch.setitem(made.POLICIES, POOLED, rules)
        write = made.write

        def twice(folder: Any, *rest: Any) -> Any:
            node = write(folder, *rest)
            (folder / "data" / POOLED).write_bytes((folder / "data" / made.DIGITS).read_bytes())
            return node

        patch.setattr(made, "write", twice)
        with made.network(tmp_path_factory.mktemp("private")) as running:
            yield running


def images() -> tuple[Tensor, Tensor]:
    """All nodes' images, each of length 1: what nobody in a real network has."""
    parts = [example("private_nodes").images(i) for i in range(3)]
    x, y = (torch.from_numpy(np.concatenate(p)) for p in zip(*parts, strict=True))
    return scaled(x.float()), y


def scaled(x: Tensor) -> Tensor:
    flat = x.flatten(1)
    return flat / flat.norm(dim=1, keepdim=True)


class Softmax(delta.task.HorizontalLearning):
    """A softmax regression: its loss is convex, and no record's gradient is longer than 2."""

    def __init__(self) -> None:
        strategy = delta.task.FaultTolerantFedAvg(min_clients=3, max_clients=3, merge_epoch=1, wait_timeout=30)
        super().__init__("softmax", ROUNDS, strategy=strategy, privacy=ASKED)
        self.model = nn.Linear(64, 10)
        nn.init.zeros_(self.model.weight)
        nn.init.zeros_(self.model.bias)
        self.loss_func = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=RATE)

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset(POOLED, shape=(1, 8, 8), classes=[str(i) for i in range(10)])

    def preprocess(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return scaled(x), y


def without_noise() -> nn.Linear:
    """Training on all rows, a full batch a step."""
    task = Softmax()
    x, y = images()
    for _ in range(ROUNDS):
        task.optimizer.zero_grad()
        task.loss_func(task.model(x), y).backward()
        task.optimizer.step()
    return task.model


def farthest(chance: float, records: int) -> float:
    """How far noise takes the parameters from those of training without it, but for a chance.

    A record's gradient is (p - onehot) times (x, 1): at most sqrt(2) sqrt(2) = 2 long, within the bound, so nothing is clipped.
    The loss is convex and its gradient changes no faster than 0.5 * |(x, 1)|^2 = 1 times the parameters, so a step of rate
    0.5 never takes two models farther apart: they part by the sum of rate times the errors of the steps. A step's error is
    (S + N) / (n + M) - S / n, with N in the sums and M in the count; |S| <= 2 n. N is Gaussian in 650 dimensions: its norm is
    above sigma (sqrt(650) + t) with a chance below exp(-t^2 / 2); |M| above that sigma times t with below twice as much. The
    chance is shared between steps; what the rounding of discrete noise changes of it is far below.
    """
    sigma = MULTIPLIER * ASKED.clip
    t = math.sqrt(2 * math.log(3 * ROUNDS / chance))
    lost = sigma * t / (0.1 * ASKED.clip)
    assert lost < records / 2
    error = sigma * (math.sqrt(650) + t) / (records - lost) + 2 * lost / (records - lost)
    return ROUNDS * RATE * error


def test_the_model_is_as_near_as_the_noise_lets_it_be(nodes: list[Any]) -> None:
    task = Softmax()
    node = delta.DeltaNode(nodes[0].url)
    number = node.create_task(task)
    assert node.wait(number, timeout=240, progress=False), node.progress(number).error
    found = node.get_result(number)
    plain = without_noise()
    apart = math.sqrt(
        sum(
            float(((torch.from_numpy(found.parameters[n]) - p.detach()) ** 2).sum())
            for n, p in plain.named_parameters()
        )
    )
    most = farthest(1e-7, len(images()[0]))
    moved = math.sqrt(sum(float((p.detach() ** 2).sum()) for p in plain.parameters()))
    assert 0 < apart <= most, "but for one chance in ten million"
    assert most < 0.75 * moved, "useful"
    # What a record was charged at each node is what its author is told.
    assert found.delta == DELTA
    counted = [(r["members"], r["failed"], r["dropped"], len(set(r["who"]))) for r in found.rounds]
    assert counted == [(len(nodes), None, 0, len(nodes))] * ROUNDS
    for account in charged(nodes, POOLED):
        assert account["open"] == 0 and len(account["charges"]) == ROUNDS
        assert account["spent"]["colluding"] == pytest.approx(found.epsilon, rel=1e-9)
    ends_with_the_budget(nodes, Softmax(), POOLED)


@pytest.mark.long
def test_the_example_learns_at_the_cost_that_it_tells(nodes: list[Any]) -> None:
    text = told(nodes, "private_learning")
    accuracy, cost = (re.search(p, text) for p in (r"accuracy +([0-9.]+)", r"epsilon ([0-9.]+) at delta 1e-05"))
    assert accuracy and float(accuracy.group(1)) > 0.6, "a tenth by chance; 0.9 and more as it should be"
    assert cost
    privacy = example("private_learning").PrivateDigits().build().privacy
    assert privacy is not None and float(cost.group(1)) == pytest.approx(privacy["epsilon"], abs=1e-4)
    for account in charged(nodes, "digits"):
        # A round that fails is charged, too, and done once more.
        rounds = range(privacy["rounds"], privacy["rounds"] + 10)
        possible = [epsilon_of(privacy["multiplier"], 1e-5, n) for n in rounds]
        assert any(account["spent"]["colluding"] == pytest.approx(p, rel=1e-9) for p in possible)
