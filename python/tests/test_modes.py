"""Training and evaluation mode are what the author's code makes of them, in `__init__` and in `train`."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import delta
import delta.dataset
from delta._export.errors import ExportError
from delta.task import FedAvg, HorizontalLearning

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore::delta.ReleaseWarning")
BATCH, ROWS = 4, 11


class Base(HorizontalLearning):
    """Tells two classes apart through a batch norm, and a dropout that would show."""

    momentum: float | None = 0.3

    def __init__(self) -> None:
        super().__init__("modes", 2, validate_interval=0, strategy=FedAvg(2, 2, precision=12))
        torch.manual_seed(1)
        self.model = nn.Sequential(
            nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=self.momentum), nn.Tanh(), nn.Linear(4, 2)
        )
        self.model[1].running_mean.fill_(0.4)
        self.loss_func = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.1, momentum=0.9)
        self.more()

    def more(self) -> None:
        """The rest of ``__init__``."""

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset("rows", shape=[3], classes=["a", "b"])

    def make_train_dataloader(self, dataset: Any) -> DataLoader[Any]:
        return DataLoader(dataset, batch_size=BATCH)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        return self.loss_func(self.model(x), y)  # type: ignore[no-any-return]

    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.optimizer.zero_grad()
            self.loss(x, y).backward()
            self.optimizer.step()


class Frozen(Base):
    """A batch norm that `__init__` freezes."""

    def more(self) -> None:
        self.model[1].eval()


class Teacher(Base):
    """A teacher in evaluation mode: its dropout is off, its statistics stay."""

    def more(self) -> None:
        self.teacher = nn.Sequential(copy.deepcopy(self.model), nn.Dropout(0.5)).eval()
        self.teacher.requires_grad_(False)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        made = self.model(x)
        return self.loss_func(made, y) + (made - self.teacher(x)).pow(2).mean()  # type: ignore[no-any-return]


class Thawed(Base):
    """`train` says otherwise than `__init__`."""

    def more(self) -> None:
        self.model[1].eval()

    def train(self, dataloader: Any) -> None:
        self.model.train()
        super().train(dataloader)


@pytest.mark.parametrize("kind", [Base, Frozen, Teacher, Thawed], ids=lambda k: k.__name__)
def test_a_round_begins_in_the_modes_of_init(kind: type[Base]) -> None:
    chance = np.random.default_rng(0)
    x, y = chance.normal(size=(ROWS, 3)).astype(np.float32), chance.integers(0, 2, ROWS)
    found = delta.debug(kind().build(), rows=[(x, y), (x, y)], show=False)
    plain = kind()
    first = copy.deepcopy(plain.model.state_dict())
    batches = [
        (torch.from_numpy(x[at : at + BATCH]), torch.from_numpy(y[at : at + BATCH])) for at in range(0, ROWS, BATCH)
    ]
    for _ in range(plain.max_rounds):
        plain.train(batches)
    for name, wanted in plain.model.state_dict().items():
        got = found.parameters.get(name, first[name].numpy())  # what never changes is not sent
        np.testing.assert_allclose(got, wanted.numpy(), atol=2e-5, err_msg=name)


def test_a_model_that_was_looked_at_goes_back_with_a_word() -> None:
    class Seen(Base):
        def more(self) -> None:
            self.model.eval()

    task = Seen()
    with pytest.warns(UserWarning, match=r"self\.model: it is in evaluation mode when the task is built"):
        bundle = task.build()
    assert not task.model.training and not task.model[1].training, "the author's model stays as it is"
    assert "model.1.running_mean" in bundle.manifest["variables"]


def test_statistics_over_all_batches_are_refused_by_name() -> None:
    class Counting(Base):
        momentum = None

    with pytest.raises(ExportError, match=r"(?s)a batch norm with momentum=None.*test_modes\.py.*momentum=0\.1"):
        Counting().build()


class Later(Base):
    """The statistics stay from the second batch on: each line would need two modes."""

    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader):
            if i == 1:
                self.model[1].eval()
            self.optimizer.zero_grad()
            self.loss(x, y).backward()
            self.optimizer.step()


class Now(Base):
    """The same for one layer's training, which is as before at the end."""

    def train(self, dataloader: Any) -> None:
        for i, (x, y) in enumerate(dataloader):
            if i % 2 == 0:
                self.model[0].requires_grad_(False)
            self.optimizer.zero_grad()
            self.loss(x, y).backward()
            self.optimizer.step()
            self.model[0].requires_grad_(True)


@pytest.mark.parametrize(("kind", "name"), [(Later, r"model\.1\.training"), (Now, r"model\.0\.\w+\.requires_grad")])
def test_modes_of_some_batches_are_refused(kind: type[Base], name: str) -> None:
    with pytest.raises(ExportError, match=rf"(?s)self\.{name}: it changes in some batches only.*test_modes\.py:\d+"):
        kind().build()
