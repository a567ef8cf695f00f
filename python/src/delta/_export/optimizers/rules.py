"""The rule of each class in ``torch.optim``: which state it has, and how a step changes it.

Whatever depends on how many steps there were is a number of the group, ``float64``: powers by recurrences, because a
product and a sum are exact enough in any runtime, and decisions by ``where``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Group = Mapping[str, Any]
"""Options of a parameter group."""
Tensors = Mapping[str, Tensor]


def _none(group: Group) -> dict[str, float]:
    return {}


def _count(group: Group, lr: Any, scalars: Tensors) -> Tensors:
    """Count the step, in ``steps`` and in ``correction1`` and ``correction2`` as far as a rule has them."""
    if "steps" in scalars:
        scalars["steps"].add_(1.0)
    for number, beta in enumerate(group.get("betas", ()), 1):
        # c = 1 - beta**t
        if (correction := scalars.get(f"correction{number}")) is not None:
            correction.copy_(correction * beta + (1.0 - beta))
    return scalars


def _nothing(group: Group, lr: Any, scalars: Tensors) -> None:
    pass


@dataclass(frozen=True)
class Rule:
    """A class of optimizers.

    ``slots`` and ``scalars``: the state of each parameter and of each group, with initial values. ``before(group, lr,
    scalars)`` counts a step and gives what ``update(group, lr, p, g, slots, factors)`` needs of it for each parameter.
    ``after`` is for what changes behind the parameters.
    """

    update: Callable[[Group, Any, Tensor, Tensor, Tensors, Tensors], None]
    slots: Callable[[Group], Mapping[str, float]] = _none
    scalars: Callable[[Group], Mapping[str, float]] = _none
    before: Callable[[Group, Any, Tensors], Tensors] = _count
    after: Callable[[Group, Any, Tensors], None] = _nothing


def _zeros(*names: str) -> Callable[[Group], dict[str, float]]:
    return lambda _: dict.fromkeys(names, 0.0)


def _decayed(group: Group, lr: Any, p: Tensor, g: Tensor) -> Tensor:
    """The gradient with weight decay; one that is decoupled shrinks the parameter instead."""
    if group["weight_decay"] and group.get("decoupled_weight_decay"):
        p.copy_(p * (1.0 - lr * group["weight_decay"]))
    elif group["weight_decay"]:
        g = g + group["weight_decay"] * p
    return g


def _moments(group: Group, g: Tensor, own: Tensors) -> tuple[Tensor, Tensor]:
    """The running means of the gradient and of its square."""
    beta1, beta2 = group["betas"]
    mean, square = own["mean"], own["square"]
    mean.copy_(mean + (1.0 - beta1) * (g - mean))
    square.copy_(beta2 * square + (1.0 - beta2) * (g * g))
    return mean, square


# ---------------------------------------------------------------- SGD
def _sgd_slots(group: Group) -> dict[str, float]:
    return {"momentum": 0.0} if group["momentum"] else {}


def _sgd_scalars(group: Group) -> dict[str, float]:
    return {"steps": 0.0} if group["momentum"] and group["dampening"] else {}


def _sgd(group: Group, lr: Any, p: Tensor, g: Tensor, own: Tensors, factors: Tensors) -> None:
    g = _decayed(group, lr, p, g)
    if group["momentum"]:
        buffer, damped = own["momentum"], g
        if group["dampening"]:
            # The first gradient enters whole.
            factor = torch.where(factors["steps"] == 1.0, 1.0, 1.0 - group["dampening"]).to(p.dtype)
            damped = factor * g
        buffer.copy_(group["momentum"] * buffer + damped)
        g = g + group["momentum"] * buffer if group["nesterov"] else buffer
    p.copy_(p - lr * g)


# ---------------------------------------------------------------- Adam and its kin
def _adam_slots(group: Group) -> dict[str, float]:
    return dict.fromkeys(("mean", "square", "largest") if group["amsgrad"] else ("mean", "square"), 0.0)


def _adam(group: Group, lr: Any, p: Tensor, g: Tensor, own: Tensors, factors: Tensors) -> None:
    mean, largest = _moments(group, _decayed(group, lr, p, g), own)
    if "largest" in own:
        own["largest"].copy_(torch.maximum(own["largest"], largest))
        largest = own["largest"]
    first, second = factors["correction1"].to(p.dtype), factors["correction2"].to(p.dtype)
    p.copy_(p - (lr / first) * (mean / (torch.sqrt(largest) / torch.sqrt(second) + group["eps"])))


def _adamw(group: Group, lr: Any, p: Tensor, g: Tensor, own: Tensors, factors: Tensors) -> None:
    _adam({**group, "decoupled_weight_decay": True}, lr, p, g, own, factors)


def _adamax(group: Group, lr: Any, p: Tensor, g: Tensor, own: Tensors, factors: Tensors) -> None:
    g = _decayed(group, lr, p, g)
    beta1, beta2 = group["betas"]
    mean, norm = own["mean"], own["norm"]
    mean.copy_(mean + (1.0 - beta1) * (g - mean))
    norm.copy_(torch.maximum(beta2 * norm, g.abs() + group["eps"]))
    p.copy_(p - (lr / factors["correction1"]).to(p.dtype) * (mean / norm))


def _nadam_scalars(group: Group) -> dict[str, float]:
    return {"correction2": 0.0, "decay": 1.0, "product": 1.0}


def _nadam_factors(group: Group, lr: Any, scalars: Tensors) -> Tensors:
    """``decay`` is 0.96**(t * momentum_decay), ``product`` that of the momenta so far."""
    _count(group, lr, scalars)
    decay, product, shrink = scalars["decay"], scalars["product"], 0.96 ** group["momentum_decay"]
    decay.copy_(decay * shrink)
    momentum = group["betas"][0] * (1.0 - 0.5 * decay)
    following = group["betas"][0] * (1.0 - 0.5 * (decay * shrink))
    product.copy_(product * momentum)
    return {
        "gradient": lr * (1.0 - momentum) / (1.0 - product),
        "mean": lr * following / (1.0 - product * following),
        "correction2": scalars["correction2"],
    }


def _nadam(group: Group, lr: Any, p: Tensor, g: Tensor, own: Tensors, factors: Tensors) -> None:
    g = _decayed(group, lr, p, g)
    mean, square = _moments(group, g, own)
    by = torch.sqrt(square / factors["correction2"].to(p.dtype)) + group["eps"]
    p.copy_(p - factors["gradient"].to(p.dtype) * (g / by) - factors["mean"].to(p.dtype) * (mean / by))


def _radam_factors(group: Group, lr: Any, scalars: Tensors) -> Tensors:
    """``rectified`` is 0 as long as the variance is not to be trusted; with a small beta2 it never is."""
    _count(group, lr, scalars)
    steps, second = scalars["steps"], scalars["correction2"]
    made, limit = {"rate": lr / scalars["correction1"]}, 2.0 / (1.0 - group["betas"][1]) - 1.0
    if limit > 5.0:
        length = limit - 2.0 * steps * (1.0 - second) / second
        # Shorter ones have no root, and do not count.
        long = torch.clamp(length, min=5.0)
        share = (long - 4.0) * (long - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * long)
        made["rectified"] = torch.where(length > 5.0, torch.sqrt(share) * torch.sqrt(second), torch.zeros_like(second))
    return made


def _radam(group: Group, lr: Any, p: Tensor, g: Tensor, own: Tensors, factors: Tensors) -> None:
    mean, square = _moments(group, _decayed(group, lr, p, g), own)
    change = factors["rate"].to(p.dtype) * mean
    if (rectified := factors.get("rectified")) is not None:
        adapted = change * (rectified.to(p.dtype) / (torch.sqrt(square) + group["eps"]))
        change = torch.where(rectified > 0.0, adapted, change)
    p.copy_(p - change)


# ---------------------------------------------------------------- by the size of past gradients
def _rmsprop_slots(group: Group) -> dict[str, float]:
    names = {"square": True, "mean": group["centered"], "momentum": group["momentum"] > 0}
    return {n: 0.0 for n, there in names.items() if there}


def _rmsprop(group: Group, lr: Any, p: Tensor, g: Tensor, own: Tensors, factors: Tensors) -> None:
    g = _decayed(group, lr, p, g)
    rest, square = 1.0 - group["alpha"], own["square"]
    square.copy_(group["alpha"] * square + rest * (g * g))
    size = square
    if "mean" in own:
        own["mean"].copy_(own["mean"] + rest * (g - own["mean"]))
        size = square - own["mean"] * own["mean"]
    change = g / (torch.sqrt(size) + group["eps"])
    if "momentum" in own:
        own["momentum"].copy_(group["momentum"] * own["momentum"] + change)
        change = own["momentum"]
    p.copy_(p - lr * change)


def _adagrad_slots(group: Group) -> dict[str, float]:
    return {"sum": group["initial_accumulator_value"]}


def _adagrad_scalars(group: Group) -> dict[str, float]:
    return {"steps": 0.0} if group["lr_decay"] else {}


def _adagrad_factors(group: Group, lr: Any, scalars: Tensors) -> Tensors:
    _count(group, lr, scalars)
    return {"rate": lr / (1.0 + (scalars["steps"] - 1.0) * group["lr_decay"])} if scalars else {}


def _adagrad(group: Group, lr: Any, p: Tensor, g: Tensor, own: Tensors, factors: Tensors) -> None:
    g = _decayed(group, lr, p, g)
    own["sum"].copy_(own["sum"] + g * g)
    rate = factors["rate"].to(p.dtype) if factors else lr
    p.copy_(p - rate * (g / (torch.sqrt(own["sum"]) + group["eps"])))


def _adadelta(group: Group, lr: Any, p: Tensor, g: Tensor, own: Tensors, factors: Tensors) -> None:
    g = _decayed(group, lr, p, g)
    rho, eps, square, changes = group["rho"], group["eps"], own["square"], own["changes"]
    square.copy_(rho * square + (1.0 - rho) * (g * g))
    change = torch.sqrt(changes + eps) / torch.sqrt(square + eps) * g
    changes.copy_(rho * changes + (1.0 - rho) * (change * change))
    p.copy_(p - lr * change)


# ---------------------------------------------------------------- averaged, and by signs
def _asgd_scalars(group: Group) -> dict[str, float]:
    return {"steps": 0.0, "eta": group["lr"], "mu": 1.0}


def _asgd_factors(group: Group, lr: Any, scalars: Tensors) -> Tensors:
    """The first step is at the rate that then is."""
    _count(group, lr, scalars)
    scalars["eta"].copy_(torch.where(scalars["steps"] == 1.0, lr, scalars["eta"]))
    return scalars


def _asgd(group: Group, lr: Any, p: Tensor, g: Tensor, own: Tensors, factors: Tensors) -> None:
    g = _decayed(group, lr, p, g)
    eta = factors["eta"]
    p.copy_(p * (1.0 - group["lambd"] * eta).to(p.dtype) - eta.to(p.dtype) * g)
    own["average"].copy_(own["average"] + (p - own["average"]) * factors["mu"].to(p.dtype))


def _asgd_after(group: Group, lr: Any, scalars: Tensors) -> None:
    steps = scalars["steps"]
    scalars["eta"].copy_(lr / (1.0 + group["lambd"] * lr * steps) ** group["alpha"])
    scalars["mu"].copy_(1.0 / torch.clamp(steps - group["t0"], min=1.0))


def _rprop_slots(group: Group) -> dict[str, float]:
    return {"previous": 0.0, "size": group["lr"]}


def _rprop(group: Group, lr: Any, p: Tensor, g: Tensor, own: Tensors, factors: Tensors) -> None:
    (less, more), (least, most) = group["etas"], group["step_sizes"]
    # The rate is only where the sizes start.
    size = torch.where(factors["steps"] == 1.0, lr, own["size"]).to(p.dtype)
    turn = g * own["previous"]
    size = torch.where(turn > 0.0, size * more, torch.where(turn < 0.0, size * less, size))
    own["size"].copy_(torch.clamp(size, min=least, max=most))
    g = torch.where(turn < 0.0, torch.zeros_like(g), g)
    p.copy_(p - torch.sign(g) * own["size"])
    own["previous"].copy_(g)


_CORRECTIONS = _zeros("correction1", "correction2")
RULES: dict[type[torch.optim.Optimizer], Rule] = {
    torch.optim.SGD: Rule(_sgd, _sgd_slots, _sgd_scalars),
    torch.optim.Adam: Rule(_adam, _adam_slots, _CORRECTIONS),
    torch.optim.AdamW: Rule(_adamw, _adam_slots, _CORRECTIONS),
    torch.optim.Adamax: Rule(_adamax, _zeros("mean", "norm"), _zeros("correction1")),
    torch.optim.NAdam: Rule(_nadam, _zeros("mean", "square"), _nadam_scalars, _nadam_factors),
    torch.optim.RAdam: Rule(
        _radam, _zeros("mean", "square"), _zeros("steps", "correction1", "correction2"), _radam_factors
    ),
    torch.optim.RMSprop: Rule(_rmsprop, _rmsprop_slots),
    torch.optim.Adagrad: Rule(_adagrad, _adagrad_slots, _adagrad_scalars, _adagrad_factors),
    torch.optim.Adadelta: Rule(_adadelta, _zeros("square", "changes")),
    torch.optim.ASGD: Rule(_asgd, _zeros("average"), _asgd_scalars, _asgd_factors, _asgd_after),
    torch.optim.Rprop: Rule(_rprop, _rprop_slots, _zeros("steps")),
}
_NAMES = [kind.__name__ for kind in RULES]
SUPPORTED = f"torch.optim.{', '.join(_NAMES[:-1])} and {_NAMES[-1]}"
