"""Tables and arrays of this machine that models are applied to: columns by name, as numbers and as nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def is_table(x: Any) -> bool:
    """Whether something has columns with names: a frame of pandas or the like, or a dict."""
    return isinstance(x, Mapping) or (hasattr(x, "columns") and not isinstance(x, np.ndarray))


def columns(what: str, x: Any, names: Sequence[str]) -> list[Any]:
    """Return the columns of a table with some names, in their order.

    Raises ``ValueError`` where one is not there, or stands twice.
    """
    have = [*(x if isinstance(x, Mapping) else x.columns)]
    shown = [str(c) for c in have]
    if absent := [n for n in names if n not in shown]:
        raise ValueError(f"{what}: X has no column {', '.join(map(repr, absent))}")
    if twice := [n for n in names if shown.count(n) > 1]:
        raise ValueError(
            f"{what}: X has the column {twice[0]!r} {shown.count(twice[0])} times, and which is meant is not known"
        )
    return [x[have[shown.index(n)]] for n in names]


def numbers(what: str, name: str, values: Any) -> Array:
    """Return a column as numbers, missing ones as NaN.

    Raises ``ValueError`` for texts, dates and the like: what they are as numbers is not for this machine to guess.
    """
    if hasattr(values, "iloc") and hasattr(values, "to_numpy"):
        # What pandas has for a missing value in a column of whole numbers is no float.
        values = values.to_numpy(dtype=object) if getattr(values.dtype, "kind", "O") == "O" else values.to_numpy()
    made = np.asarray(values)
    if made.dtype == object:
        flat = [np.nan if v is None or type(v).__name__ == "NAType" else v for v in made.ravel().tolist()]
        if any(isinstance(v, (str, bytes)) for v in flat):
            found = next(v for v in flat if isinstance(v, (str, bytes)))
            raise ValueError(f"{what}: the column {name!r} has texts, such as {found!r}; the model knows it as numbers")
        try:
            return np.asarray(flat, np.float64).reshape(made.shape)
        except (TypeError, ValueError):
            odd = next((v for v in flat if not isinstance(v, (int, float))), flat)
            raise ValueError(
                f"{what}: the column {name!r} has no numbers, but such as {odd!r}; the model knows it as numbers"
            ) from None
    if made.dtype.kind in "Mm":
        raise ValueError(
            f"{what}: the column {name!r} has dates or times; the model knows it as numbers, so give what the task made of them"
        )
    if made.dtype.kind not in "biuf":
        shown = f"texts, such as {made.ravel()[0]!r}" if made.dtype.kind in "UST" and made.size else "no numbers"
        raise ValueError(f"{what}: the column {name!r} has {shown}; the model knows it as numbers")
    return np.asarray(made, np.float64)


def matrix(what: str, x: Any, names: Sequence[str]) -> Array:
    """Return ``[rows, columns]`` of a table by its names, or of an array by its order.

    Raises ``ValueError`` where columns are missing, stand twice, or are no numbers, and for an array of another shape.
    """
    if is_table(x):
        made = [numbers(what, n, c) for n, c in zip(names, columns(what, x, names), strict=True)]
        if odd := [n for n, c in zip(names, made, strict=True) if c.ndim != 1 or len(c) != len(made[0])]:
            raise ValueError(f"{what}: the column {odd[0]!r} has not one value for each row")
        return np.column_stack(made)
    if hasattr(x, "iloc"):
        x = x.to_numpy()
    whole = np.asarray(x)
    if whole.ndim != 2 or whole.shape[1] != len(names):
        raise ValueError(f"{what}: X has the shape {whole.shape}, and must be [rows, {len(names)}]: {list(names)}")
    if whole.dtype.kind in "biuf":
        return np.asarray(whole, np.float64)
    return np.column_stack([numbers(what, n, c) for n, c in zip(names, whole.T, strict=True)])


def explained(what: str, y: Any, weight: Any, rows: int) -> tuple[npt.NDArray[Any], Array | None]:
    """Return ``y`` and weights of rows that a model is scored on, each ``[rows]``.

    Raises ``ValueError`` for as many as there are no predictions, for missing ones, and for weights that cannot be.
    """
    made = _flat(what, "y", y, rows)
    if (gaps := int(_missing(made).sum())) > 0:
        raise ValueError(f"{what}.score: {gaps} of y are missing; leave these rows out")
    if weight is None:
        return made, None
    each = numbers(f"{what}.score", "sample_weight", _flat(what, "sample_weight", weight, rows))
    if not (np.isfinite(each) & (each >= 0)).all() or not each.sum() > 0:
        raise ValueError(f"{what}.score: sample_weight must be finite numbers of 0 or more, and not all 0")
    return made, each


def _flat(what: str, name: str, given: Any, rows: int) -> npt.NDArray[Any]:
    made = np.asarray(given.to_numpy() if hasattr(given, "iloc") else given)
    if made.ndim == 2 and made.shape[1] == 1:
        made = made[:, 0]
    if made.shape != (rows,):
        raise ValueError(
            f"{what}.score: {name} has the shape {made.shape}, and X has {rows} rows; give one for each row"
        )
    return made


def _missing(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if values.dtype.kind == "f":
        made: npt.NDArray[np.bool_] = np.isnan(values)
        return made
    return np.array([v is None or type(v).__name__ == "NAType" or v != v for v in values.tolist()], np.bool_)
