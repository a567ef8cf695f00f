"""``delta.learn`` against scikit-learn on the pooled rows."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import cluster, decomposition, linear_model, naive_bayes, preprocessing

import delta
from delta import learn
from learn_cases import CATEGORIES, COUNTS, EXACT, NUMBERS, ROWS, alike, ours
from pooled import build, run, task

pytestmark = pytest.mark.filterwarnings("ignore::delta.ReleaseWarning")
FOUR = [[0, 1, 2, 3]] * 2
TIGHT = {"tol": 1e-15, "max_iter": 1_000_000}


def test_linear_models() -> None:
    models = {
        learn.LinearRegression(): linear_model.LinearRegression(tol=1e-12),
        learn.LinearRegression(fit_intercept=False): linear_model.LinearRegression(fit_intercept=False, tol=1e-12),
        learn.LinearRegression(positive=True): linear_model.LinearRegression(positive=True),
        learn.Ridge(2.0): linear_model.Ridge(2.0, solver="svd"),
        learn.Ridge(1.0, fit_intercept=False): linear_model.Ridge(1.0, fit_intercept=False, solver="svd"),
        learn.Lasso(0.3): linear_model.Lasso(0.3, **TIGHT),
        learn.Lasso(0.01, positive=True): linear_model.Lasso(0.01, positive=True, **TIGHT),
        learn.ElasticNet(0.2, l1_ratio=0.3): linear_model.ElasticNet(0.2, l1_ratio=0.3, **TIGHT),
    }

    def execute(df: Any) -> Any:
        return tuple(m.fit(df[NUMBERS], df["y"], w) for m in models for w in (None, df["w"]))

    bundle = build(execute, list(ROWS))
    assert bundle.rounds == 2 and "Class: controlled" in bundle.describe()
    found = iter(ours(execute))
    for theirs in models.values():
        for weight in (None, ROWS.w):
            mine = next(found)
            alike(mine, theirs.fit(ROWS[NUMBERS], ROWS.y, weight), skip=("n_iter_", "solver_", "dual_gap_"))
            np.testing.assert_allclose(mine.predict(ROWS), theirs.predict(ROWS[NUMBERS]), **EXACT)
            score = theirs.score(ROWS[NUMBERS], ROWS.y, weight)
            assert mine.score(ROWS, ROWS.y, weight) == pytest.approx(score, rel=1e-9)
            assert mine.score_ == pytest.approx(score, rel=1e-9)
            assert abs(getattr(mine, "dual_gap_", 0.0)) < 1e-9
            assert mine.rounds[0]["members"] == 3 and mine.n_samples_ == 180


def test_penalties_cost_nothing_once_the_sums_are_there() -> None:
    lasso, ridge = ours(lambda df: (learn.Lasso().fit(df[NUMBERS], df["y"]), learn.Ridge().fit(df[NUMBERS], df["y"])))
    alphas, coefs, intercepts = lasso.path(12)
    x, y = ROWS[NUMBERS] - ROWS[NUMBERS].mean(), ROWS.y - ROWS.y.mean()
    theirs = linear_model.lasso_path(x.to_numpy(), y.to_numpy(), alphas=alphas, tol=1e-14)
    assert alphas[0] == pytest.approx(np.abs(x.T @ y).max() / 180) and alphas[-1] == pytest.approx(alphas[0] / 1000)
    np.testing.assert_allclose(coefs, theirs[1], **EXACT)
    again = linear_model.Lasso(alphas[5], **TIGHT).fit(ROWS[NUMBERS], ROWS.y)
    assert intercepts[5] == pytest.approx(again.intercept_, rel=1e-9)
    assert lasso.refit(alpha=alphas[5]).coef_.tolist() == coefs[:, 5].tolist()
    falling, many, _ = ridge.path([0.1, 10.0, 1.0])
    assert falling.tolist() == [10.0, 1.0, 0.1] and many.shape == (3, 3)
    np.testing.assert_allclose(many[:, 1], ridge.coef_, rtol=1e-12)
    with pytest.raises(ValueError, match="fit_intercept decides which sums there are"):
        lasso.refit(fit_intercept=False)


def test_columns_that_depend_on_others_give_the_shortest_solution() -> None:
    frame = ROWS.assign(d=2 * ROWS.a, e=7.0)
    columns = [*NUMBERS, "d", "e"]
    with pytest.warns(RuntimeWarning, match=r"depend on others, or do not vary \('a', 'd', 'e'\)"):
        found, lasso = ours(
            lambda df: (learn.LinearRegression().fit(df[columns], df["y"]), learn.Lasso(0.1).fit(df[columns], df["y"])),
            frame,
        )
    theirs = linear_model.LinearRegression(tol=1e-9).fit(frame[columns], frame.y)
    np.testing.assert_allclose(found.coef_, theirs.coef_, **EXACT)
    assert found.rank_ == theirs.rank_ == 3 and found.coef_[4] == 0
    again = linear_model.Lasso(0.1, **TIGHT).fit(frame[columns], frame.y)
    np.testing.assert_allclose(lasso.predict(frame), again.predict(frame[columns]), rtol=1e-8)


LOGISTIC = [
    ({}, "t", False),
    ({"C": 0.01}, "t", True),
    ({"C": 10.0, "fit_intercept": False}, "t", False),
    ({"C": math.inf}, "t", False),
    ({"class_weight": "balanced", "C": 0.3}, "k", True),
    ({"class_weight": {1: 3.0}}, "t", False),
]


@pytest.mark.parametrize(("options", "label", "weighted"), LOGISTIC, ids=str)
def test_logistic_regression(options: dict[str, Any], label: str, weighted: bool) -> None:
    classes = [0, 1] if label == "t" else [0, 1, 2]

    def execute(df: Any) -> Any:
        return learn.LogisticRegression(**options).fit(
            df[NUMBERS], df[label], df["w"] if weighted else None, classes=classes
        )

    assert "Class: controlled" in build(execute, list(ROWS)).describe()
    mine = ours(execute)
    theirs = linear_model.LogisticRegression(**options, solver="newton-cholesky", tol=1e-13, max_iter=1000)
    theirs.fit(ROWS[NUMBERS], ROWS[label], ROWS.w if weighted else None)
    alike(mine, theirs, skip=("n_iter_",))
    assert mine.converged_ and len(mine.rounds) <= 9
    x = ROWS[NUMBERS]
    np.testing.assert_allclose(mine.predict_proba(x), theirs.predict_proba(x), **EXACT)
    np.testing.assert_allclose(mine.predict_log_proba(x), theirs.predict_log_proba(x), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(mine.decision_function(x), theirs.decision_function(x), rtol=1e-7, atol=1e-8)
    assert (mine.predict(x) == theirs.predict(x)).all()
    assert mine.score(x, ROWS[label]) == theirs.score(x, ROWS[label])


def test_classes_that_columns_tell_apart_have_no_best_estimate_without_a_penalty() -> None:
    frame = pd.DataFrame({"x": [*range(40)], "y": [0.0] * 20 + [1.0] * 20}, dtype=float)

    def fit(**options: Any) -> Any:
        return run(
            lambda df: learn.LogisticRegression(**options).fit(df[["x"]], df["y"], classes=[0, 1]),
            frame,
            split=(10, 25),
        )

    with pytest.warns(RuntimeWarning, match="no best estimate without a penalty"):
        fit(C=math.inf)
    with pytest.warns(RuntimeWarning, match="2 rounds did not find the end"):
        assert not fit(max_iter=2).converged_
    mine = fit(C=1e6)
    theirs = linear_model.LogisticRegression(C=1e6, solver="newton-cholesky", tol=1e-14, max_iter=1000)
    np.testing.assert_allclose(mine.coef_, theirs.fit(frame[["x"]], frame.y).coef_, rtol=1e-7)


def test_constant_columns_have_no_say() -> None:
    frame = ROWS.assign(e=0.1)
    found, free = (
        ours(lambda df, c=c: learn.LogisticRegression(C=c).fit(df[["a", "e"]], df["t"], classes=[0, 1]), frame)
        for c in (1.0, math.inf)
    )
    theirs = linear_model.LogisticRegression(solver="newton-cholesky", tol=1e-13).fit(frame[["a", "e"]], frame.t)
    np.testing.assert_allclose(found.predict_proba(frame), theirs.predict_proba(frame[["a", "e"]]), **EXACT)
    assert abs(found.coef_[0, 1]) < 1e-9 and free.coef_[0, 1] == 0 and free.converged_


def test_a_step_too_far_is_taken_back() -> None:
    """A full step of Newton's makes the loss larger here, once."""
    x, rows, ones = [-0.03, -26.09, -0.16], [194, 17, 9], [175, 0, 1]
    y = np.concatenate([np.arange(n) < k for n, k in zip(rows, ones, strict=True)]).astype(float)
    frame = pd.DataFrame({"x": np.repeat(x, rows), "y": y}).sample(frac=1, random_state=1, ignore_index=True)
    fit = task(lambda df: learn.LogisticRegression(C=1e4).fit(df[["x"]], df["y"], classes=[0, 1]), ["x", "y"])
    losses: list[float] = []
    mine = delta.debug(fit, data=frame, on_round=lambda _, told: losses.append(told.get("loss", math.inf)))
    assert sum(b > a + 1e-3 for a, b in itertools.pairwise(losses)) == 1
    theirs = linear_model.LogisticRegression(C=1e4, solver="newton-cholesky", tol=1e-14, max_iter=1000)
    np.testing.assert_allclose(mine.coef_, theirs.fit(frame[["x"]], frame.y).coef_, **EXACT)


def test_naive_bayes() -> None:
    smooth: dict[str, Any] = {"priors": [0.2, 0.3, 0.5], "var_smoothing": 0.1}
    prior: dict[str, Any] = {"alpha": 2.0, "class_prior": [0.1, 0.1, 0.8]}
    models = [
        (learn.GaussianNB(), naive_bayes.GaussianNB(), NUMBERS),
        (learn.GaussianNB(**smooth), naive_bayes.GaussianNB(**smooth), NUMBERS),
        (learn.MultinomialNB(alpha=[0.5, 1, 2]), naive_bayes.MultinomialNB(alpha=[0.5, 1, 2]), COUNTS),
        (learn.MultinomialNB(fit_prior=False), naive_bayes.MultinomialNB(fit_prior=False), COUNTS),
        (learn.BernoulliNB(binarize=2.0), naive_bayes.BernoulliNB(binarize=2.0), COUNTS),
        (learn.BernoulliNB(**prior), naive_bayes.BernoulliNB(**prior), COUNTS),
        (learn.CategoricalNB(categories=FOUR), naive_bayes.CategoricalNB(), CATEGORIES),
    ]

    def execute(df: Any) -> Any:
        return tuple(m.fit(df[c], df["k"], w, classes=[0, 1, 2]) for m, _, c in models for w in (None, df["w"]))

    bundle = build(execute, list(ROWS))
    assert bundle.rounds == 2 and "Class: controlled" in bundle.describe()
    found = iter(ours(execute))
    for _, theirs, columns in models:
        x = ROWS[columns].astype(int) if columns == CATEGORIES else ROWS[columns]
        for weight in (None, ROWS.w):
            mine = next(found)
            alike(mine, theirs.fit(x, ROWS.k, weight))
            np.testing.assert_allclose(mine.predict_proba(x), theirs.predict_proba(x), **EXACT)
            assert mine.score(x, ROWS.k) == theirs.score(x, ROWS.k)


def test_scaling_and_encoding() -> None:
    frame = ROWS.assign(still=4.0)
    frame.loc[::7, "a"] = np.nan
    columns = [*NUMBERS, "still"]

    def execute(df: Any) -> Any:
        return (
            learn.StandardScaler().fit(df[columns]),
            learn.StandardScaler(with_mean=False, with_std=False).fit(df[columns]),
            learn.OneHotEncoder(categories=FOUR).fit(df[CATEGORIES]),
            learn.OneHotEncoder(categories=FOUR, drop="first").fit(df[CATEGORIES]),
            learn.StandardScaler().fit_transform(df[columns]).sum(),
            learn.OneHotEncoder(categories=FOUR, drop="first").fit_transform(df[CATEGORIES]).sum(),
        )

    scaler, plain, encoder, dropping, sums, counts = ours(execute, frame)
    theirs = preprocessing.StandardScaler().fit(frame[columns])
    alike(scaler, theirs)
    np.testing.assert_allclose(scaler.transform(frame), theirs.transform(frame[columns]), **EXACT)
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(frame)), frame[columns], **EXACT)
    np.testing.assert_array_equal(plain.transform(frame), frame[columns])
    assert sums.abs().max() < 1e-9
    whole = frame[CATEGORIES].astype(int)
    for mine, drop in ((encoder, None), (dropping, "first")):
        other = preprocessing.OneHotEncoder(drop=drop, sparse_output=False).fit(whole)
        assert mine.get_feature_names_out().tolist() == other.get_feature_names_out().tolist()
        np.testing.assert_array_equal(mine.transform(whole), other.transform(whole))
    assert counts.to_dict() == {
        n: float(c) for n, c in zip(dropping.get_feature_names_out(), dropping.transform(whole).sum(0), strict=True)
    }


@pytest.mark.parametrize(("given", "whiten"), [(None, False), (2, False), (0.9, True)])
def test_principal_components(given: Any, whiten: bool) -> None:
    mine = ours(lambda df: learn.PCA(given, whiten=whiten).fit(df[[*NUMBERS, "y"]]))
    theirs = decomposition.PCA(given, whiten=whiten, svd_solver="full").fit(ROWS[[*NUMBERS, "y"]])
    alike(mine, theirs)
    made = mine.transform(ROWS)
    np.testing.assert_allclose(made, theirs.transform(ROWS[[*NUMBERS, "y"]]), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(mine.inverse_transform(made), theirs.inverse_transform(made), **EXACT)


def test_clusters() -> None:
    start = ROWS[NUMBERS].iloc[:3].to_numpy()
    mine = ours(lambda df: learn.KMeans(start, max_iter=3).fit(df[NUMBERS]))
    theirs = cluster.KMeans(3, init=start, n_init=1, max_iter=3, tol=0).fit(ROWS[NUMBERS].to_numpy())
    alike(mine, theirs, skip=("labels_",))
    assert (mine.predict(ROWS) == theirs.predict(ROWS[NUMBERS].to_numpy())).all()
    np.testing.assert_allclose(mine.transform(ROWS), theirs.transform(ROWS[NUMBERS].to_numpy()), **EXACT)
    assert mine.counts_.tolist() == np.bincount(theirs.labels_).tolist() and mine.n_clusters == 3
