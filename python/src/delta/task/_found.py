"""What a learning task has, found by its types: for the loops and the ``state_dict`` that an author does not write out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from .._export.errors import ExportError
from .._export.idioms import unwrapped


def state_of(task: Any) -> dict[str, Tensor]:
    """What the modules have that optimizers train, and averages of weights."""
    optimizers = [v for v in vars(task).values() if is_optimizer(v)]
    stepped = {id(p) for o in optimizers for group in o.param_groups for p in group["params"]}
    modules = {k: unwrapped(v) for k, v in vars(task).items() if isinstance(v, torch.nn.Module)}
    trained = {
        k: v
        for k, v in modules.items()
        if isinstance(v, AveragedModel) or any(id(p) in stepped for p in v.parameters())
    }
    if len(trained) == 1 or not trained:
        only = next(iter(trained.values()), modules.get("model"))
        return {} if only is None else dict(only.state_dict())
    # A module that holds another one as a part has its parameters already.
    whole = {k: v for k, v in trained.items() if not any(v in m.modules() for n, m in trained.items() if n != k)}
    if len(whole) == 1:
        return dict(next(iter(whole.values())).state_dict())
    return {f"{name}.{key}": t for name, module in whole.items() for key, t in module.state_dict().items()}


def loss_of(task: Any, batch: Any) -> tuple[Tensor, Any, Any]:
    """The loss of a batch, the model's output, and the label."""
    x, y = batch if isinstance(batch, (tuple, list)) else (batch, batch)
    model = next(
        (v for k, v in sorted(vars(task).items(), key=lambda i: i[0] != "model") if isinstance(v, torch.nn.Module)),
        None,
    )
    function = getattr(task, "loss_func", None) or getattr(task, "loss", None)
    if model is None or function is None:
        raise ExportError(
            "train()",
            "there is no self.model or no self.loss_func",
            instead="set both in __init__, or write train()",
        )
    output = model(x)
    return function(output, y), output, y


def is_optimizer(value: object) -> bool:
    """Whether a value is an optimizer, or stands for one."""
    return hasattr(type(value), "zero_grad") and hasattr(type(value), "step")


def is_scheduler(value: object) -> bool:
    """Whether a value is a schedule of learning rates, or stands for one."""
    return (
        hasattr(type(value), "step")
        and not hasattr(type(value), "zero_grad")
        and not isinstance(value, torch.nn.Module)
    )
