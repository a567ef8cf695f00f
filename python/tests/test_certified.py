"""Certificates as their files say: those of ``tests/vectors``, what certified regressions ask for, and one over real nodes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import delta
from conftest import ROOT, Network, program
from delta.certificate import Certificate
from delta.statsmodel import LinearTask, LogitTask, MNLogitTask, add_constant
from regression_cases import task as case

VECTORS = ROOT / "tests/vectors/certificate"
KNOWN = json.loads((VECTORS / "certificates.json").read_text())["certificates"]
BOUNDS = {"GPA": (0, 4), "TUCE": (0, 40), "PSI": (0, 1)}


class Spector(LogitTask):
    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"data": delta.dataset.DataFrame("spector.csv", columns=["GPA", "TUCE", "PSI", "GRADE"])}

    def preprocess(self, data: Any) -> Any:
        return add_constant(data.drop(columns="GRADE")), data["GRADE"]


def spector(**more: Any) -> Spector:
    given = {"min_clients": 3, "max_clients": 3, "enable_verify": True, "bounds": BOUNDS}
    return Spector("spector-certified", **(given | more))


@pytest.mark.parametrize("known", KNOWN, ids=lambda k: k["file"])
def test_a_file_is_read_as_it_is(known: dict[str, Any], tmp_path: Path) -> None:
    data = (VECTORS / known["file"]).read_bytes()
    read = Certificate.read(data)
    assert (read.rows, read.norm, read.holds) == (known["rows"], known["norm"], known["holds"])
    assert read.members == read.commitments == known["members"]
    read.save(tmp_path / "one.certificate")
    assert (tmp_path / "one.certificate").read_bytes() == data
    for shown in (str(read), read._repr_html_()):
        assert next(iter(known["members"])) in shown and ("NOT certified" in shown) is not known["holds"]


@pytest.mark.parametrize("cut", [0, 9, 40, 200, -1])
def test_what_is_cut_short_is_none(cut: int) -> None:
    data = (VECTORS / KNOWN[0]["file"]).read_bytes()
    with pytest.raises(ValueError, match="certificate: "):
        Certificate.read(data[:cut])


def test_a_certified_regression_has_a_last_round_that_proves() -> None:
    bundle = spector(verify_tolerance=1e-3).build()
    *_, last = bundle.manifest["rounds"]
    assert last["certify"]["columns"][0] == {"name": "GPA", "low": 0.0, "high": 4.0}
    assert (last["certify"]["intercept"], last["certify"]["tolerance"]) == (0, 1e-3)
    assert last["cohort"] == "same" and last["map"]["contribute"] == []
    assert "enable_verify" not in bundle.manifest
    plain = spector(enable_verify=False, bounds=None).build()
    assert [r for r in bundle.manifest["rounds"] if r is not last] == plain.manifest["rounds"]


def test_its_description_tells_what_members_show() -> None:
    told = spector().build().describe()
    for line in (
        "sums nothing: proves that params is the logistic regression on the rows that the graph makes",
        "and there are at most 131072: GPA from 0 to 4, TUCE from 0 to 40, PSI from 0 to 1",
        "leaves the node, masked: what params leaves open on the rows, 5 numbers, with a proof",
        "the number of rows that the task counts, rounded up to a power of two",
    ):
        assert line in told, told
    assert "Class: free" in told and "who takes part tells" in told and "It runs unasked" not in told


def test_it_is_rehearsed_as_any_other() -> None:
    rows = sm.datasets.spector.load_pandas().data
    expected = sm.Logit(rows["GRADE"], sm.add_constant(rows[["GPA", "TUCE", "PSI"]])).fit(disp=False)
    mine = delta.debug(spector(), data=rows, parts=3, show=False)
    np.testing.assert_allclose(mine.params, expected.params, atol=1e-6)
    assert mine.certificate is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bounds": None}, "needs bounds"),
        ({"bounds": {"GPA": (0, 4), "TUCE": (0, 40)}}, "PSI of x have none"),
        ({"bounds": BOUNDS | {"AGE": (0, 1)}}, "AGE: no column of x"),
        ({"bounds": BOUNDS | {"GPA": (4, 0)}}, "the first must be below"),
        ({"bounds": BOUNDS | {"GPA": 4}}, "must be two numbers"),
        ({"bounds": BOUNDS | {"GPA": (0, float("inf"))}}, "both finite"),
        ({"bounds": BOUNDS | {"GPA": (0, 5e-324)}}, "the first must be below"),
        ({"verify_tolerance": 9e-6}, "1e-5 at least"),
        ({"verify_tolerance": 0.2}, "0.1 at most"),
        ({"max_clients": 1001}, "1,000 members at most"),
        ({"enable_verify": False}, "bounds are for enable_verify=True"),
        ({"privacy": delta.Privacy(epsilon=1, delta=1e-6, clip=1, unit="record")}, "under noise"),
    ],
)
def test_what_cannot_be_certified_is_refused_with_its_reason(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        spector(**given).build()


class Bare(Spector):
    def preprocess(self, data: Any) -> Any:
        return data.drop(columns="GRADE"), data["GRADE"]


def test_without_a_constant_nothing_is_certified() -> None:
    with pytest.raises(ValueError, match="x must have one constant"):
        Bare("bare", min_clients=2, max_clients=3, enable_verify=True, bounds=BOUNDS).build()


def test_other_regressions_are_not_proven_yet() -> None:
    with pytest.raises(ValueError, match="nodes prove logistic and linear regressions"):
        case(MNLogitTask, ["a", "y"], "y", enable_verify=True, bounds=BOUNDS, n_classes=2)


class Grades(LinearTask):
    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"data": delta.dataset.DataFrame("spector.csv", columns=["GPA", "TUCE", "PSI"])}

    def preprocess(self, data: Any) -> Any:
        return add_constant(data.drop(columns="GPA")), data["GPA"]


def grades(**more: Any) -> Grades:
    given = {"min_clients": 3, "max_clients": 3, "enable_verify": True, "bounds": BOUNDS}
    return Grades("grades-certified", **(given | more))


def test_a_linear_regression_says_what_its_label_is() -> None:
    bundle = grades().build()
    assert bundle.manifest["type"] == "hlr"
    certify = bundle.manifest["rounds"][-1]["certify"]
    assert (certify["model"], certify["label"]) == ("linear", {"name": "GPA", "low": 0.0, "high": 4.0})
    assert [c["name"] for c in certify["columns"]] == ["TUCE", "PSI"]
    told = bundle.describe()
    assert "params is the linear regression" in told and "TUCE from 0 to 40, PSI from 0 to 1, GPA from 0 to 4" in told
    assert "label" not in spector().build().manifest["rounds"][-1]["certify"]
    plain = Grades("plain", min_clients=2, max_clients=3).build()
    assert plain.manifest["type"] == "horizontal"
    with pytest.raises(ValueError, match="GPA, which is y, has none"):
        grades(bounds={"TUCE": (0, 40), "PSI": (0, 1)}).build()


class Ridge(Grades):
    def options(self) -> dict[str, Any]:
        return {"ridge_factor": 0.1}


def test_a_ridge_is_not_what_a_certificate_is_about() -> None:
    with pytest.raises(ValueError, match="not that of least squares"):
        Ridge("ridge", min_clients=2, max_clients=3, enable_verify=True, bounds=BOUNDS).build()


def test_the_spector_regression_is_confirmed_over_nodes(network: Network, tmp_path: Path) -> None:
    rows: pd.DataFrame = network.pooled("spector.csv")
    expected = sm.Logit(rows["GRADE"], sm.add_constant(rows[["GPA", "TUCE", "PSI"]])).fit(disp=False)
    node = network.node
    task = spector(connection_timeout=20, wait_timeout=60)
    task_id = node.create_task(task)
    assert node.wait(task_id, timeout=180, progress=False)
    assert node.status(task_id) == "CONFIRMED", "\n".join(r["message"] for r in node.logs(task_id))
    result = node.get_result(task_id)
    np.testing.assert_allclose(result.params, expected.params, atol=1e-4)
    certificate = result.certificate
    assert certificate is not None and certificate.holds and certificate.norm < 1e-5
    assert (certificate.rows, len(certificate.members)) == (len(rows), 3)
    np.testing.assert_allclose(certificate.coefficients, np.roll(expected.params, -1), atol=1e-4)
    certificate.save(tmp_path / "spector.certificate")
    checked = subprocess.run([program(), "verify", tmp_path / "spector.certificate"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    for address, commitment in certificate.members.items():
        assert f"member {address}: table {commitment}" in checked.stdout


def test_a_linear_regression_is_confirmed_over_nodes(network: Network) -> None:
    rows: pd.DataFrame = network.pooled("spector.csv")
    expected = sm.OLS(rows["GPA"], sm.add_constant(rows[["TUCE", "PSI"]])).fit()
    node = network.node
    task_id = node.create_task(grades(connection_timeout=20, wait_timeout=60))
    assert node.wait(task_id, timeout=180, progress=False)
    assert node.status(task_id) == "CONFIRMED", "\n".join(r["message"] for r in node.logs(task_id))
    result = node.get_result(task_id)
    np.testing.assert_allclose(result.params, expected.params, atol=1e-8)
    certificate = result.certificate
    assert certificate is not None and certificate.holds and certificate.norm < 1e-5
    assert certificate.label == (0.0, 4.0) and "allowed 2.00e-04 in their unit" in str(certificate)
    np.testing.assert_allclose(certificate.coefficients, np.roll(expected.params, -1), atol=1e-4)
