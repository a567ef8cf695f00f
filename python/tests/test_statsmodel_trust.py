"""What a regression says of its own numbers: no best estimate, columns far from zero, and constants."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from delta import _trust
from delta.statsmodel import LinearTask, LogitTask, MNLogitTask, RegressionTask
from regression_cases import fit

APART = "tell some classes apart"


def said(base: type[RegressionTask], data: pd.DataFrame, **arguments: Any) -> tuple[Any, str]:
    """The result, and what was warned of."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = fit(base, data, "y", parts=2, **arguments)
    return found, " ".join(str(w.message) for w in heard if w.category is RuntimeWarning)


def quasi(n: int = 400) -> pd.DataFrame:
    """Of those with q all have y = 1: q has no best estimate, x has."""
    rng = np.random.default_rng(3)
    x, q = rng.normal(size=n), (rng.normal(size=n) > 1.2) * 1.0
    y = np.where(q > 0, 1.0, rng.random(n) < 1 / (1 + np.exp(-0.5 - x)))
    return pd.DataFrame({"x": x, "q": q, "y": y})


@pytest.mark.parametrize("units", [(1, 1), (1e-6, 1), (1e6, 1), (1, 1e6), (1, 1e-6), (1e9, 1e9)])
def test_classes_told_apart_are_said_whatever_the_units(units: tuple[float, float]) -> None:
    data = quasi()
    assert APART in said(LogitTask, data.assign(x=data["x"] * units[0], q=data["q"] * units[1]))[1]


@pytest.mark.parametrize("options", [{"tol": 1e-3}, {"tol": 1e-12, "maxiter": 100}, {"ord": 1}, {"maxiter": 20}])
def test_classes_told_apart_are_said_whatever_the_end(options: dict[str, Any]) -> None:
    text = said(LogitTask, quasi(), options=options)[1]
    assert APART in text and "raise maxiter" not in text


def test_all_rows_of_one_class_have_no_best_estimate() -> None:
    # Of y = 1 and p = 1 - 1e-17, y - p has no digits.
    for y in (0.0, 1.0):
        assert APART in said(LogitTask, quasi().assign(y=y), options={"maxiter": 100})[1]


def test_classes_of_three_told_apart_are_said_whatever_the_units() -> None:
    rng = np.random.default_rng(5)
    x, z = rng.normal(size=(2, 300))
    data = pd.DataFrame({"x": x, "z": z * 1e-6, "y": np.where(x > 0.8, 2.0, rng.random(300) < 1 / (1 + np.exp(-z)))})
    assert APART in said(MNLogitTask, data, n_classes=3)[1]


def test_a_best_estimate_far_out_is_not_doubted() -> None:
    # Heavy tails: some rows are as good as certain, and the search is long.
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = rng.standard_cauchy(400) * 30
        y = (rng.random(400) < 1 / (1 + np.exp(-np.clip(x / 20, -30, 30)))) * 1.0
        assert said(LogitTask, pd.DataFrame({"x": x, "y": y}))[1] == ""
    # A ridge makes each move a share of the one before.
    data = quasi().assign(y=np.random.default_rng(1).integers(0, 2, 400) * 1.0)
    assert said(LogitTask, data, options={"ridge_factor": 0.1, "maxiter": 300})[1] == ""


OFFSETS = [10.0**k for k in (3, 4, 4.5, 5, 5.5, 6, 6.5, 7, 8, 9)]


@pytest.mark.parametrize("base", [LinearTask, LogitTask])
def test_what_is_not_right_of_columns_far_from_zero_is_said(base: type[RegressionTask]) -> None:
    rng = np.random.default_rng(2)
    x, z = rng.normal(size=(2, 400))
    y = x + z + rng.normal(size=400) if base is LinearTask else (rng.random(400) < 1 / (1 + np.exp(-0.5 - x))) * 1.0
    heard = []
    for offset in OFFSETS:
        far = x + offset
        # The same rows, centred: statsmodels' own answer loses digits as well.
        near = np.column_stack([np.ones(400), far - offset, z])
        theirs = sm.OLS(y, near).fit() if base is LinearTask else sm.Logit(y, near).fit(disp=0, tol=1e-13)
        back = np.array([[1, -offset, 0], [0, 1, 0], [0, 0, 1]])
        params, bse = back @ theirs.params, np.sqrt(np.diagonal(back @ theirs.cov_params() @ back.T))
        try:
            mine, text = said(base, pd.DataFrame({"x": far, "z": z, "y": y}))
        except ValueError as error:
            assert str(error).startswith("column 'x' follows from 'const', or is 0 in every row") and offset > 1e7
            continue
        wrong = np.maximum(np.abs(mine.params / params - 1), np.abs(mine.bse / bse - 1)).max()
        assert wrong < 1e-6 or "'x' varies little" in text, (offset, wrong)
        assert APART not in text and "'z'" not in text and "'const'" not in text
        assert not np.nanmax(np.abs(mine.bse / bse - 1), initial=0.0) > 1e-2
        heard.append("varies little" in text)
    assert not any(heard[:2]) and all(heard[3:]), "and nothing is said of what is right"


def test_dependent_columns_are_named_and_have_no_errors() -> None:
    data = quasi().assign(y=np.random.default_rng(1).integers(0, 2, 400) * 1.0)
    mine, text = said(LogitTask, data.assign(twice=2 * data["x"]), options={"ridge_factor": 1e-6})
    assert np.isnan(mine.bse).all() and "columns 'x', 'twice' vary" in text and "'q'" not in text


def test_no_more_rows_than_parameters_is_said() -> None:
    mine, text = said(LinearTask, pd.DataFrame({"x": [1.0, 2.0], "y": [0.5, 4.0]}))
    assert np.isnan(mine.bse).all() and "no more rows than parameters" in text and "apart" not in text


@pytest.mark.parametrize("offset", [1e3, 1e5, 1e6])
def test_a_column_far_from_zero_is_no_constant(offset: float) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=400) + offset
    data = pd.DataFrame({"x": x, "y": 3 + x - offset + rng.normal(size=400)})
    mine, text = said(LinearTask, data, constant=False)
    theirs = sm.OLS(data["y"], data[["x"]]).fit()
    assert (mine.k_constant, mine.df_model, text) == (theirs.k_constant, theirs.df_model, "")
    np.testing.assert_allclose([mine.rsquared, mine.fvalue], [theirs.rsquared, theirs.fvalue], rtol=1e-9)


def test_what_sums_do_not_tell_of_a_constant_is_said() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=400) + 1e9
    mine, text = said(LinearTask, pd.DataFrame({"x": x, "y": rng.normal(size=400)}), constant=False)
    assert mine.k_constant == 1 and "do not tell whether 'x' varies" in text


@pytest.mark.parametrize("value", [1.0, -2.5, 0.3, 1e-9, 123456.789, 1e9])
def test_a_column_of_one_number_is_a_constant(value: float) -> None:
    data = pd.DataFrame({"c": value, "x": np.arange(90.0) % 7, "y": np.arange(90.0) % 5})
    mine, text = said(LinearTask, data, constant=False)
    assert (mine.k_constant, text) == (1, "")


def test_constants_by_their_sums() -> None:
    rng = np.random.default_rng(8)
    for offset, found in ((1e2, False), (1e5, False), (1e6, False), (1e9, True)):
        table = rng.normal(size=(1000, 2)) + offset
        has, doubtful = _trust.constant(1000.0, table.sum(0), table.T @ table)
        assert has == found and bool(doubtful) == found, offset
