"""How much of a regression's numbers is right: dependent columns, constants, and searches without an end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _given

Array = npt.NDArray[np.float64]
# A row's number has 48 bits or more of its column's largest in an exact sum: what that rounds, relative to the sum.
_ROUNDED = 2.0**-48
# Variance inflations: standard errors have fewer than 6 digits from the one on, and hardly any from the other on.
_DOUBTFUL, _HOPELESS = 2.5e8, 1e13
# Of one move's gain to that of the move before: where there is a best estimate it goes to 0, where there is none to 1/e.
_ENDLESS = 0.2
_NAMES = 6


def exog_matrix(exog: Any, wanted: Sequence[str]) -> Array:
    """Return rows that are here as ``[rows, columns]``, the columns in the order of the model's.

    Raises ``ValueError`` where there are other columns, or some that are no numbers.
    """
    if _given.is_table(exog):
        names = [str(c) for c in (exog if isinstance(exog, Mapping) else exog.columns)]
        if sorted(names) != sorted(wanted):
            raise ValueError(f"predict: the columns are {', '.join(names)}; they must be {', '.join(wanted)}")
    elif (shape := np.shape(exog))[1:] != (len(wanted),):
        raise ValueError(f"predict: exog has shape {list(shape)}; it must be [rows, {len(wanted)}]")
    return _given.matrix("predict", exog, list(wanted))


def inverse(matrix: Array, noise: bool = False) -> tuple[Array, Array]:
    """Invert a positive definite matrix, scaled so that the units of columns do not matter.

    Parameters
    ----------
    matrix : ndarray
        ``[P, P]``: second derivatives, which are rounded sums.
    noise : bool
        Whether they are noised, which says nothing about columns.

    Returns
    -------
    inverse : ndarray
        ``[P, P]``; NaN where hardly a digit of it would be right.
    inflation : ndarray
        ``[P]``: by what the variance of each parameter grows because of other columns, inf where that cannot be told.
        What the roundings of sums make of the variance grows as much.
    """
    scale = np.sqrt(np.abs(np.diagonal(matrix)))
    scale[scale == 0] = 1.0
    unit = np.outer(scale, scale)
    try:
        made: Array = np.linalg.inv(matrix / unit)
        singular = False
    except np.linalg.LinAlgError:
        # Next to it, to see which columns it is.
        made, singular = np.linalg.inv(matrix / unit + _ROUNDED * np.eye(len(matrix))), True
    inflation = np.abs(np.diagonal(made))
    if singular or (not noise and not (np.diagonal(made) > 0).all()):
        inflation = np.where(inflation > 1e-2 * inflation.max(), np.inf, inflation)
    if singular or (not noise and not inflation.max() <= _HOPELESS):
        return np.full_like(matrix, np.nan), inflation
    return made / unit, inflation


def dependent(inflation: Array, names: Sequence[str]) -> str | None:
    """Say which columns nearly depend on others, and how many digits that leaves.

    Parameters
    ----------
    inflation : ndarray
        ``[P]``, as of :func:`inverse`, class by class.
    names : sequence of str
        Of the columns.

    Returns
    -------
    str or None
        None where standard errors have 6 digits.
    """
    worst = float(inflation.max(initial=0.0))
    if worst <= _DOUBTFUL:
        return None
    found = dict.fromkeys(names[int(i) % len(names)] for i in np.flatnonzero(inflation >= 1e-2 * worst))
    # What is to be changed is the other one.
    shown = [n for n in found if n != "const"] or list(found)
    listed = ", ".join(map(repr, shown[:_NAMES])) + (f" and {len(shown) - _NAMES} more" if len(shown) > _NAMES else "")
    one = len(shown) == 1
    what = f"column {listed} varies" if one else f"columns {listed} vary"
    what += f" little for how far from zero {'it is' if one else 'they are'}, or nearly depend{'s' if one else ''} on others"
    errors = "are NaN" if worst > _HOPELESS else f"have {_digits(_ROUNDED * worst)} right digits or more"
    known = _digits((_ROUNDED * worst) ** 2)
    parameters = f"have {known} or more" if known else "may have none"
    return (
        f"{what}: standard errors {errors}, and parameters {parameters}; subtract a constant near its mean in preprocess "
        f"(x[{shown[0]!r}] - 2000), before powers and products are made, or leave out columns that depend on others"
    )


def endless(inflation: Array, gained: float, rate: float, least: float = 1e-28) -> bool:
    """Whether a search goes on for ever, as where columns tell classes apart without error.

    Near a best estimate each move gains the square of what the one before did. Where there is none, a move takes each row's
    odds by the factor e further, whatever the units of columns: its gain is 1/e of the one before.

    Parameters
    ----------
    inflation : ndarray
        As of :func:`inverse`.
    gained : float
        Newton's decrement of the last move, of the mean log-likelihood.
    rate : float
        What share that is of the one before.
    least : float
        A gain below is one of roundings.

    Returns
    -------
    bool
        False, too, where the gain is that of roundings.
    """
    worst = float(inflation.max(initial=0.0))
    return rate > _ENDLESS and worst <= _HOPELESS and gained > max(least, 1e-9 * (_ROUNDED * worst) ** 2)


def constant(count: float, ones: Array, products: Array) -> tuple[bool, list[int]]:
    """Whether ones are a combination of the columns, as far as their sums tell.

    Parameters
    ----------
    count : float
        How many rows there are.
    ones : ndarray
        ``[columns]``: the sum of each.
    products : ndarray
        ``[columns, columns]``: the sums of their products.

    Returns
    -------
    found : bool
        Whether there is one.
    doubtful : list of int
        Columns that are as good as constant by their sums, which do not show a spread below 1e-7 of the mean. Empty where
        it is certain.
    """
    squares = np.diagonal(products)
    scale = np.sqrt(np.where(squares > 0, squares, 1.0))
    # The cosines of the angles between the columns and ones.
    cosines = ones / scale / np.sqrt(count)
    still = np.abs(1 - np.square(cosines)) <= 2 * _ROUNDED
    if any(still[i] and _is_same(count, float(ones[i]), float(squares[i])) for i in range(len(ones))):
        return True, []
    shares = np.where(still, 1.0, 0.0)
    if not still.any():
        try:
            shares = np.linalg.solve(products / np.outer(scale, scale), cosines)
        except np.linalg.LinAlgError:
            return False, []
        # What is left of ones, against what the roundings of the sums make of it.
        size = 1 + float(np.abs(shares).sum())
        if not abs(1 - float(cosines @ shares)) <= _ROUNDED * size**2:
            return False, []
    near = (np.abs(shares) > 1e-2) & (1 - np.square(cosines) < 1e-6)
    return True, [int(i) for i in np.flatnonzero(near)]


def constants(count: float, ones: Array, products: Array) -> list[int]:
    """Return which columns are one number.

    Parameters
    ----------
    count : float
        How many rows there are.
    ones : ndarray
        ``[columns]``: the sum of each.
    products : ndarray
        ``[columns, columns]``: the sums of their products.

    Returns
    -------
    list of int
        Their places.
    """
    squares = np.diagonal(products)
    return [i for i, s in enumerate(squares) if s > 0 and abs(1 - ones[i] ** 2 / s / count) <= 2 * _ROUNDED]


def _is_same(count: float, total: float, squares: float) -> bool:
    """Whether sums are those of one number of few digits."""
    value = float(f"{total / count:.12g}")
    return (
        abs(total - count * value) <= _ROUNDED * abs(total)
        and abs(squares - count * value**2) <= 2 * _ROUNDED * squares
    )


def _digits(error: float) -> int:
    return int(min(max(np.floor(-np.log10(error)), 0), 12)) if error < 1 else 0
