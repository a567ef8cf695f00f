"""Exact sums of doubles of any scale, as nodes make them (``src/domain/secagg/exact_number.rs``)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
BEYOND, FAINT = 2.0**175, 2.0**-265
"""A sum stays below the one, and what a member sends is 0 or not below the other."""
_UNIT = 2.0**-304
_WIDEST, _GRID = 51, 4


def exactly(contributions: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of those that are exact numbers."""
    return {c["name"] for c in contributions if c.get("written") == "exact"}


def exact_sums(numbers: Array, name: str = "") -> Array:
    """Return the sum of each column of ``[members, columns]``, rounded once.

    Raises ``ValueError`` for what a node refuses of any member: a number from 2^175 on, and one that is not 0 and below 2^-265.
    """
    sizes = np.abs(numbers).max(0, initial=0.0)
    fits = bool((sizes < BEYOND).all())
    # What is below the last digit is rounded to it; larger doubles have no such digits.
    small = np.abs(numbers) < _UNIT * 2**53
    kept = np.where(small, np.rint(np.where(small, numbers, 0.0) / _UNIT) * _UNIT, numbers)
    sums = np.array([math.fsum(column) for column in kept.T]) if fits else np.zeros(numbers.shape[1])
    if not fits or (np.abs(sums) >= BEYOND).any():
        raise ValueError(f"contribution {name}: a number or its sum is 2^175 or more, beyond what is summed exactly")
    if ((numbers != 0) & (np.abs(numbers) < FAINT)).any():
        raise ValueError(
            f"contribution {name}: a member's number is below 2^-265 and not 0, too small to be told from nothing"
        )
    return sums


def on_scale(numbers: Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return ``[units, columns]`` in steps of each column, and the exponents of two of these: what owners' rules look at, and
    what is summed. The largest of a column has 48 to 51 bits.
    """
    _, above = np.frexp(np.abs(numbers).max(0, initial=0.0))
    steps = (-(-above // _GRID) * _GRID - _WIDEST).astype(np.int64)
    return np.rint(np.ldexp(numbers, -steps)).astype(np.int64), steps


def step_sums(vectors: npt.NDArray[np.int64], steps: npt.NDArray[np.int64]) -> Array:
    """Return the sum of each column of such integers, rounded once."""
    totals = [sum(column) for column in vectors.T.tolist()]
    return np.array([math.ldexp(float(total), int(step)) for total, step in zip(totals, steps, strict=True)])
