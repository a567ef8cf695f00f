"""Boosted trees: a plain program over the pooled rows, and scikit-learn where its bins are ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

import delta
from conftest import Network
from delta import learn
from delta.dataset import DataFrame as Table
from delta.task import HorizontalAnalytics
from pooled import build, run, task

pytestmark = pytest.mark.filterwarnings("ignore::delta.ReleaseWarning")
Array = npt.NDArray[np.float64]
COLUMNS = ["a", "b", "c"]
BINS = {"a": np.arange(11) + 0.5, "b": np.arange(7) + 0.5, "c": [0.5]}
SPLIT = {"split": (200, 380)}


def rows(n: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, 12, n), rng.integers(0, 8, n), rng.integers(0, 2, n)]).astype(float)
    k = np.clip(x[:, 0] // 4 + rng.integers(-1, 2, n), 0, 2)
    y = x[:, 0] ** 2 / 10 + x[:, 1] * x[:, 2] + rng.normal(size=n)
    frame = pd.DataFrame(x, columns=COLUMNS)
    return frame.assign(k=k, t=(k > 0).astype(float), w=rng.uniform(0.3, 2, n), y=y, z=rng.normal(size=n))


ROWS = rows()


def fit(frame: pd.DataFrame, label: str, weighted: bool = False, bins: Any = None, **options: Any) -> Any:
    bins = BINS if bins is None else bins
    classes = {} if label == "y" else {"classes": sorted(ROWS[label].unique())}
    kind = learn.HistGradientBoostingRegressor if label == "y" else learn.HistGradientBoostingClassifier
    model = kind(bins, **options)
    return run(
        lambda df: model.fit(df[list(bins)], df[label], df["w"] if weighted else None, **classes), frame, **SPLIT
    )


def nested(model: Any) -> list[dict[str, Any]]:
    """The trees of scikit-learn's estimator, as ours gives them."""

    def node(nodes: Any, i: int) -> dict[str, Any]:
        it = nodes[i]
        if it["is_leaf"]:
            return {"value": float(it["value"])}
        found = {"feature": COLUMNS[it["feature_idx"]], "threshold": float(it["num_threshold"])}
        return found | {"left": node(nodes, it["left"]), "right": node(nodes, it["right"])}

    return [node(p.nodes, 0) for trees in model._predictors for p in trees]


def same_tree(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert mine.keys() == theirs.keys()
    if "value" in mine:
        # scikit-learn's gradients are of single precision.
        assert mine["value"] == pytest.approx(theirs["value"], rel=1e-5, abs=1e-6)
        return
    assert (mine["feature"], mine["threshold"]) == (theirs["feature"], theirs["threshold"])
    same_tree(mine["left"], theirs["left"])
    same_tree(mine["right"], theirs["right"])


@pytest.mark.parametrize(("label", "weighted"), [("y", False), ("y", True), ("t", False), ("t", True), ("k", False)])
def test_splits_are_those_of_scikit_learn(label: str, weighted: bool) -> None:
    options = {"max_iter": 5, "max_depth": 3, "learning_rate": 0.3, "l2_regularization": 0.5 if label == "t" else 0.0}
    mine = fit(ROWS, label, weighted, **options)
    kind = HistGradientBoostingRegressor if label == "y" else HistGradientBoostingClassifier
    theirs = kind(**options, max_leaf_nodes=None, early_stopping=False)
    theirs.fit(ROWS[COLUMNS], ROWS[label], ROWS.w if weighted else None)
    assert len(mine.rounds) == 16 and len(mine.trees()) == (15 if label == "k" else 5)
    for one, other in zip(mine.trees(), nested(theirs), strict=True):
        same_tree(one, other)
    if label == "y":
        np.testing.assert_allclose(mine.predict(ROWS), theirs.predict(ROWS[COLUMNS]), rtol=1e-6)
    else:
        np.testing.assert_allclose(mine.predict_proba(ROWS), theirs.predict_proba(ROWS[COLUMNS]), rtol=1e-6)
        np.testing.assert_allclose(mine.decision_function(ROWS), theirs.decision_function(ROWS[COLUMNS]), rtol=1e-6)
        assert mine.classes_.tolist() == theirs.classes_.tolist()
    assert mine.score(ROWS, ROWS[label]) == pytest.approx(theirs.score(ROWS[COLUMNS], ROWS[label]), rel=1e-6)
    assert (np.diff(mine.train_loss_) < 0).all()


def plainly(
    x: Array, y: Array, bins: list[Array], binary: bool, trees: int, depth: int, rate: float, least: int
) -> Array:
    """Boosting over the pooled rows in double precision, node by node: predictions before any link."""
    mean = y.mean()
    raw = np.full(len(y), np.log(mean / (1 - mean)) if binary else mean)

    def grow(rows: Array, level: int, slope: Array, curve: Array) -> None:
        g, h = slope[rows].sum(), curve[rows].sum()
        best, where = 0.0, None
        for j, edges in enumerate(bins if level < depth else []):
            for edge in edges:
                left = x[rows, j] <= edge
                gl, hl = slope[rows][left].sum(), curve[rows][left].sum()
                enough = min(left.sum(), (~left).sum()) >= least and min(hl, h - hl) >= 1e-3
                gain = gl**2 / hl + (g - gl) ** 2 / (h - hl) - g**2 / h if enough else 0.0
                if gain > best * (1 + 1e-12) + 1e-9:
                    best, where = gain, left
        if where is None:
            raw[rows] -= rate * g / h
            return
        grow(rows[where], level + 1, slope, curve)
        grow(rows[~where], level + 1, slope, curve)

    for _ in range(trees):
        p = 1 / (1 + np.exp(-raw))
        slope, curve = (p - y, p * (1 - p)) if binary else (raw - y, np.ones(len(y)))
        grow(np.arange(len(y)), 0, slope, curve)
    return raw


@pytest.mark.parametrize(("label", "depth"), [("y", 1), ("y", 4), ("t", 2)])
def test_predictions_are_those_of_a_plain_program(label: str, depth: int) -> None:
    bins = {"a": [2.0, 5.5, 8.0], "z": np.linspace(-1.5, 1.5, 9), "b": [3.0]}
    mine = fit(ROWS, label, bins=bins, max_iter=6, max_depth=depth, min_samples_leaf=15, learning_rate=0.5)
    edges = [np.asarray(e, np.float64) for e in bins.values()]
    theirs = plainly(ROWS[list(bins)].to_numpy(), ROWS[label].to_numpy(), edges, label == "t", 6, depth, 0.5, 15)
    raw = mine.predict(ROWS) if label == "y" else mine.decision_function(ROWS)
    np.testing.assert_allclose(raw, theirs, rtol=1e-9, atol=1e-10)


def test_sums_record_by_record_are_the_same_and_can_be_controlled() -> None:
    bins = {"b": [3.5], "c": [0.5]}
    options: dict[str, Any] = {"bins": bins, "max_iter": 2, "max_depth": 2}

    def described(**more: Any) -> str:
        model = learn.HistGradientBoostingRegressor(bins, **more)
        return build(lambda df: model.fit(df[["b", "c"]], df["y"]), list(ROWS)).describe()

    assert "Class: controlled" in described(by_record=True) and "Class: free" in described()
    whole, apart = fit(ROWS, "y", **options), fit(ROWS, "y", **options, by_record=True)
    for one, other in zip(whole.trees(), apart.trees(), strict=True):
        same_tree(one, other)
    assert whole.trees()[0]["feature"] in ("b", "c")

    def judged(depth: int, **strict: bool) -> None:
        model = learn.HistGradientBoostingRegressor(BINS, max_iter=1, max_depth=depth, by_record=True)
        delta.debug(task(lambda df: model.fit(df[COLUMNS], df["y"]), list(ROWS)), data=ROWS, **strict)

    judged(1, strict=True)
    with pytest.warns(delta.ReleaseWarning, match=r"records\.cells"):
        judged(2)


def test_trees_work_on_rows_at_the_members() -> None:
    number, three = fit(ROWS, "y", max_iter=3), fit(ROWS, "k", max_iter=2, max_depth=2)

    def execute(df: Any) -> Any:
        return (
            ((number.predict(df) - df["y"]) ** 2).mean(),
            (three.predict(df) == df["k"]).mean(),
            three.predict_proba(df).mean(),
        )

    assert "Class: controlled" in build(execute, list(ROWS)).describe()
    square, right, shares = run(execute, ROWS, **SPLIT)
    assert square == pytest.approx(((number.predict(ROWS) - ROWS.y) ** 2).mean())
    assert right == pytest.approx(three.score(ROWS, ROWS.k))
    np.testing.assert_allclose(shares, three.predict_proba(ROWS).mean(0), rtol=1e-9)


def test_rows_that_do_not_count() -> None:
    frame = ROWS.copy()
    frame.loc[::30, "a"] = np.nan
    with pytest.raises(ValueError, match="20 rows of all members have a missing value"):
        fit(frame, "y", max_iter=1)
    found, whole = fit(frame, "y", max_iter=2, missing="drop"), fit(frame.dropna(), "y", max_iter=2)
    assert found.n_missing_ == 20
    np.testing.assert_allclose(found.predict(ROWS), whole.predict(ROWS), rtol=1e-10)
    with pytest.raises(ValueError, match=r"has the class 0\.0; leave it out of classes"):
        fit(ROWS[ROWS.t > 0], "t", max_iter=1)
    constant = fit(ROWS.assign(y=3.0), "y", max_iter=2)
    assert constant.trees() == [{"value": 0.0}] * 2 and (constant.predict(ROWS) == 3.0).all()
    few = fit(ROWS[:500], "y", max_iter=1, min_samples_leaf=400)
    assert few.trees() == [{"value": pytest.approx(0.0, abs=1e-12)}]


def test_what_cannot_work_is_refused() -> None:
    cases: list[tuple[Any, dict[str, Any], str]] = [
        ({"a": [1, 2]}, {}, r"bins must have the thresholds of a, b, c; 'b' is"),
        ({key: [1] for key in "abcd"}, {}, "'d' is one too few or many"),
        ([[1], [2]], {}, "a list of thresholds for each of the 3 columns"),
        (BINS | {"a": [2, 1]}, {}, "bins of 'a' must be thresholds, finite numbers that rise"),
        (BINS | {"a": []}, {}, "bins of 'a' must be thresholds"),
        (BINS, {"max_depth": 12}, "max_depth=12 must be 8 at most"),
        (BINS, {"max_iter": 0}, "max_iter=0 must be a whole number of at least 1"),
    ]
    for bins, options, text in cases:
        with pytest.raises(ValueError, match=text):
            build(
                lambda df, b=bins, o=options: learn.HistGradientBoostingRegressor(b, **o).fit(df[COLUMNS], df["y"]),
                list(ROWS),
            )
    with pytest.raises(ValueError, match="no form with noise"):
        model = learn.HistGradientBoostingRegressor(BINS)
        task(lambda df: model.fit(df[COLUMNS], df["y"]), list(ROWS), privacy=delta.Privacy(epsilon=1.0)).build()


SEPAL, PETAL = "sepal length (cm)", "petal length (cm)"
SOON = {"connection_timeout": 10, "wait_timeout": 30, "min_clients": 3, "max_clients": 3}


class Trees(HorizontalAnalytics):
    def dataset(self) -> dict[str, Table]:
        return {"iris": Table("iris.csv", columns=[SEPAL, PETAL, "target"])}

    def execute(self, iris: Any) -> Any:
        bins = [np.linspace(4.5, 7.5, 7), np.linspace(1.5, 6.5, 11)]
        model = learn.HistGradientBoostingClassifier(bins, max_iter=2, max_depth=2, min_samples_leaf=5)
        return model.fit(iris[[SEPAL, PETAL]], iris["target"], classes=[0, 1, 2])


def test_real_nodes_grow_the_same_trees(network: Network) -> None:
    node = network.node
    task_id = node.create_task(Trees("trees", **SOON))
    assert node.wait(task_id, timeout=120, progress=False), node.progress(task_id).error
    found = node.get_result(task_id)
    expected = delta.debug(Trees("trees", **SOON), iris=network.tables("iris.csv"))
    for mine, theirs in zip(found.trees(), expected.trees(), strict=True):
        same_tree(mine, theirs)
    assert len(found.rounds) == 5 and found.score(network.pooled("iris.csv"), network.pooled("iris.csv").target) > 0.9
