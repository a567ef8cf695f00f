"""GLMTask equals statsmodels.GLM on the pooled rows; robust standard errors; the test of likelihoods."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.genmod.families import links

import delta
from delta.statsmodel import (
    GLMTask,
    LinearTask,
    LogitTask,
    MNLogitTask,
    PoissonTask,
    RegressionTask,
    add_constant,
    likelihood_ratio_test,
)
from regression_cases import agrees, task

pytestmark = pytest.mark.filterwarnings("ignore::delta.ReleaseWarning")

GLM = "params bse tvalues llf llnull deviance null_deviance pearson_chi2 scale aic bic bic_deviance df_model df_resid nobs"
F = sm.families
FAMILIES: dict[str, tuple[dict[str, Any], Any]] = {
    "poisson": ({"family": "poisson"}, F.Poisson()),
    "gamma": ({"family": "gamma", "link": "log"}, F.Gamma(links.Log())),
    "gamma-inverse": ({"family": "gamma"}, F.Gamma()),
    "negativebinomial": ({"family": "NegativeBinomial", "alpha": 0.7}, F.NegativeBinomial(alpha=0.7)),
    "binomial": ({"family": "binomial"}, F.Binomial()),
    "cloglog": ({"family": "binomial", "link": "cloglog"}, F.Binomial(links.CLogLog())),
    "gaussian": ({"family": "gaussian"}, F.Gaussian()),
}
MORE = ("offset", "exposure", "freq_weights", "var_weights")


def rows(kind: str, n: int = 240, seed: int = 5) -> pd.DataFrame:
    """Rows that a family explains, with offsets and weights beside."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": rng.uniform(0, 2, n)})
    frame["offset"] = rng.normal(0, 0.2, n)
    frame["exposure"] = rng.uniform(0.5, 3, n)
    frame["freq_weights"] = rng.integers(1, 4, n) * 1.0
    frame["var_weights"] = rng.uniform(0.3, 2, n)
    eta = 0.3 + 0.4 * frame["a"] - 0.2 * frame["b"]
    made = {
        "poisson": lambda: rng.poisson(np.exp(eta + 1)),
        "gamma": lambda: rng.gamma(2.0, np.exp(eta) / 2.0) + 1e-3,
        "gamma-inverse": lambda: rng.gamma(20.0, 1 / (4 + eta) / 20.0),
        "negativebinomial": lambda: rng.negative_binomial(1 / 0.7, 1 / (1 + 0.7 * np.exp(eta + 1))),
        "binomial": lambda: rng.random(n) < 1 / (1 + np.exp(-eta)),
        "cloglog": lambda: rng.random(n) < 1 - np.exp(-np.exp(eta)),
        "gaussian": lambda: 1e4 * (eta + rng.normal(size=n)),
    }[kind]()
    return frame.assign(y=np.asarray(made, float))


def task_of(
    frame: pd.DataFrame, more: tuple[str, ...] = (), base: type[RegressionTask] = GLMTask, **arguments: Any
) -> RegressionTask:
    def preprocess(d: Any) -> tuple[Any, ...]:
        return add_constant(d[["a", "b"]]), d["y"], {n: d[n] for n in more}

    return task(base, list(frame.columns), "y", preprocess=preprocess, **arguments)


def run(made: RegressionTask, frame: pd.DataFrame) -> Any:
    return delta.debug(made, data=frame, parts=3, threads=1)


def theirs(frame: pd.DataFrame, family: Any, more: tuple[str, ...] = (), **arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sm.GLM(frame["y"], sm.add_constant(frame[["a", "b"]]), family=family, **{n: frame[n] for n in more})
        return model.fit(tol=1e-14, tol_criterion="params", maxiter=200, **arguments)


def equal(mine: Any, other: Any, names: str = GLM, tolerance: float = 1e-8) -> None:
    agrees(mine, other, names, tolerance)
    # Of a small p every digit of z makes a hundred.
    np.testing.assert_allclose(mine.pvalues, other.pvalues, rtol=1e-6, atol=1e-300)


@pytest.mark.parametrize("kind", FAMILIES)
def test_families_equal_statsmodels(kind: str) -> None:
    frame, (arguments, family) = rows(kind), FAMILIES[kind]
    mine, other = run(task_of(frame, **arguments), frame), theirs(frame, family)
    equal(mine, other)
    assert mine.converged and mine.exog_names == ["const", "a", "b"]
    new = sm.add_constant(frame[["a", "b"]])[:5]
    np.testing.assert_allclose(mine.predict(new), other.predict(new), rtol=1e-8)
    assert mine.pseudo_rsquared() == pytest.approx(other.pseudo_rsquared(), rel=1e-7)
    assert mine.family in mine.summary() and mine.link in mine.summary()


@pytest.mark.parametrize("kind", FAMILIES)
def test_offsets_and_weights_equal_statsmodels(kind: str) -> None:
    frame, (arguments, family) = rows(kind), FAMILIES[kind]
    more = MORE if family.link.__class__.__name__ == "Log" else tuple(n for n in MORE if n != "exposure")
    mine, other = run(task_of(frame, more, **arguments), frame), theirs(frame, family, more)
    # The null model of statsmodels ends its own search by a tolerance of 1e-8.
    equal(mine, other, GLM.replace("llnull", "").replace("null_deviance", ""))
    agrees(mine, other, "llnull null_deviance", 1e-6)
    known = {n: frame[n][:5] for n in ("offset", "exposure") if n in more}
    new = sm.add_constant(frame[["a", "b"]])[:5]
    np.testing.assert_allclose(mine.predict(new, **known), other.predict(new, **known), rtol=1e-8)


@pytest.mark.parametrize("more", MORE)
def test_each_alone_equals_statsmodels(more: str) -> None:
    frame = rows("poisson")
    equal(run(task_of(frame, (more,), family="poisson"), frame), theirs(frame, F.Poisson(), (more,)))


def test_poisson_is_also_the_discrete_model() -> None:
    frame = rows("poisson")
    mine = run(task_of(frame, ("exposure",), base=PoissonTask), frame)
    other = sm.Poisson(frame["y"], sm.add_constant(frame[["a", "b"]]), exposure=frame["exposure"]).fit(
        disp=0, tol=1e-12
    )
    agrees(mine, other, "params bse llf aic bic df_model df_resid nobs", 1e-8)


def test_shares_of_trials_are_weighted_binomial() -> None:
    rng = np.random.default_rng(1)
    frame = rows("binomial").assign(var_weights=rng.integers(1, 30, 240) * 1.0)
    frame["y"] = rng.binomial(frame["var_weights"].astype(int), 0.3 + 0.1 * np.tanh(frame["a"])) / frame["var_weights"]
    more = ("var_weights",)
    equal(run(task_of(frame, more, family="binomial"), frame), theirs(frame, F.Binomial(), more))


def test_counts_that_vary_more_than_poisson() -> None:
    frame = rows("negativebinomial")
    mine = run(task_of(frame, family="poisson", options={"scale": "X2"}), frame)
    equal(mine, theirs(frame, F.Poisson(), scale="X2"))
    assert mine.scale > 1.5


def test_large_counts_and_units_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"a": rng.normal(5e4, 1e4, 300), "b": rng.normal(0, 1e-5, 300)})
    frame["y"] = rng.poisson(np.exp(12 + frame["a"] / 5e4 + 1e4 * frame["b"])) * 1.0
    equal(run(task_of(frame, family="poisson"), frame), theirs(frame, F.Poisson()), "params bse llf deviance aic")


def test_start_params_lead_to_the_same_end() -> None:
    frame = rows("gamma")
    usual = run(task_of(frame, family="gamma", link="log"), frame)
    started = run(task_of(frame, family="gamma", link="log", options={"start_params": usual.params + 0.1}), frame)
    equal(started, usual)


def glm_white(result: Any, kind: str) -> np.ndarray:
    """The sandwich of the pooled rows by its definition; statsmodels gives HC0 for all four kinds of these models."""
    model, params = result.model, result.params
    score, inverse = model.score_obs(params), np.linalg.inv(-model.hessian(params))
    freq = np.asarray(getattr(model, "freq_weights", 1.0)) * np.ones(len(score))
    if isinstance(model, sm.GLM):
        weights = model.hessian_factor(params)
    else:
        p = model.predict(params)
        weights = p * (1 - p)
    x = np.asarray(model.exog)
    left = 1 - weights / freq * np.einsum("ij,jk,ik->i", x, inverse, x)
    score = score / left[:, None] ** {"HC2": 0.5, "HC3": 1.0}.get(kind, 0.0)
    n = freq.sum()
    made = inverse @ (score.T @ (score / freq[:, None])) @ inverse
    return made * (n / (n - x.shape[1]) if kind == "HC1" else 1.0)


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
def test_robust_errors_of_generalised_models(kind: str) -> None:
    frame, (arguments, family) = rows("gamma"), FAMILIES["gamma"]
    more = ("freq_weights", "var_weights")
    mine = run(task_of(frame, more, options={"cov_type": kind}, **arguments), frame)
    other = theirs(frame, family, more, cov_type=kind)
    np.testing.assert_allclose(mine.cov_params(), glm_white(other, kind), rtol=1e-7)
    np.testing.assert_allclose(mine.llf, other.llf, rtol=1e-8)
    if kind == "HC0":
        equal(mine, other)
    assert kind in mine.summary()


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
def test_robust_errors_of_least_squares_equal_statsmodels(kind: str) -> None:
    frame = rows("gaussian")
    mine = run(task_of(frame, base=LinearTask, options={"cov_type": kind}), frame)
    other = sm.OLS(frame["y"], sm.add_constant(frame[["a", "b"]])).fit(cov_type=kind)
    equal(mine, other, "params bse tvalues fvalue f_pvalue llf rsquared scale")


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
def test_robust_errors_of_logit(kind: str) -> None:
    frame = rows("binomial")
    mine = run(task_of(frame, base=LogitTask, options={"cov_type": kind}), frame)
    other = sm.Logit(frame["y"], sm.add_constant(frame[["a", "b"]])).fit(disp=0, tol=1e-12, cov_type=kind)
    np.testing.assert_allclose(mine.cov_params(), glm_white(other, kind), rtol=1e-7)
    if kind == "HC0":
        equal(mine, other, "params bse tvalues llf")


def test_robust_errors_of_several_classes() -> None:
    frame = rows("poisson", 90).assign(y=lambda f: np.minimum(f["y"], 2.0))
    mine = run(task_of(frame, base=MNLogitTask, n_classes=3, options={"cov_type": "HC0"}), frame)
    other = sm.MNLogit(frame["y"], sm.add_constant(frame[["a", "b"]])).fit(disp=0, tol=1e-12, cov_type="HC0")
    np.testing.assert_allclose(mine.bse, other.bse, rtol=1e-8)
    new = sm.add_constant(frame[["a", "b"]])[:5]
    np.testing.assert_allclose(mine.predict(new), other.predict(new), rtol=1e-8)
    with pytest.raises(ValueError, match="MNLogit has no leverage"):
        task_of(frame, base=MNLogitTask, n_classes=3, options={"cov_type": "HC3"}).build()


WARDS = ["A", "B", "C", "D", "E", "F", "none"]


def clustered(frame: pd.DataFrame, base: type[RegressionTask], given: Callable[[Any], Any], **arguments: Any) -> Any:
    class Clustered(base):  # type: ignore[misc, valid-type]
        def dataset(self) -> dict[str, Any]:
            columns = ["a", "b", "y", "n", "ward"]
            return {"data": delta.dataset.DataFrame("t.csv", columns=columns, levels={"ward": WARDS})}

        def preprocess(self, data: Any) -> tuple[Any, ...]:
            return add_constant(data[["a", "b"]]), data["y"], {"groups": given(data)}

        def options(self) -> Mapping[str, Any]:
            return {"cov_type": "cluster"}

    return Clustered("clustered", 2, 3, **arguments)


@pytest.mark.parametrize("base", [LinearTask, LogitTask, PoissonTask])
def test_clustered_errors_equal_statsmodels(base: type[RegressionTask]) -> None:
    kind = {LinearTask: "gaussian", LogitTask: "binomial"}.get(base, "poisson")
    frame = rows(kind).assign(n=1.0)
    # Groups lie at one member or at several.
    codes = np.sort(np.random.default_rng(0).integers(0, 6, 240))
    frame["ward"] = [WARDS[c] for c in codes]
    mine = run(clustered(frame, base, lambda d: d["ward"]), frame)
    x, cov = sm.add_constant(frame[["a", "b"]]), {"cov_type": "cluster", "cov_kwds": {"groups": codes}}
    if base is PoissonTask:
        other = sm.GLM(frame["y"], x, family=F.Poisson()).fit(tol=1e-14, **cov)
    else:
        other = (
            sm.OLS(frame["y"], x).fit(**cov)
            if base is LinearTask
            else sm.Logit(frame["y"], x).fit(disp=0, tol=1e-12, **cov)
        )
    equal(mine, other, "params bse tvalues llf" + (" fvalue f_pvalue" if base is LinearTask else ""))
    assert mine.n_groups == 6


def test_groups_must_have_declared_levels() -> None:
    frame = rows("poisson").assign(n=1.0, ward="A")
    with pytest.raises(ValueError, match="groups must be a column of texts whose levels are declared"):
        clustered(frame, PoissonTask, lambda d: d["n"]).build()
    frame.loc[[3, 77], "ward"] = "elsewhere"
    with pytest.raises(ValueError, match=r"2 rows of all members have a 'y' .*, a group that is no declared level"):
        run(clustered(frame, PoissonTask, lambda d: d["ward"]), frame)
    with pytest.raises(ValueError, match="cov_type='cluster' needs groups"):
        task_of(frame, family="poisson", options={"cov_type": "cluster"}).build()


def test_a_row_with_a_parameter_of_its_own_has_no_robust_error() -> None:
    frame = rows("gaussian").assign(b=lambda f: (f.index == 7) * 1.0)
    with pytest.warns(RuntimeWarning, match="cov_type='HC3' cannot be told"):
        mine = run(task_of(frame, base=LinearTask, options={"cov_type": "HC3"}), frame)
    assert np.isnan(mine.bse).all()


@pytest.mark.parametrize(
    ("kind", "column", "bad", "text"),
    [
        ("poisson", "y", -1.0, "a 'y' that is not 0 or more"),
        ("negativebinomial", "y", -0.5, "a 'y' that is not 0 or more"),
        ("gamma", "y", 0.0, "a 'y' that is not above 0"),
        ("binomial", "y", 1.5, "a 'y' that is not from 0 to 1"),
        ("gaussian", "y", np.inf, "or an infinite value"),
        ("poisson", "exposure", 0.0, "exposure that is not above 0"),
        ("poisson", "freq_weights", -1.0, "freq_weights that is not 0 or more"),
    ],
)
def test_impossible_rows_stop_the_task_and_are_counted(kind: str, column: str, bad: float, text: str) -> None:
    frame = rows(kind)
    frame.loc[[3, 200], column] = bad
    more = () if column == "y" else (column,)
    with pytest.raises(ValueError, match=f"2 rows of all members have .*{text}"):
        run(task_of(frame, more, **FAMILIES[kind][0]), frame)


def test_rows_with_missing_values_are_left_out() -> None:
    frame = rows("gamma")
    frame.loc[[3, 9], "a"] = np.nan
    frame.loc[[9, 200], "exposure"] = np.nan
    frame.loc[[11], "y"] = np.nan
    mine = run(task_of(frame, ("exposure",), family="gamma", link="log"), frame)
    equal(mine, theirs(frame.dropna(), F.Gamma(links.Log()), ("exposure",)), "params bse llf deviance nobs")
    assert mine.missing == 4


def test_what_has_no_best_estimate_is_said() -> None:
    frame = rows("poisson", 60).assign(b=lambda f: (f.index % 2) * 1.0)
    frame.loc[frame["b"] == 1, "y"] = 0.0
    with pytest.warns(RuntimeWarning, match="no best estimate"):
        run(task_of(frame, family="poisson"), frame)
    frame = rows("binomial", 60).assign(y=lambda f: (f["a"] > 0) * 1.0)
    with pytest.warns(RuntimeWarning, match="no best estimate"):
        run(task_of(frame, family="binomial", options={"maxiter": 20}), frame)


def test_too_few_steps_are_said() -> None:
    frame = rows("poisson")
    with pytest.warns(RuntimeWarning, match="did not converge in 2 steps"):
        mine = run(task_of(frame, family="poisson", options={"maxiter": 2}), frame)
    # What is reported belongs to the parameters that are reported.
    x = sm.add_constant(frame[["a", "b"]])
    mu = np.exp(x @ mine.params)
    assert mine.deviance == pytest.approx(F.Poisson().deviance(frame["y"], mu), rel=1e-10)


def test_means_that_the_family_has_not_are_said() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": np.linspace(-3, 3, 90), "b": rng.normal(size=90)})
    frame["y"] = np.exp(-4 * frame["a"] + rng.normal(size=90))
    with pytest.warns(RuntimeWarning, match="did not converge|has no mean"):
        assert not run(task_of(frame, family="gamma", options={"maxiter": 15}), frame).converged


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": F.Poisson()}, "family=.*: give its name, one of gaussian, binomial"),
        ({"family": "weibull"}, "family='weibull': must be one of gaussian, binomial"),
        ({"family": "poisson", "link": "logit"}, "link='logit': poisson has 'log'"),
        ({"family": "negativebinomial"}, "needs its dispersion"),
        ({"family": "poisson", "alpha": 1.0}, "only family='negativebinomial' has one"),
    ],
)
def test_arguments_that_cannot_work_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task_of(rows("poisson"), **arguments)


@pytest.mark.parametrize(
    ("more", "options", "message"),
    [
        (lambda d: {"weights": d["b"]}, {}, "a dict, with keys among offset, exposure"),
        (lambda d: {"offset": d[["a", "b"]]}, {}, "offset has 2 columns"),
        (lambda d: {"offset": d[d["a"] > 0]["b"]}, {}, "select the same rows"),
        (lambda d: {"offset": 3.0}, {}, "offset must be a series"),
        (lambda d: {"exposure": d["b"]}, {}, "exposure is for the link 'log', not 'identity'"),
        (lambda d: {}, {"cov_type": "HC4"}, "cov_type='HC4' must be 'nonrobust' or one of HC0"),
        (lambda d: {}, {"scale": "dev"}, "scale='dev' must be 'X2'"),
    ],
)
def test_what_does_not_fit_together_is_refused_at_build(more: Any, options: dict[str, Any], message: str) -> None:
    made = task(GLMTask, ["a", "b", "y"], "y", options=options, preprocess=lambda d: (d[["a"]], d["y"], more(d)))
    with pytest.raises(ValueError, match=message):
        made.build()


def test_privacy_takes_a_fixed_number_of_steps_and_no_robust_errors() -> None:
    frame, privacy = rows("poisson"), delta.Privacy(epsilon=1e6, delta=1e-6, clip=500.0)
    mine = run(task_of(frame, base=PoissonTask, privacy=privacy, precision=4), frame)
    np.testing.assert_allclose(mine.params, theirs(frame, F.Poisson()).params, atol=0.05)
    with pytest.raises(ValueError, match="needs sums without noise"):
        task_of(frame, base=PoissonTask, privacy=privacy, options={"cov_type": "HC0"}).build()


@pytest.mark.parametrize("base", [GLMTask, PoissonTask, LogitTask])
def test_owners_see_sums_of_rows(base: type[RegressionTask]) -> None:
    built = task_of(rows("poisson"), base=base, options={"cov_type": "HC3"}).build()
    assert "Class: controlled" in built.describe()
    assert all(r["map"]["steps"][0]["driver"]["kind"] == "records" for r in built.manifest["rounds"])


def test_models_with_an_estimated_scale_are_compared_on_one_scale() -> None:
    """As R's ``anova(..., test = "LRT")``: likelihoods with two scales came out as -25 and p as 1."""
    frame = rows("poisson")
    noisy = np.random.default_rng(3).negative_binomial(1, 0.1, len(frame)).astype(float)
    frame["y"] = noisy

    def fitted(columns: list[str]) -> Any:
        made = lambda d: (add_constant(d[columns]), d["y"])  # noqa: E731
        return run(task(PoissonTask, ["a", "b", "y"], "y", preprocess=made, options={"scale": "X2"}), frame)

    full, less = fitted(["a", "b"]), fitted(["a"])
    made = likelihood_ratio_test(full, less)
    x = sm.add_constant(frame[["a", "b"]])
    ours, theirs = (
        sm.GLM(frame["y"], x[c], F.Poisson()).fit(scale="X2") for c in (["const", "a", "b"], ["const", "a"])
    )
    np.testing.assert_allclose(made.statistic, (theirs.deviance - ours.deviance) / ours.scale, rtol=1e-7)
    assert made.statistic >= 0 and full.scale > 2


def test_likelihoods_of_two_models_equal_statsmodels() -> None:
    frame = rows("gaussian")

    def fitted(base: type[RegressionTask], columns: list[str], **arguments: Any) -> Any:
        return run(
            task(base, ["a", "b", "y"], "y", preprocess=lambda d: (add_constant(d[columns]), d["y"]), **arguments),
            frame,
        )

    full, less = fitted(LinearTask, ["a", "b"]), fitted(LinearTask, ["a"])
    made = likelihood_ratio_test(full, less)
    x = sm.add_constant(frame[["a", "b"]])
    theirs = sm.OLS(frame["y"], x).fit().compare_lr_test(sm.OLS(frame["y"], x[["const", "a"]]).fit())
    np.testing.assert_allclose(made, tuple(theirs), rtol=1e-8)
    with pytest.raises(ValueError, match="give the larger model first"):
        likelihood_ratio_test(less, full)
    with pytest.raises(ValueError, match="model is 'OLS' and 'GLM'"):
        likelihood_ratio_test(full, fitted(GLMTask, ["a"]))
    with pytest.warns(RuntimeWarning, match="likely invalid"):
        likelihood_ratio_test(fitted(LinearTask, ["a", "b"], options={"cov_type": "HC0"}), less)


def test_predictions_need_the_columns() -> None:
    frame = rows("binomial")
    mine = run(task_of(frame, base=LogitTask), frame)
    new = sm.add_constant(frame[["a", "b"]])[:4]
    np.testing.assert_allclose(mine.predict(new[["b", "const", "a"]]), mine.predict(new.to_numpy()))
    with pytest.raises(ValueError, match="the columns are a, b; they must be const, a, b"):
        mine.predict(frame[["a", "b"]])
    with pytest.raises(ValueError, match=r"exog has shape \[4, 2\]"):
        mine.predict(np.ones((4, 2)))
