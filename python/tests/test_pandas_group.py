"""Groups, categories and bins against pandas with ``Categorical`` keys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pooled import agrees, build, run, same, sample

K, J = [2, 0, 1, 7], [0, 1]


def grouped(df: Any, by: Any) -> Any:
    """The same grouping for both; pandas gets Categorical keys."""
    if isinstance(df, pd.DataFrame):
        cats = {"k": K, "j": J}
        df = df.assign(
            **{c: pd.Categorical(df[c], [float(v) for v in cats[c]]) for c in (by if isinstance(by, list) else [by])}
        )
        return df.groupby(by, observed=False)
    return df.groupby(by, categories={"k": K, "j": J} if isinstance(by, list) else K)


@pytest.mark.parametrize("name", ["mean", "sum", "count", "var", "std", "sem", "size"])
def test_aggregates_of_groups_agree_with_pandas(name: str) -> None:
    def execute(df: Any) -> Any:
        g, h = grouped(df, "k"), grouped(df, ["k", "j"])
        results = [getattr(g, name)(), getattr(h, name)()]
        if name != "size":
            results += [getattr(g["a"], name)(), getattr(g[["a", "d"]], name)(), getattr(h["b"], name)()]
        return tuple(results)

    agrees(execute)


def test_agg_agrees_with_pandas() -> None:
    def execute(df: Any) -> Any:
        g = grouped(df, "k")
        return (
            g.agg("mean"),
            g[["a", "b"]].agg(["sum", "std"]),
            g.agg({"a": "sum", "b": "count"}),
            g.agg({"a": ["mean", "sem"], "b": ["count"]}),
            g["a"].agg(["mean", "var"]),
            g["a"].agg("size"),
            g.agg(total=("a", "sum"), spread=("b", "std")),
            g.sum(min_count=9),
            g.var(ddof=0),
        )

    agrees_in_values(execute)


def agrees_in_values(execute: Any) -> None:
    """As ``agrees``, for frames with columns of several dtypes, which results have as floats."""
    frame = sample()
    for i, (x, y) in enumerate(zip(run(execute, frame), execute(frame), strict=True)):
        same(x, y, what=f"result {i}")


def test_a_filter_before_grouping_holds_and_other_keys_are_left_out() -> None:
    def execute(df: Any) -> Any:
        part = df[df["a"] > 1]
        if isinstance(df, pd.DataFrame):
            return part[part["k"].isin([1, 3])].groupby("k")["b"].mean(), part[part["k"].isin([1, 3])].groupby(
                "k"
            ).size()
        g = part.groupby("k", categories=[1, 3])
        return g["b"].mean(), g.size()

    agrees(execute)


def test_series_are_grouped_by_series() -> None:
    def execute(df: Any) -> Any:
        high = (df["a"] > 3).astype(int).rename("high")
        more = {} if isinstance(df, pd.DataFrame) else {"categories": [0, 1]}
        return (
            df["c"].groupby(high, **more).mean(),
            df.groupby(high, **more)["b"].sum(),
            df["c"].groupby(high, **more).size(),
        )

    agrees(execute)


def test_infinite_values_in_groups_come_out_as_in_pandas() -> None:
    frame = pd.DataFrame({"x": [1.0, 0, 2, -3, 5, 8], "y": [1.0, 0, 0, 0, 2, 2], "k": [0.0, 0, 1, 1, 2, 2]})

    def execute(df: Any) -> Any:
        df = df.assign(q=(df["x"] + 1) / df["y"])
        more = {} if isinstance(df, pd.DataFrame) else {"categories": [0, 1, 2]}
        g = df.groupby("k", **more)["q"]
        return g.sum(), g.mean(), g.var()

    agrees(execute, frame, split=(2, 4))


def test_value_counts_agree_with_pandas_in_the_declared_order() -> None:
    categories = [1, 0, 3, 9]

    def execute(df: Any) -> Any:
        if isinstance(df, pd.DataFrame):
            counts = df["k"].value_counts().reindex(categories, fill_value=0).rename("count")
            shares = df["k"].value_counts(normalize=True).reindex(categories, fill_value=0.0).rename("proportion")
            return counts, shares, (df["a"] > 2).value_counts().reindex([False, True]).rename("count")
        k = df["k"]
        return (
            k.value_counts(categories=categories),
            k.value_counts(normalize=True, categories=categories),
            (df["a"] > 2).value_counts(categories=[False, True]),
        )

    agrees(execute)


def test_nunique_counts_declared_categories_and_is_missing_when_others_occur() -> None:
    frame = sample()
    assert run(lambda df: df["k"].nunique(categories=[0, 1, 2, 3, 4]), frame) == frame["k"].nunique()
    assert np.isnan(run(lambda df: df["k"].nunique(categories=[0, 1, 2]), frame))
    assert run(lambda df: df["k"][df["k"] < 2].nunique(categories=[0, 1, 2]), frame) == 2


@pytest.mark.parametrize("bins", [[-8, -1, 0, 2.5, 30], 7])
def test_histograms_agree_with_numpy(bins: Any) -> None:
    frame = sample()
    frame.loc[4, "a"] = 30.0
    frame.loc[5, "a"] = -1.0
    extent = None if isinstance(bins, list) else (-10, 30)
    ours = run(
        lambda df: (df["a"].histogram(bins, range=extent), df["a"][df["c"] > 0].histogram(bins, range=extent)), frame
    )
    for x, values in zip(ours, (frame["a"], frame["a"][frame["c"] > 0]), strict=True):
        counts, edges = np.histogram(values.dropna(), bins, extent)
        assert x.to_list() == counts.tolist() and np.allclose(x.index, edges[:-1])


@pytest.mark.parametrize(
    ("execute", "says"),
    [
        (lambda df: df.groupby("k").mean(), "declare the categories"),
        (lambda df: df["k"].value_counts(), "declare the categories"),
        (lambda df: df.groupby("x", categories=[1]).mean(), "no column 'x'"),
        (lambda df: df.groupby("k", categories=[1, 1]).mean(), "stand once"),
        (lambda df: df.groupby(["k", "j"], categories={"k": [1]}).mean(), "no categories for 'j'"),
        (lambda df: df.groupby("k", categories=[1]).median(), "no 'median'.*supports agg"),
        (lambda df: df.groupby("k", categories=[1]).agg("mode"), "'mode' is not supported"),
        (lambda df: df["k"].value_counts(sort=True, categories=[1]), "sort=False"),
        (lambda df: df["a"].histogram(), "range="),
        (lambda df: df["a"].histogram([3, 2]), "must rise"),
        (lambda df: df.count().groupby("k", categories=[1]), "for rows at the nodes"),
    ],
)
def test_what_groups_cannot_do_is_refused(execute: Any, says: str) -> None:
    with pytest.raises((TypeError, ValueError, KeyError, AttributeError), match=says):
        build(execute)
