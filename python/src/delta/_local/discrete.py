"""The discrete Gaussian, drawn in whole numbers: algorithms 1 to 3 of Canonne, Kamath and Steinke 2020.

Integers x with probability proportional to ``exp(-x^2 / 2 sigma^2)``, exactly, as nodes draw them (``docs/privacy.md``).
How long it takes depends on what is drawn, which a node must not let happen; here the data are the author's own.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Below = Callable[[int], int]
"""Draws a whole number from 0 to below its argument."""

MANY, WIDE = 20_000, 2**16
"""From so many values of so wide noise on, a normal is drawn and rounded: it is off by less than 1e-11 a value."""


def source(seed: int | None) -> random.Random:
    """Return a generator: the system's, or one that a seed decides."""
    return random.SystemRandom() if seed is None else random.Random(seed)


def draw(count: int, variance: Fraction, rng: random.Random) -> npt.NDArray[np.int64]:
    """Draw ``count`` values of the given variance parameter, ``sigma^2``."""
    sigma = math.sqrt(variance)
    if count >= MANY and sigma >= WIDE:
        fast = np.random.Generator(np.random.PCG64(rng.getrandbits(128)))
        return np.asarray(np.rint(fast.normal(0.0, sigma, count)), np.int64)
    return np.array([gaussian(rng.randrange, variance) for _ in range(count)], np.int64)


def gaussian(below: Below, variance: Fraction) -> int:
    """Draw one value (algorithm 3), asking for nothing but whole numbers below others."""
    above, under = variance.numerator, variance.denominator
    scale = math.isqrt(above // under) + 1
    while True:
        y = _laplace(below, scale)
        # (|y| - sigma^2 / scale)^2 / 2 sigma^2
        distance = abs(y) * scale * under - above
        if _exponential(below, Fraction(distance * distance, 2 * above * under * scale * scale)):
            return y


def _laplace(below: Below, scale: int) -> int:
    """Algorithm 2: x with probability proportional to ``exp(-|x| / scale)``."""
    while True:
        negative = below(2) < 1
        while not _small(below, Fraction(rest := below(scale), scale)):
            pass
        whole = 0
        while _small(below, Fraction(1)):
            whole += 1
        y = rest + scale * whole
        if not (negative and y == 0):
            return -y if negative else y


def _exponential(below: Below, gamma: Fraction) -> bool:
    """Algorithm 1: true with probability ``exp(-gamma)``."""
    whole, rest = divmod(gamma, 1)
    return all(_small(below, Fraction(1)) for _ in range(whole)) and _small(below, rest)


def _small(below: Below, gamma: Fraction) -> bool:
    """Algorithm 1 for gamma up to 1."""
    k = 1
    while True:
        divisor = math.gcd(gamma.numerator, k)
        if below(gamma.denominator * (k // divisor)) >= gamma.numerator // divisor:
            return k % 2 == 1
        k += 1
