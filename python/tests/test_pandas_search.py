"""Order statistics over members against pandas, with the precision that the documentation promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pooled import agrees, build, run, same, sample

FINE = 1e-8


def test_min_and_max_without_bounds_agree_with_pandas() -> None:
    def execute(df: Any) -> Any:
        return (
            df.min(),
            df.max(),
            df["a"].min(),
            df[df["a"] > 2].max(),
            df[df["a"] > 1e9].min(),
            (df["c"].astype(int)).max(),
            (df["a"] / 1e6).min(),
            df.min(skipna=False),
        )

    agrees(execute, rtol=FINE)
    agrees(execute, rtol=FINE, split=(0, 0))


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e-6, 1.0, 1e9, 1e30, 1e300])
def test_extremes_and_quantiles_keep_their_relative_precision_at_every_scale(scale: float) -> None:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.lognormal(0, 3, 101) * rng.choice([-1, 1], 101) * scale})
    ours = run(lambda df: (df["x"].min(), df["x"].max(), df["x"].median(), df["x"].quantile(0.9)), frame)
    theirs = frame["x"].min(), frame["x"].max(), frame["x"].median(), frame["x"].quantile(0.9)
    for x, y in zip(ours, theirs, strict=True):
        # Documented: 1e-8 of the value, or of 1e-9 when the value is smaller than that.
        assert abs(x - y) <= FINE * max(abs(y), 1e-9), (scale, x, y)


@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "midpoint", "nearest"])
def test_quantiles_agree_with_pandas(interpolation: str) -> None:
    def execute(df: Any) -> Any:
        x = df[["a", "b", "c"]]
        return (
            x.quantile([0, 0.1, 0.5, 0.77, 1], interpolation=interpolation),
            x.quantile(0.25, interpolation=interpolation),
            df["d"].quantile([0.3, 0.6], interpolation=interpolation),
            df["d"].quantile(0.4, interpolation=interpolation),
            df[df["a"] > 5]["b"].quantile(0.5, interpolation=interpolation),
        )

    agrees(execute, rtol=FINE)


def test_medians_agree_with_pandas() -> None:
    agrees(lambda df: (df.median(), df["a"].median(), df[df["a"] > 1e9].median(), df.median(skipna=False)), rtol=FINE)


def test_whole_and_short_decimal_numbers_come_out_exactly() -> None:
    frame = pd.DataFrame({"n": [3.0, 1, 4, 1, 5, 9, 2, 6], "price": [19.99, 0.1, 12345.67, 3.5, 7.25, 0.3, 99.95, 1e6]})
    ours = run(
        lambda df: (df.median(), df.min(), df.max(), df["price"].quantile([0.25, 0.5], interpolation="lower")),
        frame,
        split=(3, 5),
    )
    assert ours[0].to_list() == [3.5, 13.62] or ours[0].to_list() == frame.median().to_list()
    assert ours[1].to_list() == [1.0, 0.1] and ours[2].to_list() == [9.0, 1e6]
    assert ours[3].to_list() == frame["price"].quantile([0.25, 0.5], interpolation="lower").to_list()


def test_ties_zeros_and_one_value_are_found() -> None:
    for values in (
        [0.0] * 9,
        [5.0],
        [1.0] * 5 + [2.0] * 5,
        [0.0, -0.0, 1e-12, -1e-12],
        [np.inf, 1.0, 2.0],
        [1.0, 2.0, 3.0, np.nan],
    ):
        frame = pd.DataFrame({"x": values})
        ours = run(lambda df: (df["x"].median(), df["x"].min(), df["x"].quantile(0.75)), frame, split=(1, 2))
        for x, y in zip(ours, (frame["x"].median(), frame["x"].min(), frame["x"].quantile(0.75)), strict=True):
            same(x, y, rtol=FINE, atol=1e-15)


def test_with_bounds_one_round_gives_the_edge_of_the_bucket() -> None:
    frame = sample()
    bundle = build(lambda df: df["a"].max(bounds=(-20, 20), buckets=400), list(frame.columns))
    assert bundle.rounds == 1
    assert [c["shape"] for c in bundle.manifest["rounds"][0]["map"]["contribute"]] == [[400]]
    high = run(lambda df: df["a"].max(bounds=(-20, 20), buckets=400), frame)
    low = run(lambda df: df["a"].min(bounds=(-20, 20), buckets=400), frame)
    assert frame["a"].max() <= high <= frame["a"].max() + 0.1 and round(high * 10) == pytest.approx(high * 10)
    assert frame["a"].min() - 0.1 <= low <= frame["a"].min()


def test_values_outside_the_bounds_count_as_the_bound() -> None:
    frame = pd.DataFrame({"x": [-50.0, 0, 3, 70]})
    assert run(lambda df: (df["x"].min(bounds=(-10, 10)), df["x"].max(bounds=(-10, 10))), frame, split=(1, 3)) == (
        -10,
        10,
    )


def test_more_rounds_refine_a_bounded_search() -> None:
    frame = sample()
    for rounds in (1, 2, 3):
        width = 40 / 32**rounds
        x = run(lambda df, r=rounds: df["a"].max(bounds=(-20, 20), buckets=32, rounds=r), frame)
        assert frame["a"].max() <= x <= frame["a"].max() + width * 1.0000001
        q = run(lambda df, r=rounds: df["a"].quantile(0.3, bounds=(-20, 20), buckets=32, rounds=r), frame)
        assert abs(q - frame["a"].quantile(0.3)) <= 6 * width


def test_a_member_contributes_one_bucket_of_its_extreme_and_nothing_else() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]})
    bundle = build(lambda df: df["x"].max(bounds=(0, 10), buckets=10), ["x"])
    import onnxruntime

    session = onnxruntime.InferenceSession(bundle.graphs["graphs/map1.onnx"])
    (sent,) = session.run(None, {"table": frame.to_numpy()})
    assert sent.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
    (empty,) = session.run(None, {"table": np.zeros((0, 1))})
    assert empty.tolist() == [0] * 10


def test_describe_agrees_with_pandas() -> None:
    def execute(df: Any) -> Any:
        x = df[["a", "b", "d"]]
        return x.describe(), df["c"].describe(), x.assign(w=x["a"] > 0).describe(percentiles=[0.1, 0.5, 0.999])

    agrees(execute, rtol=1e-7)


@pytest.mark.parametrize(
    ("execute", "says"),
    [
        (lambda df: df["a"].quantile(1.5), "between 0 and 1"),
        (lambda df: df["a"].quantile(interpolation="cubic"), "interpolation"),
        (lambda df: df["a"].max(bounds=(3, 1)), "low below high"),
        (lambda df: df["a"].max(buckets=1), "buckets"),
        (lambda df: df["a"].max(rounds=9), "rounds"),
        (lambda df: df.mean().median(), "for rows at the nodes"),
        (lambda df: (df["a"] > 0).median(), "no quantiles"),
        (lambda df: df.assign(w=df["a"] > 0).max(), "no common result"),
    ],
)
def test_impossible_searches_are_refused(execute: Any, says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says):
        build(execute)
