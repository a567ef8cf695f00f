"""Seventeen models: each trains over three nodes to what its own ``train`` makes in torch, averaged by rows."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from sixty_cases import Parts, learning
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

import delta.dataset
from delta.task import FedAvg, HorizontalLearning

ROUNDS = 3
ROWS = (70, 100, 58)


class Learning(HorizontalLearning):
    """Three rounds, rows in the order in which they are, nothing kept apart to measure on."""

    shape: Sequence[int] = (8,)
    classes = 3
    batch_size = 32
    rate = 0.2

    def __init__(self) -> None:
        strategy = FedAvg(min_clients=3, max_clients=3, connection_timeout=10)
        super().__init__(type(self).__name__, max_rounds=ROUNDS, validate_interval=0, strategy=strategy)
        torch.manual_seed(16)
        self.loss_func: Any = nn.CrossEntropyLoss()
        self.make()

    def make(self) -> None:
        """Set the model and its optimizer."""
        self.model = self.net()
        self.optimizer: torch.optim.Optimizer = torch.optim.SGD(self.model.parameters(), lr=self.rate)

    def net(self) -> nn.Module:
        return nn.Linear(8, 3)

    def dataset(self) -> delta.dataset.Dataset:
        classes = [str(c) for c in range(self.classes)]
        return delta.dataset.Dataset("sixty", shape=self.shape, classes=classes)

    def make_train_dataloader(self, dataset: Any) -> DataLoader[Any]:
        return DataLoader(dataset, batch_size=self.batch_size)


def _parted(x: Any, y: Any) -> Parts:
    ends = np.cumsum((0, *ROWS))
    return [(x[a:b], y[a:b]) for a, b in pairwise(ends)]


@cache
def points() -> Parts:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(sum(ROWS), 8)).astype(np.float32)
    return _parted(x, np.argmax(x[:, :3] + 0.3 * x[:, 3:6], 1).astype(np.int64))


@cache
def digits() -> Parts:
    data = load_digits()
    x, y = data.images[: sum(ROWS), None].astype(np.float32), data.target[: sum(ROWS)].astype(np.int64)
    return _parted(x, y)


@cache
def series() -> Parts:
    rng = np.random.default_rng(4)
    x = np.cumsum(rng.normal(size=(sum(ROWS), 6, 2)), 1).astype(np.float32)
    return _parted(x, (x[:, -1, 0] > x[:, 0, 1]).astype(np.int64))


@cache
def codes() -> Parts:
    rng = np.random.default_rng(5)
    x = rng.integers(0, 20, (sum(ROWS), 6)).astype(np.float32)
    return _parted(x, (x.sum(1) > 57).astype(np.int64))


@learning("logistic regression by SGD", points)
class Logistic(Learning):
    pass


@learning("a perceptron with Adam", points)
class Perceptron(Learning):
    def make(self) -> None:
        self.model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 3))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)


class _Digits(Learning):
    shape, classes, rate = (1, 8, 8), 10, 0.1

    def preprocess(self, x: Tensor, y: Tensor) -> Any:
        return x / 16, y


@learning("a convolutional network", digits)
class Convolutional(_Digits):
    def net(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.Tanh(), nn.Flatten(),
            nn.Linear(32, 10),
        )  # fmt: skip


@learning("batch norm, whose statistics are averaged", digits, within=1e-4)
class BatchNorm(_Digits):
    def net(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(54, 10)
        )


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.inner, self.outer = nn.LayerNorm(16), nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(functional.silu(self.inner(self.norm(x))))


@learning("residual blocks with layer norm and AdamW", points)
class Residual(Learning):
    def make(self) -> None:
        self.model = nn.Sequential(nn.Linear(8, 16), _Block(), _Block(), nn.Linear(16, 3))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=5e-3, weight_decay=0.05)


class _Recurrent(nn.Module):
    def __init__(self, kind: Any, features: int = 2) -> None:
        super().__init__()
        self.cells, self.head = kind(features, 10, batch_first=True), nn.Linear(10, 2)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.cells(x)[0][:, -1])


class _Series(Learning):
    shape, classes = (6, 2), 2


@learning("a GRU over a time series", series)
class Gru(_Series):
    def net(self) -> nn.Module:
        return _Recurrent(nn.GRU)


@learning("an LSTM, gradients clipped", series)
class Lstm(_Series):
    def net(self) -> nn.Module:
        return _Recurrent(nn.LSTM)

    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.optimizer.zero_grad()
            self.loss_func(self.model(x), y).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
            self.optimizer.step()


@learning("embeddings of codes", codes)
class Embeddings(Learning):
    shape, classes = (6,), 2

    def net(self) -> nn.Module:
        return nn.Sequential(nn.Embedding(20, 5), nn.Flatten(), nn.Linear(30, 2))

    def preprocess(self, x: Tensor, y: Tensor) -> Any:
        return x.long(), y


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(20, 8), nn.Parameter(0.1 * torch.randn(6, 8))
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.layer(self.embed(x) + self.place).mean(1))


@learning("a transformer's encoder", codes, within=1e-4)
class Transformer(Embeddings):
    def net(self) -> nn.Module:
        return _Attention()


@learning("an autoencoder, which needs no labels", digits)
class Autoencoder(_Digits):
    def make(self) -> None:
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.Tanh(), nn.Linear(12, 64))
        self.optimizer = torch.optim.RMSprop(self.model.parameters(), lr=2e-3)

    def train(self, dataloader: Any) -> None:
        for x, _ in dataloader:
            loss = functional.mse_loss(self.model(x), x.flatten(1))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


class _TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(5, 6), nn.Linear(3, 6)
        self.kind, self.amount = nn.Linear(12, 3), nn.Linear(12, 1)

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.relu(torch.cat([self.left(left), self.right(right)], 1))
        return self.kind(both), self.amount(both).squeeze(1)


@learning("two inputs, two outputs, two losses", points)
class TwoInputs(Learning):
    def net(self) -> nn.Module:
        return _TwoInputs()

    def preprocess(self, x: Tensor, y: Tensor) -> Any:
        return (x[:, :5], x[:, 5:]), y, x[:, 0] * x[:, 1]

    def train(self, dataloader: Any) -> None:
        for (left, right), y, amount in dataloader:
            kind, guess = self.model(left, right)
            loss = functional.cross_entropy(kind, y) + 0.5 * functional.smooth_l1_loss(guess, amount)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


@learning("a generator against a discriminator", points, within=1e-4)
class Adversarial(Learning):
    """The last four columns are what the generator starts from."""

    def make(self) -> None:
        self.generator = nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.2), nn.Linear(8, 4))
        self.critic = nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
        self.makes = torch.optim.Adam(self.generator.parameters(), lr=5e-3, betas=(0.5, 0.999))
        self.judges = torch.optim.Adam(self.critic.parameters(), lr=5e-3, betas=(0.5, 0.999))

    def train(self, dataloader: Any) -> None:
        for x, _ in dataloader:
            real, fake = x[:, :4], self.generator(x[:, 4:])
            yes, no = self.critic(real), self.critic(fake.detach())
            told = functional.softplus(-yes).mean() + functional.softplus(no).mean()
            self.judges.zero_grad()
            told.backward()
            self.judges.step()
            fooled = functional.softplus(-self.critic(fake)).mean()
            self.makes.zero_grad()
            fooled.backward()
            self.makes.step()


@learning("distillation from the model of the round's start", points)
class Distilled(Learning):
    def net(self) -> nn.Module:
        return nn.Sequential(nn.Linear(8, 12), nn.Tanh(), nn.Linear(12, 3))

    def train(self, dataloader: Any) -> None:
        teacher = copy.deepcopy(self.model).eval()
        for x, y in dataloader:
            with torch.no_grad():
                taught = functional.softmax(teacher(x) / 2, 1)
            out = self.model(x)
            loss = self.loss_func(out, y) + functional.kl_div(
                functional.log_softmax(out / 2, 1), taught, reduction="batchmean"
            )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


@learning("FedProx written by hand, with a rate that falls", points)
class Near(Learning):
    def make(self) -> None:
        super().make()
        self.scheduler = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.7)

    def train(self, dataloader: Any) -> None:
        start = [p.detach().clone() for p in self.model.parameters()]
        for x, y in dataloader:
            near = sum(((p - s) ** 2).sum() for p, s in zip(self.model.parameters(), start, strict=True))
            loss = self.loss_func(self.model(x), y) + 0.05 * near
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        self.scheduler.step()


@learning("class weights, label smoothing, weight decay and momentum", points)
class Weighted(Learning):
    def make(self) -> None:
        self.loss_func = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5]), label_smoothing=0.1)
        self.model = nn.Linear(8, 3)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01
        )


@learning("a head of each member's own", points, personal=("head.weight", "head.bias"))
class OwnHead(Learning):
    personal = ("head.*",)

    def net(self) -> nn.Module:
        model = nn.Sequential()
        model.add_module("body", nn.Linear(8, 12))
        model.add_module("bend", nn.Tanh())
        model.add_module("head", nn.Linear(12, 3))
        return model


@learning("quantile regression with a network", points)
class Quantiles(Learning):
    def net(self) -> nn.Module:
        return nn.Sequential(nn.Linear(7, 10), nn.ELU(), nn.Linear(10, 3))

    def train(self, dataloader: Any) -> None:
        levels = torch.tensor([0.1, 0.5, 0.9])
        for x, _ in dataloader:
            off = x[:, 7:] - self.model(x[:, :7])
            loss = torch.maximum(levels * off, (levels - 1) * off).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
