"""The discrete Gaussian of ``delta.debug``: the samples that others have published, and its shape."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import delta
from conftest import ROOT
from delta._local import discrete
from pooled import task

VECTORS = json.loads((ROOT / "tests/vectors/privacy/discrete_gaussian.json").read_text())


def from_bytes(stream: bytes) -> Callable[[int], int]:
    """Numbers below a bound as the prio crate's tests draw them: little-endian words, the last one shifted."""
    at = 0

    def below(bound: int) -> int:
        nonlocal at
        bits = bound.bit_length()
        words = -(-bits // 32)
        while True:
            assert at + 4 * words <= len(stream), "the stream has no more bytes"
            drawn = int.from_bytes(stream[at : at + 4 * words], "little")
            at += 4 * words
            if bits % 32:
                last = 32 * (words - 1)
                drawn = (drawn & ((1 << last) - 1)) | (drawn >> last >> (32 - bits % 32)) << last
            if drawn < bound:
                return drawn

    return below


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda c: f"sigma {c['sigma']}")
def test_samples_are_those_that_prio_publishes(case: dict[str, Any]) -> None:
    below = from_bytes(bytes.fromhex(VECTORS["stream"]))
    variance = Fraction(*case["sigma"]) ** 2
    assert [discrete.gaussian(below, variance) for _ in case["samples"]] == case["samples"]


@pytest.mark.parametrize("sigma", [Fraction(1, 2), Fraction(3), Fraction(500)])
def test_the_shape_is_that_of_the_definition(sigma: Fraction) -> None:
    n = 4_000
    drawn = discrete.draw(n, sigma**2, discrete.source(5))
    reach = math.ceil(12 * sigma)
    x = np.arange(-reach, reach + 1)
    p = np.exp(-(x**2) / (2 * float(sigma) ** 2))
    p /= p.sum()
    # A seed decides, so nothing here is chance: five standard deviations of the empirical distribution function at its middle.
    distance = np.abs(np.cumsum(p) - np.searchsorted(np.sort(drawn), x, side="right") / n).max()
    assert distance < 2.5 / math.sqrt(n)


def test_many_values_of_wide_noise_are_drawn_fast_and_as_wide() -> None:
    drawn = discrete.draw(discrete.MANY, Fraction(2**40), discrete.source(2))
    assert drawn.dtype == np.int64 and len(set(drawn.tolist())) > 0.9 * discrete.MANY
    assert np.std(drawn) == pytest.approx(2**20, rel=5 / math.sqrt(2 * discrete.MANY))


def test_a_seed_makes_the_noise_the_same() -> None:
    bundle = task(lambda df: df["a"].sum(), ["a"], privacy=delta.Privacy(multiplier=2.0, clip=1.0)).build()
    data = {"a": np.linspace(-1, 1, 300)}
    first, again, other = (delta.debug(bundle, data=data, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert delta.debug(bundle, data=data) != delta.debug(bundle, data=data)
