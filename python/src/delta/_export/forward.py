"""Functions that are replaced while a step is traced, and random numbers that become inputs of the graph.

A graph draws nothing itself: every dropout and every `rand_like` reads an input that the node fills from its seeded
generator, so a step gives the same result in every runtime.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from . import functions, recurrent
from .errors import ExportError, author_frame

BATCH: Literal["batch"] = "batch"
"""Stands for the batch in the shape of a draw."""

Kind = Literal["uniform", "normal"]


class Draw(NamedTuple):
    """Random numbers that one step needs: uniform in [0, 1) or standard normal, float32."""

    kind: Kind
    shape: tuple[int | Literal["batch"], ...]


class Lift(TorchFunctionMode):
    """While active, random functions read from `given`, and functions that do not trace are replaced.

    A first pass without `given` records what is drawn, in order, in `draws`; the second is given tensors of those
    kinds and shapes, in that order.

    Args:
        given: the noise of the second pass.
        batch: the example's number of rows in the first pass; sizes equal to it are recorded as `BATCH`. It should be a
            number that no other dimension has. Symbolic sizes are recorded as `BATCH` anyway.
    """

    def __init__(self, given: Iterable[Tensor] | None = None, *, batch: int | None = None) -> None:
        """See the class."""
        super().__init__()
        self.draws: list[Draw] = []
        self._given: Iterator[Tensor] | None = None if given is None else iter(given)
        self._batch = batch
        self._saved: list[dict[str, Any]] = []

    # ---- random numbers
    def draw(self, kind: Kind, shape: Iterable[Any], dtype: torch.dtype | None = None) -> Tensor:
        """The next random tensor, of floating type `dtype`."""
        sizes = tuple(shape)
        if self._given is not None:
            noise = next(self._given, None)
            if noise is None:
                raise ExportError("random numbers", "the step draws more in its second pass than in its first")
        else:
            self.draws.append(Draw(kind, tuple(self._marked(s) for s in sizes)))
            with torch._C.DisableTorchFunction():
                noise = torch.rand(sizes) if kind == "uniform" else torch.randn(sizes)
        return noise if dtype in (None, noise.dtype) else noise.to(dtype)

    def _marked(self, size: Any) -> int | Literal["batch"]:
        if isinstance(size, torch.SymInt):
            if size.node.expr.is_Symbol:
                return BATCH
        elif size == self._batch:
            return BATCH
        elif self._batch is None or size % self._batch:
            return int(size)
        raise ExportError(
            "random numbers", f"a draw of {size} numbers along one axis mixes the batch with other dimensions",
            instead="draw in a shape that has the batch as a dimension of its own", location=author_frame(sys._getframe(1)),
        )  # fmt: skip

    def dropout(self, x: Tensor, p: float, shape: Iterable[Any] | None = None, inplace: bool = False) -> Tensor:
        """Keeps each element with probability 1 - p and divides by it."""
        if p == 0.0:
            return x
        keep = self.draw("uniform", x.shape if shape is None else shape) >= p
        factor = keep.to(x.dtype) * (1.0 / (1.0 - p) if p < 1.0 else 0.0)
        return x.mul_(factor) if inplace else x * factor

    # ---- the mode
    def __enter__(self) -> Lift:
        """Also patches `torch.nn.functional`, which calls its own functions with the mode switched off."""
        self._saved.append({name: getattr(F, name) for name in _PATCHED})
        for name in _PATCHED:
            setattr(F, name, self._bound(_ORIGINAL[name]))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        """Restores `torch.nn.functional`."""
        for name, function in self._saved.pop().items():
            setattr(F, name, function)
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def _bound(self, function: Callable[..., Any]) -> Callable[..., Any]:
        replacement = REPLACED[function]

        def call(*args: Any, **kwargs: Any) -> Any:
            return replacement(self, *args, **kwargs)

        return call

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Calls the replacement, with the mode on again so that it may draw; other functions as they are."""
        if (kwargs or {}).get("generator") is not None:
            raise ExportError(
                "generator=", "nodes draw numbers of their own in every batch, whatever it gives",
                instead="leave it out: HorizontalLearning(seed=...) is the task's seed", location=author_frame(sys._getframe(1)),
            )  # fmt: skip
        if getattr(function, "__name__", "").startswith("_foreach_"):
            return _one_by_one(function.__name__, *args, **(kwargs or {}))
        replacement = REPLACED.get(function)
        if replacement is None:
            return function(*args, **(kwargs or {}))
        with self:
            return replacement(self, *args, **(kwargs or {}))


def _one_by_one(name: str, tensors: Any, *args: Any, **kwargs: Any) -> Any:
    """``torch._foreach_add_`` and its kin, tensor by tensor."""
    name = name.removeprefix("_foreach_")
    function = torch.linalg.vector_norm if name == "norm" else getattr(Tensor, name)
    made = []
    for i, tensor in enumerate(tensors):
        own = [a[i] if isinstance(a, (list, tuple)) else a for a in args]
        made.append(function(tensor, *own, **{k: a[i] if isinstance(a, list) else a for k, a in kwargs.items()}))
    return None if name.endswith("_") else made


# ---------------------------------------------------------------- replacements, called as f(lift, *args, **kwargs)
def _dropout(lift: Lift, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    return lift.dropout(x, p, inplace=inplace) if training else x


def _dropout_positional(lift: Lift, x: Tensor, p: float, train: bool) -> Tensor:
    return lift.dropout(x, p) if train else x


def _channels(x: Tensor) -> list[Any]:
    return [*x.shape[:2], *([1] * (x.dim() - 2))]


def _feature_dropout(lift: Lift, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    return lift.dropout(x, p, _channels(x), inplace) if training else x


def _alpha(lift: Lift, x: Tensor, p: float, shape: Iterable[Any]) -> Tensor:
    if p == 0.0:
        return x
    alpha = 1.7580993408473766
    scale = 0.0 if p == 1.0 else 1.0 / math.sqrt((alpha * alpha * p + 1.0) * (1.0 - p))
    keep = (lift.draw("uniform", shape) >= p).to(x.dtype)
    return x * (keep * scale) + ((keep - 1.0) * (alpha * scale) + alpha * scale * p)


def _alpha_dropout(lift: Lift, x: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    return _alpha(lift, x, p, x.shape) if training else x


def _feature_alpha_dropout(
    lift: Lift, x: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    return _alpha(lift, x, p, _channels(x)) if training else x


def _rrelu(
    lift: Lift, x: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    if not training:
        return torch.where(x > 0, x, x * ((lower + upper) / 2))
    return torch.where(x > 0, x, x * (lift.draw("uniform", x.shape, x.dtype) * (upper - lower) + lower))


def _rand_like(lift: Lift, x: Tensor, *, dtype: Any = None, **kwargs: Any) -> Tensor:
    return lift.draw("uniform", x.shape, dtype or x.dtype)


def _randn_like(lift: Lift, x: Tensor, *, dtype: Any = None, **kwargs: Any) -> Tensor:
    return lift.draw("normal", x.shape, dtype or x.dtype)


def _sizes(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    given = kwargs.get("size", args[0] if len(args) == 1 and not isinstance(args[0], (int, torch.SymInt)) else args)
    return list(given)


def _rand(lift: Lift, *args: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
    return lift.draw("uniform", _sizes(args, kwargs), dtype)


def _randn(lift: Lift, *args: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
    return lift.draw("normal", _sizes(args, kwargs), dtype)


def _bernoulli(lift: Lift, x: Tensor, p: float | None = None, **kwargs: Any) -> Tensor:
    return (lift.draw("uniform", x.shape) < (x if p is None else p)).to(x.dtype)


def _bernoulli_(lift: Lift, x: Tensor, p: Any = 0.5, **kwargs: Any) -> Tensor:
    return x.copy_((lift.draw("uniform", x.shape) < p).to(x.dtype))


def _uniform_(lift: Lift, x: Tensor, low: float = 0.0, high: float = 1.0, **kwargs: Any) -> Tensor:
    return x.copy_(lift.draw("uniform", x.shape, x.dtype) * (high - low) + low)


def _normal_(lift: Lift, x: Tensor, mean: float = 0.0, std: float = 1.0, **kwargs: Any) -> Tensor:
    return x.copy_(lift.draw("normal", x.shape, x.dtype) * std + mean)


def _exponential_(lift: Lift, x: Tensor, lambd: float = 1.0, **kwargs: Any) -> Tensor:
    return x.copy_(torch.log(1.0 - lift.draw("uniform", x.shape, x.dtype)) * (-1.0 / lambd))


def _normal(lift: Lift, mean: Any, std: Any = 1.0, size: Any = None, **kwargs: Any) -> Tensor:
    shape = size if size is not None else (torch.as_tensor(mean) + torch.as_tensor(std)).shape
    result: Tensor = lift.draw("normal", shape) * std + mean
    return result


def _gumbel_softmax(
    lift: Lift, logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    exponential = -torch.log(1.0 - lift.draw("uniform", logits.shape, logits.dtype))
    soft = torch.softmax((logits - torch.log(exponential.clamp_min(1e-30))) / tau, dim)
    if not hard:
        return soft
    index = soft.argmax(dim, keepdim=True)
    return torch.zeros_like(logits).scatter(dim, index, 1.0) - soft.detach() + soft


def _attention(
    lift: Lift, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    if enable_gqa:
        repeat = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(repeat, -3), value.repeat_interleave(repeat, -3)
    scores = (query * (scale or query.shape[-1] ** -0.5)) @ key.transpose(-2, -1)
    if is_causal:
        attn_mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
    if attn_mask is not None:
        masked = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, float("-inf")) if masked else scores + attn_mask
    return lift.dropout(torch.softmax(scores, -1), dropout_p) @ value


def _unrolled(kind: str) -> Callable[..., Any]:
    def replacement(lift: Lift, x: Tensor, *args: Any) -> Any:
        if len(args) != 8 or not isinstance(args[2], bool):
            raise ExportError(kind, "packed sequences", instead="pad the sequences and mask the loss")
        initial, weights, has_bias, layers, p, training, bidirectional, batch_first = args
        states = list(initial) if kind == "lstm" else [initial]
        drop = (lambda y: lift.dropout(y, p)) if training and p > 0 else None
        return recurrent.unroll(kind, x, states, weights, has_bias, layers, drop, bidirectional, batch_first)

    return replacement


_PATCHED: dict[str, Callable[..., Any]] = {
    "linear": functions.linear, "dropout": _dropout, "dropout1d": _feature_dropout, "dropout2d": _feature_dropout,
    "dropout3d": _feature_dropout, "feature_alpha_dropout": _feature_alpha_dropout, "alpha_dropout": _alpha_dropout,
    "rrelu": _rrelu, "gumbel_softmax": _gumbel_softmax, "scaled_dot_product_attention": _attention,
    "embedding_bag": functions.embedding_bag, "pad": functions.pad, "gaussian_nll_loss": functions.gaussian_nll_loss,
    "ctc_loss": functions.ctc_loss, "one_hot": functions.one_hot, "cross_entropy": functions.cross_entropy,
}  # fmt: skip
_ORIGINAL = {name: getattr(F, name) for name in _PATCHED}

REPLACED: dict[Any, Callable[..., Any]] = {
    **{_ORIGINAL[name]: function for name, function in _PATCHED.items()},
    torch.dropout: _dropout_positional,
    torch.cdist: functions.cdist,
    torch.logcumsumexp: functions.logcumsumexp,
    Tensor.logcumsumexp: functions.logcumsumexp,
    torch.rand_like: _rand_like,
    torch.randn_like: _randn_like,
    torch.rand: _rand,
    torch.randn: _randn,
    torch.normal: _normal,
    torch.bernoulli: _bernoulli,
    Tensor.bernoulli: _bernoulli,
    Tensor.bernoulli_: _bernoulli_,
    Tensor.uniform_: _uniform_,
    Tensor.normal_: _normal_,
    Tensor.exponential_: _exponential_,
    torch._VF.lstm: _unrolled("lstm"),
    torch._VF.gru: _unrolled("gru"),
    torch._VF.rnn_tanh: _unrolled("rnn_tanh"),
    torch._VF.rnn_relu: _unrolled("rnn_relu"),
}
