"""``delta.stats`` over three members against scipy and scikit-learn on the pooled rows; survival has tests of its own."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import delta
from conftest import ROOT, Network
from delta import _distributions as tails
from delta import stats as ds
from delta.dataset import DataFrame as Table
from delta.task import HorizontalAnalytics
from pooled import build, run, task
from stats_cases import EXACT, GRID, PEOPLE, StratifiedCox, ours, same

scipy_stats = pytest.importorskip("scipy.stats")
pytest.importorskip("statsmodels")
pytest.importorskip("sklearn")


def test_two_samples_and_their_intervals() -> None:
    a, b = PEOPLE[PEOPLE.arm == 0].x, PEOPLE[PEOPLE.arm == 2].x
    cases = [(equal, alternative) for equal in (True, False) for alternative in ("two-sided", "less", "greater")]

    def execute(df: Any) -> Any:
        first, second = df[df.arm == 0]["x"], df[df.arm == 2]["x"]
        return tuple(ds.ttest_ind(first, second, equal_var=e, alternative=w) for e, w in cases)

    for found, (equal, alternative) in zip(ours(execute), cases, strict=True):
        theirs = scipy_stats.ttest_ind(a, b, equal_var=equal, alternative=alternative, nan_policy="omit")
        same(found, theirs, "statistic", "pvalue", "df")
        interval = theirs.confidence_interval(0.9)
        np.testing.assert_allclose(found.confidence_interval(0.9), (interval.low, interval.high), **EXACT)
        statistic, pvalue = found
        assert (statistic, pvalue) == (found.statistic, found.pvalue)
    assert found.n == (a.count(), b.count())
    np.testing.assert_allclose(found.mean, (a.mean(), b.mean()), **EXACT)
    assert found.rounds[0]["members"] == 3


def test_one_sample_and_pairs() -> None:
    def execute(df: Any) -> Any:
        return (
            ds.ttest_1samp(df["x"], 121.5),
            ds.ttest_1samp(df["x"], 121.5, alternative="less"),
            ds.ttest_rel(df["x"], df["y"] * 2.4, alternative="greater"),
        )

    one, less, pairs = ours(execute)
    theirs = scipy_stats.ttest_1samp(PEOPLE.x, 121.5, nan_policy="omit")
    same(one, theirs, "statistic", "pvalue", "df")
    np.testing.assert_allclose(one.confidence_interval(), tuple(theirs.confidence_interval()), **EXACT)
    theirs = scipy_stats.ttest_1samp(PEOPLE.x, 121.5, nan_policy="omit", alternative="less")
    same(less, theirs, "statistic", "pvalue", "df")
    np.testing.assert_allclose(less.confidence_interval(), tuple(theirs.confidence_interval()), **EXACT)
    theirs = scipy_stats.ttest_rel(PEOPLE.x, PEOPLE.y * 2.4, nan_policy="omit", alternative="greater")
    same(pairs, theirs, "statistic", "pvalue", "df")


def test_samples_without_spread_or_rows_are_as_in_scipy() -> None:
    frame = pd.DataFrame({"x": [0.1] * 7 + [0.3] * 5 + [4.0], "g": [0.0] * 7 + [1.0] * 5 + [2.0]})

    def execute(df: Any) -> Any:
        a, b, one, none = (df[df.g == i]["x"] for i in range(4))
        return (
            ds.ttest_ind(a, b),
            ds.ttest_ind(a, a, equal_var=False),
            ds.ttest_ind(a, one),
            ds.ttest_ind(a, none),
            ds.ttest_1samp(one, 3.0),
            ds.ttest_1samp(a, 0.1),
            ds.ttest_ind(df["x"], one),
            ds.ttest_ind(df["x"], one, equal_var=False),
        )

    different, equal, single, empty, alone, constant, joined, welch = run(execute, frame, split=(3, 8))
    assert (different.statistic, different.pvalue) == (-math.inf, 0)
    assert (single.statistic, single.pvalue) == (-math.inf, 0)
    assert all(math.isnan(v) for r in (equal, empty, alone, constant, welch) for v in r)
    same(joined, scipy_stats.ttest_ind(frame.x, [4.0]), "statistic", "pvalue", "df")


def test_contingency_tables() -> None:
    def execute(df: Any) -> Any:
        two = df[df.site < 3]
        return (
            ds.chi2_contingency(df, "arm", "site", categories=[[0, 1, 2], [1, 2, 3]]),
            ds.chi2_contingency(two, "label", "site", categories={"label": [0, 1], "site": [1, 2]}),
            ds.chi2_contingency(two, "label", "site", categories=[[0, 1], [1, 2]], correction=False),
            ds.chi2_contingency(df, "arm", "site", categories=[[0, 1, 2, 7], [1, 2, 3]]),
            ds.chisquare(df["likert"].value_counts(categories=[1, 2, 3, 4, 5])),
            ds.chisquare(df["likert"].value_counts(categories=[1, 2, 3, 4, 5]), f_exp=[1, 2, 4, 2, 1], ddof=1),
        )

    with pytest.warns(RuntimeWarning, match="no row has 7"):
        three, corrected, plain, empty, even, uneven = ours(execute)
    table = pd.crosstab(PEOPLE.arm, PEOPLE.site)
    same(three, scipy_stats.chi2_contingency(table), "statistic", "pvalue", "dof", "expected_freq")
    np.testing.assert_array_equal(three.observed, table)
    assert (three.index, three.columns) == ([0, 1, 2], [1, 2, 3])
    two = PEOPLE[PEOPLE.site < 3]
    table = pd.crosstab(two.label, two.site)
    same(corrected, scipy_stats.chi2_contingency(table), "statistic", "pvalue", "dof", "expected_freq")
    same(plain, scipy_stats.chi2_contingency(table, correction=False), "statistic", "pvalue")
    assert math.isnan(empty.pvalue) and empty.observed[3].sum() == 0
    counts = PEOPLE.likert.value_counts().sort_index()
    same(even, scipy_stats.chisquare(counts), "statistic", "pvalue")
    expected = np.array([1, 2, 4, 2, 1]) / 10 * counts.sum()
    same(uneven, scipy_stats.chisquare(counts, expected, ddof=1), "statistic", "pvalue")


@pytest.mark.parametrize("equal_var", [True, False])
def test_analysis_of_variance(equal_var: bool) -> None:
    def execute(df: Any) -> Any:
        return (
            ds.f_oneway(df["x"], df["arm"], categories=[0, 1, 2], equal_var=equal_var),
            ds.f_oneway(df["x"], df["arm"], categories=[0, 1, 9], equal_var=equal_var),
            ds.f_oneway(df["arm"] * 0.1, df["arm"], categories=[0, 1], equal_var=equal_var),
            ds.f_oneway(df["arm"] * 0 + 0.1, df["arm"], categories=[0, 1], equal_var=equal_var),
        )

    with pytest.warns(RuntimeWarning, match="no row has 9"):
        found, empty, apart, alike = ours(execute)
    groups = [PEOPLE[PEOPLE.arm == g].x.dropna() for g in range(3)]
    same(found, scipy_stats.f_oneway(*groups, equal_var=equal_var), "statistic", "pvalue")
    np.testing.assert_allclose(found.var, [g.var() for g in groups], **EXACT)
    assert math.isnan(empty.statistic) and math.isnan(empty.pvalue)
    assert apart.statistic == math.inf and math.isnan(alike.statistic)
    if equal_var:
        assert apart.pvalue == 0


def test_correlation() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, np.nan, 4.0], "b": [2.0, 1.0, 5.0, np.nan], "c": 3.0})
    cases = ("two-sided", "less", "greater")
    pairs = PEOPLE[["x", "y"]].dropna()
    for found, alternative in zip(
        ours(lambda df: tuple(ds.pearsonr(df["x"], df["y"], alternative=a) for a in cases)), cases, strict=True
    ):
        theirs = scipy_stats.pearsonr(pairs.x, pairs.y, alternative=alternative)
        same(found, theirs, "statistic", "pvalue")
        np.testing.assert_allclose(found.confidence_interval(0.8), tuple(theirs.confidence_interval(0.8)), **EXACT)
    two, constant = run(lambda df: (ds.pearsonr(df["a"], df["b"]), ds.pearsonr(df["a"], df["c"])), frame, split=(1, 2))
    assert (two.statistic, two.pvalue, two.n) == (-1, 1, 2)
    assert math.isnan(constant.statistic) and math.isnan(constant.pvalue)


def test_ranks_by_bins() -> None:
    cases = [(alternative, c) for alternative in ("two-sided", "less", "greater") for c in (True, False)]
    edges = [95.0, 105.0, 117.0, 118.5, 126.0, 140.0]

    def execute(df: Any) -> Any:
        a, b = df[df.arm == 0], df[df.arm == 1]
        return (
            *(
                ds.mannwhitneyu(a["likert"], b["likert"], [1, 2, 3, 4, 5, 6], alternative=w, use_continuity=c)
                for w, c in cases
            ),
            ds.mannwhitneyu(a["x"], b["x"], edges),
            ds.mannwhitneyu(a["x"], b["x"], 25, range=(90, 160)),
            ds.mannwhitneyu(a["x"], a[a.x > 1e6]["x"], edges),
            ds.mannwhitneyu(a["x"], b["x"], [1e5, 1e6]),
        )

    *likert, uneven, even, empty, tied = ours(execute)
    a, b = PEOPLE[PEOPLE.arm == 0], PEOPLE[PEOPLE.arm == 1]
    for found, (alternative, continuity) in zip(likert, cases, strict=True):
        theirs = scipy_stats.mannwhitneyu(
            a.likert.dropna(), b.likert.dropna(), continuity, alternative, method="asymptotic"
        )
        same(found, theirs, "statistic", "pvalue")
    for found, at in ((uneven, edges), (even, np.linspace(90, 160, 26))):
        inner = np.asarray(at)[1:-1]
        codes = [np.digitize(s.x.dropna(), inner) for s in (a, b)]
        same(found, scipy_stats.mannwhitneyu(*codes, method="asymptotic"), "statistic", "pvalue")
    assert math.isnan(empty.pvalue)
    assert tied.pvalue == scipy_stats.mannwhitneyu([1] * 5, [1] * 4, method="asymptotic").pvalue == 1


def test_areas_under_the_curve() -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    rows = PEOPLE[["score", "label"]].dropna()
    edges = np.linspace(0, 1, 101)
    found, coarse = ours(
        lambda df: (ds.roc_auc(df["score"], df["label"]), ds.roc_auc(df["score"], df["label"] == 1, [0, 0.2, 0.5, 0.9]))
    )
    binned = np.digitize(rows.score, edges[1:-1])
    assert found.auc == pytest.approx(roc_auc_score(rows.label, binned), abs=1e-14)
    fpr, tpr, _ = roc_curve(rows.label, binned, drop_intermediate=False)
    there = np.append(True, (np.diff(found.fpr) > 0) | (np.diff(found.tpr) > 0))
    np.testing.assert_allclose(found.fpr[there], fpr, atol=1e-14)
    np.testing.assert_allclose(found.tpr[there], tpr, atol=1e-14)
    assert found.thresholds[0] == math.inf and found.thresholds[-1] == 0
    # A missing label that is compared is False, as in pandas.
    all_rows = PEOPLE.dropna(subset="score")
    expected = roc_auc_score(all_rows.label == 1, np.digitize(all_rows.score, [0.2, 0.5]))
    assert coarse.auc == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("bins", [10, 7, [0.0, 0.05, 0.3, 0.31, 0.8, 1.0]])
def test_calibration(bins: Any) -> None:
    from sklearn.calibration import calibration_curve

    rows = PEOPLE[["score", "label"]].dropna()
    found = ours(lambda df: ds.calibration(df["score"], df["label"], bins))
    assert found.brier == pytest.approx(((rows.score - rows.label) ** 2).mean(), rel=1e-10)
    if isinstance(bins, int):
        true, pred = calibration_curve(rows.label, rows.score, n_bins=bins)
    else:
        by = rows.groupby(np.searchsorted(bins[1:-1], rows.score))
        true, pred = by.label.mean(), by.score.mean()
    np.testing.assert_allclose(found.prob_true, true, **EXACT)
    np.testing.assert_allclose(found.prob_pred, pred, **EXACT)
    assert found.counts.sum() == len(rows)


def test_scales_and_components() -> None:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    names = ["x", "y", "likert", "score"]
    frame = PEOPLE.assign(one=7.3)
    scaler, full, few = ours(
        lambda df: (ds.standard_scaler(df[[*names, "one"]]), ds.pca(df[names]), ds.pca(df[names], 2)), frame
    )
    theirs = StandardScaler().fit(frame[[*names, "one"]])
    same(scaler, theirs, "mean_", "var_", "scale_", "n_samples_seen_", rtol=1e-9, atol=1e-20)
    rows = PEOPLE[names].dropna()
    for found, k in ((full, None), (few, 2)):
        theirs = PCA(k, svd_solver="full").fit(rows)
        same(found, theirs, "components_", "explained_variance_", "explained_variance_ratio_", "singular_values_")
        same(found, theirs, "mean_", "noise_variance_", "n_samples_")


def test_clusters() -> None:
    from sklearn.cluster import KMeans

    rng = np.random.default_rng(5)
    centers = np.array([[0.0, 0.0], [5.0, 1.0], [2.0, 6.0]])
    frame = pd.DataFrame(np.concatenate([rng.normal(c, 1.2, (50, 2)) for c in centers]), columns=["a", "b"])
    frame = frame.sample(frac=1, random_state=2, ignore_index=True)
    frame.loc[::31, "a"] = np.nan
    start = np.add(centers, [[1.0, -1.0], [0.5, 0.5], [-1.0, -1.0]])
    found = run(lambda df: ds.kmeans(df, start, max_iter=8), frame, split=(60, 90))
    theirs = KMeans(3, init=start, n_init=1, tol=0, algorithm="lloyd").fit(frame.dropna())
    same(found, theirs, "cluster_centers_", "inertia_")
    np.testing.assert_array_equal(found.counts, np.bincount(theirs.labels_))
    assert found.converged
    with pytest.warns(RuntimeWarning) as said:
        far = run(lambda df: ds.kmeans(df, [[0, 0], [1, 1], [99, 99]], max_iter=1), frame, split=(60, 90))
    assert any("more rounds" in str(w.message) for w in said) and any("centres 2" in str(w.message) for w in said)
    np.testing.assert_array_equal(far.cluster_centers_[2], [99, 99])


class Levels(HorizontalAnalytics):
    def dataset(self) -> dict[str, Table]:
        levels = {"sex": ["f", "m"], "stage": ["I", "II", "III"]}
        return {"df": Table("t.csv", ["sex", "stage", "x", "days", "died"], levels=levels)}

    def execute(self, df: Any) -> Any:
        return (
            ds.chi2_contingency(df, "sex", "stage"),
            ds.chisquare(df["stage"]),
            ds.f_oneway(df["x"], df["stage"]),
            ds.logrank_test(df["days"], df["died"] == 1, df["sex"], times=GRID),
            ds.ttest_ind(df[df["sex"] == "f"]["x"], df[df["sex"] == "m"]["x"]),
        )


def test_columns_of_levels_need_no_categories() -> None:
    from statsmodels.duration.survfunc import survdiff

    rng = np.random.default_rng(8)
    frame = PEOPLE[["x", "days", "died"]].dropna().copy()
    frame["sex"] = rng.choice(["f", "m"], len(frame))
    frame["stage"] = rng.choice(["I", "II", "III", "unknown"], len(frame))
    table, counts, anova, logrank, t = delta.debug(Levels("levels", 3, 3), df=frame)
    known = frame[frame.stage != "unknown"]
    same(table, scipy_stats.chi2_contingency(pd.crosstab(known.sex, known.stage)), "statistic", "pvalue", "dof")
    assert (table.index, table.columns, counts.index) == (["f", "m"], ["I", "II", "III"], ["I", "II", "III"])
    same(counts, scipy_stats.chisquare(known.stage.value_counts().sort_index()), "statistic", "pvalue")
    same(anova, scipy_stats.f_oneway(*(g for _, g in known.groupby("stage").x)), "statistic", "pvalue")
    chisq, pvalue = survdiff(frame.days, frame.died, frame.sex)
    np.testing.assert_allclose(tuple(logrank), (chisq, pvalue), **EXACT)
    f, m = (frame[frame.sex == s].x for s in "fm")
    same(t, scipy_stats.ttest_ind(f, m), "statistic", "pvalue")


def test_other_labels_than_0_and_1_are_refused() -> None:
    frame = PEOPLE.assign(label=PEOPLE.label * 2)
    for execute in (
        lambda df: ds.roc_auc(df["score"], df["label"]),
        lambda df: ds.calibration(df["score"], df["label"]),
        lambda df: ds.kaplan_meier(df["days"], df["label"], times=[10, 20]),
        lambda df: ds.logrank_test(df["days"], df["label"], df["site"], times=[10, 20], categories=[1, 2]),
    ):
        with pytest.raises(ValueError, match=r"\d+ rows of all members have an? \w+ that is not 0 or 1"):
            ours(execute, frame)
    with pytest.raises(ValueError, match=r"\d+ rows of all members have a score outside 0 to 1"):
        ours(lambda df: ds.calibration(df["x"], df["label"]))
    with pytest.warns(RuntimeWarning, match="0 rows have the label 0"):
        assert math.isnan(ours(lambda df: ds.roc_auc(df["score"], df["label"] * 0 + 1)).auc)


@pytest.mark.parametrize(
    ("execute", "error", "says"),
    [
        (lambda df: ds.ttest_ind(df["x"], [1, 2]), TypeError, "b is a list"),
        (lambda df: ds.ttest_ind(df["x"], df.mean()), TypeError, "b is a result"),
        (lambda df: ds.ttest_ind(df["x"], df["y"], alternative="both"), ValueError, "alternative='both'"),
        (lambda df: ds.ttest_1samp(df["x"], df["x"].mean()), TypeError, "popmean"),
        (lambda df: ds.ttest_rel(df[df.x > 1]["x"], df["y"]), ValueError, "rows"),
        (lambda df: ds.chisquare(df["likert"]), TypeError, "value_counts"),
        (lambda df: ds.chisquare(df["site"].value_counts(categories=[1, 2]), [1]), ValueError, "2 numbers"),
        (lambda df: ds.chi2_contingency(df, "arm", "site"), TypeError, "declare the categories"),
        (lambda df: ds.f_oneway(df["x"], df["arm"], categories=[1]), ValueError, "two groups"),
        (lambda df: ds.mannwhitneyu(df["x"], df["y"], 10), TypeError, "extent"),
        (lambda df: ds.mannwhitneyu(df["x"], df["y"], [2, 1]), ValueError, "rise"),
        (lambda df: ds.kaplan_meier(df["days"], df["died"], times=[]), ValueError, "at least 1"),
        (lambda df: ds.logrank_test(df["days"], df["died"], df["arm"], times=GRID), TypeError, "declare the groups"),
        (
            lambda df: ds.logrank_test(df["days"], df["died"], df["arm"], times=GRID, categories=[0, 1], fh_p=1),
            TypeError,
            "fh_p",
        ),
        (lambda df: ds.pca(df[["x", "y"]], 3), ValueError, "1 to 2"),
        (lambda df: ds.kmeans(df[["x", "y"]], [[1]]), ValueError, r"\[clusters, 2\]"),
        (lambda df: bool(ds.pearsonr(df["x"], df["y"])), TypeError, "does not exist while the task is written"),
        (lambda df: ds.pearsonr(df["x"], df["y"]).pvalue, AttributeError, "return it from execute"),
    ],
)
def test_what_cannot_work_is_refused_while_the_task_is_written(execute: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        build(execute, list(PEOPLE))


def test_statistics_keep_records_apart_and_go_with_other_results() -> None:
    def execute(df: Any) -> Any:
        return (
            df["x"].mean(),
            ds.ttest_ind(df[df.arm == 0]["x"], df[df.arm == 1]["x"]),
            ds.kaplan_meier(df["days"], df["died"], times=GRID),
            ds.calibration(df["score"], df["label"]),
            ds.mannwhitneyu(df["x"], df["y"], 20, range=(0, 200)),
            ds.pca(df[["x", "y"]]),
            ds.f_oneway(df["x"], df["arm"], categories=[0, 1, 2]),
            ds.pearsonr(df["x"], df["y"]),
        )

    bundle = build(execute, list(PEOPLE))
    assert bundle.rounds == 2
    assert "Class: controlled" in bundle.describe()
    assert [s["kind"] for s in bundle.manifest["options"]["result"]] == ["scalar", *["statistic"] * 7]
    assert ours(execute)[0] == pytest.approx(PEOPLE.x.mean())
    assert build(execute, list(PEOPLE)).commitment == bundle.commitment


def test_graphs_use_only_operators_that_every_node_runs() -> None:
    import onnx

    def execute(df: Any) -> Any:
        return (
            ds.kaplan_meier(df["days"], df["died"], times=GRID),
            ds.logrank_test(df["days"], df["died"], df["arm"], times=[1, 5, 7], categories=[0, 1]),
            ds.roc_auc(df["score"], df["label"]),
            ds.calibration(df["score"], df["label"]),
            ds.kmeans(df[["x", "y"]], [[1, 2], [3, 4]], 2),
            ds.pca(df[["x", "y"]]),
            ds.f_oneway(df["x"], df["arm"], categories=[0, 1]),
        )

    allowed = (ROOT / "src/adapters/onnx/guard/ops.rs").read_text()
    for bundle in (build(execute, list(PEOPLE)), StratifiedCox("cox", 3, 3).build()):
        for name, graph in bundle.graphs.items():
            for op in {n.op_type for n in onnx.load_from_string(graph).graph.node}:
                assert f'"{op}",' in allowed, (name, op)
                assert op not in {"Sigmoid", "Erf", "Round", "IsNaN", "OneHot", "Unique", "ConstantOfShape"}, (name, op)


def test_the_manifests_fit_the_published_schema() -> None:
    import json

    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / "task.schema.json").read_text())
    for made in (StratifiedCox("cox", 3, 3), Levels("levels", 3, 3)):
        jsonschema.validate(made.build().manifest, schema)


def test_tests_under_noise_say_so() -> None:
    privacy = delta.Privacy(epsilon=50, delta=1e-5, clip=3.0)
    scaled = PEOPLE.assign(x=(PEOPLE.x - 120) / 50)
    made = task(lambda df: ds.ttest_1samp(df["x"], 0.0), ["x"], privacy=privacy)
    found = delta.debug(made, data=scaled, seed=1)
    assert found.privacy["epsilon"] == pytest.approx(50, rel=1e-2) and math.isfinite(found.pvalue)


def test_labels_are_no_matter_of_chance_under_noise() -> None:
    """The count of wrong labels has noise too, and refused what was paid for."""
    frame = pd.DataFrame({"s": np.linspace(0.01, 0.99, 300), "l": [0.0, 1.0, 1.0] * 100})
    made = task(
        lambda df: ds.roc_auc(df["s"], df["l"], bins=4),
        ["s", "l"],
        privacy=delta.Privacy(epsilon=3, delta=1e-5, clip=2.0),
    )
    for seed in range(3):
        assert 0 <= delta.debug(made, data=frame, seed=seed).auc <= 1.5


def test_intervals_have_a_level() -> None:
    assert math.isnan(tails.t_quantile(0.05, math.nan)) and math.isnan(tails.t_quantile(-94.0, 5))
    np.testing.assert_allclose(tails.t_quantile(0.05, 7), scipy_stats.t.isf(0.025, 7), rtol=1e-12)


def test_tails_are_those_of_scipy() -> None:
    for z in (-3.0, 0.0, 0.5, 8.0, 30.0):
        np.testing.assert_allclose(tails.normal_upper(z), scipy_stats.norm.sf(z), rtol=1e-12)
        for df in (1, 2.5, 30, 1e5):
            np.testing.assert_allclose(tails.t_upper(z, df), scipy_stats.t.sf(z, df), rtol=1e-10)
    assert tails.chi2_upper(math.inf, 3) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(tails.chi2_upper(math.nan, 3))


SEPAL, WIDTH, PETAL = "sepal length (cm)", "sepal width (cm)", "petal length (cm)"
SOON = {"connection_timeout": 10, "wait_timeout": 30, "min_clients": 3, "max_clients": 3}


class Flowers(HorizontalAnalytics):
    def dataset(self) -> dict[str, Table]:
        return {"iris": Table("iris.csv", columns=[SEPAL, WIDTH, PETAL, "target"])}

    def execute(self, iris: Any) -> Any:
        return (
            ds.ttest_ind(iris[iris.target == 1][SEPAL], iris[iris.target == 2][SEPAL], equal_var=False),
            ds.f_oneway(iris[SEPAL], iris["target"], categories=[0, 1, 2]),
            ds.pearsonr(iris[SEPAL], iris[WIDTH]),
            ds.kaplan_meier(iris[PETAL], iris["target"] == 1, times=[2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
            ds.mannwhitneyu(iris[iris.target == 1][WIDTH], iris[iris.target == 2][WIDTH], 25, range=(2, 4.5)),
            ds.pca(iris[[SEPAL, WIDTH, PETAL]]),
        )


class FlowersCox(ds.CoxTask):
    times = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0)

    def dataset(self) -> dict[str, Table]:
        return {"iris": Table("iris.csv", columns=[SEPAL, WIDTH, PETAL, "target"])}

    def preprocess(self, iris: Any) -> Any:
        return iris[[SEPAL, WIDTH]], iris[PETAL], iris["target"] == 1


@pytest.mark.parametrize("kind", [Flowers, FlowersCox])
def test_real_nodes_give_what_debug_gives(kind: Any, network: Network) -> None:
    made, node = kind("flowers", **SOON), network.node
    task_id = node.create_task(made)
    assert node.wait(task_id, timeout=120, progress=False), node.progress(task_id).error
    found = node.get_result(task_id)
    expected = delta.debug(kind("flowers", **SOON), iris=network.tables("iris.csv"))
    for mine, theirs in zip(*([r] if kind is FlowersCox else r for r in (found, expected)), strict=True):
        numbers = [n for n, v in vars(theirs).items() if isinstance(v, (float, np.ndarray))]
        assert len(numbers) > 1
        same(mine, theirs, *numbers, rtol=1e-9, atol=1e-12)
    if kind is Flowers:
        iris = network.pooled("iris.csv")
        first, second = iris[iris.target == 1][SEPAL], iris[iris.target == 2][SEPAL]
        same(found[0], scipy_stats.ttest_ind(first, second, equal_var=False), "statistic", "pvalue", "df")
