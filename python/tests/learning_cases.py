"""Learning tasks for the tests, and their training graphs run beside torch itself."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import delta.dataset
from delta._export.forward import Lift
from delta.bundle import Bundle
from delta.task.learning import FaultTolerantFedAvg, FedAvg, HorizontalLearning

Rows = list[tuple[Tensor, ...]]
"""Batches as stored."""


class LeNet(nn.Module):
    """The network of delta-task's learning example."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 16, 5, padding=2)
        self.pool1 = torch.nn.AvgPool2d(2, stride=2)
        self.conv2 = torch.nn.Conv2d(16, 16, 5)
        self.pool2 = torch.nn.AvgPool2d(2, stride=2)
        self.dense1 = torch.nn.Linear(400, 100)
        self.dense2 = torch.nn.Linear(100, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = torch.relu(x)
        x = self.pool1(x)
        x = self.conv2(x)
        x = torch.relu(x)
        x = self.pool2(x)

        x = x.view(-1, 400)
        x = self.dense1(x)
        x = torch.relu(x)
        x = self.dense2(x)
        return x


class Example(HorizontalLearning):
    """The example of delta-task: all but ``collate_fn`` and the sums of ``validate`` as it stood."""

    def __init__(self) -> None:
        super().__init__(
            name="example",
            max_rounds=2,
            validate_interval=1,
            validate_frac=0.1,
            strategy=FaultTolerantFedAvg(
                min_clients=2, max_clients=3, merge_epoch=1, merge_iteration=0, wait_timeout=30, connection_timeout=10
            ),
        )
        self.model = LeNet()
        self.loss_func = torch.nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3, nesterov=True
        )

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset(dataset="mnist", shape=(1, 28, 28), classes=[str(i) for i in range(10)])

    def make_train_dataloader(self, dataset: Any) -> DataLoader[Any]:
        return DataLoader(dataset, batch_size=64, shuffle=True, drop_last=True)

    def make_validate_dataloader(self, dataset: Any) -> DataLoader[Any]:
        return DataLoader(dataset, batch_size=64, shuffle=False, drop_last=False)

    def preprocess(self, x: Tensor, y: Tensor) -> Any:
        return x / 255 - 0.5, y

    def train(self, dataloader: Any) -> None:
        for batch in dataloader:
            x, y = batch
            y_pred = self.model(x)
            loss = self.loss_func(y_pred, y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def validate(self, dataloader: Any) -> dict[str, Any]:
        total_loss = 0
        count = 0
        correct = 0
        rows = 0
        for batch in dataloader:
            x, y = batch
            y_pred = self.model(x)
            loss = self.loss_func(y_pred, y)
            total_loss += loss.item()
            count += 1

            y_ = torch.argmax(y_pred, dim=1)
            correct += (y_ == y).sum()
            rows += y.shape[0]
        avg_loss = total_loss / count
        precision = correct / rows

        return {"loss": avg_loss, "precision": precision}

    def state_dict(self) -> dict[str, Tensor]:
        return self.model.state_dict()


class Simple(HorizontalLearning):
    """A task made of its parts, with the package's own loops."""

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Any, Tensor], Tensor],
        optimizer: Callable[[Any], torch.optim.Optimizer],
        shape: Sequence[int],
        *,
        prepare: Callable[..., Any] = lambda x, y: (x, y),
        classes: int = 10,
        rounds: int = 1,
        strategy: FedAvg | None = None,
        **arguments: Any,
    ) -> None:
        arguments = {"validate_interval": 0} | arguments
        super().__init__("simple", rounds, strategy=strategy or FedAvg(), **arguments)
        self.model, self.loss_func = model, loss
        self.optimizer = optimizer(model.parameters())
        self.shape, self.prepare, self.classes = shape, prepare, classes

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset("data", shape=self.shape, classes=[str(i) for i in range(self.classes)])

    def preprocess(self, *batch: Any) -> Any:
        return self.prepare(*batch)


def train(bundle: Bundle, batches: Rows, *, fast: bool = False, seed: int = 0) -> tuple[dict[str, Any], list[Rows]]:
    """Run a bundle's training step over stored batches; return its state afterwards, and the noise of each batch."""
    step = bundle.manifest["rounds"][0]["map"]["steps"][0]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(bundle.graphs[step["graph_onnxruntime" if fast else "graph"]], options)
    state = {n: bundle.initial(s["name"]) for n, s in step["inputs"].items() if s["from"] == "variable"}
    outputs, rng, drawn = [o.name for o in session.get_outputs()], np.random.default_rng(seed), []
    for x, *y in batches:
        rows = len(x)
        feed: dict[str, Any] = dict(state)
        noise: dict[str, Any] = {}
        for name, source in step["inputs"].items():
            if source["from"] == "data":
                feed[name] = (x if source["field"] == "x" else y[0]).numpy()
            elif source["from"] == "batch_size":
                feed[name] = np.asarray(float(rows))
            elif source["from"] == "noise":
                draw = rng.random if source["distribution"] == "uniform" else rng.standard_normal
                noise[name] = draw((rows, *source["shape"])).astype(np.float32)
        made = dict(zip(outputs, session.run(outputs, feed | noise), strict=True))
        for output, target in step["outputs"].items():
            if target["to"] == "carry":
                state[target["input"]] = made[output]
        drawn.append([torch.from_numpy(noise[n]) for n in sorted(noise, key=lambda n: int(n.split(".")[1]))])
    return state, drawn  # type: ignore[return-value]


def train_eagerly(task: HorizontalLearning, batches: Rows, noise: Sequence[Any]) -> None:
    """Run the author's own ``train`` on the same batches, with the same noise where the model draws."""

    def loader() -> Iterator[Any]:
        for batch, drawn in zip(batches, noise, strict=True):
            prepared = task.preprocess(*(t.clone() for t in batch))
            if not drawn:
                yield prepared
                continue
            with Lift(given=drawn):
                yield prepared

    for module in vars(task).values():
        if isinstance(module, nn.Module):
            module.train()
    task.train(loader())


def differences(
    task: HorizontalLearning, state: Mapping[str, Any], name: str = "model"
) -> dict[str, tuple[float, float]]:
    """For each parameter and buffer: the greatest absolute difference, and that relative to its greatest value."""
    out = {}
    for key, tensor in getattr(task, name).state_dict().items():
        if f"{name}.{key}" in state:
            ours, theirs = state[f"{name}.{key}"], tensor.numpy()
            worst = float(np.abs(ours - theirs).max())
            out[key] = worst, worst / max(float(np.abs(theirs).max()), 1e-12)
    return out


def same_bundle(bundle: Bundle) -> Bundle:
    """What a node reads: the bundle from its bytes."""
    return Bundle(io.BytesIO(bundle.data).getvalue())
