"""Learning tasks that stand in a table as text: written to a file, so that their lines can be named, and run beside torch."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import delta.dataset
from delta.task import FedAvg, HorizontalLearning

ROUNDS, ROWS, BATCH = 2, 10, 4
HEAD = """
import copy, datetime, functools, itertools, os, random, secrets, time, uuid
from datetime import datetime as clock_of_days
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_avg_fn, get_ema_multi_avg_fn, update_bn
from torch.utils.data import DataLoader

import delta.dataset
from delta.task import FedAvg, HorizontalLearning
from written_tasks import Base

COUNT, DICE, NUMPY, TORCH = 0, random.Random(0), np.random.default_rng(0), torch.Generator()


class Box:
    def __init__(self):
        self.dice, self.count = np.random.default_rng(1), 0


BOX = Box()
"""


class Base(HorizontalLearning):
    """A small task; those of the tables replace one of its methods."""

    batch_size = BATCH
    shape: tuple[int, ...] = (4,)
    count = 2
    """Of the classes."""

    def __init__(self, **arguments: Any) -> None:
        given: dict[str, Any] = {"validate_interval": 0} | arguments
        strategy = FedAvg(min_clients=2, max_clients=2, precision=10)
        HorizontalLearning.__init__(self, "written", ROUNDS, strategy=strategy, **given)
        torch.manual_seed(0)
        self.model = self.make()
        self.loss_func = nn.CrossEntropyLoss()
        self.optimizer: Any = torch.optim.SGD(self.model.parameters(), 0.2)
        self.more()

    def make(self) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))

    def more(self) -> None:
        """What else there is."""

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset("rows.npz", shape=self.shape, classes=[str(i) for i in range(self.count)])

    def make_train_dataloader(self, dataset: Any) -> DataLoader[Any]:
        return DataLoader(dataset, batch_size=self.batch_size)

    def preprocess(self, x: Tensor, y: Tensor) -> Any:
        return x / 10, y

    def update(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


class Case(NamedTuple):
    name: str
    words: list[str]
    body: str


def table(text: str) -> dict[str, Case]:
    """Cases by name: a line ``== name: words | more words``, and the body of a class."""
    made: dict[str, Case] = {}
    for part in text.split("\n== ")[1:]:
        head, body = part.split("\n", 1)
        name, _, words = head.partition(": ")
        assert name not in made, name
        made[name] = Case(name, [w.strip() for w in words.split("|") if w.strip()], body)
    return made


def written(case: Case, folder: Path) -> tuple[Any, Path, int | None]:
    """The class of a case, the file that it is in, and the line marked ``# here``; a body with its own class as it stands."""
    own = "class Task" in case.body
    lines = case.body if own else "class Task(Base):\n" + "".join(f"    {line}\n" for line in case.body.splitlines())
    path = folder / "task.py"
    path.write_text(f"{HEAD}\n\n{lines}")
    name = f"written_{abs(hash(case.name))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    marked = [i for i, line in enumerate(path.read_text().splitlines(), 1) if "# here" in line]
    return module.Task, path, marked[0] if marked else None


def rows(kind: type[Base]) -> tuple[Any, Any]:
    chance = np.random.default_rng(0)
    return chance.integers(0, 30, (ROWS, *kind.shape)).astype(np.float32), chance.integers(0, kind.count, ROWS)


def trained(bundle: Any, kind: type[Base]) -> Any:
    """The result of two members that have the same rows, which is that of one."""
    x, y = rows(kind)
    return delta.debug(bundle, parts=2, **{"rows.npz": (np.concatenate([x, x]), np.concatenate([y, y]))})


def trained_by_torch(task: Base) -> Mapping[str, Tensor]:
    """The author's own ``train`` on the same batches, once a round."""
    x, y = rows(type(task))
    cut = [slice(at, at + BATCH) for at in range(0, ROWS, BATCH)]
    batches = [task.preprocess(torch.tensor(x[at]), torch.tensor(y[at])) for at in cut]
    for _ in range(ROUNDS):
        for module in vars(task).values():
            if isinstance(module, nn.Module):
                module.train()
        task.train(batches)
    return task.state_dict()
