"""``HorizontalAnalytics``: from an author's class to rounds, contributions, variables and results."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import delta
from delta.bundle import Bundle
from delta.dataset import DataFrame as Table
from delta.graph import Graph
from delta.pandas import emit, reads, table
from delta.task import HorizontalAnalytics
from pooled import build, run, sample, task

ROOT = Path(__file__).resolve().parents[2]


def contributions(bundle: Bundle) -> list[dict[str, list[int]]]:
    return [{c["name"]: c["shape"] for c in r["map"]["contribute"]} for r in bundle.manifest["rounds"]]


def test_the_same_task_is_the_same_bytes() -> None:
    def execute(df: Any) -> Any:
        g = df.groupby("k", categories=[0, 1])
        return df.describe(), g.std(), ((df - df.mean()) / df.std()).var(), df["k"].value_counts(categories=[1, 2])

    assert build(execute).commitment == build(execute).commitment


def test_the_manifest_fits_the_published_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / "task.schema.json").read_text())
    bundle = build(lambda df: (df.mean(), df.corr(), df["a"].median(), df.groupby("k", categories=[0, 1]).agg(["sum"])))
    jsonschema.validate(bundle.manifest, schema)


def test_strategy_and_defaults_are_those_of_the_original() -> None:
    class Task(HorizontalAnalytics):
        def dataset(self) -> dict[str, Table]:
            return {"df": Table("t.csv", ["x"])}

        def execute(self, df: Any) -> Any:
            return df.mean()

    strategy = Task("name").build().manifest["strategy"]
    assert (strategy["min_clients"], strategy["max_clients"], strategy["precision"]) == (2, 2, 8)
    assert (strategy["wait_timeout"], strategy["connection_timeout"], strategy["curve"]) == (60, 60, "secp256k1")
    assert strategy["selection"] == "same", "all rounds must see the same rows"


def test_a_round_contributes_only_what_that_round_can_know() -> None:
    bundle = build(lambda df: (df["a"].var(), df["b"][df["b"] > df["a"].mean()].sum()))
    assert contributions(bundle) == [{"sum": [], "count": []}, {"squared_deviations": [], "sum": []}]
    second = bundle.manifest["rounds"][1]["map"]["steps"][0]["inputs"]
    assert [s for s in second.values() if s["from"] == "variable"] == [{"from": "variable", "name": "kept1"}]


def test_every_contribution_is_a_fixed_number_of_floats_whatever_the_rows() -> None:
    bundle = build(lambda df: (df.describe(), df.cov(), df["a"].histogram([0, 1, 2]), df.all()))
    for round_ in bundle.manifest["rounds"]:
        assert all(c["dtype"] == "f64" and all(d > 0 for d in c["shape"]) for c in round_["map"]["contribute"])


def test_graphs_use_only_operators_and_types_that_every_node_runs() -> None:
    import onnx

    def execute(df: Any) -> Any:
        return (
            df.describe(),
            df.corr(),
            df.groupby(["k", "j"], categories=[[0, 1], [0, 1]]).std(),
            (df["a"] % 2).round(1).sum(),
            np.log1p(df["a"].abs()).mean(),
            df["a"].max(bounds=(0, 1)),
        )

    allowed = (ROOT / "src/adapters/onnx/guard/ops.rs").read_text()
    for name, graph in build(execute).graphs.items():
        model = onnx.load_from_string(graph)
        for op in {n.op_type for n in model.graph.node}:
            assert f'"{op}",' in allowed, (name, op)
            # tract has these not, or wrongly, in f64.
            assert op not in {"Sigmoid", "Erf", "Round", "IsNaN", "OneHot", "Unique", "ConstantOfShape"}, (name, op)
        assert {o.type.tensor_type.elem_type for o in model.graph.output} == {onnx.TensorProto.DOUBLE}, name


@pytest.mark.parametrize(
    ("execute", "says"),
    [
        (lambda df: df, "returned the rows of columns 'a', .*aggregate"),
        (lambda df: df["a"], "returned the rows of column 'a'.*mean"),
        (lambda df: (df.mean(), df["a"] * 2), "result 2 of 2.*rows of column 'a'"),
        (lambda df: df.mean(axis=1), "returned the rows"),
        (lambda df: None, "returned a NoneType"),
        (lambda df: 3.5, "returned a float"),
        (lambda df: {"mean": df.mean()}, "returned a dict"),
        (lambda df: df.groupby("k", categories=[1]), "returned a GroupBy"),
        (lambda df: (), "returned nothing"),
    ],
)
def test_what_would_leave_a_node_unaggregated_is_refused(execute: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        build(execute)


def test_tables_and_arguments_must_match() -> None:
    class Task(HorizontalAnalytics):
        tables: Any = None

        def dataset(self) -> Any:
            return self.tables

        def execute(self, wages: Any) -> Any:
            return wages.mean()

    for tables, says in [
        ({"data": Table("t.csv", ["x"])}, "must take the tables of dataset\\(\\), data"),
        (Table("t.csv", ["x"]), "must return a dict"),
        ({}, "at least one"),
        ({"wages": "t.csv"}, "'wages' is a str"),
    ]:
        Task.tables = tables
        with pytest.raises(TypeError, match=says):
            Task("t").build()


def test_two_tables_are_aggregated_in_one_round_and_do_not_mix() -> None:
    class Task(HorizontalAnalytics):
        def dataset(self) -> dict[str, Table]:
            return {"left": Table("left.csv", ["x", "y"]), "right": Table("right.csv", ["x"])}

        def execute(self, left: Any, right: Any) -> Any:
            return (
                left.mean(),
                right["x"].sum(),
                left["y"].mean() - right["x"].mean(),
                (left["x"] - right["x"].mean()).abs().sum(),
            )

    left, right = sample()[["a", "c"]].set_axis(["x", "y"], axis=1), sample(40, 1)[["b"]].set_axis(["x"], axis=1)
    bundle = Task("two", 3, 3).build()
    assert bundle.rounds == 2
    ours = delta.debug(bundle, left=left, right=right, parts=3)
    theirs = Task.execute(Task("two"), left, right)
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-8)

    class Mixed(Task):
        def execute(self, left: Any, right: Any) -> Any:
            return (left["x"] + right["x"]).sum()

    with pytest.raises(ValueError, match=r"rows of 'left\.csv' and of 'right\.csv'"):
        Mixed("mixed").build()


def test_two_arguments_may_read_one_file() -> None:
    class Task(HorizontalAnalytics):
        def dataset(self) -> dict[str, Table]:
            return {"one": Table("t.csv", ["a"]), "two": Table("t.csv", ["b", "a"])}

        def execute(self, one: Any, two: Any) -> Any:
            return (one["a"] * two["b"]).sum()

    frame = sample()[["a", "b"]]
    bundle = Task("t").build()
    assert bundle.manifest["datasets"]["t.csv"]["columns"] == ["a", "b"]
    assert delta.debug(bundle, t=frame) == pytest.approx((frame["a"] * frame["b"]).sum())


def test_one_result_returned_twice_is_one_variable() -> None:
    bundle = build(lambda df: (df["a"].mean(), df["a"].mean(), df["a"].mean() * 2))
    assert bundle.manifest["outputs"] == ["result1", "result3"]
    assert run(lambda df: (df["a"].sum(), df["a"].sum()), sample())[0] == pytest.approx(sample()["a"].sum())


def test_a_lower_precision_rounds_the_sums() -> None:
    frame = pd.DataFrame({"x": [1.26, 2.0, 3.0]})
    assert run(lambda df: df["x"].sum(), frame, split=(1, 2), precision=1) == pytest.approx(6.3, abs=1e-12)


def test_results_without_pandas_are_dicts(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = task(lambda df: (df.mean(), df["a"].count()), ["a", "b"]).build()
    frame = sample()[["a", "b"]]
    data = {c: frame[c].to_numpy() for c in frame}
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    mean, count = delta.debug(bundle, data=data)
    assert mean == {"a": pytest.approx(float(np.nanmean(data["a"]))), "b": pytest.approx(float(np.nanmean(data["b"])))}
    assert count == 52


def test_a_graph_of_ones_own_gets_frames_and_their_selection() -> None:
    import onnxruntime

    df = table("t.csv", ["a", "b", "c"])
    df["d"] = df["a"] * 2 + df["c"]
    x = df[df["c"] > 0][["d", "c"]]
    assert reads(x) == {"t.csv": ["a", "c"]}
    g = Graph()
    out = emit(x, g, {"t.csv": g.input("data", "f64", ("rows", 2))})
    assert out.keep is not None
    g.output("value", out.value)
    g.output("keep", out.keep)
    data = np.array([[1.0, 2.0], [3.0, -1.0], [np.nan, 5.0]])
    value, keep = onnxruntime.InferenceSession(g.bytes()).run(None, {"data": data})
    np.testing.assert_array_equal(value, [[4, 2], [5, -1], [np.nan, 5]])
    assert keep.tolist() == [True, False, True]
    with pytest.raises(ValueError, match="needs a sum over all members"):
        emit(df[["a", "b"]] - df[["a", "b"]].mean(), g, {"t.csv": g.input("more", "f64", ("rows", 2))})


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("analytics_example", ROOT / "python" / "examples" / "analytics.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_finds_what_pandas_finds() -> None:
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_iris

    module = example()
    assert module.local("wages") == pytest.approx(5530)
    iris = load_iris(as_frame=True).frame
    summary, correlation, species, long = module.local("flowers")
    names = [module.SEPAL, module.PETAL]
    pd.testing.assert_frame_equal(summary, iris[names].describe(), rtol=1e-7)
    pd.testing.assert_frame_equal(correlation, iris[names].corr(), rtol=1e-7)
    pd.testing.assert_frame_equal(
        species, iris.groupby("target")[names].agg(["mean", "std"]), rtol=1e-7, check_index_type=False
    )
    assert (
        long.to_list()
        == iris[iris[module.PETAL] > iris[module.PETAL].mean()]["target"]
        .value_counts()
        .reindex([0, 1, 2], fill_value=0)
        .to_list()
    )
