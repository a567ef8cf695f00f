"""Catalogues, mock rows and checks, against answers as nodes give them; real nodes come in test_catalogue_example.py."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

import delta
import delta.dataset
from delta.network import Column
from delta.task import HorizontalAnalytics

PATIENTS = {
    "name": "patients.csv",
    "description": "Patients of ward 3",
    "rows": {"about": 500},
    "columns": [
        {"name": "id", "type": "integer", "role": "identifier"},
        {"name": "age", "type": "integer", "unit": "years", "range": ["0", "120"], "role": "quasi"},
        {"name": "sex", "type": "category", "levels": ["f", "m"]},
        {"name": "stage", "type": "category", "levels": ["1", "2", "3"]},
        {"name": "hba1c", "type": "float", "range": ["20", "200"], "missing": "0.25"},
        {"name": "smokes", "type": "boolean", "missing": "0.1"},
        {"name": "seen", "type": "date", "range": ["2020-01-01", "2020-01-31"], "missing": "0.5"},
        {"name": "note", "type": "string"},
        {"name": "untold"},
    ],
    "terms": {"approval": "controlled"},
}
SCANS = {"name": "scans", "samples": {"shape": [1, 4, 4], "classes": ["a", "b"], "range": ["0", "255"]}}
DRIVERS = ["once", "batches", "records", "solve"]


def node(number: int, *datasets: Any, state: str = "published", **more: Any) -> dict[str, Any]:
    told = {
        "address": f"0x{number}",
        "name": f"node-{number}",
        "url": "http://n",
        "organisation": None,
        "vouched": False,
    }
    told |= {
        "own": False,
        "state": state,
        "detail": None,
        "issued_at": 1,
        "drivers": DRIVERS,
        "datasets": list(datasets),
    }
    return told | more


def network(*nodes: dict[str, Any], unasked: int = 0) -> delta.Network:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/network/datasets"
        return httpx.Response(200, json={"nodes": nodes, "unasked": unasked})

    return delta.Network("http://node", client=httpx.Client(transport=httpx.MockTransport(answer)))


def without(column: str) -> dict[str, Any]:
    return PATIENTS | {"columns": [c for c in PATIENTS["columns"] if c["name"] != column]}  # type: ignore[index, attr-defined]


class Ages(HorizontalAnalytics):
    columns = ("age", "hba1c")

    def __init__(self, **more: Any) -> None:
        super().__init__("ages", **({"min_clients": 2, "max_clients": 3} | more))

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"patients": delta.dataset.DataFrame("patients.csv", columns=list(self.columns))}

    def execute(self, patients: Any) -> Any:
        return patients.mean()


def test_datasets_are_told_as_nodes_publish_them() -> None:
    few = without("hba1c") | {"rows": {"fewer_than": 100}}
    found = network(node(1, PATIENTS, SCANS), node(2, few), node(3, state="away", detail="it is silent")).datasets()
    assert list(found) == ["patients.csv", "scans"]
    assert list(found["patients.csv"].listings) == ["0x1", "0x2"]
    text = str(found)
    for part in ("Patients of ward 3", "about 500 rows", "fewer than 100 rows", "age: integer; in years; 0 to 120"):
        assert part in text
    assert "not at node-2" in text and "samples of shape [1, 4, 4] in 2 classes" in text
    assert str(network().datasets()) == "no node publishes anything"


def test_columns_say_what_nodes_say_alike() -> None:
    other = PATIENTS | {
        "columns": [
            {"name": "age", "type": "float", "unit": "months", "range": ["-5", "99.5"]},
            {"name": "sex", "type": "string"},
            {"name": "stage", "type": "category", "levels": ["3", "4"]},
        ]
    }
    columns = network(node(1, PATIENTS), node(2, other)).columns("patients.csv")
    assert columns["age"] == Column("age", "float", range=("-5", "120"))
    assert columns["sex"].type is None
    assert columns["stage"].levels == ("1", "2", "3", "4")
    assert columns["hba1c"].lacking == ("node-2",)
    with pytest.raises(ValueError, match=r"no node publishes visits.csv; published: patients.csv"):
        network(node(1, PATIENTS)).columns("visits.csv")
    with pytest.raises(ValueError, match="no node says"):
        network(node(1, {"name": "patients.csv"})).columns("patients.csv")


def test_what_other_nodes_are_called_changes_no_terminal() -> None:
    (found,) = network(node(1, PATIENTS, name="\x1b[2Jgood", organisation="a\nb")).nodes()
    assert (found.name, found.organisation) == ("[2Jgood", "ab")
    assert str(found) == '"[2Jgood" (says ab)'
    (found,) = network(node(1, PATIENTS, organisation="Hospital", vouched=True)).nodes()
    assert str(found) == "node-1 (Hospital)"


def test_mock_rows_are_what_could_be_and_the_same_for_a_seed(tmp_path: Path) -> None:
    here = network(node(1, PATIENTS))
    rows = here.mock("patients.csv", rows=2000, seed=3)
    assert {name: column.dtype.kind for name, column in rows.items()} == {
        "id": "i",
        "age": "i",
        "sex": "O",
        "stage": "i",
        "hba1c": "f",
        "smokes": "f",
        "seen": "M",
        "note": "O",
        "untold": "f",
    }
    assert len(set(rows["id"])) == 2000 and set(rows["stage"]) == {1, 2, 3}
    assert 0 <= rows["age"].min() < 10 and 110 < rows["age"].max() <= 120
    assert np.nanmin(rows["hba1c"]) >= 20 and np.nanmax(rows["hba1c"]) <= 200
    assert np.isnan(rows["hba1c"]).mean() == pytest.approx(0.25, abs=0.05)
    assert np.isnat(rows["seen"]).mean() == pytest.approx(0.5, abs=0.05)
    assert set(np.unique(rows["smokes"][~np.isnan(rows["smokes"])])) == {0, 1}
    again, other = here.mock("patients.csv", rows=2000, seed=3), here.mock("patients.csv", rows=2000)
    pd.testing.assert_frame_equal(rows.frame(), again.frame())
    assert not (rows["age"] == other["age"]).all()
    # A column does not depend on the others.
    fewer = network(node(1, without("hba1c"))).mock("patients.csv", rows=2000, seed=3)
    np.testing.assert_array_equal(fewer["age"], rows["age"])
    rows.save(tmp_path / "patients.csv")
    read = pd.read_csv(tmp_path / "patients.csv", parse_dates=["seen"])
    np.testing.assert_allclose(read["hba1c"], rows["hba1c"])
    assert read["age"].dtype.kind == "i"
    with pytest.raises(ValueError, match="above 0"):
        here.mock("patients.csv", rows=0)


def test_mock_samples_have_the_shape_and_the_classes() -> None:
    x, y = network(node(1, SCANS)).mock("scans", rows=50)
    assert x.shape == (50, 1, 4, 4) and x.dtype == np.float32 and set(y) == {0, 1}
    assert x.min() >= 0 and x.max() <= 255 and (x == x.round()).all()
    plain = {"name": "scans", "samples": {"shape": [3], "range": ["0", "0.5"]}}
    x = network(node(1, plain)).mock("scans", rows=50)
    assert x.shape == (50, 3) and x.max() <= 0.5


def test_a_task_runs_on_mock_rows() -> None:
    rows = network(node(1, PATIENTS)).mock("patients.csv", rows=300)
    mean = delta.debug(Ages(), patients=rows)
    assert mean["age"] == pytest.approx(rows["age"].mean())
    assert mean["hba1c"] == pytest.approx(np.nanmean(rows["hba1c"]))


def test_a_missing_column_is_told_with_those_that_are_there() -> None:
    found = Ages().check(network(node(1, PATIENTS), node(2, without("hba1c")), node(3, state="nothing")))
    assert [v.can for v in found.verdicts] == [True, False, None]
    assert found.verdicts[1].reasons == (
        'column "hba1c" is not in patients.csv (it has: id, age, sex, stage, smokes, seen, note, untold)',
    )
    assert not found and not found.enough and not found.too_few
    text = str(found)
    assert "needs 2 members; by what nodes publish 1 can run it, 1 cannot, 1 does not say" in text
    assert "node-3 does not say: it publishes nothing" in text
    assert Ages().build().check(network(node(1, PATIENTS), node(2, PATIENTS)))


def test_many_columns_are_told_the_similar_ones_first() -> None:
    wide = {
        "name": "patients.csv",
        "columns": [{"name": f"c{i}"} for i in range(40)] + [{"name": "hba1"}, {"name": "age"}],
    }
    (reason,) = Ages().check(network(node(1, wide))).verdicts[0].reasons
    assert "(it has: hba1, " in reason and reason.endswith("and 30 more)")


def test_what_else_a_node_cannot_is_told() -> None:
    def reasons(listing: dict[str, Any], task: Any = None, **more: Any) -> str:
        (verdict,) = (task or Ages()).check(network(node(1, listing, **more))).verdicts
        assert verdict.can is False
        return "; ".join(verdict.reasons)

    class Texts(Ages):
        columns = ("sex", "seen", "note", "stage")

    assert reasons(PATIENTS, Texts()).count("the task reads numbers") == 3
    assert "called patients.csv" in reasons(PATIENTS, _renamed("patients"))
    assert "is no table" in reasons(SCANS | {"name": "patients.csv"})
    assert "driver records" in reasons(PATIENTS, drivers=["once"])
    assert "no task may read" in reasons(PATIENTS | {"terms": {"approval": "never"}})
    assert "is of kind statistics" in reasons(PATIENTS | {"terms": {"approval": "ask", "kinds": ["learning"]}})
    assert "wants 5 members" in reasons(PATIENTS | {"terms": {"approval": "ask", "members": 5}})
    assert "any more" in reasons(PATIENTS | {"terms": {"approval": "ask", "until": 1}})


def _renamed(dataset: str) -> Any:
    class Renamed(Ages):
        def dataset(self) -> dict[str, delta.dataset.DataFrame]:
            return {"patients": delta.dataset.DataFrame(dataset, columns=["age"])}

    return Renamed()


def test_an_owner_who_is_asked_and_one_who_is_not() -> None:
    asking = PATIENTS | {"terms": {"approval": "ask"}}
    found = Ages().check(network(node(1, PATIENTS), node(2, asking), node(3, PATIENTS | {"terms": None})))
    assert found and [v.asks for v in found.verdicts] == [False, True, False]
    assert "node-2 can run, once its owner has agreed" in str(found)


def test_samples_are_compared_by_shape_and_classes() -> None:
    from delta._catalogue import nodes as read
    from delta._check import check

    def verdict(shape: list[int], classes: list[str], listing: dict[str, Any] = SCANS) -> Any:
        draft = {"datasets": {"scans": {"kind": "samples", "shape": shape, "classes": classes}}, "rounds": []}
        answer = httpx.Response(200, content=json.dumps({"nodes": [node(1, listing)]}))
        return check(draft, read(answer)).verdicts[0]

    assert verdict([1, 4, 4], ["x", "y"]).can
    assert "have shape [1, 4, 4], the task says [1, 8, 8]" in verdict([1, 8, 8], ["x", "y"]).reasons[0]
    assert "2 classes, the task says 3" in verdict([1, 4, 4], ["x", "y", "z"]).reasons[0]
    assert verdict([1, 4, 4], [], {"name": "scans"}).can is None
    assert "is a table" in verdict([1, 4, 4], [], PATIENTS | {"name": "scans"}).reasons[0]


def test_submission_warns_when_too_few_can_run_it_and_submits_all_the_same() -> None:
    def client(*nodes: dict[str, Any], status: int = 200, unasked: int = 0) -> delta.DeltaNode:
        def answer(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/v1/task":
                return httpx.Response(200, json={"task_id": 7})
            return httpx.Response(status, json={"nodes": nodes, "unasked": unasked})

        return delta.DeltaNode("http://node", client=httpx.Client(transport=httpx.MockTransport(answer)))

    lacking = [node(i, without("hba1c")) for i in range(3)]
    with pytest.warns(delta.CatalogueWarning, match='column "hba1c" is not in patients.csv'):
        assert client(*lacking).create_task(Ages()) == 7
    with warnings.catch_warnings():
        warnings.simplefilter("error", delta.CatalogueWarning)
        assert client(*lacking).create_task(Ages(), check=False) == 7
        assert client(node(1, PATIENTS), *lacking[:1], node(3, state="nothing")).create_task(Ages()) == 7
        assert client(status=404).create_task(Ages()) == 7
        # Who was not asked may be able to.
        assert client(*lacking, unasked=2).create_task(Ages()) == 7
        assert (
            client(node(1, without("hba1c")), node(2, PATIENTS | {"terms": {"until": "x"}}), 7).create_task(Ages()) == 7
        )


def _age(**more: Any) -> dict[str, Any]:
    return PATIENTS | {"columns": [{"name": "age", "type": "category", **more}, {"name": "hba1c"}]}


@pytest.mark.parametrize("levels", [["1e30"], ["1" * 60], ["inf", "1"], ["nan"], ["1_000", "2"], ["9007199254740992"]])
def test_levels_beyond_numbers_are_texts_and_stop_nobody(levels: list[str]) -> None:
    here = network(node(1, PATIENTS), node(2, PATIENTS), node(3, _age(levels=levels)))
    found = Ages().check(here)
    assert found and [v.can for v in found.verdicts] == [True, True, False]
    assert "has texts" in found.verdicts[2].reasons[0]
    assert set(network(node(3, _age(levels=levels))).mock("patients.csv")["age"]) <= {*levels}


@pytest.mark.parametrize(
    "told",
    [
        _age(missing="much"),
        _age(levels=7),
        {"name": "patients.csv", "columns": [{}]},
        {"name": "patients.csv", "columns": 5},
        {"name": "patients.csv", "rows": {"about": "many"}},
        PATIENTS | {"terms": {"until": "tomorrow"}},
        PATIENTS | {"terms": 5},
        {"name": "patients.csv", "samples": {"shape": ["inf"]}},
        7,
    ],
    ids=range(9),
)
def test_what_cannot_be_read_of_a_node_is_told_of_that_node(told: Any) -> None:
    here = network(node(1, PATIENTS), node(2, PATIENTS), node(3, told))
    found = Ages().check(here)
    assert [v.can for v in found.verdicts] == [True, True, None]
    assert "cannot be" in found.verdicts[2].reasons[0] and str(found)
    assert str(here.nodes()) and str(here.datasets())


def test_nobody_is_listed_in_the_place_of_another() -> None:
    vouched = node(1, PATIENTS, name="Univ", organisation="Univ", vouched=True)
    here = network(
        node(4, without("age"), name="Univ", organisation="Univ"),
        node(3, without("sex"), name="0x1"),
        vouched,
        node(2, PATIENTS, name="Univ (Univ)"),
        node(5, PATIENTS, name="Univ"),
        node(6, PATIENTS, name="UNIV", own=True),
    )
    names = [str(n) for n in here.nodes()]
    assert names == ["Univ (says Univ)", "0x1", "Univ (Univ)", '"Univ (Univ)"', "Univ", "UNIV"]
    found = here.datasets()["patients.csv"]
    # The asked node's first, then those that are vouched for.
    assert list(found.listings) == ["0x6", "0x1", "0x4", "0x3", "0x2", "0x5"]
    assert "age" in (found.listings["0x1"].columns or {})
    assert found.columns["sex"].lacking == ("0x1 [0x3]",)
    assert found.columns["age"].lacking == ("Univ (says Univ)",)
    for shown in ("at Univ (Univ):", "at 0x1 [0x3]:", "at Univ [0x5]:", "at UNIV [0x6]:"):
        assert shown in str(found)


def test_texts_of_others_change_no_terminal() -> None:
    listing = PATIENTS | {
        "description": "a\x1b[2Jb",
        "columns": [{"name": "c\x1b", "description": "\n", "levels": ["\r"]}],
    }
    for text in (here := network(node(1, listing))).datasets(), here.nodes(), Ages().check(here):
        assert str(text).replace("\n", "").isprintable()


def test_nodes_that_were_not_asked_are_counted() -> None:
    here = network(node(1, without("hba1c")), node(2, state="away", detail="it is silent"), unasked=300)
    assert here.nodes().unasked == here.datasets().unasked == 300
    for text in (here.nodes(), here.datasets()):
        assert str(text).endswith("300 more nodes are on record and not asked")
    assert "node-1: publishes: patients.csv" in str(here.nodes()) and "node-2: it cannot be asked: it is" in str(
        here.nodes()
    )
    found = Ages().check(here)
    assert "0 can run it, 1 cannot, 301 do not say" in str(found) and str(found).endswith("on record and not asked")
    assert not found and not found.too_few
    assert Ages().check(network(node(1, without("hba1c")))).too_few


def test_mock_samples_of_a_stranger_are_bounded() -> None:
    def scans(number: int, *shape: int, **more: Any) -> dict[str, Any]:
        return node(number, {"name": "scans", "samples": {"shape": list(shape)}}, **more)

    for shape, why in (
        ((60000, 60000), "GiB"),
        ((4294967295,) * 8, "GiB"),
        ((1,) * 40, "dimensions"),
        ((3, 0), "above 0"),
    ):
        with pytest.raises(ValueError, match=rf"evil: scans publishes samples of shape .*{why}"):
            network(scans(1, *shape, name="evil")).mock("scans")
    here = network(scans(1, 60000, 60000), scans(2, 2, 2, vouched=True), scans(3, 5))
    assert here.mock("scans").shape == (200, 2, 2)
    assert network(scans(1, 9), scans(2, 8, vouched=True), scans(3, 7, own=True)).mock("scans").shape == (200, 7)
    with pytest.raises(ValueError, match="ask for fewer rows"):
        network(node(1, PATIENTS)).mock("patients.csv", rows=10**9)


@pytest.mark.parametrize(
    "ends", [["0", "inf"], ["5", "1"], ["a", "b"], ["nan", "1"], ["1990-01-01", "5"], ["-1e308", "1e308"]]
)
def test_ranges_that_are_none_are_left_out_of_mock_rows(ends: list[str]) -> None:
    kinds = ("integer", "float", "date")
    told = {"name": "t.csv", "columns": [{"name": kind, "type": kind, "range": ends} for kind in kinds]}
    rows = network(node(1, told, {"name": "s", "samples": {"shape": [2], "range": ends}})).mock("t.csv")
    assert rows["integer"].max() <= 100 and rows["float"].max() <= 100 and not np.isnat(rows["date"]).any()
