"""Families of generalised linear models: what a row's mean, weight and deviance are in a member's graph.

With ``eta`` the linear predictor, ``mu`` the mean, ``V`` its variance and ``q = (d mu / d eta) / V``, a row's score is
``(y - mu) q x``, and what is expected of its curvature ``q (d mu / d eta) x x'``. What it has is that less ``(y - mu) q' x x'``,
which is never negative here: the log-likelihood of every family below is concave, so that Newton's method finds its top.

Predictors are kept where means can be told from 0, from each other and from infinity: ``e^40`` around what was seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..graph import Graph, Value

Array = npt.NDArray[np.float64]
# How far, in logarithms, a mean may be from what was seen.
_FAR = 40.0
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


def family(name: str, link: str | None, alpha: float | None) -> Family:
    """Return a family by the names of statsmodels.

    Raises ``ValueError`` for one that there is not.
    """
    key = name.lower().replace("_", "").replace(" ", "")
    if key not in _LINKS:
        raise ValueError(f"family={name!r}: must be one of {', '.join(_LINKS)}")
    made = _LINKS[key]
    link = (link or next(iter(made))).lower()
    if link not in made:
        raise ValueError(f"link={link!r}: {key} has {' and '.join(map(repr, made))}")
    if key != "negativebinomial":
        if alpha is not None:
            raise ValueError(f"alpha={alpha!r}: only family='negativebinomial' has one")
        return made[link]()
    if alpha is None or not 0 < alpha < math.inf:
        raise ValueError(f"alpha={alpha!r}: family='negativebinomial' needs its dispersion, a number above 0")
    return _negative_binomial(float(alpha))


def of_result(spec: Mapping[str, Any]) -> Family:
    """Return the family of a result's ``spec``."""
    return family(spec["family"], spec["link"], spec.get("alpha"))


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


def _log(g: Graph, y: Value) -> Value:
    """Return the logarithm of positive numbers, and 0 for 0."""
    return g.log(g.where(g.greater(y, 0.0), y, 1.0))


def _clamp(g: Graph, eta: Value, low: Any, high: Any) -> Value:
    return g.minimum(g.maximum(eta, low), high)


def _reach_counts(g: Graph, y: Value, eta: Value) -> Value:
    # Of none seen, a mean may be as small as it likes.
    low = g.where(g.greater(y, 0.0), _log(g, y) - _FAR, -600.0)
    return _clamp(g, eta, low, _log(g, g.maximum(y, 1.0)) + _FAR)


def _not_negative(g: Graph, y: Value) -> Value:
    return g.greater_equal(y, 0.0)


def _log_of(g: Graph, mu: Value) -> Value:
    return g.log(mu)


def _exp(eta: Array) -> Array:
    return np.exp(eta)


def _poisson() -> Family:
    def fit(g: Graph, y: Value, eta: Value) -> Fit:
        mu = g.exp(eta)
        deviance = 2.0 * (y * (_log(g, y) - eta) - (y - mu))
        pearson, size = g.square(y - mu) / mu, (g.square(y) + g.square(mu)) / mu
        return Fit(y - mu, mu, 1.0, 0.0, deviance, pearson, size)

    def constant(g: Graph, y: Value, var: Value | None, scale: Value | None) -> Value:
        there = g.greater(y, 0.0)
        some = g.where(there, y, 1.0)
        return g.where(there, balance(g, some) - g.log(some), 0.0)

    return Family(
        "Poisson", "log", "0 or more", False, _not_negative,
        lambda g, y: g.log(y + 0.1), _log_of, _reach_counts, fit, constant, _exp,
    )  # fmt: skip


def _negative_binomial(alpha: float) -> Family:
    def fit(g: Graph, y: Value, eta: Value) -> Fit:
        mu = g.exp(eta)
        more = 1.0 + alpha * mu
        q = 1.0 / more
        deviance = 2.0 * (y * (_log(g, y) - eta) - (y + 1 / alpha) * g.log((1.0 + alpha * y) / more))
        pearson, size = g.square(y - mu) / (mu * more), (g.square(y) + g.square(mu)) / (mu * more)
        return Fit(y - mu, mu, q, -alpha * mu * g.square(q), deviance, pearson, size)

    def constant(g: Graph, y: Value, var: Value | None, scale: Value | None) -> Value:
        there = g.greater(y, 0.0)
        some = g.where(there, y, 1.0)
        made = balance(g, some) + balance_of(1 / alpha) - balance(g, some + 1 / alpha) - g.log(some)
        return g.where(there, made, 0.0)

    return Family(
        "NegativeBinomial", "log", "0 or more", False, _not_negative,
        lambda g, y: g.log(y + 0.1), _log_of, _reach_counts, fit, constant, _exp, canonical=False,
    )  # fmt: skip


def _gamma(inverse: bool) -> Family:
    def reach(g: Graph, y: Value, eta: Value) -> Value:
        if inverse:
            return g.maximum(eta, 0.01 / y)
        return _clamp(g, eta, g.log(y) - _FAR, g.log(y) + _FAR)

    def fit(g: Graph, y: Value, eta: Value) -> Fit:
        mu = 1.0 / eta if inverse else g.exp(eta)
        ratio = y * eta if inverse else y * g.exp(-eta)
        left = ratio - 1.0
        deviance = 2.0 * (left - (g.log(ratio) if inverse else g.log(y) - eta))
        if inverse:
            return Fit(y - mu, -g.square(mu), -1.0, 0.0, deviance, g.square(left), g.square(ratio) + 1.0)
        return Fit(y - mu, mu, 1.0 / mu, -1.0 / mu, deviance, g.square(left), g.square(ratio) + 1.0)

    def constant(g: Graph, y: Value, var: Value | None, scale: Value | None) -> Value:
        if var is None or scale is None:
            return -g.log(y)
        return balance(g, var / scale) - g.log(y)

    return Family(
        "Gamma", "inverse_power" if inverse else "log", "above 0", True, lambda g, y: g.greater(y, 0.0),
        (lambda g, y: 1.0 / y) if inverse else _log_of, (lambda g, mu: 1.0 / mu) if inverse else _log_of, reach, fit, constant,
        (lambda eta: 1.0 / eta) if inverse else _exp, canonical=inverse,
    )  # fmt: skip


def _gaussian() -> Family:
    def fit(g: Graph, y: Value, eta: Value) -> Fit:
        square = g.square(y - eta)
        return Fit(y - eta, 1.0, 1.0, 0.0, square, square, g.square(y) + g.square(eta))

    def constant(g: Graph, y: Value, var: Value | None, scale: Value | None) -> Value | None:
        return None if var is None else 0.5 * g.log(var)

    return Family(
        "Gaussian", "identity", "finite", True, lambda g, y: g.equal(y, y),
        lambda g, y: y, lambda g, mu: mu, lambda g, y, eta: eta, fit, constant, lambda eta: eta,
    )  # fmt: skip


def _binomial(link: str) -> Family:
    def start(g: Graph, y: Value) -> Value:
        return of_mean(g, (y + 0.5) * 0.5)

    def of_mean(g: Graph, mu: Value) -> Value:
        return g.log(mu / (1.0 - mu)) if link == "logit" else g.log(-g.log(1.0 - mu))

    def reach(g: Graph, y: Value, eta: Value) -> Value:
        return _clamp(g, eta, -2.5 * _FAR, 2.5 * _FAR if link == "logit" else _FAR)

    def fit(g: Graph, y: Value, eta: Value) -> Fit:
        q: Value | float = 1.0
        bend: Value | float = 0.0
        # Not 1 - p: where p is nearly 1, the difference has no digits left.
        if link == "logit":
            mu, rest = g.sigmoid(eta), g.sigmoid(-eta)
            slope, log_mu, log_rest = mu * rest, -g.softplus(-eta), -g.softplus(eta)
        else:
            t = g.exp(eta)
            half = g.tanh(t * 0.5)
            mu, rest, log_rest = 2.0 * half / (1.0 + half), g.exp(-t), -t
            slope, q, log_mu = t * rest, t / mu, g.log(mu)
            bend = q * (1.0 - q * rest)
        residual = y * rest - (1.0 - y) * mu
        deviance = 2.0 * (y * (_log(g, y) - log_mu) + (1.0 - y) * (_log(g, 1.0 - y) - log_rest))
        variance = g.maximum(mu * rest, math.exp(-2.5 * _FAR))
        return Fit(
            residual, slope, q, bend, deviance, g.square(residual) / variance,
            g.square(y * rest + (1.0 - y) * mu) / variance,
        )  # fmt: skip

    def constant(g: Graph, y: Value, var: Value | None, scale: Value | None) -> Value:
        both = []
        for part in (y, 1.0 - y):
            some = g.where(g.greater(part, 0.0), part, 1.0)
            both.append(g.where(g.greater(part, 0.0), balance(g, some) + some - g.log(some), 0.0))
        return both[0] + both[1]

    def mean(eta: Array) -> Array:
        if link == "logit":
            return np.asarray(np.exp(-np.logaddexp(0.0, -eta)), np.float64)
        return np.asarray(-np.expm1(-np.exp(eta)), np.float64)

    return Family(
        "Binomial", link, "from 0 to 1", False,
        lambda g, y: g.and_(g.greater_equal(y, 0.0), g.less_equal(y, 1.0)),
        start, of_mean, reach, fit, constant, mean, canonical=link == "logit",
    )  # fmt: skip


_LINKS: dict[str, dict[str, Callable[[], Family]]] = {
    "gaussian": {"identity": _gaussian},
    "binomial": {"logit": lambda: _binomial("logit"), "cloglog": lambda: _binomial("cloglog")},
    "poisson": {"log": _poisson},
    "negativebinomial": {"log": lambda: _negative_binomial(1.0)},
    "gamma": {"inverse_power": lambda: _gamma(True), "log": lambda: _gamma(False)},
}
