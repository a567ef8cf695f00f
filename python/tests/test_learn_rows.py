"""What ``delta.learn`` does with rows that are missing, wrong or few, in pipelines, on rows at the members, and on nodes."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model, metrics, naive_bayes, pipeline, preprocessing

import delta
from conftest import Network
from delta import learn
from delta.dataset import DataFrame as Table
from delta.task import HorizontalAnalytics
from learn_cases import EXACT, NUMBERS, ROWS, alike, ours
from pooled import build, run, task

pytestmark = pytest.mark.filterwarnings("ignore::delta.ReleaseWarning")
FITS = {
    "linear": lambda df, **o: learn.Ridge(**o).fit(df[NUMBERS], df["y"]),
    "logistic": lambda df, **o: learn.LogisticRegression(**o).fit(df[NUMBERS], df["t"], classes=[0, 1]),
    "bayes": lambda df, **o: learn.GaussianNB(**o).fit(df[NUMBERS], df["t"], classes=[0, 1]),
    "pca": lambda df, **o: learn.PCA(**o).fit(df[NUMBERS]),
}
SPLIT = {"split": (60, 120)}


class Levels(HorizontalAnalytics):
    def dataset(self) -> dict[str, Table]:
        levels = {"sex": ["m", "f"], "site": ["north", "east", "south"]}
        return {"df": Table("t.csv", ["sex", "site", "age", "y"], levels=levels)}

    def execute(self, df: Any) -> Any:
        x = learn.OneHotEncoder(drop="first").fit_transform(df[["sex", "site"]])
        x["age"] = df["age"]
        both = df[["sex", "site"]]
        some = df[df["age"] > 50]
        scaler = learn.StandardScaler().fit(some[["age"]])
        return (
            learn.CategoricalNB().fit(both, df["y"], classes=[0, 1]),
            learn.GaussianNB().fit(df[["age", "y"]], df["site"]),
            learn.make_pipeline(learn.OneHotEncoder(), learn.Ridge()).fit(both, df["age"]),
            learn.LogisticRegression().fit(x, df["y"], classes=[0, 1]),
            scaler.transform(some[["age"]]).std(ddof=0),
            scaler.transform(df[["age"]]).mean(),
            learn.OneHotEncoder(categories={"y": [0, 1]}).fit_transform(df[["site", "y"]]).sum(),
        )


def people(n: int = 150) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"sex": rng.choice(["m", "f"], n), "site": rng.choice(["north", "east", "south"], n)})
    frame["age"] = rng.normal(50, 9, n) + 5 * (frame.sex == "f")
    return frame.assign(y=(rng.uniform(size=n) < 0.3 + 0.4 * (frame.site == "east")).astype(float))


def test_declared_levels_are_categories_and_classes() -> None:
    frame = people()
    bayes, sites, whole, logistic, spread, middle, counts = delta.debug(Levels("levels", 3, 3), t=frame)
    codes = preprocessing.OrdinalEncoder().fit_transform(frame[["sex", "site"]])
    theirs = naive_bayes.CategoricalNB().fit(codes, frame.y)
    alike(bayes, theirs, skip=("feature_names_in_",))
    np.testing.assert_allclose(bayes.predict_proba(frame), theirs.predict_proba(codes), **EXACT)
    again = naive_bayes.GaussianNB().fit(frame[["age", "y"]], frame.site)
    assert sites.classes_.tolist() == again.classes_.tolist() == ["east", "north", "south"]
    np.testing.assert_allclose(sites.theta_, again.theta_, **EXACT)
    assert (sites.predict(frame) == again.predict(frame[["age", "y"]])).all()
    encoded = pipeline.make_pipeline(preprocessing.OneHotEncoder(), linear_model.Ridge()).fit(
        frame[["sex", "site"]], frame.age
    )
    np.testing.assert_allclose(whole.predict(frame), encoded.predict(frame[["sex", "site"]]), **EXACT)
    some = frame.age[frame.age > 50]
    assert spread["age"] == pytest.approx(1) and middle["age"] == pytest.approx(
        (frame.age.mean() - some.mean()) / some.std(ddof=0)
    )
    assert counts["site_east"] == (frame.site == "east").sum() and counts["y_1"] == frame.y.sum()
    names = preprocessing.OneHotEncoder(drop="first", sparse_output=False).fit(frame[["sex", "site"]])
    x = pd.DataFrame(names.transform(frame[["sex", "site"]]), columns=names.get_feature_names_out()).assign(
        age=frame.age
    )
    assert logistic.feature_names_in_.tolist() == x.columns.tolist()
    best = linear_model.LogisticRegression(solver="newton-cholesky", tol=1e-13).fit(x, frame.y)
    np.testing.assert_allclose(logistic.coef_, best.coef_, **EXACT)


def test_texts_that_are_no_level_are_refused_and_not_encoded_as_something() -> None:
    class Other(Levels):
        def execute(self, df: Any) -> Any:
            return learn.OneHotEncoder().fit(df[["sex", "site"]])

    class After(Levels):
        def execute(self, df: Any) -> Any:
            return learn.Ridge().fit(learn.OneHotEncoder().fit_transform(df[["sex"]]), df["age"])

    class Label(Levels):
        def execute(self, df: Any) -> Any:
            return learn.GaussianNB().fit(df[["age"]], df["sex"])

    frame = people()
    frame.loc[:11, "sex"] = "x"
    for kind, text in (
        (Other, "12 rows of 'sex' have a category that is not declared, or none"),
        (After, "12 rows of all members have a missing value"),
        (Label, "12 rows of all members have a class that is not declared"),
    ):
        with pytest.raises(ValueError, match=text):
            delta.debug(kind("levels", 3, 3), t=frame)


def test_a_pipeline_is_fitted_in_one_task() -> None:
    model = learn.make_pipeline(learn.StandardScaler(), learn.LogisticRegression(C=0.5))

    def execute(df: Any) -> Any:
        return model.fit(df[NUMBERS], df["t"], classes=[0, 1]), df["y"].mean()

    bundle = build(execute, list(ROWS))
    assert "Class: controlled" in bundle.describe()
    mine, mean = ours(execute)
    theirs = pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression(C=0.5, solver="newton-cholesky", tol=1e-13)
    ).fit(ROWS[NUMBERS], ROWS.t)
    np.testing.assert_allclose(mine[1].coef_, theirs[1].coef_, **EXACT)
    np.testing.assert_allclose(mine.predict_proba(ROWS), theirs.predict_proba(ROWS[NUMBERS]), **EXACT)
    assert mine.score(ROWS, ROWS.t) == theirs.score(ROWS[NUMBERS], ROWS.t)
    assert mean == pytest.approx(ROWS.y.mean())
    assert mine.named_steps["standardscaler"] is mine[0] and len(mine) == 2
    assert mine.get_params()["logisticregression__C"] == 0.5
    model.set_params(logisticregression__C=2.0)
    assert model[1].C == 2.0 and "C=2.0" in repr(model)
    with pytest.raises(ValueError, match="cannot stand before another"):
        learn.make_pipeline(learn.PCA(2), learn.Ridge())


def test_fitted_estimators_work_on_rows_at_the_members() -> None:
    logistic, third, ridge, scaler, pca = (
        ours(lambda df, f=f: f(df))
        for f in (
            FITS["logistic"],
            lambda df: learn.LogisticRegression().fit(df[NUMBERS], df["k"], classes=[0, 1, 2]),
            FITS["linear"],
            lambda df: learn.StandardScaler().fit(df[NUMBERS]),
            lambda df: learn.PCA(2).fit(df[NUMBERS]),
        )
    )
    means = pca.transform(ROWS)
    clusters = ours(lambda df: learn.KMeans([[-5.0, 0.0], [5.0, 0.0]], max_iter=2).fit(pca.transform(df)))

    def execute(df: Any) -> Any:
        odds = (
            logistic.predict_proba(df)["1.0"]
            if "1.0" in logistic.predict_proba(df).columns
            else logistic.predict_proba(df)["1"]
        )
        return (
            delta.stats.roc_auc(odds, df["t"], bins=60),
            (logistic.predict(df) == df["t"]).mean(),
            (third.predict(df) == df["k"]).mean(),
            third.predict_proba(df).mean(),
            ((df["y"] - ridge.predict(df)) ** 2).sum(),
            scaler.transform(df[NUMBERS]).std(ddof=0),
            pca.transform(df).var(),
            clusters.predict(pca.transform(df)).mean(),
        )

    roc, right, right3, shares, rest, spread, variances, place = ours(execute)
    assert roc.auc == pytest.approx(metrics.roc_auc_score(ROWS.t, logistic.predict_proba(ROWS)[:, 1]), abs=1e-2)
    assert right == pytest.approx(logistic.score(ROWS, ROWS.t))
    assert right3 == pytest.approx(third.score(ROWS, ROWS.k))
    np.testing.assert_allclose(shares, third.predict_proba(ROWS).mean(0), **EXACT)
    assert rest == pytest.approx(((ROWS.y - ridge.predict(ROWS)) ** 2).sum())
    np.testing.assert_allclose(spread, 1, rtol=1e-9)
    np.testing.assert_allclose(variances, pca.explained_variance_, rtol=1e-9)
    assert place == pytest.approx(clusters.predict(means).mean())


@pytest.mark.parametrize("name", FITS)
def test_missing_values_are_refused_left_out_or_not_counted(name: str) -> None:
    frame = ROWS.copy()
    frame.loc[::12, "b"] = np.nan
    with pytest.raises(ValueError, match=r"15 rows of all members have a missing value; fill them \(fillna\)"):
        run(FITS[name], frame, **SPLIT)
    whole = run(FITS[name], frame.dropna(), split=(55, 110))
    for missing, counted in (("drop", 15), ("ignore", 0)):
        found = run(lambda df, m=missing: FITS[name](df, missing=m), frame, **SPLIT)
        assert found.n_missing_ == counted and found.n_samples_ == 165
        for attribute in ("coef_", "theta_", "components_"):
            if hasattr(whole, attribute):
                np.testing.assert_allclose(getattr(found, attribute), getattr(whole, attribute), rtol=1e-8)


def test_rows_that_cannot_be_are_refused() -> None:
    cases: list[tuple[Any, str]] = [
        (lambda df: FITS["logistic"](df.assign(t=df["k"])), "rows of all members have a class that is not declared"),
        (lambda df: learn.Ridge().fit(df[["a"]] / (df[["m0"]] * 0).rename(columns={"m0": "a"}), df["y"]), "infinite"),
        (lambda df: learn.Ridge().fit(df[["a"]], df["y"], df["w"] - 1), "a weight below 0"),
        (lambda df: learn.Ridge().fit(df[["a"]], df["y"], df["w"] * 0), "all weights are 0"),
        (lambda df: learn.MultinomialNB().fit(df[["c"]], df["t"], classes=[0, 1]), "a value below 0"),
        (lambda df: learn.BernoulliNB(binarize=None).fit(df[["m0"]], df["t"], classes=[0, 1]), "not 0 or 1"),
        (lambda df: learn.CategoricalNB(categories=[[0, 1]]).fit(df[["c0"]], df["t"], classes=[0, 1]), "a category"),
        (lambda df: FITS["linear"](df[df["a"] > 1e9]), "no row counts"),
        (lambda df: FITS["logistic"](df[df["t"] > 0.5]), "has the class 0; leave it out of classes"),
        (lambda df: learn.PCA(3).fit(df[NUMBERS][df["a"] > 1e9]), "no row counts"),
    ]
    for execute, text in cases:
        with pytest.raises(ValueError, match=text):
            ours(execute)


def test_classes_without_rows() -> None:
    with pytest.warns(RuntimeWarning, match="no row has the class 7, which is left out"):
        found = ours(lambda df: learn.GaussianNB().fit(df[NUMBERS], df["k"], classes=[7, 0, 1, 2]))
    assert found.classes_.tolist() == [0, 1, 2]
    alike(found, naive_bayes.GaussianNB().fit(ROWS[NUMBERS], ROWS.k))
    with pytest.warns(RuntimeWarning, match="left out"):
        one = ours(
            lambda df: learn.GaussianNB().fit(df[df["t"] > 0.5][NUMBERS], df[df["t"] > 0.5]["t"], classes=[0, 1])
        )
    assert one.predict(ROWS).tolist() == [1] * 180


def test_few_rows() -> None:
    frame = pd.DataFrame({"x": [1.0], "y": [2.0]})
    line = task(lambda df: learn.LinearRegression().fit(df[["x"]], df["y"]), ["x", "y"])
    with pytest.warns(RuntimeWarning, match=r"do not vary \('x'\)"):
        found = delta.debug(line, data=[frame, frame, frame], parts=3)
    assert (found.coef_.tolist(), found.intercept_) == ([0.0], 2.0) and math.isnan(found.score_)
    rows = pd.concat([frame, frame * 3, frame * 5])
    pca = delta.debug(task(lambda df: learn.PCA().fit(df), ["x", "y"]), data=rows, parts=3)
    assert pca.n_components_ == 2 and pca.explained_variance_[1] == pytest.approx(0, abs=1e-12)


def test_what_cannot_work_is_refused_while_the_task_is_written() -> None:
    cases: list[tuple[Any, str]] = [
        (
            lambda df: learn.GaussianNB().fit(df[NUMBERS], df["k"]),
            r"declare the classes, fit\(X, y, classes=\[0, 1\]\)",
        ),
        (lambda df: learn.LogisticRegression().fit(df[NUMBERS], df["t"], classes=[1]), "two classes at least"),
        (lambda df: learn.Ridge().fit(df[NUMBERS], df[df["a"] > 0]["y"]), "select the same rows of one table"),
        (lambda df: learn.Ridge().fit(df[NUMBERS].mean(), df["y"]), "X must be columns of rows"),
        (lambda df: learn.Ridge().fit(df[NUMBERS], 3.0), "y must be a column of rows"),
        (lambda df: learn.OneHotEncoder().fit(df[["c0"]]), "declare the categories of 'c0'"),
        (lambda df: learn.OneHotEncoder(categories=[[0]]).fit(df[["c0", "c1"]]), "a list for each of the 2 columns"),
        (lambda df: learn.OneHotEncoder(categories={"c9": [0]}).fit(df[["c0"]]), "categories has 'c9'"),
        (lambda df: learn.PCA(2).fit_transform(df[NUMBERS]), "use transform"),
        (lambda df: learn.PCA(2).fit(df[NUMBERS]).transform(df[NUMBERS]), "use transform"),
        (lambda df: (FITS["logistic"](df), FITS["logistic"](df)), "make a task of each"),
        (lambda df: learn.Ridge(alpha=-1), "alpha=-1 must be a finite number of at least 0"),
        (lambda df: learn.Lasso(missing="skip"), "use 'raise' or 'drop' or 'ignore'"),
        (
            lambda df: learn.LogisticRegression(class_weight={3: 1.0}).fit(df[NUMBERS], df["t"], classes=[0, 1]),
            "class_weight",
        ),
        (lambda df: learn.Ridge().set_params(beta=2), "has no parameter 'beta'; it has alpha"),
        (lambda df: learn.Ridge().predict(df[NUMBERS]), r"not fitted: return Ridge\(...\).fit\(...\) from execute"),
        (lambda df: learn.Ridge().fit(df[NUMBERS], df["y"]).coef_, "no 'coef_' while the task is written"),
    ]
    for execute, text in cases:
        with pytest.raises((TypeError, ValueError, AttributeError), match=text):
            build(execute, list(ROWS))


def test_fitted_estimators_refuse_other_columns() -> None:
    found = ours(FITS["linear"])
    assert repr(learn.Ridge(alpha=2.0)) == "Ridge(alpha=2.0)" and found.get_params()["alpha"] == 1.0
    with pytest.raises(ValueError, match="X has no column 'b', 'c'"):
        found.predict(ROWS[["a"]])
    with pytest.raises(ValueError, match=re.escape("X has the shape (180, 2), and must be [rows, 3]")):
        found.predict(ROWS[["a", "b"]].to_numpy())
    with pytest.raises(ValueError, match="1 rows of X have a missing"):
        found.predict(np.array([[1.0, math.nan, 2.0]]))


def test_a_task_that_loses_a_member_ends() -> None:
    made = task(FITS["logistic"], list(ROWS))
    assert [r.get("cohort") for r in made.build().manifest["rounds"]] == [None, "same"]
    with pytest.raises(RuntimeError, match="round 3 must sum the members of round 2, and part 1 is away"):
        delta.debug(made, data=ROWS, absent={3: [1]})
    found = delta.debug(task(FITS["logistic"], list(ROWS), min_clients=2), data=ROWS, absent={1: [2], 2: [2]})
    theirs = linear_model.LogisticRegression(solver="newton-cholesky", tol=1e-13).fit(ROWS[NUMBERS][:120], ROWS.t[:120])
    np.testing.assert_allclose(found.coef_, theirs.coef_, **EXACT)


def test_noise_is_in_the_sums_and_told() -> None:
    privacy = delta.Privacy(epsilon=20.0, delta=1e-5, clip=3.0)
    scaled = ROWS[["a", "c", "y", "t"]].apply(lambda s: (s - s.mean()) / s.std() / 2).assign(t=ROWS.t)

    def noised(execute: Any) -> Any:
        return delta.debug(task(execute, list(scaled), privacy=privacy), data=scaled, seed=3)

    for fit in (
        lambda df: learn.LinearRegression().fit(df[["a", "c"]], df["y"]),
        lambda df: learn.Lasso(0.01).fit(df[["a", "c"]], df["y"]),
        lambda df: learn.PCA(1).fit(df[["a", "c"]]),
        lambda df: learn.GaussianNB().fit(df[["a", "c"]], df["t"], classes=[0, 1]),
    ):
        found = noised(fit)
        assert found.privacy["epsilon"] == pytest.approx(20, rel=1e-2) and found.privacy["rounds"] == 2
    plain = linear_model.LinearRegression().fit(scaled[["a", "c"]], scaled.y)
    np.testing.assert_allclose(
        noised(lambda df: learn.LinearRegression().fit(df[["a", "c"]], df["y"])).coef_, plain.coef_, atol=0.3
    )
    with pytest.raises(
        ValueError, match="LogisticRegression is found by rounds of its own, which have no form with noise"
    ):
        noised(lambda df: FITS["logistic"](df.rename(columns={"y": "b"})))


def test_owners_rules_are_kept_by_sums_of_many_rows() -> None:
    made = task(
        lambda df: (learn.Ridge().fit(df[["a", "c"]], df["y"]), learn.StandardScaler().fit(df[["a", "c"]])), list(ROWS)
    )
    delta.debug(made, data=ROWS, strict=True)


SEPAL, WIDTH, PETAL = "sepal length (cm)", "sepal width (cm)", "petal length (cm)"
SOON = {"connection_timeout": 10, "wait_timeout": 30, "min_clients": 3, "max_clients": 3}


class Flowers(HorizontalAnalytics):
    def dataset(self) -> dict[str, Table]:
        return {"iris": Table("iris.csv", columns=[SEPAL, WIDTH, PETAL, "target"])}

    def execute(self, iris: Any) -> Any:
        x = iris[[SEPAL, WIDTH, PETAL]]
        return (
            learn.Lasso(0.05).fit(iris[[SEPAL, WIDTH]], iris[PETAL]),
            learn.GaussianNB().fit(x, iris["target"], classes=[0, 1, 2]),
            learn.make_pipeline(learn.StandardScaler(), learn.LogisticRegression()).fit(
                x, iris["target"], classes=[0, 1, 2]
            ),
        )


def test_real_nodes_give_what_scikit_learn_does(network: Network) -> None:
    node = network.node
    task_id = node.create_task(Flowers("flowers", **SOON))
    assert node.wait(task_id, timeout=120, progress=False), node.progress(task_id).error
    lasso, bayes, logistic = node.get_result(task_id)
    iris = network.pooled("iris.csv")
    x = iris[[SEPAL, WIDTH, PETAL]]
    theirs = linear_model.Lasso(0.05, tol=1e-14, max_iter=100_000).fit(iris[[SEPAL, WIDTH]], iris[PETAL])
    np.testing.assert_allclose(lasso.coef_, theirs.coef_, **EXACT)
    alike(bayes, naive_bayes.GaussianNB().fit(x, iris.target))
    best = pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression(solver="newton-cholesky", tol=1e-13)
    ).fit(x, iris.target)
    np.testing.assert_allclose(logistic.predict_proba(x), best.predict_proba(x), rtol=1e-8, atol=1e-10)
    assert logistic.rounds[-1]["members"] == 3
