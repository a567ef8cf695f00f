"""What a family of generalised linear models is, and what several of them need."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..graph import Graph, Value

Array = npt.NDArray[np.float64]
# How far, in logarithms, a mean may be from what was seen.
FAR = 40.0
# Coefficients of 1/x, 1/x^3, ... in what Stirling's formula leaves of log gamma.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_SHIFT = 10
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Fit(NamedTuple):
    """What each row is at its linear predictor, ``f64 [rows, 1]``.

    Parameters
    ----------
    residual : Value
        ``y - mu``.
    slope : Value or float
        ``d mu / d eta``.
    q : Value or float
        The slope by the variance.
    bend : Value or float
        The derivative of ``q``.
    deviance : Value
        Of the row.
    pearson : Value
        The squared residual by the variance.
    size : Value
        The same of numbers that do not cancel: what roundings are relative to.
    """

    residual: Value
    slope: Value | float
    q: Value | float
    bend: Value | float
    deviance: Value
    pearson: Value
    size: Value


@dataclass(frozen=True)
class Family:
    """A distribution and its link.

    Parameters
    ----------
    name, link : str
        As in statsmodels.
    allowed : str
        What ``y`` must be, for messages.
    free : bool
        Whether the scale is estimated.
    valid : callable
        ``valid(g, y)``: whether each ``y`` can be.
    start : callable
        ``start(g, y)``: a mean near ``y`` of which the link is finite, as the predictor.
    of_mean : callable
        ``of_mean(g, mu)``: the link.
    reach : callable
        ``reach(g, y, eta)``: ``eta``, or the nearest to it that is kept.
    fit : callable
        ``fit(g, y, eta)``: a :class:`Fit`.
    constant : callable
        ``constant(g, y, var, scale)``: what the log-likelihood of a row has beside ``-deviance / (2 scale)``, without what
        the result knows; None where that is nothing.
    mean : callable
        From predictors to means, of arrays.
    canonical : bool
        Whether what is expected of a curvature is what it is.
    scored : bool
        Whether the search goes by what is expected of curvatures, as the log-likelihood need not be concave.
    """

    name: str
    link: str
    allowed: str
    free: bool
    valid: Callable[[Graph, Value], Value]
    start: Callable[[Graph, Value], Value]
    of_mean: Callable[[Graph, Value], Value]
    reach: Callable[[Graph, Value, Value], Value]
    fit: Callable[[Graph, Value, Value], Fit]
    constant: Callable[[Graph, Value, Value | None, Value | None], Value | None]
    mean: Callable[[Array], Array]
    canonical: bool = True
    scored: bool = False


def balance(g: Graph, a: Value) -> Value:
    """Return ``a log a - a - log gamma(a)`` of positive numbers, without what cancels."""
    small = g.less(a, float(_SHIFT))
    x = g.where(small, a + float(_SHIFT), a)
    square, series = 1.0 / g.square(x), g.constant(_STIRLING[-1])
    for c in _STIRLING[-2::-1]:
        series = series * square + c
    big = g.log(x) * 0.5 - _HALF_LOG_2PI - series / x
    below = g.where(small, a, 1.0)
    product = below
    for k in range(1, _SHIFT):
        product = product * (below + float(k))
    return g.where(small, below * g.log(below) - below - (x * g.log(x) - x - big) + g.log(product), big)


def balance_of(a: float) -> float:
    """Return :func:`balance` of one number."""
    if a < _SHIFT:
        return a * math.log(a) - a - math.lgamma(a)
    series = sum(c / a ** (2 * k + 1) for k, c in enumerate(_STIRLING))
    return 0.5 * math.log(a) - _HALF_LOG_2PI - series


def log_or_0(g: Graph, y: Value) -> Value:
    """Return the logarithm of positive numbers, and 0 for 0."""
    return g.log(g.where(g.greater(y, 0.0), y, 1.0))


def clamp(g: Graph, eta: Value, low: Any, high: Any) -> Value:
    return g.minimum(g.maximum(eta, low), high)
