"""Aggregates against pandas on the pooled rows: every argument, both axes, gaps, bool and whole numbers, hard numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pooled import agrees, build, run, sample

PLAIN = ["all", "any", "count", "sum", "mean", "std", "var", "sem"]
SKIPPING = ["all", "any", "sum", "mean", "std", "var", "sem", "min", "max"]


@pytest.mark.parametrize("name", PLAIN)
def test_down_the_rows_agrees_with_pandas(name: str) -> None:
    def execute(df: Any) -> Any:
        mixed = df.assign(w=(df["a"] > 2), n=df["c"].astype(int))
        cases = [df, df[["c"]].astype(int), df > 0, df["a"], df["d"][df["a"] > 0], df["c"].astype(int), df["a"] > 2]
        cases += [mixed, df[df["a"] > 1e9], df["a"][df["a"] > 1e9]]
        return tuple(getattr(c, name)() for c in cases)

    agrees(execute)


@pytest.mark.parametrize("name", [*PLAIN, "min", "max"])
def test_across_the_columns_agrees_with_pandas(name: str) -> None:
    def execute(df: Any) -> Any:
        x = df[["a", "b", "d"]]
        across = getattr(x, name)(axis=1)
        if name in ("all", "any"):
            return across.sum(), getattr(x > 0, name)(axis="columns").sum()
        return across.sum(), across.count(), (getattr(x * 2, name)(axis="columns") * x["a"]).mean()

    agrees(execute)


@pytest.mark.parametrize("name", SKIPPING)
@pytest.mark.parametrize("axis", [0, 1])
def test_skipna_false_agrees_with_pandas(name: str, axis: int) -> None:
    def execute(df: Any) -> Any:
        down = getattr(df[["a", "c", "d"]], name)(axis=axis, skipna=False)
        if axis == 1:
            return down.sum(), down.count()
        return down, getattr(df["b"], name)(skipna=False), getattr(df["c"], name)(skipna=False)

    agrees(execute)


def test_further_arguments_agree_with_pandas() -> None:
    def execute(df: Any) -> Any:
        return (
            *(df.sum(min_count=n) for n in (1, 45, 61, 62)),
            df["d"].sum(min_count=41),
            df.var(ddof=0),
            df.std(ddof=2),
            df.sem(ddof=0),
            df[["a", "b"]].sum(axis=1, min_count=2).count(),
            df[df["a"] > 9].var(ddof=5),
            df.mean(numeric_only=True),
            df.sum(axis="index"),
            df.assign(w=df["a"] > 1).any(bool_only=True),
            df.all(axis=None),
            df.fillna(0).any(axis=None),
        )

    agrees(execute)


def test_several_aggregates_by_name_agree_with_pandas() -> None:
    def execute(df: Any) -> Any:
        x = df[["a", "b", "d"]]
        return (
            x.agg(["mean", "std", "count"]),
            x.agg("sum"),
            df["a"].agg(["min", "median", "sem"]),
            (x > 0).agg(["sum", "count"]),
        )

    agrees(execute)
    with pytest.raises(TypeError, match=r"mode.*use a name"):
        build(lambda df: df.agg("mode"))


def test_columns_are_named_as_in_pandas() -> None:
    def execute(df: Any) -> Any:
        assert df.columns.tolist() == list("abcdkj") and "a" in df.columns and df.columns[1] == "b"
        return df[df.columns[:2].tolist()].mean()

    agrees(execute)


def test_one_row_in_all_has_a_mean_and_no_variance() -> None:
    agrees(
        lambda df: (df.mean(), df.var(), df.std(ddof=0), df.sem()),
        pd.DataFrame({"x": [4.0], "y": [np.nan]}),
        split=(0, 1),
    )


def test_variance_of_large_close_numbers_keeps_its_digits() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": 1e7 + rng.normal(0, 1, 300)})
    agrees(lambda df: (df.var(), df.std(), df.sem()), frame, split=(10, 200), rtol=1e-7)


def test_sums_of_any_size_are_made_and_those_beyond_are_refused() -> None:
    frame = pd.DataFrame({"x": [6e20, 5e20, 1e-3], "y": [6e-30, -5e-30, 1e-32]})
    agrees(lambda df: (df.sum(), df.mean(), df.std()), frame, split=(2, 3))
    with pytest.raises(ValueError, match="beyond what is summed exactly"):
        run(lambda df: df["x"].sum(), frame * 1e35, split=(2, 3))
    big = pd.DataFrame({"x": [6e10, -6e10, 1.0]})
    assert run(lambda df: df["x"].sum(), big, split=(2, 3), precision=2) == 1.0


def test_covariance_and_correlation_leave_out_pairs_with_a_gap() -> None:
    def execute(df: Any) -> Any:
        x = df[["a", "b", "c", "d"]]
        return x.cov(), x.corr(), x.cov(min_periods=30), x.corr(min_periods=30), x[x["a"] > 2].corr()

    agrees(execute)
    agrees(
        lambda df: (
            df["a"].cov(df["b"]),
            df["a"].corr(df["d"]),
            df["c"].corr(df["c"] * -2 + 1),
            df["a"].cov(df["b"], min_periods=60),
            df["a"].cov(df["b"], ddof=0),
        )
    )


def test_a_constant_column_has_no_correlation() -> None:
    frame = sample().assign(b=2.1)
    result = run(lambda df: df[["a", "b"]].corr(), frame)
    assert np.isnan(result.loc["a", "b"]) and np.isnan(result.loc["b", "b"])
    assert result.loc["a", "a"] == pytest.approx(1)


def test_several_aggregates_share_one_pass_and_one_contribution() -> None:
    bundle = build(lambda df: (df.mean(), df.var(), df.count(), df.std(), df.sum(), df.sem()), ["a", "b"])
    contributed = [[c["name"] for c in r["map"]["contribute"]] for r in bundle.manifest["rounds"]]
    assert contributed == [["sum", "count"], ["squared_deviations"]]


def test_only_columns_that_are_used_are_read() -> None:
    def execute(df: Any) -> Any:
        df["e"] = df["a"] * 2
        return df[["e", "c"]].mean(), (df * 2)["d"].sum()

    bundle = build(execute)
    source = bundle.manifest["rounds"][0]["map"]["steps"][0]["inputs"]["table"]
    assert source["field"] == {"columns": ["a", "c", "d"]}


@pytest.mark.parametrize(
    ("name", "rounds"),
    [
        ("mean", 1),
        ("count", 1),
        ("any", 1),
        ("std", 2),
        ("cov", 2),
        ("corr", 2),
        ("min", 4),
        ("median", 4),
        ("describe", 4),
    ],
)
def test_operations_take_the_rounds_that_they_say(name: str, rounds: int) -> None:
    assert build(lambda df: getattr(df, name)()).rounds == rounds
