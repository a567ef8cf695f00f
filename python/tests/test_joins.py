"""Tables that look up columns of others: what is declared, what is refused, and that debug joins as pandas does."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

import delta
from conftest import ROOT, Network
from delta import manifest as m
from delta._catalogue import Column, Listing, Node, Nodes
from delta._check import check
from delta._local.joins import _alike, _cell
from delta.dataset import DataFrame as Table
from delta.dataset import Dataset
from delta.statsmodel import LogitTask
from delta.strategy import Strategy
from delta.task import HorizontalAnalytics, HorizontalLearning

PATIENTS = Table("patients.csv", columns=["patient", "age", "sex"], levels={"sex": ["f", "m"]})
VISITS = Table("visits.csv", columns=["pressure"])


def visits(rows: int = 120, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Visits with some of unknown patients, and the patients."""
    chance = np.random.default_rng(seed)
    patients = pd.DataFrame({"patient": np.arange(40), "age": chance.integers(20, 90, 40).astype(float)})
    patients["sex"] = chance.choice(["f", "m"], 40)
    patient = chance.integers(0, 50, rows).astype(float)
    patient[::11] = np.nan
    made = pd.DataFrame({"patient": patient, "pressure": chance.normal(120, 10, rows)})
    return made, patients.sample(frac=1, random_state=seed)


def merged(how: str, rows: int = 120) -> pd.DataFrame:
    left, right = visits(rows)
    left["at"] = np.arange(len(left))
    # Unlike nodes, pandas finds a missing key where there is one.
    return left.merge(right, on="patient", how=how, validate="many_to_one").sort_values("at")  # type: ignore[arg-type]


def task(tables: dict[str, Table], execute: Callable[..., Any], **more: Any) -> HorizontalAnalytics:
    class Task(HorizontalAnalytics):
        def dataset(self) -> dict[str, Table]:
            return tables

        def execute(self, **frames: Any) -> Any:
            return execute(**frames)

    return Task("joined", min_clients=2, max_clients=3, **more)


def debug(task: Any, **data: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return delta.debug(task, **data)


@pytest.mark.parametrize("how", ["left", "inner"])
def test_a_joined_table_is_what_pandas_merges(how: Any) -> None:
    left, right = visits()
    table = VISITS.join(PATIENTS, on="patient", how=how)
    assert table.names == ["pressure", "age", "sex"]

    def execute(visits: Any) -> Any:
        old = visits[visits["age"] > 50]
        return (
            visits[["pressure", "age"]].mean(),
            visits["age"].count(),
            old["pressure"].sum(),
            visits.groupby("sex")["pressure"].mean(),
        )

    means, known, old, by_sex = debug(task({"visits": table}, execute), visits=left, patients=right)
    pooled = merged(how)
    pd.testing.assert_series_equal(means, pooled[["pressure", "age"]].mean(), rtol=1e-6)
    assert known == pooled["age"].count()
    assert old == pytest.approx(pooled.loc[pooled["age"] > 50, "pressure"].sum(), rel=1e-6)
    np.testing.assert_allclose(by_sex.to_numpy()[:2], pooled.groupby("sex")["pressure"].mean().to_numpy(), rtol=1e-6)


def test_each_member_looks_up_in_its_own_table() -> None:
    left, right = visits()
    halves = [left.iloc[:60], left.iloc[60:]]
    others = [right, right.assign(age=right["age"] + 100)]
    table = VISITS.join(PATIENTS, on="patient", columns=["age"])
    mean = debug(task({"v": table}, lambda v: v["age"].mean()), parts=2, visits=halves, patients=others)
    pooled = pd.concat([a.merge(b, on="patient") for a, b in zip(halves, others, strict=True)])
    assert mean == pytest.approx(pooled["age"].mean(), rel=1e-9)


def test_a_manifest_says_what_is_joined() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    other = Table("p.csv", columns=["age"])
    table = VISITS.join(other, on="patient", right_on="id", how="inner")
    bundle = task({"v": table}, lambda v: v["age"].sum()).build()
    datasets = bundle.manifest["datasets"]
    assert datasets == {
        "visits.csv": {
            "kind": "table",
            "columns": ["pressure"],
            "joins": [{"dataset": "p.csv", "key": "patient", "right_key": "id", "how": "inner", "columns": ["age"]}],
        },
        "p.csv": {"kind": "table", "columns": ["age"]},
    }
    jsonschema.validate(bundle.manifest, json.loads((ROOT / "docs" / "task.schema.json").read_text()))
    told = bundle.describe()
    assert "joined by patient as id with each member's dataset p.csv: age, without rows that find none" in told
    assert "Class: controlled" in told


def test_several_datasets_are_read_by_one_task() -> None:
    left, right = visits()
    tables = {"visits": VISITS.join(PATIENTS, on="patient", columns=["age"]), "patients": PATIENTS}
    found = debug(
        task(tables, lambda visits, patients: (visits["age"].mean(), patients["age"].mean(), patients["age"].count())),
        visits=[left, left],
        patients=[right, right],
        parts=2,
    )
    assert found[0] == pytest.approx(merged("left")["age"].mean(), rel=1e-9)
    assert found[1] == pytest.approx(right["age"].mean(), rel=1e-9)
    assert found[2] == 2 * len(right)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"on": ""}, "must be the name of one column"),
        ({"on": ["a", "b"]}, "must be the name of one column"),
        ({"how": "outer"}, "nodes join 'left' and 'inner'"),
        ({"columns": ["height"]}, "no column 'height'"),
        ({"columns": "age"}, "a list of names"),
        ({"columns": []}, "does nothing"),
        ({"other": Table("p.csv", ["pressure"])}, "two columns would be called 'pressure'"),
        ({"other": Table("p.csv", ["patient", "age"], levels={"patient": ["a"]})}, "another type"),
        ({"other": Table("p.csv", ["age"]).join(Table("q.csv", ["city"]), on="id")}, "joins of its own"),
    ],
)
def test_what_no_node_joins_is_refused(change: dict[str, Any], words: str) -> None:
    given = {"other": PATIENTS, "on": "patient"} | change
    with pytest.raises(ValueError, match=words):
        VISITS.join(**given)


def test_joins_of_samples_or_many_or_different_ones_are_refused() -> None:
    with pytest.raises(ValueError, match="these are samples"):
        Dataset("scans", shape=[1]).join(PATIENTS, on="id")
    table = VISITS
    for i in range(8):
        table = table.join(Table(f"{i}.csv", [f"c{i}"]), on="id")
    with pytest.raises(ValueError, match="at most 8"):
        table.join(Table("8.csv", ["c8"]), on="id")
    tables = {"a": VISITS.join(PATIENTS, on="patient"), "b": VISITS}
    with pytest.raises(ValueError, match="different joins"):
        task(tables, lambda a, b: a["age"].mean() + b["pressure"].mean()).build()


def test_frames_are_joined_where_tables_are_declared() -> None:
    def execute(visits: Any, patients: Any) -> Any:
        return visits.merge(patients, on="patient")["age"].mean()

    with pytest.raises(TypeError, match=r"dataset\(\).*\.join\("):
        task({"visits": VISITS, "patients": PATIENTS}, execute).build()


def joined(own: Any, others: Any, **more: Any) -> Any:
    """The number of rows that find one."""
    table = Table("a.csv", ["x"]).join(Table("b.csv", ["age"]), on="key")
    data = {"a": {"key": own, "x": np.arange(len(own))}, "b": {"key": others, "age": np.ones(len(others))}}
    twice = {name: [tables] * 2 for name, tables in data.items()}
    return debug(task({"a": table}, lambda a: a["age"].sum(), **more), parts=2, **twice) / 2


def test_keys_are_compared_as_nodes_compare_them() -> None:
    assert joined(["1", "01", "x"], ["x", "1"]) == 2
    assert joined([1.0, 2.0, np.nan], ["01", "", "3"]) == 1
    assert joined(["9007199254740993", "1"], ["9007199254740992", "1"]) == 1
    assert joined(np.array([2**53 + 1, 1]), np.array([2**53, 1])) == 1
    assert joined(["", "NA", None], [None, "1", "2"]) == 0
    for others, words in [(["1", "1.0"], "row 2 of b.csv has the key of row 1"), (["a"], "keys are texts in b.csv")]:
        with pytest.raises(ValueError, match=words):
            joined([1, 2], others)
    keys = [_cell(cell) for cell in ("7.0", "0.99999999999999999999", "1e2", True, 1.5)]
    assert keys == [(7.0, "7.0"), (None, "0.99999999999999999999"), (100.0, "1e2"), (None, "True"), (None, "1.5")]
    assert _alike([(1.0, "01"), None, (None, "a")]) == ["01", None, "a"]


def test_a_row_that_several_units_find_does_not_leave_unasked() -> None:
    left, right = visits()
    table = VISITS.join(PATIENTS, on="patient", columns=["age"])
    with pytest.warns(UserWarning, match="found by records of several units"):
        delta.debug(task({"v": table}, lambda v: v["age"].mean()), visits=left, patients=right)
    # One visit each, over different patients.
    once = left.dropna().drop_duplicates("patient")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        delta.debug(task({"v": table}, lambda v: v["age"].count()), parts=2, visits=once, patients=right)


def test_noise_is_for_persons_by_the_key() -> None:
    table = Table("visits.csv", ["patient", "pressure"]).join(PATIENTS, on="patient", columns=["age"])

    def of(**unit: Any) -> Any:
        privacy = delta.Privacy(epsilon=50.0, delta=1e-6, clip=200.0, **unit)
        return task({"v": table}, lambda v: v["age"].clip(0, 100).sum(), privacy=privacy)

    left, right = visits()
    found = debug(of(unit="patient"), visits=left, patients=pd.concat([right, right.assign(age=0.0)]), seed=1)
    assert np.isfinite(found)
    with pytest.raises(ValueError, match="protect persons by 'patient'"):
        of().build()


class Ill(LogitTask):
    how = "inner"

    def dataset(self) -> dict[str, Table]:
        table = Table("visits.csv", ["pressure", "ill"])
        return {"visits": table.join(PATIENTS, on="patient", how=self.how)}  # type: ignore[arg-type]

    def preprocess(self, visits: Any) -> Any:
        return visits[["pressure", "age"]], visits["ill"]


def test_a_regression_reads_a_joined_table() -> None:
    sm = pytest.importorskip("statsmodels.api")
    left, right = visits(300)
    pooled = merged("inner", 300)
    chance = 1 / (1 + np.exp(-(pooled["pressure"] - 120 + (pooled["age"] - 55) / 2) / 10))
    ill = (np.random.default_rng(1).random(len(pooled)) < chance).astype(float)
    left = left.assign(ill=0.0)
    left.loc[pooled["at"].to_numpy(), "ill"] = ill.to_numpy()
    bundle = Ill("ill").build()
    declared = bundle.manifest["datasets"]
    assert declared["visits.csv"]["columns"] == ["ill", "pressure"]
    assert declared["visits.csv"]["joins"][0]["columns"] == ["age"]
    result = debug(bundle, visits=left, patients=right)
    expected = sm.Logit(ill, pooled[["pressure", "age"]]).fit(disp=False)
    np.testing.assert_allclose(np.asarray(result.params), expected.params, rtol=1e-5)


class Learn(HorizontalLearning):
    def __init__(self) -> None:
        super().__init__("learn", 3, strategy=delta.task.FedAvg())
        torch.manual_seed(0)
        self.model = torch.nn.Linear(2, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)

    def dataset(self) -> Dataset:
        visits = Dataset("visits.csv", columns=["pressure"], target="ill", target_dtype="float32")
        return visits.join(PATIENTS, on="patient", how="inner", columns=["age"])

    def preprocess(self, x: Any, y: Any) -> Any:
        return (x - torch.tensor([120.0, 55.0])) / torch.tensor([10.0, 20.0]), y

    def make_train_dataloader(self, dataset: Any) -> Any:
        return DataLoader(dataset, batch_size=16, shuffle=True)

    def make_validate_dataloader(self, dataset: Any) -> Any:
        return DataLoader(dataset, batch_size=256)

    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            loss = torch.nn.functional.binary_cross_entropy_with_logits(self.model(x).squeeze(1), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def validate(self, dataloader: Any) -> Any:
        right, rows = 0, 0
        for x, y in dataloader:
            right += ((self.model(x).squeeze(1) > 0) == (y > 0.5)).sum()
            rows += y.shape[0]
        return {"accuracy": right / rows}


def test_learning_reads_a_joined_table() -> None:
    left, right = visits(600)
    pooled = merged("left", 600)
    left = left.assign(ill=(pooled["pressure"] - 120 + (pooled["age"] - 55) / 2 > 0).to_numpy().astype(float))
    bundle = Learn().build()
    assert bundle.manifest["datasets"]["visits.csv"]["columns"] == ["pressure", "ill"]
    result = debug(bundle, visits=left, patients=right)
    assert result.metrics["accuracy"] > 0.8


def test_drafts_declare_joins() -> None:
    draft = m.Draft("d", Strategy(min_clients=2, max_clients=2))
    draft.table("a.csv", ["x"])
    with pytest.raises(ValueError, match=r"no table 'b\.csv'"):
        draft.join("a.csv", "b.csv", "id", [])
    draft.table("b.csv", ["y", "z"])
    draft.join("a.csv", "b.csv", "id", ["y"])
    draft.join("a.csv", "b.csv", "id", ["z", "y"])
    assert draft.datasets["a.csv"]["joins"] == [{"dataset": "b.csv", "key": "id", "how": "left", "columns": ["y", "z"]}]
    with pytest.raises(ValueError, match="already, as 'left'"):
        draft.join("a.csv", "b.csv", "id", ["y"], how="inner")
    with pytest.raises(ValueError, match="does not declare a column 'w'"):
        draft.join("a.csv", "b.csv", "id", ["w"])


def test_a_check_looks_for_keys_as_well() -> None:
    def columns(*names: str) -> dict[str, Column]:
        return {
            n: Column(n, "category" if n == "sex" else "integer", levels=("f", "m") if n == "sex" else ())
            for n in names
        }

    def told(own: dict[str, Column], other: dict[str, Column]) -> tuple[str, ...]:
        listings = {"visits.csv": Listing("visits.csv", columns=own), "p.csv": Listing("p.csv", columns=other)}
        node = Node("0x1", "a", "http://a", None, False, False, "published", "", ("once", "records"), listings)
        (verdict,) = check(bundle.manifest, Nodes([node])).verdicts
        return verdict.reasons

    other = Table("p.csv", ["age", "sex"], levels={"sex": ["f", "m"]})
    table = VISITS.join(other, on="patient", right_on="id")
    bundle = task({"v": table}, lambda v: (v["age"].sum(), v["sex"].value_counts())).build()
    assert told(columns("patient", "pressure"), columns("id", "age", "sex")) == ()
    (lacking,) = told(columns("pressure"), columns("id", "age", "sex"))
    assert 'column "patient", by which the task joins, is not in visits.csv' in lacking
    keyless, blind = told(columns("patient", "pressure"), columns("patient", "sex"))
    assert 'column "id", by which the task joins, is not in p.csv' in keyless
    assert 'column "age" is not in p.csv' in blind


def test_nodes_join_as_pandas_does(network: Network) -> None:
    left, right = visits(900)
    left["ill"] = (left["pressure"] > 120).astype(float)
    parts = [left.iloc[:300], left.iloc[300:550], left.iloc[550:]]
    # Each node has its own patients.
    others = [right, right.assign(age=right["age"] + 1), right.iloc[::2]]
    for folder, mine, other in zip(network.folders, parts, others, strict=True):
        mine.to_csv(folder / "visits.csv", index=False, sep=";")
        other.to_csv(folder / "patients.csv", index=False)
    pooled = pd.concat([a.merge(b, on="patient", how="left") for a, b in zip(parts, others, strict=True)])
    pooled.loc[pooled["patient"].isna(), "age"] = np.nan
    node = network.node

    def of_three(task: Any) -> Any:
        task.strategy.min_clients = task.strategy.max_clients = 3
        return task

    def run(task: Any) -> Any:
        number = node.create_task(of_three(task))
        logs = "\n".join(r["message"] for r in node.logs(number))
        assert node.wait(number, timeout=120, progress=False), node.progress(number).error + logs
        return node.get_result(number)

    table = VISITS.join(PATIENTS, on="patient", columns=["age"])
    tables = {"visits": table, "patients": PATIENTS}
    mean, known, patients = run(
        task(tables, lambda visits, patients: (visits["age"].mean(), visits["age"].count(), patients["age"].count()))
    )
    assert mean == pytest.approx(pooled["age"].mean(), rel=1e-9)
    assert (known, patients) == (pooled["age"].count(), sum(map(len, others)))
    inner = VISITS.join(PATIENTS, on="patient", how="inner", columns=["sex"])
    counts = run(task({"visits": inner}, lambda visits: (visits["sex"].value_counts(), visits["pressure"].sum())))
    found = pooled.dropna(subset=["age"])
    assert counts[0].to_dict() == {**found["sex"].value_counts().to_dict(), "other": 0}
    assert counts[1] == pytest.approx(found["pressure"].sum(), rel=1e-9)
    ill = run(Ill("ill"))
    here = debug(of_three(Ill("ill")), visits=parts, patients=others)
    np.testing.assert_allclose(np.asarray(ill.params), np.asarray(here.params), rtol=1e-9)
    learnt, rehearsed = run(Learn()), debug(of_three(Learn()), visits=parts, patients=others)
    for name, value in learnt.parameters.items():
        np.testing.assert_allclose(value, rehearsed.parameters[name], rtol=1e-4, atol=1e-5, err_msg=name)
