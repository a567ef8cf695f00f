"""What ``fit`` takes: columns, labels and weights of the members' rows, and which rows count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..pandas import DataFrame, Series
from ..pandas.symbolic import Block, Expr, Rows, Symbol, block, ops, pooled, wrap

_FLOAT: Literal["float64"] = "float64"
LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Sample:
    """Rows of the members; where one does not count, all that it has is 0.

    Parameters
    ----------
    index : Rows
        Whose rows.
    x : Expr
        ``f64 [rows, columns]``.
    y : Expr or None
        ``f64 [rows, 1]``: numbers, or the places of classes.
    weight : Expr or None
        ``f64 [rows, 1]``.
    valid : Expr
        ``bool [rows, 1]``: which count.
    names : list of str
        Of the columns.
    classes : list or None
        What ``y`` may be.
    checks : dict
        Counts of rows that must not be there, or were left out.
    """

    index: Rows
    x: Expr
    y: Expr | None
    weight: Expr | None
    valid: Expr
    names: list[str]
    classes: list[Any] | None
    checks: dict[str, Symbol]

    @property
    def ones(self) -> Expr:
        """Each row's weight, or 1, ``f64 [rows, 1]``; 0 where it does not count."""
        return ops.cast(self.valid, "f64") if self.weight is None else self.weight

    @property
    def members(self) -> Expr:
        """Which rows are in each class, ``f64 [rows, classes]`` of 0 and 1."""
        assert self.classes is not None and self.y is not None
        here = ops.equal(self.y, np.arange(float(len(self.classes))))
        return ops.cast(ops.and_(here, self.valid), "f64")

    def kept(self, x: Expr) -> Expr:
        """Return ``[rows, ...]`` with 0 in rows that do not count."""
        return ops.where(self.valid, x, 0.0)


def number_of_rows(s: Sample) -> Expr:
    """Count the rows."""
    return pooled(ops.sum(ops.cast(s.valid, "f64"), 0), "count")


def total(x: Expr, label: str) -> Expr:
    """Sum ``[rows, ...]`` over all rows."""
    return pooled(ops.sum(x, 0), label)


def part(x: Expr) -> Symbol:
    """Make a part of a result of an expression."""
    return wrap(Block(x, ("float64",)))  # type: ignore[no-any-return]


def table(index: Rows, x: Expr, names: Sequence[Any]) -> Any:
    """Make a frame of rows of ``f64 [rows, columns]``."""
    return wrap(Block(x, (_FLOAT,) * len(names), index, tuple(names)))


def features(what: str, x: Any) -> Block:
    """Return the block of columns of numbers."""
    if isinstance(x, Series):
        x = x.to_frame("x" if block(x).name is None else block(x).name)
    if not isinstance(x, DataFrame) or block(x).rows is None:
        raise TypeError(f"{what}: X must be columns of rows, such as df[['a', 'b']], not a {type(x).__name__}")
    b = block(x)
    if b.typed:
        names = ", ".join(repr(n) for n, _ in b.typed)
        levels = all(isinstance(getattr(x[n], "levels", None), list) for n, _ in b.typed)
        way = (
            "OneHotEncoder writes levels as numbers"
            if levels
            else "take parts or differences of dates, and OneHotEncoder for levels"
        )
        raise TypeError(f"{what}: X has columns that are no numbers, {names}: {way}")
    if not b.columns:
        raise TypeError(f"{what}: X has no columns")
    return b


def sample(
    what: str,
    x: Any,
    y: Any = None,
    weight: Any = None,
    *,
    missing: str,
    classes: Sequence[Any] | None = None,
    labels: bool = False,
    must: Mapping[str, Expr] | None = None,
) -> Sample:
    """Check what is fitted, and find the rows that count.

    ``labels``: whether ``y`` are classes. ``must``: further conditions, ``bool [rows, columns]``, without which a row is wrong.

    Raises ``TypeError`` and ``ValueError`` for what does not fit together.
    """
    b = features(what, x)
    assert b.rows is not None and b.columns is not None
    parts, wrong = [b.x], []
    target = None
    if y is not None:
        target, classes, outside = _labels(what, y, classes) if labels else (_column(what, y, "y"), None, None)
        _same_rows(what, b, y, "y")
        parts.append(target)
        wrong += [] if outside is None else [outside]
    if weight is not None:
        w = _column(what, weight, "sample_weight")
        _same_rows(what, b, weight, "sample_weight")
        parts.append(w)
        wrong.append(ops.less(w, 0.0))
    both = parts[0] if len(parts) == 1 else ops.concat(*parts, axis=1)
    gap = _any(ops.is_nan(both))
    wrong.append(_any(ops.greater(ops.abs(both), LARGEST)))
    wrong += [_any(ops.not_(c)) for c in (must or {}).values()]
    bad = wrong[0]
    for one in wrong[1:]:
        bad = ops.or_(bad, one)
    there = ops.not_(gap)
    keep = None if b.rows.keep is None else ops.unsqueeze(b.rows.keep, 1)
    invalid, absent, valid = ops.and_(there, bad), gap, ops.and_(there, ops.not_(bad))
    if keep is not None:
        invalid, absent, valid = (ops.and_(c, keep) for c in (invalid, absent, valid))
    checks = {"invalid": invalid} | ({} if missing == "ignore" else {"missing": absent})
    return Sample(
        b.rows,
        ops.where(valid, b.x, 0.0),
        None if target is None else ops.where(valid, target, 0.0),
        None if weight is None else ops.where(valid, parts[-1], 0.0),
        valid,
        [str(c) for c in b.columns],
        None if classes is None else list(classes),
        {n: part(ops.take(total(ops.cast(c, "f64"), n), 0, 0)) for n, c in checks.items()},
    )


def refuse(what: str, parts: Mapping[str, Any], missing: str, wrong: str, n: float | None = None) -> int:
    """Refuse a result whose rows are not what they must be; return how many were left out because a value is missing."""
    count = round(float(parts["invalid"])) if "invalid" in parts else 0
    if count > 0:
        raise ValueError(f"{what}: {count} rows of all members have {wrong}; select the rows, or recode the column")
    gaps = round(float(parts["missing"])) if "missing" in parts else 0
    if gaps > 0 and missing == "raise":
        raise ValueError(
            f"{what}: {gaps} rows of all members have a missing value; fill them (fillna), or leave such rows out with "
            "missing='drop', or missing='ignore', which does not count them"
        )
    if n is not None and not n > 0.5:
        raise ValueError(f"{what}: no row counts" + (f", {gaps} have a missing value" if gaps > 0 else ""))
    return max(gaps, 0)


def _any(cond: Expr) -> Expr:
    return ops.greater(ops.sum(ops.cast(cond, "f64"), 1, keepdims=True), 0.5)


def _same_rows(what: str, b: Block, other: Any, which: str) -> None:
    if block(other).rows != b.rows:
        raise ValueError(f"{what}: X has {b.rows}, {which} has {block(other).rows}; select the same rows of one table")


def _column(what: str, value: Any, which: str) -> Expr:
    """Return a column as ``f64 [rows, 1]``."""
    if isinstance(value, DataFrame) and len(block(value).columns or ()) == 1 and not block(value).typed:
        value = value[value.columns[0]]
    if not isinstance(value, Series) or block(value).rows is None:
        raise TypeError(f"{what}: {which} must be a column of rows, such as df['a'], not a {type(value).__name__}")
    return ops.unsqueeze(block(value).x, 1)


def _labels(what: str, y: Any, classes: Sequence[Any] | None) -> tuple[Expr, list[Any], Expr]:
    """Return the places of the classes as ``f64 [rows, 1]``, the classes, and which rows have none of them."""
    levels = getattr(y, "levels", None)
    if classes is not None:
        if isinstance(classes, str) or not hasattr(classes, "__iter__"):
            raise TypeError(f"{what}: classes={classes!r} must be a list of all that y may be, such as [0, 1]")
        classes = list(classes)
    if isinstance(levels, list) and not isinstance(y, Series):
        if unknown := [c for c in classes or () if c not in levels]:
            raise ValueError(f"{what}: classes has {unknown[0]!r}, and the column's levels are {levels}")
        wanted = sorted(levels if classes is None else classes)
        codes = [float(levels.index(c)) for c in wanted]
        x = ops.unsqueeze(block(y).x, 1)
    else:
        x = _column(what, y, "y")
        if classes is None and block(y).dtypes != ("bool",):
            raise TypeError(
                f"{what}: declare the classes, fit(X, y, classes=[0, 1]): no node knows which values the others have"
            )
        wanted = [False, True] if classes is None else [c.item() if isinstance(c, np.generic) else c for c in classes]
        if not all(isinstance(c, (int, float)) and np.isfinite(c) for c in wanted):
            raise TypeError(f"{what}: classes of a column of numbers are numbers, not {wanted}")
        wanted = sorted(wanted)
        codes = [float(c) for c in wanted]
    if len(set(codes)) != len(codes) or not codes:
        raise ValueError(f"{what}: classes must be at least one, each once, not {wanted}")
    here = ops.equal(x, np.asarray(codes))
    place = ops.sum(ops.mul(ops.cast(here, "f64"), np.arange(float(len(codes)))), 1, keepdims=True)
    # A missing label stays missing, and is no wrong one.
    return ops.where(ops.is_nan(x), x, place), wanted, ops.not_(_any(here))
