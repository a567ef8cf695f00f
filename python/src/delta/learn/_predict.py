"""What fitted estimators are applied to: tables and arrays of this machine, and frames of the members' rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _given
from ..pandas import DataFrame
from ..pandas.symbolic import Block, Expr, ops, wrap
from ._rows import features, table

Array = npt.NDArray[np.float64]


def matrix(what: str, x: Any, names: Sequence[str], gaps: bool = False) -> Array:
    """Return ``[rows, columns]`` of a table by its names, or of an array by its order.

    Raises ``ValueError`` where columns are missing or no numbers, values are infinite, or, unless ``gaps``, missing.
    """
    made = _given.matrix(what, x, names)
    bad = np.isinf(made) if gaps else ~np.isfinite(made)
    if bad.any():
        which = "an infinite" if gaps else "a missing or infinite"
        raise ValueError(f"{what}: {int(bad.any(1).sum())} rows of X have {which} value; fill them, or leave them out")
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


def mean_accuracy(what: str, classes: Array, y: Any, predicted: Array, weight: Any = None) -> float:
    """Return the share of right classes.

    Raises ``ValueError`` for what is no ``y`` of these rows, and ``TypeError`` where it has texts and the classes are numbers.
    """
    found, each = _given.explained(what, y, weight, len(predicted))
    texts = [any(isinstance(v, str) for v in a.tolist()) for a in (found, np.asarray(classes))]
    if len(found) and texts[0] != texts[1]:
        ours, theirs = ("texts" if t else "numbers" for t in texts)
        raise TypeError(f"{what}.score: y has {ours}, and the classes are {theirs}: {np.asarray(classes).tolist()}")
    return float(np.average(found == predicted, weights=each))


def r_squared(what: str, y: Any, predicted: Array, weight: Any = None) -> float:
    """Return the share of ``y``'s variance that is explained, as scikit-learn's ``r2_score``.

    Raises ``ValueError`` for what is no ``y`` of these rows.
    """
    found, each = _given.explained(what, y, weight, len(predicted))
    y = _given.numbers(f"{what}.score", "y", found)
    w = np.ones_like(y) if each is None else each
    rest, all_ = float(w @ (y - predicted) ** 2), float(w @ (y - np.average(y, weights=w)) ** 2)
    if all_ == 0:
        return 1.0 if rest == 0 else 0.0
    return 1 - rest / all_
