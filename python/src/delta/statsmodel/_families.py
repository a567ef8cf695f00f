"""Families of generalised linear models: what a row's mean, weight and deviance are in a member's graph.

With ``eta`` the linear predictor, ``mu`` the mean, ``V`` its variance and ``q = (d mu / d eta) / V``, a row's score is
``(y - mu) q x``, and what is expected of its curvature ``q (d mu / d eta) x x'``. What it has is that less ``(y - mu) q' x x'``.
Where that is never negative the log-likelihood is concave, and Newton's method finds its top; of the other links the search goes
by what is expected, as iteratively reweighted least squares do.

Predictors are kept where means can be told from 0, from each other and from infinity: ``e^40`` around what was seen. Where a
mean must be above 0 and the link is no logarithm, a predictor of 0 or less is taken for one near what was seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..graph import Graph, Value
from ._binomial import binomial
from ._family import FAR, Array, Family, Fit, balance, balance_of, clamp, log_or_0


def family(name: str, link: str | None, alpha: float | None) -> Family:
    """Return a family by the names of statsmodels.

    Raises ``ValueError`` for one that there is not.
    """
    if not isinstance(name, str):
        raise ValueError(f"family={name!r}: give its name, one of {', '.join(_LINKS)}")
    key = name.lower().replace("_", "").replace(" ", "")
    if key not in _LINKS:
        raise ValueError(f"family={name!r}: must be one of {', '.join(_LINKS)}")
    make, links = _LINKS[key]
    link = {"inverse": "inverse_power"}.get(str(link).lower(), str(link).lower()) if link else links[0]
    if link not in links:
        raise ValueError(f"link={link!r}: {key} has {', '.join(map(repr, links))}")
    if key != "negativebinomial":
        if alpha is not None:
            raise ValueError(f"alpha={alpha!r}: only family='negativebinomial' has one")
        return make(link)
    if alpha is None or not 0 < alpha < math.inf:
        raise ValueError(f"alpha={alpha!r}: family='negativebinomial' needs its dispersion, a number above 0")
    return _negative_binomial(float(alpha))


def easier(made: Family, alpha: float | None) -> Family:
    """Return the family with a link of which a mean's predictor is easily found: a constant alone has one mean by any link."""
    easy = {"Gamma": "log", "Binomial": "logit", "Poisson": "log", "Gaussian": "identity"}
    return family(made.name, easy[made.name], None) if made.name in easy else made


def of_result(spec: Mapping[str, Any]) -> Family:
    """Return the family of a result's ``spec``."""
    return family(spec["family"], spec["link"], spec.get("alpha"))


def _reach_counts(g: Graph, y: Value, eta: Value) -> Value:
    # Of none seen, a mean may be as small as it likes.
    low = g.where(g.greater(y, 0.0), log_or_0(g, y) - FAR, -600.0)
    return clamp(g, eta, low, log_or_0(g, g.maximum(y, 1.0)) + FAR)


def _above(g: Graph, eta: Value, near: Value) -> Value:
    """Return predictors that are above 0, and for others one near what was seen."""
    return g.where(g.greater(eta, 0.0), eta, near)


def _not_negative(g: Graph, y: Value) -> Value:
    return g.greater_equal(y, 0.0)


def _log_of(g: Graph, mu: Value) -> Value:
    return g.log(mu)


def _exp(eta: Array) -> Array:
    return np.exp(eta)


def _poisson(link: str) -> Family:
    def fit(g: Graph, y: Value, eta: Value) -> Fit:
        slope: Value | float
        q: Value | float
        bend: Value | float
        if link == "log":
            mu = slope = g.exp(eta)
            q, bend, log_mu = 1.0, 0.0, eta
        elif link == "identity":
            mu, slope, q, bend, log_mu = eta, 1.0, 1.0 / eta, -1.0 / g.square(eta), g.log(eta)
        else:
            mu, slope, q, bend = g.square(eta), 2.0 * eta, 2.0 / eta, -2.0 / g.square(eta)
            log_mu = 2.0 * g.log(eta)
        deviance = 2.0 * (y * (log_or_0(g, y) - log_mu) - (y - mu))
        pearson, size = g.square(y - mu) / mu, (g.square(y) + g.square(mu)) / mu
        return Fit(y - mu, slope, q, bend, deviance, pearson, size)

    def constant(g: Graph, y: Value, var: Value | None, scale: Value | None) -> Value:
        there = g.greater(y, 0.0)
        some = g.where(there, y, 1.0)
        return g.where(there, balance(g, some) - g.log(some), 0.0)

    def of_mean(g: Graph, mu: Value) -> Value:
        return g.log(mu) if link == "log" else mu if link == "identity" else g.sqrt(mu)

    def reach(g: Graph, y: Value, eta: Value) -> Value:
        return _reach_counts(g, y, eta) if link == "log" else _above(g, eta, 0.01 * of_mean(g, y + 0.1))

    means: dict[str, Callable[[Array], Array]] = {"log": _exp, "identity": lambda eta: eta, "sqrt": np.square}
    return Family(
        "Poisson", link, "0 or more", False, _not_negative,
        lambda g, y: of_mean(g, y + 0.1), of_mean, reach, fit, constant, means[link],
        canonical=link == "log", scored=link == "identity",
    )  # fmt: skip


def _negative_binomial(alpha: float) -> Family:
    def fit(g: Graph, y: Value, eta: Value) -> Fit:
        mu = g.exp(eta)
        more = 1.0 + alpha * mu
        q = 1.0 / more
        deviance = 2.0 * (y * (log_or_0(g, y) - eta) - (y + 1 / alpha) * g.log((1.0 + alpha * y) / more))
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


def _gamma(link: str) -> Family:
    inverse = link == "inverse_power"

    def of_mean(g: Graph, mu: Value) -> Value:
        return g.log(mu) if link == "log" else 1.0 / mu if inverse else mu

    def reach(g: Graph, y: Value, eta: Value) -> Value:
        if link == "log":
            return clamp(g, eta, g.log(y) - FAR, g.log(y) + FAR)
        return _above(g, eta, 0.01 * of_mean(g, y))

    def fit(g: Graph, y: Value, eta: Value) -> Fit:
        ratio = y * eta if inverse else y * g.exp(-eta) if link == "log" else y / eta
        left = ratio - 1.0
        deviance = 2.0 * (left - (g.log(y) - eta if link == "log" else g.log(ratio)))
        pearson, size = g.square(left), g.square(ratio) + 1.0
        if inverse:
            mu = 1.0 / eta
            return Fit(y - mu, -g.square(mu), -1.0, 0.0, deviance, pearson, size)
        if link == "log":
            mu = g.exp(eta)
            return Fit(y - mu, mu, 1.0 / mu, -1.0 / mu, deviance, pearson, size)
        q = 1.0 / g.square(eta)
        return Fit(y - eta, 1.0, q, -2.0 * q / eta, deviance, pearson, size)

    def constant(g: Graph, y: Value, var: Value | None, scale: Value | None) -> Value:
        if var is None or scale is None:
            return -g.log(y)
        return balance(g, var / scale) - g.log(y)

    means: dict[str, Callable[[Array], Array]] = {
        "log": _exp,
        "identity": lambda eta: eta,
        "inverse_power": np.reciprocal,
    }
    return Family(
        "Gamma", link, "above 0", True, lambda g, y: g.greater(y, 0.0),
        of_mean, of_mean, reach, fit, constant, means[link], canonical=inverse, scored=link == "identity",
    )  # fmt: skip


def _gaussian(link: str) -> Family:
    def start(g: Graph, y: Value) -> Value:
        if link == "identity":
            return y
        # A row near 0, or with the wrong sign, has next to no weight at the first step.
        return g.log(g.maximum(y, 1e-30)) if link == "log" else 1.0 / g.where(g.equal(y, 0.0), 1e-30, y)

    def reach(g: Graph, y: Value, eta: Value) -> Value:
        if link == "identity":
            return eta
        if link == "log":
            return clamp(g, eta, -300.0, 300.0)
        return g.where(g.less(g.abs(eta), 1e-100), 1e-100, eta)

    def fit(g: Graph, y: Value, eta: Value) -> Fit:
        if link == "identity":
            square = g.square(y - eta)
            return Fit(y - eta, 1.0, 1.0, 0.0, square, square, g.square(y) + g.square(eta))
        mu = g.exp(eta) if link == "log" else 1.0 / eta
        slope = mu if link == "log" else -g.square(mu)
        bend = mu if link == "log" else 2.0 * mu * g.square(mu)
        square = g.square(y - mu)
        return Fit(y - mu, slope, slope, bend, square, square, g.square(y) + g.square(mu))

    def constant(g: Graph, y: Value, var: Value | None, scale: Value | None) -> Value | None:
        return None if var is None else 0.5 * g.log(var)

    means: dict[str, Callable[[Array], Array]] = {
        "log": _exp,
        "identity": lambda eta: eta,
        "inverse_power": np.reciprocal,
    }
    of_mean = {"identity": lambda g, mu: mu, "log": _log_of, "inverse_power": lambda g, mu: 1.0 / mu}
    plain = link == "identity"
    return Family(
        "Gaussian", link, "finite", True, lambda g, y: g.equal(y, y),
        start, of_mean[link], reach, fit, constant, means[link], canonical=plain, scored=not plain,
    )  # fmt: skip


_LINKS: dict[str, tuple[Callable[[str], Family], tuple[str, ...]]] = {
    "gaussian": (_gaussian, ("identity", "log", "inverse_power")),
    "binomial": (binomial, ("logit", "probit", "cloglog")),
    "poisson": (_poisson, ("log", "identity", "sqrt")),
    "negativebinomial": (lambda _: _negative_binomial(1.0), ("log",)),
    "gamma": (_gamma, ("inverse_power", "log", "identity")),
}
