"""Tasks under noise for the tests: any model, loss and data as a private learning task over flat samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

import delta
import delta.dataset
from delta.bundle import Bundle
from delta.task import FaultTolerantFedAvg, HorizontalLearning

LOOSE = delta.Privacy(multiplier=0.0001, delta=1e-5, clip=5000.0)
"""A bound that binds nobody, and next to no noise."""


class Private(HorizontalLearning):
    """Samples are flat: what the model takes, and behind it what the loss takes."""

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Any, Tensor], Tensor],
        data: Callable[[int], tuple[Tensor, Tensor]],
        optimizer: Callable[[Any], torch.optim.Optimizer] = lambda p: torch.optim.SGD(p, 0.1),
        rounds: int = 1,
        privacy: delta.Privacy = LOOSE,
        **more: Any,
    ) -> None:
        strategy = FaultTolerantFedAvg(min_clients=2, max_clients=3, merge_epoch=1)
        super().__init__("private", rounds, strategy=strategy, privacy=privacy, **more)
        x, y = data(2)
        self.shapes = [(t.shape[1:], t.dtype) for t in (x, y)]
        self.split = x[0].numel()
        self.width = self.split + y[0].numel()
        self.model, self.loss_func = model, loss
        self.optimizer = optimizer(model.parameters())

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset("flat", shape=(self.width,))

    def preprocess(self, z: Any) -> Any:
        parts = [z[:, : self.split], z[:, self.split :]]
        return tuple(p.reshape(-1, *s).to(d) for p, (s, d) in zip(parts, self.shapes, strict=True))


def flat(x: Tensor, y: Tensor) -> np.ndarray[Any, Any]:
    """Rows as the node stores them."""
    return torch.cat([x.flatten(1).float(), y.reshape(len(y), -1).float()], 1).numpy()


def gradients(bundle: Bundle, z: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """What the graph gives for each record, by parameter of the model; ``records`` is what counts them."""
    step = bundle.manifest["rounds"][0]["map"]["steps"][0]
    session = onnxruntime.InferenceSession(bundle.graphs[step["graph"]], providers=["CPUExecutionProvider"])
    feed = {i.name: z if i.name == "x" else bundle.initial(i.name) for i in session.get_inputs()}
    names = list(step["outputs"])
    made = dict(zip(names, session.run(names, feed), strict=True))
    for name in [n.removesuffix(".left") for n in names if step["outputs"][n]["to"] == "left"]:
        # Written out here, as the node never does.
        made[name] = np.einsum("ni,nj->nij", made.pop(name + ".left"), made.pop(name + ".right"))
    return {n.removeprefix("gradient.model."): v for n, v in made.items()}


def torch_gradients(task: Private, x: Tensor, y: Tensor) -> dict[str, np.ndarray[Any, Any]]:
    """Torch's own gradient of the loss on these rows."""
    task.model.train()
    task.model.zero_grad()
    task.loss_func(task.model(x), y).backward()
    return {n: p.grad.numpy().copy() for n, p in task.model.named_parameters() if p.grad is not None}
