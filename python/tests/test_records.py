"""Sums that nodes make record by record: what compiles to them, what ``delta.debug`` makes of them, and what is said of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import delta
import kept_apart
from delta import manifest as m
from delta._local import discrete
from delta._local import records as driver
from delta.graph import Graph
from delta.statsmodel import LinearTask, LogitTask, MNLogitTask
from delta.strategy import Strategy
from pooled import build, run, sample, task
from regression_cases import task as regression

K = [0, 1, 5]
OPERATIONS: dict[str, Callable[[Any], Any]] = {
    **{
        how: lambda df, how=how: getattr(df, how)()
        for how in ("mean", "sum", "count", "var", "std", "sem", "any", "all", "cov", "corr")
    },
    "sum with gaps": lambda df: df.sum(skipna=False),
    "sum of few": lambda df: df.sum(min_count=3),
    "any of series": lambda df: df["a"].any(skipna=False),
    "series cov": lambda df: df["a"].cov(df["b"]),
    "series corr": lambda df: df["a"].corr(df["b"]),
    "series mean": lambda df: df["a"].mean(),
    "value_counts": lambda df: df["k"].value_counts(categories=K),
    "shares": lambda df: df["k"].value_counts(categories=[0, 1.5], normalize=True),
    "nunique": lambda df: df["k"].nunique(categories=[0, 1, 2, 3]),
    "even bins": lambda df: df["a"].histogram(7, range=(-10, 30)),
    "bins": lambda df: df["a"].histogram([-8, -1, 0, 2.5, 30]),
    "group mean": lambda df: df.groupby("k", categories=K).mean(),
    "group agg": lambda df: df.groupby("k", categories=K).agg(["sum", "count", "std", "var", "sem"]),
    "cross table": lambda df: df.groupby(["k", "j"], categories=[K, [0, 1]]).size(),
    "group series": lambda df: df["c"].groupby(df["j"], categories=[0, 1]).std(),
    "selection": lambda df: df[df["a"] > df["a"].mean()]["b"].sum(),
    "standardised": lambda df: ((df - df.mean()) / df.std()).var(),
    "infinities": lambda df: (df["a"] / df["j"]).sum(),
    "across": lambda df: df.mean(axis=1).mean(),
    "functions": lambda df: np.log1p(df["a"].abs()).mean() + (df["a"] % 2).round(1).sum(),
    "dropna": lambda df: df.dropna().sum(),
}
SEARCHES: dict[str, Callable[[Any], Any]] = {
    "min": lambda df: df.min(),
    "max": lambda df: df["a"].max(bounds=(0, 1)),
    "median": lambda df: df["a"].median(),
    "describe": lambda df: df.describe(),
    "among others": lambda df: (df.mean(), df["a"].quantile(0.1)),
}


def map_steps(bundle: delta.Bundle) -> list[dict[str, Any]]:
    return [s for r in bundle.manifest["rounds"] for s in r["map"]["steps"]]


def proven(bundle: delta.Bundle) -> None:
    """Fail unless everything that leaves is the sum of a records step whose graph keeps records apart."""
    shapes = {c["name"]: c["shape"] for r in bundle.manifest["rounds"] for c in r["map"]["contribute"]}
    for step in map_steps(bundle):
        assert step["driver"]["kind"] == "records"
        assert {s["from"] for s in step["inputs"].values()} <= {"data", "variable"}
        assert {t["to"] for t in step["outputs"].values()} == {"sum"}
        for name, shape in kept_apart.outputs(bundle.graphs[step["graph"]]).items():
            assert name == step["outputs"][name]["name"] and len(shape) == len(shapes[name]) + 1
    for r in bundle.manifest["rounds"]:
        assert {c["name"] for c in r["map"]["contribute"]} == {n for s in r["map"]["steps"] for n in s["outputs"]}
        assert "assign" not in r["map"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_sums_over_rows_are_made_record_by_record(name: str) -> None:
    proven(build(OPERATIONS[name]))


@pytest.mark.parametrize("name", SEARCHES)
def test_order_statistics_see_whole_tables_and_say_so(name: str) -> None:
    bundle = build(SEARCHES[name])
    assert all("driver" not in s for s in map_steps(bundle))
    assert re.search(r"Class: free: .*\n  rounds\[0\]\.map\.steps\[0\] \(records\.reads_beside\)", bundle.describe())


@pytest.mark.parametrize("kind", [LinearTask, LogitTask, MNLogitTask])
@pytest.mark.parametrize("privacy", [None, delta.Privacy(epsilon=2.0, clip=10.0)])
def test_regressions_are_made_record_by_record(kind: Any, privacy: Any) -> None:
    more = {"n_classes": 3} if kind is MNLogitTask else {}
    bundle = regression(kind, ["a", "b", "y"], "y", privacy=privacy, **more).build()
    proven(bundle)
    size = {MNLogitTask: 6}.get(kind, 3)
    shapes = {c["name"]: c["shape"] for c in bundle.manifest["rounds"][0]["map"]["contribute"]}
    assert shapes["hessian"] == [size * (size + 1) // 2], "a triangle"


def test_a_graph_reads_no_column_that_it_does_not_use() -> None:
    bundle = build(lambda df: df["b"][df["b"] > df["a"].mean()].sum())
    fields = [s["inputs"]["table"]["field"] for s in map_steps(bundle)]
    assert fields == [{"columns": ["a"]}, {"columns": ["b"]}]


def test_a_triangle_of_products_is_sent_and_unfolded() -> None:
    shapes = {
        c["name"]: c["shape"]
        for r in build(lambda df: df[["a", "b", "d"]].cov()).manifest["rounds"]
        for c in r["map"]["contribute"]
    }
    assert shapes["count_of_pairs"] == [6] and shapes["products_of_deviations"] == [6]
    assert shapes["sums_of_deviations"] == [3, 3]


def test_large_and_small_numbers_keep_their_digits() -> None:
    frame = sample()
    frame["a"] = frame["a"] * 1e4
    frame["b"] = frame["b"] * 1e-9
    found = run(lambda df: df[["a", "b"]].sum(), frame)
    np.testing.assert_allclose(found, frame[["a", "b"]].sum(), rtol=1e-7)
    np.testing.assert_allclose(run(lambda df: df["a"].var(), frame), frame["a"].var(), rtol=1e-9)


# ------------------------------------------------ the driver on this machine
def sums(rows: Any, spec: dict[str, Any], precision: int = 0, keys: Any = None) -> list[float]:
    table = np.asarray(rows, float)
    made = driver.run(
        np.arange(len(table)),
        spec,
        precision,
        lambda some: {"x": table[some]},
        None if keys is None else np.asarray(keys, float),
    )
    return made["x"].tolist()


NOISE = {"clip": {"l2": 5.0}, "noise": {"multiplier": "1", "delta": 1e-6}}


def test_each_record_is_rounded_by_itself_half_to_even() -> None:
    assert sums([[0.5], [1.5], [2.5]], {}) == [4.0]
    assert sums([[0.004, -1.0], [0.004, 0.25]], {}, 2) == [0.0, -0.75]


def test_records_are_clipped_in_integers_and_towards_zero() -> None:
    assert sums([[30.0, 40.0], [1.0, 0.0]], {"clip": {"l2": 5.0}}) == [4.0, 4.0]
    assert sums([[-9.0, 2.0]], {"clip": {"l2": 100.0, "linf": 3.0}}) == [-3.0, 2.0]
    # 3 * 4 / ceil(sqrt(18)) = 2.4
    assert sums([[3.0, -3.0]], {"clip": {"l2": 4.0}}) == [2.0, -2.0]
    rng = np.random.default_rng(0)
    many = rng.normal(0, 1e6, (500, 3)).round().astype(np.int64)
    cut = driver.clipped(many, {"l2": 1e6}, 0)
    assert all(sum(x * x for x in row) <= 10**12 for row in cut.tolist())
    inside = (many.astype(float) ** 2).sum(1) <= 1e12
    assert inside.any() and (cut[inside] == many[inside]).all()
    with pytest.raises(ValueError, match=r"clip\.l2: 0\.5 is 0 steps"):
        sums([[1.0]], {"clip": {"l2": 0.5}})


def test_records_of_one_person_are_added_before_they_are_clipped() -> None:
    rows = [[3.0], [4.0], [1.0], [2.0]]
    assert sums(rows, {"clip": {"l2": 5.0}}, keys=[7, 7, 9, 9]) == [8.0]
    assert sums(rows, {"clip": {"l2": 5.0}}) == [10.0]


@pytest.mark.parametrize("nobody", [np.nan, np.inf, 2.0**53])
def test_a_record_without_a_person_is_an_error_and_under_noise_left_out(nobody: float) -> None:
    rows, keys = [[3.0], [4.0], [1.0]], [7, nobody, 9]
    with pytest.raises(ValueError, match="a record has no person"):
        sums(rows, {"clip": {"l2": 5.0}}, keys=keys)
    assert sums(rows, NOISE, keys=keys) == [4.0]


def test_under_noise_nothing_is_too_large() -> None:
    large = 2.0**51
    assert sums([[large]] * 4, {"clip": {"l2": large}, "noise": NOISE["noise"]}) == [2.0**50]
    wide = {"clip": {"l2": 5.0}, "noise": NOISE["noise"]}
    assert sums([[large]] * 3, wide, keys=[7, 7, 7]) == [5.0]


def test_numbers_under_noise_are_doubles() -> None:
    with pytest.raises(ValueError, match="own is f32, and numbers under noise are f64"):
        by_hand(m.records("wages.csv", clip=5.0, multiplier="1", delta=1e-6), dtype="f32")


@pytest.mark.parametrize(
    ("bad", "says"), [(np.nan, "NaN or infinity"), (np.inf, "NaN or infinity"), (2.0**52, "a number above 4.5e")]
)
def test_what_is_no_number_is_an_error_and_under_noise_left_out(bad: float, says: str) -> None:
    rows = [[1.0, 2.0], [bad, 5.0], [3.0, 0.0]]
    with pytest.raises(ValueError, match=says):
        sums(rows, {})
    assert sums(rows, NOISE) == [4.0, 2.0]


def test_a_sum_that_would_not_be_exact_is_an_error() -> None:
    with pytest.raises(ValueError, match="a member's sum is above"):
        sums([[2.0**51]] * 2, {})


def test_a_record_that_ends_the_run_is_found() -> None:
    def graph(rows: Any) -> dict[str, Any]:
        if 5 in rows:
            raise RuntimeError("index out of bounds")
        return {"x": np.ones((len(rows), 1))}

    with pytest.raises(RuntimeError):
        driver.run(np.arange(9), {}, 0, graph, None)
    assert driver.run(np.arange(9), NOISE, 0, graph, None)["x"].tolist() == [8.0]


def test_shares_of_noise_add_up_to_what_was_asked() -> None:
    rng = discrete.source(1)
    spec = {"clip": {"l2": 5.0}, "noise": {"multiplier": "2", "delta": 1e-6}}
    drawn = sum(driver.noise([4_000], spec, 2, 4, rng) for _ in range(4))
    # Seeded: the standard deviation of 4,000 values is within five of its own, 1 / sqrt(2 * 4,000) each.
    assert np.std(drawn) == pytest.approx(2 * 500, rel=5 / np.sqrt(8_000))


@pytest.mark.parametrize(
    ("strategy", "members", "expected"),
    # docs/privacy.md: h = n - c, n being the smallest sum that a node reveals.
    [({}, 3, 2), ({"min_clients": 3}, 3, 3), ({}, 7, 3), ({"threshold": 6}, 7, 4), ({"min_clients": 5}, 5, 4)],
)
def test_shares_are_for_the_smallest_sum_without_those_who_may_collude(
    strategy: dict[str, int], members: int, expected: int
) -> None:
    assert driver.honest({"min_clients": 2} | strategy, members) == expected


# ------------------------------------------------ by hand
def by_hand(spec: dict[str, Any], source: Any = None, target: Any = None, dtype: str = "f64") -> delta.Bundle:
    g = Graph()
    x = g.input("x", "f64", ["rows", 1])
    g.output("own", x)
    draft = m.Draft("total", Strategy(min_clients=2, max_clients=3))
    draft.table("wages.csv", ["wage", "person"])
    draft.variable("total", "server", shape=[1])
    draft.variable("mine", "client", shape=[1])
    inputs = {"x": source or m.data("wages.csv", m.columns(["wage"]))}
    step = m.Step(draft.graph("map", g.bytes()), inputs, {"own": target or m.accumulate("own")}, spec)
    draft.round(m.Map([step], [("own", dtype, [1])]), m.Reduce([], {"total": "own"}))
    draft.outputs = ["total"]
    return draft.build()


def test_a_step_by_hand_runs() -> None:
    bundle = by_hand(m.records("wages.csv", unit="person", clip=5.0))
    wages = {"wage": np.array([3.0, 4.0, 1.0, 1.0]), "person": np.array([1.0, 1.0, 2.0, 3.0])}
    assert delta.debug(bundle, wages=wages, parts=2)["total"].tolist() == [7.0]
    assert "one vector for all records with the same person, of length 5 at most" in bundle.describe()
    assert "columns wage; " not in bundle.describe() and "column person; columns wage" in bundle.describe()


@pytest.mark.parametrize(
    ("arguments", "more", "says"),
    [
        ({"dataset": "other.csv"}, {}, "no dataset 'other.csv'"),
        ({"unit": "name"}, {}, "does not declare a column 'name'"),
        ({"clip": 0.0}, {}, r"clip\.l2=0\.0 must be a finite"),
        ({"clip": 1.0, "linf": np.nan}, {}, r"clip\.linf=nan must be a finite"),
        ({"clip": 1e8}, {}, r"clip\.l2=100000000\.0 must be from 1 to 2\^52 - 1 steps of 10\^-8"),
        ({"clip": 6e3, "multiplier": "1", "delta": 1e-6}, {}, r"at most 2\^39 steps of 10\^-8, 5498; lower"),
        ({"multiplier": "1", "delta": 1e-6}, {}, "give clip"),
        ({"clip": 1.0, "multiplier": "a lot", "delta": 1e-6}, {}, r"noise\.multiplier='a lot'"),
        ({"clip": 1.0, "multiplier": "0", "delta": 1e-6}, {}, r"noise\.multiplier='0'"),
        ({"clip": 1.0, "multiplier": "1.00001", "delta": 1e-6}, {}, r"noise\.multiplier='1\.00001'"),
        ({"clip": 1.0, "multiplier": "1", "delta": 1.0}, {}, r"noise\.delta=1\.0 must lie"),
        ({}, {"target": {"to": "value", "name": "own"}}, r"use accumulate\('own'\)"),
        ({}, {"source": m.batch_size()}, "input x is a batch_size"),
        ({}, {"source": m.variable("mine")}, "must be a server variable"),
        (
            {},
            {"source": m.data("wages.csv", m.columns(["wage"]), m.subset(0.0, 0.5))},
            "the driver selects the rows",
        ),
    ],
)
def test_what_no_node_would_take_is_refused(arguments: dict[str, Any], more: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        by_hand(m.records(**{"dataset": "wages.csv"} | arguments), **more)


def test_what_is_said_of_the_class() -> None:
    text = build(lambda df: df.mean()).describe()
    assert "Class: controlled where a node proves" in text and "approval: controlled" in text
    private = task(lambda df: df.mean(), ["a"], privacy=delta.Privacy(epsilon=1.0, clip=20.0)).build().describe()
    assert "Class: private where a node proves" in private and "1 round costs epsilon 1 at delta 1e-6 in all" in private
