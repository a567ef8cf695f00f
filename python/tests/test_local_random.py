"""The node's random numbers, against the vectors that the node's own tests read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from delta._local.random import SUBSET, Stream, noise, permutation, subset_rows

VECTORS = json.loads((Path(__file__).parents[2] / "tests/vectors/random/streams.json").read_text())


def test_orders_are_the_nodes() -> None:
    for v in VECTORS["permutations"]:
        assert permutation(v["length"], v["purpose"].encode(), v["seed"], v["number"]).tolist() == v["order"]


def test_noise_is_the_nodes() -> None:
    for v in VECTORS["noise"]:
        made = noise(v["kind"], v["rows"], v["shape"], v["seed"], v["batch"], v["input"])
        assert made.shape == (v["rows"], *v["shape"])
        np.testing.assert_allclose(made.ravel(), v["values"], atol=1e-6, rtol=0)


def test_a_stream_is_the_same_however_it_is_read() -> None:
    whole, pieces = Stream(SUBSET, 3, 0), Stream(SUBSET, 3, 0)
    assert whole.words(100).tolist() == [w for n in (1, 15, 16, 17, 51) for w in pieces.words(n).tolist()]


def test_complementary_subsets_share_no_row_and_leave_none_out() -> None:
    for seed in (0, 9):
        first = subset_rows(10, {"from": 0.0, "to": 0.3, "seed": seed})
        rest = subset_rows(10, {"from": 0.3, "to": 1.0, "seed": seed})
        assert len(first) == 3
        assert sorted([*first, *rest]) == list(range(10))
