"""Tails of the normal, Student's t, F and chi-squared distributions, so that results need no scipy.

Relative error about 1e-12, also far out in the tails, where p values live. Continued fractions by Lentz's method
(DLMF 8.9.2 and 8.17.22).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import NormalDist

_TINY = 1e-300
_STEPS = 100_000


def normal_two_sided(z: float) -> float:
    """Return P(|Z| > |z|) of a standard normal Z."""
    return math.erfc(abs(z) / math.sqrt(2))


def normal_upper(z: float) -> float:
    """Return P(Z > z) of a standard normal Z."""
    return math.erfc(z / math.sqrt(2)) / 2


def t_upper(t: float, df: float) -> float:
    """Return P(T > t) of Student's t with ``df`` degrees of freedom."""
    beyond = t_two_sided(t, df) / 2
    return beyond if t >= 0 else 1 - beyond


def t_two_sided(t: float, df: float) -> float:
    """Return P(|T| > |t|) of Student's t with ``df`` degrees of freedom."""
    if math.isnan(t) or df <= 0:
        return math.nan
    if math.isinf(t):
        return 0.0
    return beta_inc(df / 2, 0.5, df / (df + t * t), t * t / (df + t * t))


def f_upper(f: float, df1: float, df2: float) -> float:
    """Return P(F > f) with ``df1`` and ``df2`` degrees of freedom."""
    if math.isnan(f) or df1 <= 0 or df2 <= 0:
        return math.nan
    if f <= 0:
        return 1.0
    if math.isinf(f):
        return 0.0
    whole = df2 + df1 * f
    return beta_inc(df2 / 2, df1 / 2, df2 / whole, df1 * f / whole)


def chi2_upper(x: float, df: float) -> float:
    """Return P(X > x) of chi-squared with ``df`` degrees of freedom."""
    if math.isnan(x) or df <= 0:
        return math.nan
    if math.isinf(x):
        return 0.0 if x > 0 else 1.0
    return 1.0 if x <= 0 else gamma_upper(df / 2, x / 2)


def normal_quantile(alpha: float) -> float:
    """Return z with P(|Z| > z) = alpha."""
    return -NormalDist().inv_cdf(alpha / 2)


def t_quantile(alpha: float, df: float) -> float:
    """Return t with P(|T| > t) = alpha, to the last digits."""
    if not (df > 0 and 0 <= alpha <= 1):
        return math.nan
    if alpha == 0:
        return math.inf
    low, high = 0.0, 1.0
    while t_two_sided(high, df) > alpha:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if t_two_sided(middle, df) > alpha else (low, middle)
    return middle


def beta_inc(a: float, b: float, x: float, rest: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b); ``rest`` is 1 - x, given apart so that nothing is lost."""
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - beta_inc(b, a, rest, x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest))

    def terms() -> Iterator[float]:
        m = 0
        while True:
            yield -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
            m += 1
            yield m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))

    return front / (a * _fraction(terms(), lambda _: 1.0))


def gamma_upper(a: float, x: float) -> float:
    """Return the regularised upper incomplete gamma function Q(a, x)."""
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x >= a + 1:
        fraction = _fraction(((-n * (n - a) for n in _count())), lambda n: x + 1 - a + 2 * n)
        return front / fraction
    total = term = 1 / a
    for n in _count():
        term *= x / (a + n)
        total += term
        if term < total * 1e-17:
            break
    return 1.0 - front * total


def _count() -> Iterator[int]:
    yield from range(1, _STEPS)


def _fraction(numerators: Iterator[float], denominator: Callable[[int], float]) -> float:
    """Evaluate d(0) + n(1) / (d(1) + n(2) / (d(2) + ...))."""
    value = denominator(0) or _TINY
    c, d = value, 0.0
    for i, n in enumerate(numerators, 1):
        d = 1 / ((denominator(i) + n * d) or _TINY)
        c = (denominator(i) + n / c) or _TINY
        value *= c * d
        if abs(c * d - 1) < 1e-16 or math.isnan(value) or i >= _STEPS:
            break
    return value
