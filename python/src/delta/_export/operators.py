"""Two operators of this package, which ONNX has and torch would take apart while it traces."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_LIBRARY: Any = torch.library.Library("delta", "FRAGMENT")  # type: ignore[no-untyped-call]
_LIBRARY.define("matmul(Tensor a, Tensor b) -> Tensor")
_LIBRARY.define("squares(Tensor x) -> Tensor")


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    made: Tensor = torch.matmul(a, b)
    return made


def _squares(x: Tensor) -> Tensor:
    return (x * x).sum(list(range(1, x.dim())))


def _fake_matmul(a: Tensor, b: Tensor) -> Tensor:
    lead = a.shape[:-2] if a.dim() >= b.dim() else b.shape[:-2]
    return a.new_empty([*lead, a.shape[-2], b.shape[-1]])


def _fake_squares(x: Tensor) -> Tensor:
    return x.new_empty([x.shape[0]])


_LIBRARY.impl("matmul", _matmul, "CompositeExplicitAutograd")
_LIBRARY.impl("squares", _squares, "CompositeExplicitAutograd")
torch.library.register_fake("delta::matmul", _fake_matmul, lib=_LIBRARY)
torch.library.register_fake("delta::squares", _fake_squares, lib=_LIBRARY)

MATMUL: Any = torch.ops.delta.matmul.default
"""Matrix products of which only one factor may have the records in front. torch's own would merge the records with rows."""
SQUARES: Any = torch.ops.delta.squares.default
"""The sum of squares of each record's block: ``[records, ...]`` to ``[records]``."""
