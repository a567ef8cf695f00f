"""Element-wise operations against pandas: each is summed up in ways that would show a wrong value, row or missing value."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pooled import agrees, build, run, sample

ARITHMETIC = ["add", "sub", "mul", "truediv", "div", "floordiv", "mod", "pow"]
COMPARISON = ["eq", "ne", "lt", "le", "gt", "ge"]


def weigh(x: Any) -> tuple[Any, ...]:
    """Sum, mean and count: a wrong or misplaced value changes the first two, a wrong missing value the last."""
    return x.sum(), x.mean(), x.count()


@pytest.mark.parametrize("name", ARITHMETIC)
@pytest.mark.parametrize("reflected", ["", "r"])
def test_arithmetic_methods_agree_with_pandas(name: str, reflected: str) -> None:
    if name == "div" and reflected:
        name = "truediv"

    def execute(df: Any) -> Any:
        df = df[["a", "b", "c"]].clip(-3, 4)
        c = df["c"].where(df["c"] != 0, 2.5)
        method = reflected + name
        frames = getattr(df, method)(df[["a", "b", "c"]].abs() + 1)
        scalar = getattr(df.abs() + 0.5, method)(2)
        columns = getattr(df.abs() + 0.5, method)([1, 2.5, 3], axis="columns")
        rows = getattr(df.abs() + 0.5, method)(c.abs(), axis="index")
        series = getattr(df["a"].abs() + 1, method)(c, fill_value=2)
        filled = getattr(df.abs() + 1, method)(df[["a", "b", "c"]].abs() + 2, fill_value=1.5)
        lonely = getattr(df.abs() + 1, method)(3, fill_value=2)
        return tuple(v for x in (frames, scalar, columns, rows, series, filled, lonely) for v in weigh(x))

    agrees(execute)


@pytest.mark.parametrize("name", COMPARISON)
def test_comparisons_agree_with_pandas(name: str) -> None:
    op = getattr(operator, name)

    def execute(df: Any) -> Any:
        df = df[["a", "c"]]
        results = [
            op(df, 1),
            op(df, df + (df["c"].max() if False else 0)),
            op(df["a"], df["c"]),
            getattr(df, name)(df["c"], axis="index"),
            getattr(df, name)([0.5, 1], axis=1),
            getattr(df["a"], name)(df["c"], fill_value=1),
        ]
        return tuple(x.sum() for x in results)

    agrees(execute)


def test_operators_with_the_symbol_on_the_right_agree_with_pandas() -> None:
    def execute(df: Any) -> Any:
        a = df["a"].abs() + 1
        parts = [1 + a, 1 - a, 2 * a, 3 / a, 7 // a, 7 % a, 2**a, a > 1, a <= 2, np.float64(2) * a, True & (a > 2)]
        return tuple(p.sum() for p in parts)

    agrees(execute)


def test_floor_division_and_remainder_have_pythons_signs_and_edges() -> None:
    frame = pd.DataFrame(
        {"x": [7, -7, 7, -7, 1.0, 0.3, 5, -5, 0, np.nan, 6], "y": [3, 3, -3, -3, 0.1, 0.1, 2.5, 2.5, 3, 2, -3.0]}
    )

    def execute(df: Any) -> Any:
        low, rest = df["x"] // df["y"], df["x"] % df["y"]
        return low.sum(), rest.sum(), (low * df["y"] + rest - df["x"]).abs().sum(), (low**2).sum(), (rest**2).sum()

    agrees(execute, frame, split=(4, 7))


def test_division_by_zero_gives_infinities_as_in_pandas() -> None:
    frame = pd.DataFrame({"x": [1.0, 2, 0, -1, 3, 4], "y": [1.0, 0, 0, 2, 1, 5]})

    def execute(df: Any) -> Any:
        q = df["x"] / df["y"]
        return (
            q.sum(),
            q.mean(),
            q.count(),
            (-q).sum(),
            q.std(),
            (df["x"] // df["y"]).sum(),
            (df["x"] % df["y"]).count(),
        )

    agrees(execute, frame, split=(2, 4))
    both = pd.DataFrame({"x": [1.0, -1, 5], "y": [0.0, 0, 1]})
    assert np.isnan(run(lambda df: (df["x"] / df["y"]).sum(), both, split=(1, 2)))


def test_logic_on_masks_agrees_with_pandas() -> None:
    def execute(df: Any) -> Any:
        p, q = df["a"] > 2, df["c"] <= 0
        both = df[["a", "c"]] > 1
        parts = [p & q, p | q, p ^ q, ~p, p & True, both & (df[["a", "c"]] < 3), ~both, p == q]
        return tuple(x.sum() for x in parts)

    agrees(execute)


def test_missing_values_agree_with_pandas() -> None:
    def execute(df: Any) -> Any:
        return (
            df.isna().sum(),
            df.notna().sum(),
            df.fillna(0).mean(),
            df.fillna({"a": 1, "d": -2}).sum(),
            df["a"].fillna(3.5).sum(),
            df.dropna().count(),
            df.dropna(how="all").count(),
            df.dropna(thresh=5).count(),
            df.dropna(subset=["a", "b"]).mean(),
            df["b"].dropna().mean(),
        )

    agrees(execute)


def test_filling_with_the_pooled_mean_agrees_with_pandas() -> None:
    agrees(lambda df: (df.fillna(df.mean()).std(), df["a"].fillna(df["a"].mean()).sum()))


def test_where_mask_clip_isin_and_astype_agree_with_pandas() -> None:
    def execute(df: Any) -> Any:
        a, c = df["a"], df["c"]
        return (
            a.where(a > 2).count(),
            a.where(a > 2, c).sum(),
            a.mask(a > 2, -1).sum(),
            df[["a", "c"]].where(df[["a", "c"]] > 0, 7).sum(),
            df[["a", "c"]][df[["a", "c"]] > 0].count(),
            df[["a", "b"]].clip(-101, 2.5).sum(),
            a.clip(lower=0).sum(),
            a.clip(5, 1).sum(),
            c.isin([1, 3, -2]).sum(),
            df[["c", "k"]].isin([0, 1]).sum(),
            a.isin([np.nan]).sum(),
            c.isin([]).sum(),
            c.astype(int).sum(),
            (a.dropna() * 1.7).astype("int64").sum(),
            a.astype(bool).sum(),
            (a > 0).astype(int).sum(),
            (a > 0).astype(float).mean(),
            -c.abs().sum(),
            *(c.between(-1, 2, inclusive=i).sum() for i in ("both", "neither", "left", "right")),
            round(a, 1).sum(),
            abs(c).sum(),
        )

    agrees(execute)


def test_rounding_is_half_to_even_as_numpys() -> None:
    values = [0.5, 1.5, 2.5, -0.5, -1.5, 2.4999999, 12.345, -7.25, 1250.0, 1350.0, np.nan, 1e15 + 0.5, 2.0**52 + 1]
    frame = pd.DataFrame({"x": values})
    agrees(
        lambda df: (
            df["x"].clip(-1e9, 1e9).round().sum(),
            (df["x"] * 1e-6).round(8).sum(),
            df.clip(-1e6, 1e6).round(-2).sum(),
        ),
        frame,
        split=(4, 9),
    )
    for v in values:
        agrees(lambda df: ((df["x"].round() - df["x"]) * 1000).sum(), pd.DataFrame({"x": [v, 1.0, 2.0]}), split=(1, 2))


FUNCTIONS = [
    "exp",
    "log",
    "sqrt",
    "expm1",
    "log1p",
    "log2",
    "log10",
    "tanh",
    "rint",
    "floor",
    "ceil",
    "abs",
    "square",
    "sign",
    "negative",
]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpys_functions_agree(name: str) -> None:
    f = getattr(np, name)

    def execute(df: Any) -> Any:
        x = df[["a", "d"]].clip(0.25, 5) if name.startswith(("log", "sqrt")) else df[["a", "d"]].clip(-5, 5)
        y = f(x)
        return y.sum(), y.count(), (f(x["d"] * 1e-7 + 1e-9) * 1e6).sum()

    agrees(execute)


def test_numpys_binary_functions_agree() -> None:
    def execute(df: Any) -> Any:
        a, c = df["a"], df["c"]
        return (
            np.maximum(a, c).sum(),
            np.minimum(a, c).count(),
            np.maximum(a, 0).sum(),
            np.maximum(1 / c, -1 / c).count(),
            np.add(a, c).sum(),
            np.power(c, 2).sum(),
        )

    agrees(execute)


def test_columns_are_set_dropped_and_renamed_without_touching_copies() -> None:
    def execute(df: Any) -> Any:
        kept = df.copy()
        df = df.copy()
        df["e"] = df["a"] * df.c
        df["a"] = 1
        df["f"] = (df["e"] > 1).astype(int)
        more = df.assign(g=lambda f: f["e"] - f["c"], h=2.5)
        less = more.drop(columns=["b", "d"]).drop("k", axis=1).rename(columns={"j": "z"})
        return kept.mean(), df.sum(), less.sum(), less[["z", "h"]].mean(), df["e"].rename("other").to_frame().sum()

    agrees(execute)


def test_masks_are_kept_through_every_aggregate() -> None:
    def execute(df: Any) -> Any:
        part = df[(df["a"] > 1) & df["b"].notna()]
        part = part[part["c"] > -2]
        twice = part[df["j"] == 1] if False else part[part["j"] == 1]
        series = df["b"][df["a"] > 3]
        return (
            part.mean(),
            part.var(),
            part.count(),
            twice.sum(),
            series.sum(),
            (part["a"] - part["c"]).std(),
            part.any(),
        )

    agrees(execute)


def test_a_member_without_rows_or_without_matches_is_no_trouble() -> None:
    frame = sample()
    for split in [(0, 30), (30, 30), (61, 61)]:
        agrees(
            lambda df: (df.mean(), df[df["a"] > 8].var(), df[df["a"] > 1e6].mean(), df.any(), df.all()),
            frame,
            split=split,
        )


def test_rows_and_results_compute_together_in_later_rounds() -> None:
    def execute(df: Any) -> Any:
        df = df[["a", "b", "c"]]
        z = (df - df.mean()) / df.std()
        return z.mean(), z.std(), (z**3).mean(), df[df["a"] > df["a"].mean()].mean(), (df["a"] - df["b"].mean()).sum()

    agrees(execute)


def test_results_compute_among_themselves() -> None:
    def execute(df: Any) -> Any:
        df = df[["a", "b", "c"]]
        mean, n = df.mean(), df.count()
        ratio = df.var() / mean.abs()
        return (
            mean * n,
            ratio,
            mean["a"] + mean["b"],
            mean.sum(),
            (mean > 0).sum(),
            n.max(),
            mean[["c", "a"]],
            (1 + mean).std(),
            ~(n > 50),
        )

    agrees(execute)


@pytest.mark.parametrize(
    ("execute", "error", "says"),
    [
        (lambda df: df["x"], KeyError, "no column 'x'.*it has 'a', 'b'"),
        (lambda df: df.wage, AttributeError, "no 'wage'.*columns are 'a', 'b'"),
        (lambda df: df.a.kurtosis(), AttributeError, r"no 'kurtosis': write .*mean"),
        (lambda df: df + df.a, ValueError, 'use .add\\(series, axis="index"\\)'),
        (lambda df: df[df.a > 0] + df[df.b > 0], ValueError, "different selections of rows"),
        (lambda df: df[["a", "b"]] + df[["b", "a"]], ValueError, "columns differ"),
        (lambda df: df["a"] & df["b"], TypeError, "must be bool"),
        (lambda df: ~df["a"], TypeError, "needs bool"),
        (lambda df: df["a"] if df["a"] > 0 else 0, TypeError, "Python cannot decide"),
        (lambda df: [v for v in df["a"]], TypeError, "cannot be iterated"),
        (lambda df: len(df), TypeError, "number of rows is not known"),
        (lambda df: float(df["a"].mean()), TypeError, "return it from execute"),
        (lambda df: df["a"] + "x", TypeError, "is a str"),
        (lambda df: df["a"] + [1, 2], TypeError, "rows of its own"),
        (lambda df: df.head(), AttributeError, "no 'head'"),
        (lambda df: df[:10], TypeError, "no order across members"),
        (lambda df: np.arctan2(df["a"], 1), TypeError, "arctan2"),
        (lambda df: np.asarray(df["a"]), TypeError, "numpy and pandas cannot use it"),
        (lambda df: df["a"].where(df["a"] > 0, True), TypeError, "do not mix"),
        (lambda df: (df["a"] > 0) + (df["b"] > 0), TypeError, "both sides are bool"),
        (lambda df: df.mean(axis=None), TypeError, "axis=None"),
        (lambda df: df["a"].astype(str), TypeError, "float.*int.*bool"),
        (lambda df: df.add(df["a"], axis="index", fill_value=1), NotImplementedError, "fill_value"),
        (lambda df: df["a"].astype(int) // df["c"].astype(int), TypeError, "depends on the data"),
        (lambda df: setattr(df, "z", 1), AttributeError, 'df\\["z"\\]'),
        (lambda df: df.mean()[df.mean() > 0], TypeError, "labels must be known"),
    ],
)
def test_what_cannot_be_done_says_so_at_the_authors_line(execute: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        build(execute)
