"""Learning-rate schedules inside the graph give torch's own rates, within rounds and from round to round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler as lr

import delta
from delta._export.errors import ExportError
from delta.task.learning import FedAvg
from learning_cases import Simple, differences, train, train_eagerly

Make = Callable[[torch.optim.Optimizer], Any]
SCHEDULES: dict[str, Make] = {
    "StepLR": lambda o: lr.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda o: lr.MultiStepLR(o, [2, 5, 5, 9], 0.3),
    "ExponentialLR": lambda o: lr.ExponentialLR(o, 0.8),
    "CosineAnnealingLR": lambda o: lr.CosineAnnealingLR(o, 5, eta_min=0.01),
    "LinearLR": lambda o: lr.LinearLR(o, 0.1, 1.0, 6),
}
COUNTED: dict[str, Make] = {
    "LambdaLR": lambda o: lr.LambdaLR(o, lambda n: 1.0 / (1 + n)),
    "SequentialLR": lambda o: lr.SequentialLR(o, [lr.LinearLR(o, 0.1, 1.0, 3), lr.StepLR(o, 2, 0.5)], [3]),
    "OneCycleLR": lambda o: lr.OneCycleLR(o, 0.5, total_steps=20, cycle_momentum=False),
}


class Scheduled(Simple):
    """Two groups of parameters with rates of their own, and a scheduler."""

    def __init__(self, make: Make, when: str, **arguments: Any) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
        groups = [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.05}]
        optimizer = lambda _: torch.optim.SGD(groups, lr=0.2, momentum=0.5)  # noqa: E731
        super().__init__(model, nn.CrossEntropyLoss(), optimizer, (4,), classes=2, **arguments)
        self.scheduler = make(self.optimizer)
        self.lr_schedule = when  # type: ignore[assignment]


def batches(count: int) -> list[Any]:
    torch.manual_seed(3)
    return [(torch.randn(8, 4), torch.randint(0, 2, (8,))) for _ in range(count)]


def assert_equal_after(task: Scheduled, count: int) -> None:
    state, noise = train(task.build(), batches(count))
    train_eagerly(task, batches(count), noise)
    assert max(v[0] for v in differences(task, state).values()) < 1e-6


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_per_step_follows_torch_over_its_end(name: str) -> None:
    assert_equal_after(Scheduled(SCHEDULES[name], "step"), 13)


@pytest.mark.parametrize("name", COUNTED)
def test_any_schedule_works_per_step_when_rounds_count_batches(name: str) -> None:
    counted = FedAvg(merge_epoch=0, merge_iteration=4)
    assert_equal_after(Scheduled(COUNTED[name], "step", strategy=counted, rounds=3), 12)


def test_without_a_rule_for_any_number_of_steps_it_is_refused() -> None:
    with pytest.raises(ExportError, match=r"LambdaLR(.|\n)*once per round"):
        Scheduled(COUNTED["LambdaLR"], "step").build()


def test_per_step_schedules_without_effect_of_the_optimizer_option_go_on_at_the_member() -> None:
    bundle = Scheduled(SCHEDULES["ExponentialLR"], "step", optimizer_state="reset", rounds=2).build()
    kept = bundle.manifest["rounds"][0]["map"]["assign"]
    assert set(kept) == {"scheduler.steps", "scheduler.rates"}


@pytest.mark.parametrize("name", [*SCHEDULES, *COUNTED])
def test_a_schedule_per_round_follows_torch(name: str) -> None:
    rounds, task = 5, Scheduled((SCHEDULES | COUNTED)[name], "round", rounds=5, strategy=FedAvg(merge_epoch=1))
    task.batch_size = 8
    [(x, y)] = batches(1)
    result = delta.debug(task.build(), parts=2, data=[(x.numpy(), y.numpy())] * 2)
    train_eagerly_rounds(task, (x, y), rounds)
    for key, value in task.state_dict().items():
        np.testing.assert_allclose(result.parameters[key], value.numpy(), atol=1e-6)


def train_eagerly_rounds(task: Scheduled, batch: Any, rounds: int) -> None:
    for _ in range(rounds):
        task.train([batch])


def test_a_scheduler_at_two_places_is_refused() -> None:
    class Twice(Scheduled):
        def train(self, dataloader: Any) -> None:
            for x, y in dataloader:
                loss = self.loss_func(self.model(x), y)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.scheduler.step()
            self.scheduler.step()

    with pytest.raises(ExportError, match="in the loop and after it"):
        Twice(SCHEDULES["StepLR"], "step").build()
