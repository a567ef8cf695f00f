"""The models that training steps are measured and compared on, each with its loss, optimizer and data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepping import AdamW, Sgd, Step


class Case(NamedTuple):
    model: Callable[[], nn.Module]
    loss: Callable[[Any, Tensor], Tensor]
    optimizer: Sgd | AdamW
    data: Callable[[int], tuple[Tensor, Tensor]]

    def step(self) -> Step:
        torch.manual_seed(0)
        return Step(self.model(), self.loss, self.optimizer, *self.data(8))


def lenet() -> nn.Module:
    """The network of the original's examples."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(16, 16, 5), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip


def batch_norm_network(activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), activation(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), activation(), nn.MaxPool2d(3, 2, 1),
        nn.Flatten(), nn.Linear(32 * 8 * 8, 10),
    )  # fmt: skip


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.activation = activation()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm = nn.GroupNorm(4, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.GroupNorm(4, outputs)
        plain = stride == 1 and inputs == outputs
        self.skip = nn.Identity() if plain else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.second(self.activation(self.norm(self.first(x)))))
        return self.activation(y + self.skip(x))  # type: ignore[no-any-return]


def residual_network(activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.GroupNorm(4, 16), activation(),
        Block(16, 16, 1, activation), Block(16, 32, 2, activation), Block(32, 64, 2, activation),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


class TextClassifier(nn.Module):
    def __init__(self, words: int = 1000, width: int = 64, length: int = 32, layers: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width, padding_idx=0)
        self.position = nn.Parameter(torch.randn(length, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, 4, 128, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, 4)

    def forward(self, ids: Tensor) -> Tensor:
        pad = ids == 0
        h = self.encoder(self.embedding(ids) + self.position, src_key_padding_mask=pad)
        real = (~pad).unsqueeze(-1).to(h.dtype)
        pooled: Tensor = (self.norm(h) * real).sum(1) / real.sum(1).clamp(min=1.0)
        return self.out(pooled)  # type: ignore[no-any-return]


class SequenceClassifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.out = nn.GRU(8, 32, batch_first=True), nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.recurrent(x)[0][:, -1])  # type: ignore[no-any-return]


def autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1), nn.ReLU(),
        nn.ConvTranspose2d(8, 1, 3, 2, 1, output_padding=1),
    )  # fmt: skip


def _images(*shape: int) -> Callable[[int], tuple[Tensor, Tensor]]:
    return lambda rows: (torch.randn(rows, *shape), torch.randint(0, 10, (rows,)))


def _words(rows: int) -> tuple[Tensor, Tensor]:
    ids = torch.randint(1, 1000, (rows, 32)) * (torch.rand(rows, 32) > 0.2)
    ids[:, 0] = 1
    return ids, torch.randint(0, 4, (rows,))


def _same(rows: int) -> tuple[Tensor, Tensor]:
    x = torch.rand(rows, 1, 28, 28)
    return x, x


entropy = nn.CrossEntropyLoss()
CASES: dict[str, Case] = {
    "logistic regression": Case(
        lambda: nn.Linear(20, 1), lambda p, y: F.binary_cross_entropy_with_logits(p.squeeze(1), y), Sgd(0.5),
        lambda rows: (torch.randn(rows, 20), (torch.rand(rows) > 0.5).float()),
    ),
    "MLP, dropout": Case(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 10)),
        entropy, Sgd(0.1, 0.9), _images(1, 28, 28),
    ),
    "LeNet": Case(lenet, entropy, Sgd(0.1, 0.9, 1e-3, True), _images(1, 28, 28)),
    "CNN, max pool, batch norm": Case(batch_norm_network, entropy, Sgd(0.01, 0.9), _images(3, 32, 32)),
    "residual CNN, group norm": Case(residual_network, entropy, Sgd(0.05, 0.9), _images(3, 32, 32)),
    "transformer, AdamW": Case(TextClassifier, entropy, AdamW(1e-3), _words),
    "GRU": Case(
        SequenceClassifier, entropy, Sgd(0.1, 0.9), lambda rows: (torch.randn(rows, 12, 8), torch.randint(0, 3, (rows,)))
    ),
    "autoencoder": Case(autoencoder, nn.MSELoss(), AdamW(1e-3, 0.0, False), _same),
}  # fmt: skip
