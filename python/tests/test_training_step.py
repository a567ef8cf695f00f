"""After 20 steps on the same batches the exported step and torch itself hold the same parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from delta.task.learning import HorizontalLearning
from learning_cases import Example, Rows, Simple, differences, same_bundle, train, train_eagerly
from sampling import one_in
from step_models import SequenceClassifier, TextClassifier, autoencoder, batch_norm_network, residual_network

entropy = nn.CrossEntropyLoss()
STEPS, ROWS = 20, 16


def sgd(lr: float, momentum: float = 0.0, **more: Any) -> Callable[[Any], torch.optim.Optimizer]:
    return lambda parameters: torch.optim.SGD(parameters, lr, momentum, **more)


def labelled(*shape: int, classes: int = 10) -> Callable[[], Rows]:
    return lambda: [(torch.randn(ROWS, *shape), torch.randint(0, classes, (ROWS,))) for _ in range(STEPS)]


def words() -> Rows:
    def ids() -> Tensor:
        made = torch.randint(1, 1000, (ROWS, 32)) * (torch.rand(ROWS, 32) > 0.2)
        made[:, 0] = 1
        return made.float()

    return [(ids(), torch.randint(0, 4, (ROWS,))) for _ in range(STEPS)]


def pixels() -> Rows:
    return [(torch.randint(0, 256, (ROWS, 1, 28, 28)).float(), torch.randint(0, 10, (ROWS,))) for _ in range(STEPS)]


def logistic() -> Simple:
    loss = lambda p, y: F.binary_cross_entropy_with_logits(p.squeeze(1), y.float())  # noqa: E731
    return Simple(nn.Linear(20, 1), loss, sgd(0.5), (20,), classes=2)


def dropout_network() -> Simple:
    layers = [nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 10)]
    return Simple(nn.Sequential(*layers), entropy, sgd(0.1, 0.9), (1, 28, 28))


def text() -> Simple:
    adam = lambda parameters: torch.optim.AdamW(parameters, 1e-3, weight_decay=0.01)  # noqa: E731
    return Simple(TextClassifier(layers=1), entropy, adam, (32,), prepare=lambda x, y: (x.long(), y), classes=4)


def decoding() -> Simple:
    adam = lambda parameters: torch.optim.Adam(parameters, 1e-3)  # noqa: E731
    same = lambda x, y: (x / 255, x / 255)  # noqa: E731
    return Simple(autoencoder(), nn.MSELoss(), adam, (1, 28, 28), prepare=same)


CASES: dict[str, tuple[Callable[[], HorizontalLearning], Callable[[], Rows], float | None]] = {
    "logistic regression": (logistic, labelled(20, classes=2), None),
    "MLP with dropout": (dropout_network, labelled(1, 28, 28), None),
    "LeNet as in delta-task": (Example, pixels, None),
    "CNN, max pool, batch norm": (
        # Batch norm amplifies what a tie does (TRIES): at a rate of 0.01 torch is as far from its own float64 as from us.
        lambda: Simple(batch_norm_network(nn.SiLU), entropy, sgd(0.001, 0.9), (3, 32, 32)),
        labelled(3, 32, 32),
        1e-4,
    ),
    "residual CNN, group norm": (
        lambda: Simple(residual_network(nn.SiLU), entropy, sgd(0.05, 0.9), (3, 16, 16)),
        labelled(3, 16, 16),
        None,
    ),
    "transformer, AdamW": (text, words, 1e-4),
    "GRU": (
        lambda: Simple(SequenceClassifier(), entropy, sgd(0.1, 0.9), (12, 8), classes=3),
        labelled(12, 8, classes=3),
        None,
    ),
    "autoencoder, transposed convolutions": (decoding, pixels, None),
}


TRIES = 8
"""Seeds of data. A maximum, or a ReLU, that is nearly a tie falls either way in float32, and from there on two kernels train two
networks: torch for AVX2 is then as far from torch for AVX-512 as from us. That happens with some data; what is wrong, is so
with all."""


def trained(case: str, form: str, seed: int) -> dict[str, tuple[float, float]]:
    """Return the differences that are too large after training on the data of a seed."""
    make, data, relative = CASES[case]
    torch.manual_seed(1)
    task = make()
    bundle = same_bundle(task.build())
    if form == "onnxruntime" and "graph_onnxruntime" not in bundle.manifest["rounds"][0]["map"]["steps"][0]:
        pytest.skip("one graph serves both runtimes")
    torch.manual_seed(seed)
    batches = data()
    state, noise = train(bundle, batches, fast=form == "onnxruntime")
    train_eagerly(task, batches, noise)
    found = differences(task, state)
    assert len(found) >= len(list(task.model.parameters()))  # type: ignore[attr-defined]
    if case == "transformer, AdamW":
        bias = "encoder.layers.0.self_attn.in_proj_bias"
        ours, theirs = state[f"model.{bias}"], task.state_dict()[bias].numpy()
        assert np.abs(ours - theirs)[np.r_[:64, 128:192]].max() < 1e-5
    # The gradient of a bias of attention keys is zero; what Adam divides there is rounding noise, in torch as well.
    found = {k: v for k, v in found.items() if not k.endswith("self_attn.in_proj_bias")}
    return {k: v for k, v in found.items() if (v[1] > relative if relative else v[0] > 1e-5)}


@pytest.mark.parametrize("form", ["portable", "onnxruntime"])
@pytest.mark.parametrize("case", one_in(2, CASES))
def test_twenty_steps_end_at_the_parameters_of_torch(case: str, form: str) -> None:
    for seed in range(4, 4 + TRIES):
        if not (worst := trained(case, form, seed)):
            return
    pytest.fail(f"differences (absolute, relative): {worst}")


def test_dropout_reads_noise_and_changes_the_result() -> None:
    torch.manual_seed(1)
    bundle = dropout_network().build()
    batches = labelled(1, 28, 28)()[:2]
    one, noise = train(bundle, batches, seed=1)
    same, _ = train(bundle, batches, seed=1)
    other, _ = train(bundle, batches, seed=2)
    assert noise[0][0].shape == (ROWS, 64)
    assert (one["model.4.weight"] == same["model.4.weight"]).all()
    assert (one["model.4.weight"] != other["model.4.weight"]).any()


def test_a_graph_serves_every_batch_size() -> None:
    torch.manual_seed(1)
    task = Example()
    bundle = task.build()
    batches = [(torch.randint(0, 256, (n, 1, 28, 28)).float(), torch.randint(0, 10, (n,))) for n in (1, 2, 3, 64)]
    state, noise = train(bundle, batches)
    train_eagerly(task, batches, noise)
    assert max(v[0] for v in differences(task, state).values()) < 1e-5


class Drawing(nn.Module):
    """Draws with rows in front, rows in the middle, and without rows."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        y = y + torch.randn_like(y)
        turned = y.T.reshape(3, -1, 1)
        turned = turned * torch.rand_like(turned)
        return turned.squeeze(2).T + torch.randn(3)


def test_draws_of_any_shape_read_a_block_for_each_row() -> None:
    torch.manual_seed(1)
    task = Simple(Drawing(), entropy, sgd(0.1), (4,), classes=3)
    bundle = task.build()
    sources = bundle.manifest["rounds"][0]["map"]["steps"][0]["inputs"]
    noise = {n: (s["distribution"], s["shape"]) for n, s in sources.items() if s["from"] == "noise"}
    assert noise == {"noise.0": ("normal", [3]), "noise.1": ("uniform", [3, 1]), "noise.2": ("normal", [3])}
    batches = labelled(4, classes=3)()
    state, drawn = train(bundle, batches)
    # What the author's code draws: rows where it has them, and the first row of a block where it has none.
    given = [[a, b.permute(1, 0, 2), c[0]] for a, b, c in drawn]
    train_eagerly(task, batches, given)
    assert max(v[0] for v in differences(task, state).values()) < 1e-6
