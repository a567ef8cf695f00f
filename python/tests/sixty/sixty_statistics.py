"""Twenty-one methods of papers: regressions, tests, survival, and what else is fitted without a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats as scipy_stats
from sixty_cases import frames, stays_table, task
from sklearn import calibration, cluster, decomposition, metrics
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from delta import stats
from delta.statsmodel import (
    GLMTask,
    LinearTask,
    LogitTask,
    MNLogitTask,
    PoissonTask,
    add_constant,
)

GRID = list(range(1, 31))
MAIN = ["age", "smoker"]


def fit(result: Any) -> Any:
    return np.asarray(result.params), np.asarray(result.bse), np.asarray(result.pvalues)


def x_of(d: pd.DataFrame, names: Any = MAIN) -> pd.DataFrame:
    return sm.add_constant(d[list(names)])


class _Stays:
    """What they read."""

    def dataset(self) -> Any:
        return {"d": stays_table()}


def _pressure(d: pd.DataFrame) -> pd.DataFrame:
    return d[d.pressure.notna()]


@task(
    "least squares, rows with gaps left out", "statsmodels", within=1e-7,
    theirs=lambda d: fit(sm.OLS(_pressure(d).pressure, x_of(_pressure(d))).fit()), read=fit,
)  # fmt: skip
class Pressure(_Stays, LinearTask):
    def preprocess(self, d: Any) -> Any:
        return add_constant(d[MAIN]), d["pressure"]

    def options(self) -> Any:
        return {"missing": "drop"}


@task(
    "robust standard errors", "statsmodels", within=1e-7,
    theirs=lambda d: fit(sm.OLS(d.cost, x_of(d)).fit(cov_type="HC3")), read=fit,
)  # fmt: skip
class Robust(_Stays, LinearTask):
    def preprocess(self, d: Any) -> Any:
        return add_constant(d[MAIN]), d["cost"]

    def options(self) -> Any:
        return {"cov_type": "HC3"}


def _clustered(d: pd.DataFrame) -> Any:
    groups = d.ward.map({"A": 0, "B": 1, "C": 2})
    return fit(sm.OLS(d.cost, x_of(d)).fit(cov_type="cluster", cov_kwds={"groups": groups}))


@task("standard errors by ward", "statsmodels", within=1e-7, theirs=_clustered, read=fit)
class Clustered(Robust):
    def preprocess(self, d: Any) -> Any:
        return add_constant(d[MAIN]), d["cost"], {"groups": d["ward"]}

    def options(self) -> Any:
        return {"cov_type": "cluster"}


def _interaction(d: pd.DataFrame) -> Any:
    d["new"] = (d.arm == "new") * 1.0
    d["age_new"], d["age2"] = d.age * d.new, d.age**2 / 100
    return fit(sm.OLS(d.cost, x_of(d, ["age", "new", "age_new", "age2"])).fit())


@task("a square and an interaction", "statsmodels", within=1e-6, theirs=_interaction, read=fit)
class Interaction(_Stays, LinearTask):
    def preprocess(self, d: Any) -> Any:
        d["new"] = d["arm"].map({"old": 0, "new": 1})
        d["age_new"] = d["age"] * d["new"]
        d["age2"] = d["age"] ** 2 / 100
        return add_constant(d[["age", "new", "age_new", "age2"]]), d["cost"]


@task(
    "logistic regression", "statsmodels", within=1e-6,
    theirs=lambda d: fit(sm.Logit(d.died, x_of(d)).fit(disp=0)), read=fit,
)  # fmt: skip
class Died(_Stays, LogitTask):
    def preprocess(self, d: Any) -> Any:
        return add_constant(d[MAIN]), d["died"]


def _multinomial(d: pd.DataFrame) -> Any:
    fitted = sm.MNLogit(d.grade, x_of(d)).fit(disp=0)
    return np.asarray(fitted.params), np.asarray(fitted.bse)


@task(
    "multinomial logit", "statsmodels", within=1e-6, theirs=_multinomial, n_classes=4,
    read=lambda r: (np.asarray(r.params), np.asarray(r.bse)),
)  # fmt: skip
class Grade(_Stays, MNLogitTask):
    def preprocess(self, d: Any) -> Any:
        return add_constant(d[MAIN]), d["grade"]


@task(
    "Poisson regression of counts", "statsmodels", within=1e-6,
    theirs=lambda d: fit(sm.Poisson(d.visits, x_of(d)).fit(disp=0)), read=fit,
)  # fmt: skip
class Visits(_Stays, PoissonTask):
    def preprocess(self, d: Any) -> Any:
        return add_constant(d[MAIN]), d["visits"]


def _glm(family: Any, y: str, **more: str) -> Any:
    def theirs(d: pd.DataFrame) -> Any:
        fitted = sm.GLM(d[y], x_of(d), family=family, **{k: d[c] for k, c in more.items()}).fit(tol=1e-12, maxiter=100)
        return (*fit(fitted), fitted.deviance, fitted.llf)

    return theirs


def _with_fit(result: Any) -> Any:
    return (*fit(result), result.deviance, result.llf)


F = sm.families


@task(
    "rates by days at risk", "statsmodels", within=1e-6, read=_with_fit, family="poisson",
    theirs=_glm(F.Poisson(), "visits", exposure="days"),
)  # fmt: skip
class Rates(_Stays, GLMTask):
    def preprocess(self, d: Any) -> Any:
        return add_constant(d[MAIN]), d["visits"], {"exposure": d["days"]}


@task(
    "Gamma regression of costs", "statsmodels", within=1e-6, read=_with_fit, family="gamma", link="log",
    theirs=_glm(F.Gamma(F.links.Log()), "cost"),
)  # fmt: skip
class Costs(_Stays, GLMTask):
    def preprocess(self, d: Any) -> Any:
        return add_constant(d[MAIN]), d["cost"]


@task(
    "negative binomial regression", "statsmodels", within=1e-6, read=_with_fit, family="negativebinomial", alpha=0.4,
    theirs=_glm(F.NegativeBinomial(alpha=0.4), "visits"),
)  # fmt: skip
class Dispersed(_Stays, GLMTask):
    def preprocess(self, d: Any) -> Any:
        return add_constant(d[MAIN]), d["visits"]


# ---------------------------------------------------------------- tests
def _test(result: Any) -> Any:
    return result.statistic, result.pvalue


def _arms(d: Any, column: str) -> Any:
    return d[d.arm == "old"][column], d[d.arm == "new"][column]


def _known(*samples: Any) -> Any:
    return tuple(s.dropna() for s in samples)


@frames(
    "t-test of two arms, equal variances and Welch's", "scipy", group="tests", within=1e-7,
    theirs=lambda d: tuple(
        _test(scipy_stats.ttest_ind(*_known(*_arms(d, "pressure")), equal_var=e)) for e in (True, False)
    ),
    read=lambda r: tuple(map(_test, r)),
)  # fmt: skip
def two_arms(d: Any) -> Any:
    old, new = _arms(d, "pressure")
    return stats.ttest_ind(old, new), stats.ttest_ind(old, new, equal_var=False)


@frames(
    "paired t-test", "scipy", group="tests", within=1e-7, read=_test,
    theirs=lambda d: _test(scipy_stats.ttest_rel(d.before, d.pressure, nan_policy="omit")),
)  # fmt: skip
def paired(d: Any) -> Any:
    return stats.ttest_rel(d["before"], d["pressure"])


@frames(
    "analysis of variance", "scipy", group="tests", within=1e-7, read=_test,
    theirs=lambda d: _test(scipy_stats.f_oneway(*(d[d.ward == w].cost for w in "ABC"))),
)  # fmt: skip
def variance(d: Any) -> Any:
    return stats.f_oneway(d["cost"], d["ward"])


@frames(
    "chi-square test of a table", "scipy", group="tests", within=1e-7,
    theirs=lambda d: _test(scipy_stats.chi2_contingency(pd.crosstab(d.arm, d.died))), read=_test,
)  # fmt: skip
def table(d: Any) -> Any:
    return stats.chi2_contingency(d, "arm", "died", categories={"died": [0, 1]})


@frames(
    "Mann-Whitney of a scale of five", "scipy", group="tests", within=1e-7,
    theirs=lambda d: _test(scipy_stats.mannwhitneyu(*_arms(d, "pain"), method="asymptotic")), read=_test,
)  # fmt: skip
def ranks(d: Any) -> Any:
    return stats.mannwhitneyu(*_arms(d, "pain"), bins=[0.5, 1.5, 2.5, 3.5, 4.5, 5.5])


@frames(
    "Pearson's correlation", "scipy", group="tests", within=1e-7, read=_test,
    theirs=lambda d: _test(scipy_stats.pearsonr(d.age, d.cost)),
)  # fmt: skip
def pearson(d: Any) -> Any:
    return stats.pearsonr(d["age"], d["cost"])


# ---------------------------------------------------------------- survival and the rest
def _survival(d: pd.DataFrame) -> Any:
    curve = SurvfuncRight(d.days, d.died)
    # It has no times without an event.
    at_all = pd.Series(curve.surv_prob, curve.surv_times).reindex(GRID, method="ffill").fillna(1.0)
    return at_all.to_numpy(), survdiff(d.days, d.died, d.arm)


@frames(
    "Kaplan-Meier, and the log-rank test", "statsmodels", group="survival", within=1e-7, theirs=_survival,
    read=lambda r: (r[0].surv_prob, _test(r[1])),
)  # fmt: skip
def survival(d: Any) -> Any:
    return stats.kaplan_meier(d["days"], d["died"], times=GRID), stats.logrank_test(
        d["days"], d["died"], d["arm"], times=GRID
    )


def _cox(d: pd.DataFrame) -> Any:
    fitted = PHReg(d.days, d[MAIN], status=d.died, ties="breslow").fit()
    return np.asarray(fitted.params), np.asarray(fitted.bse), fitted.llf


@task(
    "proportional hazards", "statsmodels", within=1e-6, group="survival", theirs=_cox,
    read=lambda r: (np.asarray(r.params), np.asarray(r.bse), r.llf),
)  # fmt: skip
class Hazards(_Stays, stats.CoxTask):
    times = GRID

    def preprocess(self, d: Any) -> Any:
        return d[MAIN], d["days"], d["died"]


def _scores(d: pd.DataFrame) -> Any:
    true, mean = calibration.calibration_curve(d.died, d.risk, n_bins=5)
    return metrics.roc_auc_score(d.died, np.floor(d.risk * 50)), true, mean, metrics.brier_score_loss(d.died, d.risk)


def _filled(values: Any) -> Any:
    values = np.asarray(values, float)
    return values[~np.isnan(values)]


@frames(
    "area under the ROC curve, and calibration", "scikit-learn", group="scikit-learn", within=1e-7, theirs=_scores,
    read=lambda r: (r[0].auc, _filled(r[1].prob_true), _filled(r[1].prob_pred), r[1].brier),
)  # fmt: skip
def scores(d: Any) -> Any:
    return stats.roc_auc(d["risk"], d["died"], bins=50), stats.calibration(d["risk"], d["died"], bins=5)


BODY = ["age", "height", "cost"]


def _components(d: pd.DataFrame) -> Any:
    fitted = decomposition.PCA(2).fit(d[BODY])
    return fitted.explained_variance_, np.abs(fitted.components_), fitted.mean_


@frames(
    "principal components", "scikit-learn", group="scikit-learn", within=1e-6, theirs=_components,
    read=lambda r: (r.explained_variance_, np.abs(np.asarray(r.components_)), r.mean_),
)  # fmt: skip
def components(d: Any) -> Any:
    return stats.pca(d[BODY], 2)


CENTERS = [[40.0, 165.0], [60.0, 170.0], [80.0, 175.0]]


def _clusters(d: pd.DataFrame) -> Any:
    fitted = cluster.KMeans(3, init=np.array(CENTERS), n_init=1, max_iter=300, tol=0).fit(
        d[["age", "height"]].to_numpy()
    )
    return fitted.cluster_centers_, fitted.inertia_


@frames(
    "k-means", "scikit-learn", group="scikit-learn", within=1e-6, theirs=_clusters,
    read=lambda r: (r.cluster_centers_, r.inertia_),
)  # fmt: skip
def clusters(d: Any) -> Any:
    return stats.kmeans(d[["age", "height"]], CENTERS, max_iter=40)
