"""How wide numbers are on their way: the ring of masked sums, half precision, rounding at random (``docs/task-format.md``)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
EXACT_WORDS = 12
"""Words of an exact number: its digits (``docs/protocol/secagg.md``)."""
HALF_MOST = 65_504.0
"""The largest number that half precision has."""


def ring_bits(strategy: Mapping[str, Any]) -> int:
    """Return how many bits a masked number has, 32 or 64; ``auto`` follows from the bound."""
    ring = strategy.get("ring", "z64")
    if ring == "auto":
        scaled = math.ceil(strategy["bound"] * 10.0 ** strategy["precision"])
        ring = "z32" if scaled <= (2**31 - 1) // strategy["max_clients"] else "z64"
    return 32 if ring == "z32" else 64


def whole(scaled: Array, rounding: str, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Round scaled numbers to the nearest whole ones, or, ``stochastic``, up with the probability of their fraction."""
    if rounding == "nearest":
        return np.asarray(np.rint(scaled), np.int64)
    below = np.floor(scaled)
    return np.asarray(below + (rng.random(scaled.shape) < scaled - below), np.int64)


def halved(value: Array, name: str, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return single precision as it arrives after half precision: one of the two neighbours, right on average.

    Raises ``ValueError`` for numbers that half precision does not have.
    """
    value = np.asarray(value, np.float32)
    finite = np.isfinite(value)
    if (np.abs(value[finite]) > HALF_MOST).any():
        raise ValueError(
            f"variable {name}: a number is above {HALF_MOST:g}, the largest that travels in 16 bits; leave strategy.transport out"
        )
    magnitude = np.abs(np.where(finite, value, 0)).astype(np.float64)
    exponent = np.frexp(magnitude)[1] - 1
    unit = np.ldexp(1.0, np.maximum(exponent, -14) - 10)
    steps = whole(magnitude / unit, "stochastic", rng)
    narrow = np.copysign(steps * unit, np.where(finite, value, 0))
    return np.where(finite, narrow, value).astype(np.float32)


def travelled(
    manifest: Mapping[str, Any], spec: Mapping[str, Any], server: Mapping[str, Array], rng: np.random.Generator
) -> dict[str, Array]:
    """Return the server's variables as the members of a round get them."""
    if manifest["strategy"].get("transport") != "f16":
        return dict(server)
    inputs = (source for step in spec["map"]["steps"] for source in step["inputs"].values())
    read = {source["name"] for source in inputs if source["from"] == "variable"}
    narrow = {n for n in read & server.keys() if manifest["variables"][n]["dtype"] == "f32"}
    return {n: halved(v, n, rng) if n in narrow else v for n, v in server.items()}
