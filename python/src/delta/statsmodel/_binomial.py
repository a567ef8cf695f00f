"""Families of yes or no, and of shares."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .. import _distributions as tails
from ..graph import Graph, Value
from ._family import FAR, Array, Family, Fit, balance, clamp, log_or_0

_DENSITY = 1 / math.sqrt(2 * math.pi)
_CHEBYSHEV = (
    2.3551251483931201, 0.0053539045396156764, -0.093775503422842091, 0.054366525557443222, -0.018976596707845208,
    0.0044534260614627116, -0.00063355317105531469, 1.7661719523171593e-05, 1.2841532864056671e-05,
    -2.0072285659059913e-06, -1.8075227904148371e-07, 7.5498283438250929e-08, 1.885668523838603e-09,
    -2.6995190497983639e-09, -1.4600791199391051e-11, 1.0361607445969489e-10, 1.475715976623473e-12,
    -4.277340064396911e-12, -2.0792249285979901e-13, 1.8134502003176963e-13, 1.973425574544739e-14,
    -7.2879437375926734e-15, -1.5169878690228116e-15, 2.3514112258781403e-16, 1.0006111691821667e-16,
)  # fmt: skip
"""Of ``(1 + 2 x) exp(x^2) erfc(x)``, x from 0 to infinity, in ``(x - 3) / (x + 3)``; made in 40 digits, and left off at 1e-16."""


def scaled_erfc(g: Graph, x: Value) -> Value:
    """Return ``exp(x^2) erfc(x)`` of numbers that are 0 or more, with a relative error of 1e-15 or so."""
    t = (x - 3.0) / (x + 3.0)
    twice, after, last = 2.0 * t, x * 0.0, x * 0.0
    # By Clenshaw's recurrence.
    for c in reversed(_CHEBYSHEV[1:]):
        after, last = twice * after - last + c, after
    return (t * after - last + 0.5 * _CHEBYSHEV[0]) / (1.0 + 2.0 * x)


def binomial(link: str) -> Family:
    def start(g: Graph, y: Value) -> Value:
        return of_mean(g, (y + 0.5) * 0.5)

    def of_mean(g: Graph, mu: Value) -> Value:
        if link == "cloglog":
            return g.log(-g.log(1.0 - mu))
        # Of a probit nearly, which is all that a first step needs.
        return g.log(mu / (1.0 - mu)) * (1.0 if link == "logit" else 0.6)

    def reach(g: Graph, y: Value, eta: Value) -> Value:
        low, high = {"logit": (-2.5 * FAR, 2.5 * FAR), "cloglog": (-2.5 * FAR, FAR), "probit": (-14.0, 14.0)}[link]
        return clamp(g, eta, low, high)

    def fit(g: Graph, y: Value, eta: Value) -> Fit:
        q: Value | float = 1.0
        bend: Value | float = 0.0
        # Not 1 - p: where p is nearly 1, the difference has no digits left.
        if link == "logit":
            mu, rest = g.sigmoid(eta), g.sigmoid(-eta)
            slope, log_mu, log_rest = mu * rest, -g.softplus(-eta), -g.softplus(eta)
        elif link == "probit":
            n = normal(g, eta)
            mu, rest, slope, log_mu, log_rest = n.mu, n.rest, n.density, n.log_mu, n.log_rest
            q, bend = n.yes + n.no, n.no * (n.no - eta) - n.yes * (n.yes + eta)
        else:
            t = g.exp(eta)
            half = g.tanh(t * 0.5)
            mu, rest, log_rest = 2.0 * half / (1.0 + half), g.exp(-t), -t
            slope, q, log_mu = t * rest, t / mu, g.log(mu)
            bend = q * (1.0 - q * rest)
        residual = y * rest - (1.0 - y) * mu
        deviance = 2.0 * (y * (log_or_0(g, y) - log_mu) + (1.0 - y) * (log_or_0(g, 1.0 - y) - log_rest))
        variance = g.maximum(mu * rest, math.exp(-2.5 * FAR))
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
        if link == "probit":
            return np.array([tails.normal_upper(-float(v)) for v in eta.ravel()]).reshape(eta.shape)
        return np.asarray(-np.expm1(-np.exp(eta)), np.float64)

    return Family(
        "Binomial", link, "from 0 to 1", False,
        lambda g, y: g.and_(g.greater_equal(y, 0.0), g.less_equal(y, 1.0)),
        start, of_mean, reach, fit, constant, mean, canonical=link == "logit",
    )  # fmt: skip


class Normal(NamedTuple):
    """What the normal distribution says of a predictor.

    Parameters
    ----------
    mu, rest : Value
        The probability of 1, and of 0.
    density : Value
        Its derivative.
    log_mu, log_rest : Value
        Their logarithms.
    yes, no : Value
        The density by each of them: of the side that is far out neither is left, but what they are to each other.
    """

    mu: Value
    rest: Value
    density: Value
    log_mu: Value
    log_rest: Value
    yes: Value
    no: Value


def normal(g: Graph, eta: Value) -> Normal:
    """Return what the normal distribution says of predictors, each with 14 digits or so however far out."""
    scaled = scaled_erfc(g, g.abs(eta) * math.sqrt(0.5))
    bell = g.exp(g.square(eta) * -0.5)
    small, below = 0.5 * scaled * bell, g.less(eta, 0.0)
    large = 1.0 - small
    density = bell * _DENSITY
    out, near = 2.0 * _DENSITY / scaled, density / large
    log_small, log_large = g.log(scaled * 0.5) - 0.5 * g.square(eta), g.log(large)
    each = ((small, large), (log_small, log_large), (out, near))
    (mu, rest), (log_mu, log_rest), (yes, no) = ((g.where(below, a, b), g.where(below, b, a)) for a, b in each)
    return Normal(mu, rest, density, log_mu, log_rest, yes, no)
