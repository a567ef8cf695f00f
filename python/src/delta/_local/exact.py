"""Exact sums of doubles of any scale, as nodes make them (``src/domain/secagg/exact_number.rs``)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
BEYOND, FAINT = 2.0**175, 2.0**-265
"""A sum stays below the one, and all that is summed is not below the other."""
_UNIT = 2.0**-304


def exactly(contributions: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of those that are exact numbers."""
    return {c["name"] for c in contributions if c.get("written") == "exact"}


def exact_sums(numbers: Array, name: str = "") -> Array:
    """Return the sum of each column of ``[numbers, columns]``, rounded once.

    Raises ``ValueError`` for what a node refuses: numbers from 2^175 on, and sums of which no digit is kept.
    """
    sizes = np.abs(numbers).max(0, initial=0.0)
    fits = bool((sizes < BEYOND).all())
    # What is below the last digit is rounded to it; larger doubles have no such digits.
    small = np.abs(numbers) < _UNIT * 2**53
    kept = np.where(small, np.rint(np.where(small, numbers, 0.0) / _UNIT) * _UNIT, numbers)
    sums = np.array([math.fsum(column) for column in kept.T]) if fits else np.zeros(numbers.shape[1])
    if not fits or (np.abs(sums) >= BEYOND).any():
        raise ValueError(f"contribution {name}: a number or its sum is 2^175 or more, beyond what is summed exactly")
    if ((sizes > 0) & (sizes < FAINT)).any():
        raise ValueError(f"contribution {name}: all numbers are below 2^-264, too small to be told from nothing")
    return sums


def on_scale(numbers: Array) -> npt.NDArray[np.int64]:
    """Return ``[units, columns]`` as owners' rules look at them: whole numbers, the largest of each column with 51 bits."""
    _, exponents = np.frexp(np.abs(numbers).max(0, initial=0.0))
    scaled = np.rint(np.ldexp(numbers, 51 - exponents)).astype(np.int64)
    return np.where(scaled == 0, np.sign(numbers).astype(np.int64), scaled)
