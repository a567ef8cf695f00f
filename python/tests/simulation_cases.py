"""A small task over made-up points, for simulations and for tasks that go on with another one's result."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

import delta
import delta.dataset
from delta.task import FedAvg, HorizontalLearning


class Points(HorizontalLearning):
    """Tells three classes apart by a layer or two."""

    batch_size = 8

    def __init__(
        self, rounds: int = 3, *, momentum: float = 0.0, shuffle: bool = True, hidden: int = 5, **more: Any
    ) -> None:
        more.setdefault("strategy", FedAvg(2, 100))
        super().__init__("points", rounds, **more)
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, hidden), nn.Tanh(), nn.Linear(hidden, 3))
        self.loss_func = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.2, momentum=momentum)
        self.shuffle = shuffle

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset("points", shape=[4], classes=["a", "b", "c"])

    def make_train_dataloader(self, dataset: Any) -> DataLoader[Any]:
        return DataLoader(dataset, batch_size=self.batch_size, shuffle=self.shuffle)


def points(count: int = 300, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Samples and labels."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4)).astype(np.float32)
    return x, (x @ rng.normal(size=(4, 3)) + 0.3 * rng.normal(size=(count, 3))).argmax(1).astype(np.int64)


def same(one: Any, other: Any) -> bool:
    """Whether two models are one, to the last bit."""
    return one.parameters.keys() == other.parameters.keys() and all(
        np.array_equal(one.parameters[k], other.parameters[k]) for k in one.parameters
    )
