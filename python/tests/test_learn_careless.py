"""``delta.learn`` with what authors give by mistake: every number is right, or refused by name before a node is asked for it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model, naive_bayes
from sklearn.base import clone

from delta import learn
from delta.dataset import DataFrame as Table
from delta.task import HorizontalAnalytics
from learn_cases import COUNTS, NUMBERS, ROWS, ours
from pooled import build

pytestmark = pytest.mark.filterwarnings("ignore::delta.ReleaseWarning")
EVERY = [
    learn.LinearRegression(positive=True),
    learn.Ridge(2.0),
    learn.LogisticRegression(class_weight={0: 1, 1: 2}),
    learn.GaussianNB(priors=[0.3, 0.7]),
    learn.OneHotEncoder(categories=[[0, 1]]),
    learn.KMeans([[0.0], [1.0]]),
    learn.HistGradientBoostingRegressor([[0.5]]),
    learn.make_pipeline(learn.StandardScaler(), learn.Lasso(0.1)),
]


@pytest.fixture(scope="module")
def fitted() -> dict[str, Any]:
    pipeline = learn.make_pipeline(learn.StandardScaler(), learn.LinearRegression())
    names = ("linear", "logistic", "bayes", "scaler", "pipeline")
    made = ours(
        lambda df: (
            learn.LinearRegression().fit(df[NUMBERS], df["y"]),
            learn.LogisticRegression().fit(df[NUMBERS], df["t"], classes=[0, 1]),
            learn.GaussianNB().fit(df[NUMBERS], df["t"], classes=[0, 1]),
            learn.StandardScaler().fit(df[NUMBERS]),
            pipeline.fit(df[NUMBERS], df["y"], linearregression__sample_weight=df["w"]),
        )
    )
    return dict(zip(names, made, strict=True))


@pytest.mark.parametrize("estimator", EVERY, ids=lambda e: type(e).__name__)
def test_estimators_are_cloned_as_those_of_scikit_learn(estimator: Any) -> None:
    again = clone(estimator)
    assert again is not estimator and repr(again) == repr(estimator)


def test_steps_are_replaced_and_set_by_name() -> None:
    pipeline = learn.make_pipeline(learn.StandardScaler(), learn.Ridge(2.0))
    pipeline.set_params(ridge=learn.Lasso(0.1), ridge__alpha=0.5, standardscaler__with_std=False)
    assert pipeline["ridge"].alpha == 0.5 and type(pipeline["ridge"]) is learn.Lasso
    pipeline.set_params(steps=[("one", learn.Ridge())])
    assert len(pipeline) == 1
    with pytest.raises(ValueError, match="'one', a Lasso, cannot stand before another"):
        pipeline.set_params(steps=[("one", learn.Lasso()), ("two", learn.Ridge())])
    with pytest.raises(ValueError, match=r"steps has 'ridge'; each is a name and an estimator"):
        learn.Pipeline(["ridge"])  # type: ignore[list-item]


def test_weights_reach_the_last_step_by_its_name(fitted: dict[str, Any]) -> None:
    theirs = linear_model.LinearRegression(tol=1e-12).fit(ROWS[NUMBERS], ROWS.y, ROWS.w)
    np.testing.assert_allclose(fitted["pipeline"].predict(ROWS), theirs.predict(ROWS[NUMBERS]), rtol=1e-8)
    score = theirs.score(ROWS[NUMBERS], ROWS.y, ROWS.w)
    assert fitted["pipeline"].score(ROWS, ROWS.y, ROWS.w) == pytest.approx(score, rel=1e-9)
    pipeline = learn.make_pipeline(learn.StandardScaler(), learn.LinearRegression())
    with pytest.raises(TypeError, match="'standardscaler__sample_weight': only the last step, 'linearregression'"):
        build(lambda df: pipeline.fit(df[["a"]], df["b"], standardscaler__sample_weight=df["c"]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: learn.LogisticRegression(solver="saga"),
            "LogisticRegression: .*'solver'; it takes C, .*: it says how",
        ),
        (lambda: learn.LogisticRegression(penalty=None), r"takes .* \(penalty: C=float\('inf'\) is no penalty"),
        (lambda: learn.KMeans(n_clusters=3), r"KMeans: .*'init'.* \(n_clusters: init says how many there are"),
        (lambda: learn.Ridge(1.0, True), "Ridge: too many positional arguments; it takes alpha, fit_intercept"),
        (lambda: learn.HistGradientBoostingRegressor(), "HistGradientBoostingRegressor: missing .*'bins'"),
        (lambda: learn.LinearRegression(fit_intercept="no"), "fit_intercept='no' must be True or False"),
        (lambda: learn.StandardScaler(with_mean="False"), "with_mean='False' must be True or False"),
        (lambda: learn.PCA(whiten=1), "whiten=1 must be True or False"),
        (lambda: learn.MultinomialNB(fit_prior=None), "fit_prior=None must be True or False"),
        (lambda: learn.MultinomialNB(alpha="1"), "alpha='1' must be a finite number"),
        (lambda: learn.KMeans("k-means++"), "init must be the centres .* nothing is drawn at random"),
    ],
)
def test_parameters_are_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_what_is_not_learnt_yet_is_said() -> None:
    model = learn.LinearRegression()
    with pytest.raises(AttributeError, match=r"this LinearRegression has no 'coef_': return what fit\(...\) returns"):
        model.coef_
    assert not hasattr(model, "coef_") and not hasattr(model, "nothing")
    with pytest.raises(TypeError, match=r"returned a LinearRegression; .* return what its fit\(...\) returns"):
        build(lambda df: model if model.fit(df[["a"]], df["b"]) is not None else None)


def typed(execute: Any) -> Any:
    class Task(HorizontalAnalytics):
        def dataset(self) -> dict[str, Table]:
            columns = ["a", "y", "s", "day"]
            return {"df": Table("t.csv", columns, levels={"s": ["x", "y"]}, dates=["day"])}

        def execute(self, df: Any) -> Any:
            return execute(df)

    return Task("test", min_clients=3, max_clients=3).build()


@pytest.mark.parametrize(
    ("execute", "message"),
    [
        (
            lambda df: learn.GaussianNB().fit(df[["a"]], df["y"], classes=2),
            "classes=2 must be a list of all that y may be",
        ),
        (lambda df: learn.GaussianNB().fit(df[["a"]], df["y"], classes="01"), "classes='01' must be a list"),
        (lambda df: learn.GaussianNB().fit(df[["a"]], df["s"], classes=["x", 1]), "classes has 1, and .* levels are"),
        (lambda df: learn.LinearRegression().fit(df[["a"]], df["y"], 2.0), "sample_weight must be a column of rows"),
        (
            lambda df: learn.LinearRegression().fit(df[["a", "day"]], df["y"]),
            "'day': take parts or differences of dates",
        ),
        (
            lambda df: learn.LinearRegression().fit(df[["a", "s"]], df["y"]),
            "'s': OneHotEncoder writes levels as numbers",
        ),
        (
            lambda df: learn.KMeans([[0.0]]).fit(df[["a"]], sample_weight=df["y"]),
            "KMeans.fit: rows have no sample_weight",
        ),
        (lambda df: learn.LinearRegression().fit(df[["a"]]), r"LinearRegression.fit: missing .*'y'; it takes X, y"),
        (
            lambda df: learn.LogisticRegression(class_weight={"x": 0.0}).fit(df[["a"]], df["s"]),
            "class_weight must be above 0, not 0: a class that weighs nothing",
        ),
        (
            lambda df: learn.MultinomialNB(alpha=[1, 2]).fit(df[["a"]], df["s"]),
            "alpha has 2 numbers, and X has 1 columns: a",
        ),
        (
            lambda df: learn.GaussianNB(priors=[0.5, 0.2, 0.3]).fit(df[["a"]], df["s"]),
            r"priors must be 2 numbers .* of the classes \['x', 'y'\]",
        ),
        (
            lambda df: learn.CategoricalNB(class_prior=[0.5, 0.2]).fit(df[["s"]], df["s"]),
            "priors must be 2 numbers that add up to 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused_while_the_task_is_written(execute: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        typed(execute)


def test_transformers_take_a_y_and_do_nothing_with_it() -> None:
    plain, given = ours(
        lambda df: (learn.StandardScaler().fit(df[NUMBERS]), learn.StandardScaler().fit(df[NUMBERS], df["y"]))
    )
    assert plain.mean_.tolist() == given.mean_.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(a=pd.Timestamp("2020-01-01")), "the column 'a' has dates or times"),
        (lambda f: f.assign(a=pd.Timestamp("2020-01-01", tz="UTC")), "the column 'a' has dates or times|no numbers"),
        (lambda f: f.assign(a=pd.Timedelta("1D")), "the column 'a' has dates or times"),
        (lambda f: f.assign(b="high"), "the column 'b' has texts, such as 'high'"),
        (lambda f: f.assign(b=1j), "the column 'b' has no numbers"),
        (lambda f: pd.concat([f, f[["b"]]], axis=1), "X has the column 'b' 2 times"),
        (lambda f: f.assign(a=f["a"].astype("Float64").mask(f["a"] > 0)), "rows of X have a missing"),
        (lambda f: f.drop(columns="b"), "X has no column 'b'"),
        (lambda f: f.assign(a=np.inf), "180 rows of X have an? (missing or )?infinite value"),
    ],
)
def test_only_numbers_are_predicted_of(fitted: dict[str, Any], change: Any, message: str) -> None:
    frame = change(ROWS[NUMBERS])
    for name, model in fitted.items():
        apply = model.transform if name == "scaler" else model.predict
        if name == "scaler" and "missing" in message and "infinite" not in message:
            continue
        with pytest.raises(ValueError, match=message):
            apply(frame)


def test_tables_of_any_kind_are_read_by_name(fitted: dict[str, Any]) -> None:
    frame = ROWS[NUMBERS]
    for name, model in fitted.items():
        apply = model.transform if name == "scaler" else model.predict
        wanted = np.asarray(apply(frame))
        tables = [frame[NUMBERS[::-1]], frame.astype(object), frame.astype("Float64"), frame.to_dict("list")]
        tables.append(frame.to_numpy())
        for other in tables:
            np.testing.assert_allclose(apply(other), wanted, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", ["linear", "logistic", "bayes", "pipeline"])
def test_scores_are_of_one_y_for_each_row(fitted: dict[str, Any], name: str) -> None:
    model, y = fitted[name], ROWS["y" if name in ("linear", "pipeline") else "t"]
    # A column of a frame is [rows, 1], of which comparing makes all pairs.
    assert model.score(ROWS, y.to_frame()) == model.score(ROWS, y)
    wrong: dict[str, tuple[Any, ...]] = {
        r"y has the shape \(179,\), and X has 180 rows": (y[:-1],),
        "180 of y are missing": (y.where(y < -1e9),),
        "sample_weight must be finite numbers of 0 or more": (y, -ROWS.w),
        "sample_weight must be finite numbers of 0 or more, and not all 0": (y, 0 * ROWS.w),
        r"sample_weight has the shape \(179,\)": (y, ROWS.w[:-1]),
        "y has texts|'y' has texts": (y.astype(str),),
    }
    for message, given in wrong.items():
        with pytest.raises((TypeError, ValueError), match=message):
            model.score(ROWS, *given)


@pytest.mark.parametrize(
    "estimator",
    [learn.Ridge(0.0), learn.Lasso(0.0), learn.ElasticNet(0.0, positive=True)],
    ids=lambda e: type(e).__name__,
)
def test_dependent_columns_are_named_where_no_penalty_chooses(estimator: Any) -> None:
    frame = ROWS.assign(d=2 * ROWS.a)
    which = "the shortest" if isinstance(estimator, learn.Ridge) else "one"
    with pytest.warns(RuntimeWarning, match=rf"columns depend on others.*\('a', 'd'\): {which} of many solutions"):
        ours(lambda df: estimator.fit(df[["a", "c", "d"]], df["y"]), frame)


@pytest.mark.parametrize(("label", "classes"), [("t", [0, 1]), ("k", [0, 1, 2])])
def test_dependent_columns_are_named_where_no_penalty_chooses_of_classes(label: str, classes: list[int]) -> None:
    frame = ROWS.assign(d=2 * ROWS.c, e=7.0)
    model = learn.LogisticRegression(C=float("inf"))
    said = r"columns depend on others, or do not vary \('c', 'd', 'e'\): without a penalty one of many estimates"
    with pytest.warns(RuntimeWarning, match=said):
        found = ours(lambda df: model.fit(df[["c", "d", "e"]], df[label], classes=classes), frame)
    theirs = ours(lambda df: model.fit(df[["c"]], df[label], classes=classes), frame)
    np.testing.assert_allclose(found.predict_proba(frame), theirs.predict_proba(frame), atol=1e-9)


def test_counts_that_no_class_has_are_refused_without_smoothing() -> None:
    counts = ROWS[COUNTS].assign(m0=0.0, m1=ROWS.m1 * (ROWS.k > 0))

    def execute(df: Any) -> Any:
        made = [
            m.fit(df[COUNTS], df["k"], classes=[0, 1, 2])
            for m in (learn.MultinomialNB(alpha=0), learn.BernoulliNB(alpha=0))
        ]
        return (*made, learn.CategoricalNB(alpha=0, categories=[[0, 1]]).fit(df[["m0"]], df["k"], classes=[0, 1, 2]))

    many, yes, category = ours(execute, counts.assign(k=ROWS.k))
    rows = counts[counts.m1 > 0]
    for mine, theirs in ((many, naive_bayes.MultinomialNB(alpha=1e-10)), (yes, naive_bayes.BernoulliNB(alpha=1e-10))):
        theirs.fit(counts, ROWS.k)
        np.testing.assert_allclose(mine.predict_proba(rows), theirs.predict_proba(rows), rtol=1e-6, atol=1e-7)
        assert mine.predict_proba(rows)[:, 0].max() == 0.0
        with pytest.raises(ValueError, match="180 rows of X have what no class had"):
            mine.predict(counts.assign(m0=1.0))
    with pytest.raises(ValueError, match=r"CategoricalNB: 1 rows of X have what no class had .* alpha above 0"):
        category.predict_proba(pd.DataFrame({"m0": [0, 1]}))


def test_a_constant_column_has_no_density_without_smoothing() -> None:
    frame = ROWS.assign(a=3.7)
    with pytest.warns(
        RuntimeWarning, match=re.escape("'a' does not vary within a class: var_smoothing must be above 0")
    ):
        mine = ours(lambda df: learn.GaussianNB(var_smoothing=0).fit(df[NUMBERS], df["t"], classes=[0, 1]), frame)
    with pytest.raises(ValueError, match="a column does not vary within a class; fit with var_smoothing above 0"):
        mine.predict(frame)
