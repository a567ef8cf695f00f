"""What fitted estimators are applied to: tables and arrays of this machine, and frames of the members' rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..pandas import DataFrame
from ..pandas.symbolic import Block, Expr, ops, wrap
from ._rows import features, table

Array = npt.NDArray[np.float64]


def matrix(what: str, x: Any, names: Sequence[str], gaps: bool = False) -> Array:
    """Return ``[rows, columns]`` of a table by its names, or of an array by its order.

    Raises ``ValueError`` where columns are missing, or, unless ``gaps``, values.
    """
    if hasattr(x, "columns") and not isinstance(x, np.ndarray):
        have = {str(c): c for c in x.columns}
        if absent := [n for n in names if n not in have]:
            raise ValueError(f"{what}: X has no column {', '.join(map(repr, absent))}")
        made = np.column_stack([np.asarray(x[have[n]], np.float64) for n in names])
    else:
        made = np.asarray(x, np.float64)
        if made.ndim != 2 or made.shape[1] != len(names):
            raise ValueError(f"{what}: X has the shape {made.shape}, and must be [rows, {len(names)}]: {list(names)}")
    if not gaps and not np.isfinite(made).all():
        n = int((~np.isfinite(made)).any(1).sum())
        raise ValueError(f"{what}: {n} rows of X have a missing or infinite value; fill them, or leave them out")
    return made


def is_rows(x: Any) -> bool:
    """Whether ``x`` is of the members' rows, in a task that is being written."""
    return isinstance(x, DataFrame)


def pick(what: str, x: Any, names: Sequence[str]) -> tuple[Block, Expr]:
    """Return the block of a frame of rows, and the columns of some names, ``f64 [rows, columns]``."""
    have = {str(c): c for c in x.columns}
    if absent := [n for n in names if n not in have]:
        raise ValueError(f"{what}: X has no column {', '.join(map(repr, absent))}")
    b = features(what, x[[have[n] for n in names]])
    return b, b.x


def series(like: Block, x: Expr, name: str) -> Any:
    """Make a column of rows of ``f64 [rows]``."""
    return wrap(Block(x, ("float64",), like.index, None, name))


def frame(like: Block, x: Expr, names: Sequence[str]) -> Any:
    """Make a frame of rows of ``f64 [rows, columns]``."""
    assert like.rows is not None
    return table(like.rows, x, names)


def code_of(classes: Sequence[Any], place: Expr) -> Expr:
    """Return the class of each place as a number, ``f64 [rows]``.

    Raises ``TypeError`` where classes are texts.
    """
    if any(isinstance(c, str) for c in classes):
        raise TypeError("predict: classes that are texts are no column of numbers; use predict_proba, and compare")
    here = ops.equal(ops.unsqueeze(place, 1), np.arange(float(len(classes))))
    return ops.sum(ops.mul(ops.cast(here, "f64"), np.asarray(classes, np.float64)), 1)


def mean_accuracy(y: Any, predicted: Any, weight: Any = None) -> float:
    """Return the share of right classes."""
    right = np.asarray(y) == np.asarray(predicted)
    return float(np.average(right, weights=None if weight is None else np.asarray(weight, np.float64)))


def r_squared(y: Any, predicted: Array, weight: Any = None) -> float:
    """Return the share of ``y``'s variance that is explained, as scikit-learn's ``r2_score``."""
    y = np.asarray(y, np.float64)
    w = np.ones_like(y) if weight is None else np.asarray(weight, np.float64)
    rest, all_ = float(w @ (y - predicted) ** 2), float(w @ (y - np.average(y, weights=w)) ** 2)
    if all_ == 0:
        return 1.0 if rest == 0 else 0.0
    return 1 - rest / all_
