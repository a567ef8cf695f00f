"""LogitTask equals statsmodels.Logit on the pooled rows."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import delta
from delta.statsmodel import GLMTask, LinearTask, LogitTask, MNLogitTask, ProbitTask, RegressionTask, add_constant
from regression_cases import LIKELIHOOD, agrees, fit, task

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def spector() -> pd.DataFrame:
    return sm.datasets.spector.load_pandas().data


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("parts", [2, 5])
def test_spector_equals_statsmodels(spector: pd.DataFrame, constant: bool, parts: int) -> None:
    mine = fit(LogitTask, spector, "GRADE", parts, constant=constant)
    x = spector.drop(columns="GRADE")
    theirs = sm.Logit(spector["GRADE"], sm.add_constant(x) if constant else x).fit(disp=0, tol=1e-12)
    agrees(mine, theirs, LIKELIHOOD)
    assert mine.converged
    assert mine.exog_names == (["const"] if constant else []) + ["GPA", "TUCE", "PSI"]


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("regression", ROOT / "python/examples/regression.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_finds_what_statsmodels_finds(spector: pd.DataFrame) -> None:
    theirs = sm.Logit(spector["GRADE"], sm.add_constant(spector.drop(columns="GRADE"))).fit(disp=0, tol=1e-12)
    agrees(example().local(), theirs, LIKELIHOOD)


def test_the_nodes_tests_run_what_the_example_builds() -> None:
    # Renew it: python examples/regression.py --save ../tests/fixtures/spector-records.delta
    kept = delta.Bundle.load(ROOT / "tests/fixtures/spector-records.delta")
    built = example().SpectorLogit().build()
    for bundle in (kept, built):
        del bundle.manifest["authoring"]
    # Graphs may be written in other words by another version; what they take, give and mean is in the manifest.
    assert kept.manifest == built.manifest
    assert kept.graphs.keys() == built.graphs.keys()


def test_what_an_earlier_version_built_still_runs(spector: pd.DataFrame) -> None:
    # Its map runs once on the whole table, and sends sums.
    found = delta.debug(delta.Bundle.load(ROOT / "tests/fixtures/spector-logit.delta"), data=spector)
    assert found.nobs == 32 and found.missing == 0


def test_incomes_and_rates_keep_their_digits() -> None:
    # Squares of incomes do not fit a sum of 8 decimals, and squares of rates are below its last digit.
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"income": rng.lognormal(11, 0.7, 3000), "rate": rng.normal(3e-5, 1e-5, 3000)})
    z = (data["income"] - 6e4) / 5e4 + (data["rate"] - 3e-5) * 5e4
    data["y"] = (rng.random(3000) < 1 / (1 + np.exp(-z))).astype(float)
    mine = fit(LogitTask, data, "y", options={"ridge_factor": 0.0})
    theirs = sm.Logit(data["y"], sm.add_constant(data[["income", "rate"]])).fit(disp=0, tol=1e-12, ridge_factor=0)
    agrees(mine, theirs, "params bse llf")
    # Of a p of 1e-29 every digit of t makes a hundred.
    agrees(mine, theirs, "pvalues", 1e-4)


def test_rows_with_missing_values_are_left_out_and_counted(spector: pd.DataFrame) -> None:
    holed = spector.copy()
    holed.loc[[0, 7, 31], "GPA"] = np.nan
    holed.loc[[7, 12], "GRADE"] = np.nan
    mine = fit(LogitTask, holed, "GRADE")
    theirs = sm.Logit(holed["GRADE"], sm.add_constant(holed.drop(columns="GRADE")), missing="drop").fit(
        disp=0, tol=1e-12
    )
    agrees(mine, theirs, LIKELIHOOD)
    assert mine.missing == 4
    with pytest.raises(
        ValueError, match=r"4 rows of all members have a missing value, and options say missing='raise'"
    ):
        fit(LogitTask, holed, "GRADE", options={"missing": "raise"})


@pytest.mark.parametrize("bad", [2.0, 0.5, -1.0, np.inf])
def test_other_values_of_y_stop_the_task_and_are_counted(spector: pd.DataFrame, bad: float) -> None:
    wrong = spector.copy()
    wrong.loc[[3, 30], "GRADE"] = bad
    rounds = []
    with pytest.raises(ValueError, match=r"2 rows of all members have a 'GRADE' that is not 0 or 1"):
        delta.debug(
            task(LogitTask, list(wrong.columns), "GRADE"), data=wrong, on_round=lambda n, metrics: rounds.append(n)
        )
    assert rounds == [1], "nobody computes further rounds for nothing"


def test_selected_rows_are_the_only_ones(spector: pd.DataFrame) -> None:
    mine = fit(
        LogitTask,
        spector,
        "GRADE",
        preprocess=lambda d: (lambda s: (add_constant(s[["GPA", "TUCE"]]), s["GRADE"]))(d[d["GPA"] > 2.8]),
    )
    some = spector[spector["GPA"] > 2.8]
    theirs = sm.Logit(some["GRADE"], sm.add_constant(some[["GPA", "TUCE"]])).fit(disp=0, tol=1e-12)
    agrees(mine, theirs, LIKELIHOOD)
    assert mine.missing == 0, "a row that is not selected is not a missing one"


def test_a_member_without_rows_changes_nothing(spector: pd.DataFrame) -> None:
    built = task(LogitTask, list(spector.columns), "GRADE")
    whole = delta.debug(built, data=[spector.iloc[:20], spector.iloc[20:]], parts=2)
    empty = delta.debug(built, data=[spector.iloc[:20], spector.iloc[20:20], spector.iloc[20:]], parts=3)
    np.testing.assert_allclose(empty.params, whole.params, rtol=1e-9)
    assert empty.nobs == 32


def test_nobody_has_a_row_that_counts(spector: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"no member has a row that counts \(32 have a missing value\)"):
        fit(LogitTask, spector.assign(GPA=np.nan), "GRADE")


def test_start_and_norm_lead_to_the_same_end(spector: pd.DataFrame) -> None:
    usual = fit(LogitTask, spector, "GRADE")
    for options in ({"ord": 1}, {"ord": 2}, {"ord": 3.5}, {"start_params": [-13.0, 2.8, 0.1, 2.4]}):
        other = fit(LogitTask, spector, "GRADE", options=options)
        np.testing.assert_allclose(other.params, usual.params, rtol=1e-8)
        assert other.converged
    assert other.iterations < usual.iterations


def test_the_norm_takes_absolute_values(spector: pd.DataFrame) -> None:
    # From this start all scores are negative: their largest is below any tolerance, though nothing has converged.
    far = fit(LogitTask, spector, "GRADE", constant=False, options={"start_params": [0.3, -0.05, 1.6]})
    assert far.iterations > 2
    np.testing.assert_allclose(far.params, fit(LogitTask, spector, "GRADE", constant=False).params, rtol=1e-8)


def test_too_few_steps_are_said(spector: pd.DataFrame) -> None:
    with pytest.warns(RuntimeWarning, match="did not converge in 2 steps"):
        mine = fit(LogitTask, spector, "GRADE", options={"maxiter": 2})
    assert not mine.converged and mine.iterations == 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sm.Logit(spector["GRADE"], sm.add_constant(spector.drop(columns="GRADE"))).fit(disp=0, maxiter=2)
    # What is reported belongs to the parameters that are reported.
    agrees(mine, theirs, "params bse llf", 1e-6)


def test_perfect_separation_is_said() -> None:
    data = pd.DataFrame({"x": np.arange(40.0), "y": (np.arange(40) > 19).astype(float)})
    with pytest.warns(RuntimeWarning, match="tell some classes apart"):
        fit(LogitTask, data, "y")


def test_dependent_columns_are_refused_without_a_ridge(spector: pd.DataFrame) -> None:
    # Dependent but for rounding.
    twice = spector.assign(again=spector["GPA"] * 0.1 + spector["TUCE"] * 0.7)
    said = "^column 'again' follows from 'const', 'GPA', 'TUCE', 'PSI', or is 0 in every row that counts"
    with pytest.raises(ValueError, match=said):
        fit(LogitTask, twice, "GRADE", options={"ridge_factor": 0.0})


@pytest.mark.parametrize(
    ("base", "more"),
    [(LinearTask, {}), (ProbitTask, {}), (MNLogitTask, {"n_classes": 2}), (GLMTask, {"family": "poisson"})],
)
def test_dependent_columns_are_named_by_all_regressions(
    spector: pd.DataFrame, base: type[RegressionTask], more: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="column 'again' follows from 'const', 'GPA', 'TUCE', 'PSI', or is 0"):
        fit(base, spector.assign(again=2 * spector["GPA"]), "GRADE", **more)
    with pytest.raises(
        ValueError, match=r"^column 'none' is 0 in every row that counts.*: leave it out, in preprocess"
    ):
        fit(base, spector[["GRADE"]].assign(none=0.0), "GRADE", constant=False, **more)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "bfgs"}, "method='bfgs' must be 'newton'"),
        ({"maxiter": 0}, "maxiter=0 must be 1 to 99999"),
        ({"tol": -1}, "tol=-1 must be a finite number"),
        ({"ord": 0}, "ord=0 must be a norm's order"),
        ({"missing": "none"}, "missing='none' must be 'drop', 'ignore' or 'raise'"),
        ({"start_params": [1.0]}, "start_params has 1 numbers, the model has 4 parameters"),
        ({"start_params": [np.nan] * 4}, "start_params=.* must be finite"),
        ({"max_iter": 3}, "there is no max_iter; there are maxiter"),
    ],
)
def test_options_that_cannot_work_are_refused_at_build(spector: pd.DataFrame, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(LogitTask, list(spector.columns), "GRADE", options=options).build()


@pytest.mark.parametrize(
    ("preprocess", "message"),
    [
        (lambda d: d, r"preprocess: return \(x, y\)"),
        (lambda d: (d[["GPA"]], d["GRADE"].sum()), "preprocess: "),
        (lambda d: (d[["GPA"]], d[d["GPA"] > 3]["GRADE"]), "select the same rows of the same table"),
        (lambda d: (d[["GPA"]], d[["GRADE", "PSI"]]), "y has 2 columns"),
        (lambda d: (d[["GPA"]] - d[["GPA"]].mean(), d["GRADE"]), "sum over all members"),
    ],
)
def test_what_does_not_fit_together_is_refused_at_build(preprocess, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(LogitTask, ["GPA", "PSI", "GRADE"], "GRADE", preprocess=preprocess).build()


def test_preprocess_takes_the_names_of_the_datasets() -> None:
    made = task(LogitTask, ["a", "y"], "y")
    made.dataset = lambda: {"students": delta.dataset.DataFrame("t.csv", columns=["a", "y"])}  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=r"preprocess\(\) must take the tables of dataset\(\), students: "):
        made.build()


def test_proofs_without_bounds_are_refused_when_the_task_is_made() -> None:
    with pytest.raises(ValueError, match="needs bounds"):
        task(LogitTask, ["a", "y"], "y", enable_verify=True)


def test_only_columns_that_are_used_are_read(spector: pd.DataFrame) -> None:
    bundle = task(LogitTask, list(spector.columns), "GRADE", preprocess=lambda d: (d["GPA"], d["GRADE"])).build()
    assert bundle.manifest["datasets"]["table.csv"]["columns"] == ["GPA", "GRADE"]
    assert bundle.manifest["type"] == "hlr"
    assert (
        bundle.data
        == task(LogitTask, list(spector.columns), "GRADE", preprocess=lambda d: (d["GPA"], d["GRADE"])).build().data
    ), "the same task is the same bytes"


def test_the_result_reads_like_statsmodels(spector: pd.DataFrame) -> None:
    mine = fit(LogitTask, spector, "GRADE")
    text = str(mine)
    for part in ("Logit", "GRADE", "const", "2.8261", "1.2629", "-12.89", "P>|z|"):
        assert part in text, text
    frame = mine.to_frame()
    assert list(frame.index) == ["const", "GPA", "TUCE", "PSI"]
    assert frame.loc["GPA", "coef"] == mine.params[1]
    np.testing.assert_array_equal(np.asarray(mine), mine.params)


def test_a_second_constant_is_refused() -> None:
    with pytest.raises(ValueError, match="there is a column 'const' already"):
        task(LogitTask, ["a", "y"], "y", preprocess=lambda d: (add_constant(add_constant(d)), d["y"])).build()


def test_a_constant_goes_in_front_or_behind() -> None:
    names = {}

    def look(d):
        names["front"], names["behind"] = (
            add_constant(d[["a", "b"]]).columns,
            add_constant(d["a"], prepend=False).columns,
        )
        return add_constant(d[["a"]]), d["y"]

    task(LogitTask, ["a", "b", "y"], "y", preprocess=look).build()
    assert names == {"front": ["const", "a", "b"], "behind": ["a", "const"]}
