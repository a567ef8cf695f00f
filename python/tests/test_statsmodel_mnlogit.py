"""MNLogitTask equals statsmodels.MNLogit on the pooled rows."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.datasets import load_iris

from delta.statsmodel import LogitTask, MNLogitTask
from regression_cases import LIKELIHOOD, agrees, fit, task


def choices(rows: int, features: int, classes: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features))
    z = np.column_stack(
        [np.zeros(rows), np.column_stack([np.ones(rows), x]) @ rng.normal(size=(features + 1, classes - 1))]
    )
    p = np.exp(z)
    p /= p.sum(1, keepdims=True)
    data = pd.DataFrame(x, columns=[f"x{i}" for i in range(features)])
    return data.assign(y=[float(rng.choice(classes, p=q)) for q in p])


@pytest.fixture(scope="module")
def iris() -> pd.DataFrame:
    data = load_iris(as_frame=True).frame
    return data.set_axis(["sepal_length", "sepal_width", "petal_length", "petal_width", "species"], axis=1)


@pytest.mark.parametrize("features, classes", [(5, 3), (2, 6), (1, 2)])
def test_random_choices_equal_statsmodels(features: int, classes: int) -> None:
    data = choices(600, features, classes, seed=features)
    mine = fit(MNLogitTask, data, "y", n_classes=classes)
    theirs = sm.MNLogit(data["y"], sm.add_constant(data.drop(columns="y"))).fit(disp=0, tol=1e-12)
    agrees(mine, theirs, LIKELIHOOD)
    assert mine.params.shape == (features + 1, classes - 1)
    np.testing.assert_array_equal(mine.counts, data["y"].value_counts().sort_index())


@pytest.mark.parametrize("column", ["sepal_length", "sepal_width"])
def test_iris_by_one_measure_equals_statsmodels(iris: pd.DataFrame, column: str) -> None:
    data = iris[[column, "species"]]
    mine = fit(MNLogitTask, data, "species", n_classes=3)
    agrees(mine, sm.MNLogit(data["species"], sm.add_constant(data[[column]])).fit(disp=0, tol=1e-12), LIKELIHOOD)


def test_all_of_iris_tells_the_species_as_statsmodels_does(iris: pd.DataFrame) -> None:
    # Setosa is told apart without error, so parameters have no best value; what is predicted has.
    with pytest.warns(RuntimeWarning, match="tell some classes apart"):
        mine = fit(MNLogitTask, iris, "species", n_classes=3)
    x = sm.add_constant(iris.drop(columns="species"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sm.MNLogit(iris["species"], x).fit(disp=0, method="newton", maxiter=35, ridge_factor=1e-10)
    z = np.column_stack([np.zeros(len(x)), x.to_numpy() @ mine.params])
    p = np.exp(z - z.max(1, keepdims=True))
    np.testing.assert_allclose(p / p.sum(1, keepdims=True), theirs.predict(x), atol=1e-5)
    assert abs(mine.llf - theirs.llf) < 1e-5
    # Versicolor against virginica is estimated well.
    np.testing.assert_allclose(
        mine.params[:, 1] - mine.params[:, 0], theirs.params[2 - 1] - theirs.params[0], rtol=1e-5
    )


def test_two_classes_are_logit() -> None:
    data = choices(200, 2, 2, seed=9)
    pair = fit(MNLogitTask, data, "y", n_classes=2), fit(LogitTask, data, "y")
    np.testing.assert_allclose(pair[0].params[:, 0], pair[1].params, rtol=1e-9)
    np.testing.assert_allclose(pair[0].bse[:, 0], pair[1].bse, rtol=1e-9)


def test_large_scores_do_not_overflow() -> None:
    data = choices(300, 2, 3, seed=4)
    start = np.array([[0.0, 0.0], [80.0, -90.0], [-70.0, 60.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine = fit(MNLogitTask, data, "y", n_classes=3, options={"start_params": start, "maxiter": 1})
    assert np.isfinite(mine.params).all() and np.isfinite(mine.llf)


@pytest.mark.parametrize("bad", [3.0, -1.0, 1.5])
def test_values_that_are_no_class_stop_the_task(bad: float) -> None:
    data = choices(50, 1, 3, seed=2)
    data.loc[5, "y"] = bad
    with pytest.raises(ValueError, match="1 rows of all members have a 'y' that is not whole and from 0 to 2"):
        fit(MNLogitTask, data, "y", n_classes=3)


def test_start_params_may_be_a_matrix() -> None:
    data = choices(200, 2, 3, seed=3)
    usual = fit(MNLogitTask, data, "y", n_classes=3)
    again = fit(MNLogitTask, data, "y", n_classes=3, options={"start_params": usual.params})
    assert again.iterations == 1
    np.testing.assert_allclose(again.params, usual.params, rtol=1e-9)


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="n_classes=1: must be at least 2"):
        task(MNLogitTask, ["a", "y"], "y", n_classes=1)


def test_more_parameters_than_nodes_solve_for_are_refused_at_build() -> None:
    with pytest.raises(ValueError, match="the model has 4998 parameters; nodes solve for 4096 at most"):
        task(MNLogitTask, ["a", "y"], "y", n_classes=2500).build()


def test_the_summary_names_classes() -> None:
    mine = fit(MNLogitTask, choices(200, 1, 3, seed=5), "y", n_classes=3)
    assert "y=2: x0" in mine.summary()
