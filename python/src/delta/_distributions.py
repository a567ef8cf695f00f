"""Tails of the normal, Student's t, F and chi-squared distributions, so that results need no scipy.

Relative error 1e-12 or less for up to 1e12 degrees of freedom, also far out in the tails, where p values live. Continued
fractions (DLMF 8.9.2 and 8.17.22) by Lentz's method; what stands before them by what Stirling's formula leaves and by
deviances, as gamma functions of large numbers leave no digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import NormalDist

_TINY = 1e-300
_STEPS = 1_000_000
_SMALL = 15.0
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


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
    # x^a rest^b / B(a, b)
    whole = a + b
    off = a * rest - b * x
    exponent = (
        _stirling(whole) - _stirling(a) - _stirling(b) - _deviance(a, whole * x, off) - _deviance(b, whole * rest, -off)
    )
    front = math.exp(exponent) * math.sqrt(a / whole * b / (2 * math.pi))

    # The even part of DLMF 8.17.22, in which nothing cancels where x is next to 1.
    def numerators() -> Iterator[float]:
        for n in _count():
            m, place = n - 1, a + 2 * n
            yield (a + m) * (whole + m) * x / ((place - 2) * (place - 1)) * (n * (b - n) * x / ((place - 1) * place))

    def denominator(n: int) -> float:
        place = a + 2 * n
        side = n * (b - n) * x / ((place - 1) * place) if n else 0.0
        return side + ((a + n) * (off + 1 + n * (1 + rest)) + n * (place + 1)) / (place * (place + 1))

    return front / (a * _fraction(numerators(), denominator))


def gamma_upper(a: float, x: float) -> float:
    """Return the regularised upper incomplete gamma function Q(a, x)."""
    # x^a e^-x / Gamma(a)
    front = math.exp(-_stirling(a) - _deviance(a, x, a - x)) * math.sqrt(a / (2 * math.pi))
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


def _stirling(a: float) -> float:
    """Return what Stirling's formula leaves of log Gamma(a + 1), ``(a + 1/2) log a - a + log(2 pi) / 2`` (DLMF 5.11.1)."""
    if a < _SMALL:
        return math.lgamma(a + 1) - (a + 0.5) * math.log(a) + a - _HALF_LOG_2PI
    square, series = 1 / (a * a), 0.0
    for c in reversed(_STIRLING):
        series = series * square + c
    return series / a


def _deviance(a: float, expected: float, off: float) -> float:
    """Return ``a log(a / expected) - off``; ``off``: ``a - expected``, where that is next to nothing known apart."""
    v = off / (a + expected)
    if abs(v) > 0.1:
        return a * math.log(a / expected) - off
    # The logarithm is 2 atanh(v), and off is v (a + expected).
    total, power, n = off * v, 2 * a * v, 1
    while True:
        power *= v * v
        n += 2
        if (more := total + power / n) == total:
            return total
        total = more


def _count() -> Iterator[int]:
    yield from range(1, _STEPS + 1)


def _fraction(numerators: Iterator[float], denominator: Callable[[int], float]) -> float:
    """Evaluate d(0) + n(1) / (d(1) + n(2) / (d(2) + ...))."""
    value = denominator(0) or _TINY
    c, d = value, 0.0
    for i, n in enumerate(numerators, 1):
        d = 1 / ((denominator(i) + n * d) or _TINY)
        c = (denominator(i) + n / c) or _TINY
        value *= c * d
        if abs(c * d - 1) < 3e-16 or math.isnan(value):
            return value
        if i >= _STEPS:
            break
    return math.nan
