"""LinearTask equals statsmodels.OLS on the pooled rows."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from delta.statsmodel import LinearTask
from regression_cases import LEAST_SQUARES, agrees, fit, task


def ols(data: pd.DataFrame, target: str, constant: bool = True, **arguments: str):
    x = data.drop(columns=target)
    return sm.OLS(data[target], sm.add_constant(x) if constant else x, **arguments).fit()


@pytest.mark.parametrize("constant", [True, False])
def test_longley_equals_statsmodels(constant: bool) -> None:
    # The classic that breaks normal equations: the condition number is 5e9.
    data = sm.datasets.longley.load_pandas().data
    agrees(fit(LinearTask, data, "TOTEMP", constant=constant), ols(data, "TOTEMP", constant), LEAST_SQUARES)


def test_random_rows_equal_statsmodels() -> None:
    rng = np.random.default_rng(7)
    data = pd.DataFrame(rng.normal(size=(400, 4)), columns=list("abcd"))
    data["y"] = data @ [1.0, -2.0, 0.0, 0.5] + 3 + rng.normal(size=400)
    mine = fit(LinearTask, data, "y", parts=7)
    agrees(mine, ols(data, "y"), LEAST_SQUARES)
    assert (mine.converged, mine.iterations) == (True, 2)


def test_dollars_equal_statsmodels() -> None:
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"year": rng.integers(1990, 2020, 5000) * 1.0, "score": rng.random(5000) * 1e-4})
    data["dollars"] = 3e6 * (data["year"] - 1980) + 1e11 * data["score"] + rng.normal(0, 1e6, 5000)
    agrees(fit(LinearTask, data, "dollars"), ols(data, "dollars"), LEAST_SQUARES)


def test_a_constant_hidden_in_the_columns_is_found() -> None:
    rng = np.random.default_rng(9)
    data = pd.DataFrame({"x": rng.normal(size=90), "group": rng.integers(0, 2, 90) * 1.0})
    data["other"] = 1 - data["group"]
    data["y"] = data["x"] + data["group"] + rng.normal(size=90)
    mine = fit(LinearTask, data, "y", constant=False)
    agrees(mine, ols(data, "y", False), LEAST_SQUARES)
    assert mine.k_constant == 1


def test_rows_with_missing_values_are_left_out() -> None:
    data = sm.datasets.longley.load_pandas().data[["GNP", "UNEMP", "TOTEMP"]].copy()
    data.loc[[2, 9], "GNP"] = np.nan
    mine = fit(LinearTask, data, "TOTEMP")
    agrees(mine, ols(data, "TOTEMP", missing="drop"), LEAST_SQUARES)
    assert mine.missing == 2


def test_dependent_columns_are_an_error_of_the_step() -> None:
    data = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [2.0, 4, 6, 8], "y": [1.0, 2, 2, 3]})
    with pytest.raises(ValueError, match="column 'b' follows from 'a'"):
        fit(LinearTask, data, "y", constant=False, parts=2)


def test_an_infinite_value_stops_the_task() -> None:
    data = pd.DataFrame({"a": [1.0, 2, np.inf, 4], "y": [1.0, 2, 2, 3]})
    with pytest.raises(ValueError, match="1 rows of all members"):
        fit(LinearTask, data, "y", parts=2)


def test_options_of_a_search_are_refused() -> None:
    with pytest.raises(ValueError, match="least squares has no maxiter, tol"):
        task(LinearTask, ["a", "y"], "y", options={"maxiter": 3, "tol": 1e-3}).build()
    assert task(LinearTask, ["a", "y"], "y", options={"missing": "raise"}).build().rounds == 3


def test_the_summary_has_t_and_f() -> None:
    data = sm.datasets.longley.load_pandas().data
    text = fit(LinearTask, data, "TOTEMP").summary()
    assert "P>|t|" in text and "F-statistic" in text and "R-squared" in text


IN_ANOTHER_PROCESS = """
import delta.dataset
from delta.statsmodel import LinearTask

class Line(LinearTask):
    def dataset(self):
        return {"d": delta.dataset.DataFrame("d.csv", columns=["x", "y"])}

    def preprocess(self, d):
        return d["x"], d["y"]

print(Line("line").build().commitment)
"""


def test_the_bundle_is_the_same_in_every_process() -> None:
    # Sets of texts have another order in each process.
    made = {
        subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS],
            env=os.environ | {"PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2, 3)
    }
    assert len(made) == 1
