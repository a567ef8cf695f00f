"""Links beside the default ones, and the probit model, equal statsmodels on the pooled rows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.genmod.families import links

import delta
from delta.graph import Graph
from delta.statsmodel import GLMTask, LogitTask, ProbitTask, RegressionTask, add_constant
from delta.statsmodel._binomial import normal
from regression_cases import LIKELIHOOD, agrees, fit, task

pytestmark = pytest.mark.filterwarnings("ignore::delta.ReleaseWarning")

GLM = "params bse tvalues llf deviance pearson_chi2 scale aic bic bic_deviance df_model df_resid nobs"
NULL = "llnull null_deviance"
F = sm.families
CASES: dict[tuple[str, str], Any] = {
    ("binomial", "probit"): F.Binomial(links.Probit()),
    ("poisson", "identity"): F.Poisson(links.Identity()),
    ("poisson", "sqrt"): F.Poisson(links.Sqrt()),
    ("gamma", "identity"): F.Gamma(links.Identity()),
    ("gaussian", "log"): F.Gaussian(links.Log()),
    ("gaussian", "inverse_power"): F.Gaussian(links.InversePower()),
}


def rows(family: str, link: str, n: int = 240) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"a": rng.uniform(-2, 2, n), "b": rng.uniform(0, 2, n), "offset": rng.normal(0, 0.1, n)})
    frame["freq_weights"], frame["var_weights"] = rng.integers(1, 4, n) * 1.0, rng.uniform(0.3, 2, n)
    eta = (0.2 if link == "probit" else 2.0) + 0.3 * frame["a"] - 0.2 * frame["b"]
    mean = {"identity": eta, "sqrt": eta**2, "log": np.exp(eta), "inverse_power": 1 / eta, "probit": eta}[link]
    made = {
        "binomial": lambda: rng.normal(size=n) < mean,
        "poisson": lambda: rng.poisson(mean),
        "gamma": lambda: rng.gamma(3.0, mean / 3.0),
        "gaussian": lambda: rng.normal(mean, 0.1 * mean),
    }[family]()
    return frame.assign(y=np.asarray(made, float))


def ours(frame: pd.DataFrame, more: tuple[str, ...] = (), **arguments: Any) -> Any:
    def preprocess(d: Any) -> tuple[Any, ...]:
        return add_constant(d[["a", "b"]]), d["y"], {n: d[n] for n in more}

    return delta.debug(
        task(GLMTask, list(frame.columns), "y", preprocess=preprocess, **arguments), data=frame, parts=3, threads=1
    )


@pytest.mark.parametrize(("family", "link"), CASES)
@pytest.mark.parametrize("more", [(), ("offset", "freq_weights", "var_weights")], ids=["plain", "weighted"])
def test_links_equal_statsmodels(family: str, link: str, more: tuple[str, ...]) -> None:
    frame = rows(family, link)
    mine = ours(frame, more, family=family, link=link, options={} if more else {"cov_type": "HC0"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x, beside = sm.add_constant(frame[["a", "b"]]), {n: frame[n] for n in more}
        model = sm.GLM(frame["y"], x, family=CASES[family, link], **beside)
        other = model.fit(tol=1e-14, tol_criterion="params", maxiter=300, cov_type="nonrobust" if more else "HC0")
    agrees(mine, other, GLM, 1e-8)
    # The null model of statsmodels with an offset ends its own search by a tolerance of 1e-8.
    agrees(mine, other, NULL, 1e-6 if more else 1e-8)
    assert mine.converged and mine.link == link
    known = {n: frame[n][:5] for n in ("offset",) if n in more}
    np.testing.assert_allclose(mine.predict(x[:5], **known), other.predict(x[:5], **known), rtol=1e-8)


def test_probit_equals_statsmodels() -> None:
    frame = rows("binomial", "probit")[["a", "b", "y"]]
    mine = fit(ProbitTask, frame, "y")
    x = sm.add_constant(frame[["a", "b"]])
    other = sm.Probit(frame["y"], x).fit(disp=0, tol=1e-14)
    # The null model of statsmodels is found by a search.
    agrees(mine, other, LIKELIHOOD.replace("llnull", "").replace("prsquared", "").replace("llr llr_pvalue", ""), 1e-8)
    agrees(mine, other, "llnull prsquared llr llr_pvalue", 1e-6)
    np.testing.assert_allclose(mine.predict(x), other.predict(), rtol=1e-10)
    assert "Probit" in mine.summary() and mine.model == "Probit"


@pytest.mark.parametrize("kind", [ProbitTask, LogitTask])
def test_classes_that_are_told_apart_have_no_best_estimate(kind: type[RegressionTask]) -> None:
    a = np.linspace(-3, 3, 60)
    with pytest.warns(RuntimeWarning, match="tell some classes apart"):
        fit(kind, pd.DataFrame({"a": a, "y": (a > 0) * 1.0}), "y")


def test_the_normal_distribution_has_its_digits_far_out() -> None:
    import onnxruntime
    from scipy import stats

    eta = np.concatenate([np.linspace(-37, 37, 149), [1e-9, -1e-9, 0.0]]).reshape(-1, 1)
    g = Graph("normal")
    for name, value in normal(g, g.input("eta", "f64", ["rows", 1]))._asdict().items():
        g.output(name, value)
    session = onnxruntime.InferenceSession(g.bytes(), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    found = dict(zip(names, session.run(names, {session.get_inputs()[0].name: eta}), strict=True))
    log_mu, log_rest, log_density = stats.norm.logcdf(eta), stats.norm.logsf(eta), stats.norm.logpdf(eta)
    for name, expected in {
        "mu": stats.norm.cdf(eta),
        "rest": stats.norm.sf(eta),
        "density": np.exp(log_density),
        "yes": np.exp(log_density - log_mu),
        "no": np.exp(log_density - log_rest),
    }.items():
        np.testing.assert_allclose(found[name], expected, rtol=3e-13, err_msg=name)
    np.testing.assert_allclose(found["log_mu"], log_mu, rtol=1e-13, atol=3e-16)
    np.testing.assert_allclose(found["log_rest"], log_rest, rtol=1e-13, atol=3e-16)


def test_small_values_of_gamma_are_no_reason_to_refuse() -> None:
    """Of an exponential one value in a hundred is a hundredth of its mean or less."""
    rng = np.random.default_rng(5)
    frame = rows("gamma", "identity").assign(y=lambda d: rng.gamma(0.6, 1 / (4 + 0.4 * d.a - 0.2 * d.b) / 0.6))
    mine = ours(frame, family="gamma")
    other = sm.GLM(frame["y"], sm.add_constant(frame[["a", "b"]]), family=F.Gamma()).fit(
        tol=1e-14, tol_criterion="params"
    )
    assert frame.y.min() < 1e-4 * frame.y.mean()
    agrees(mine, other, f"{GLM} {NULL}", 1e-8)


@pytest.mark.parametrize(("family", "link"), [("gaussian", "logit"), ("poisson", "probit"), ("gamma", "sqrt")])
def test_links_that_there_are_not(family: str, link: str) -> None:
    with pytest.raises(ValueError, match=f"link='{link}': {family} has"):
        ours(rows("gamma", "identity"), family=family, link=link)


def test_offsets_of_any_shape_that_fits() -> None:
    frame = rows("poisson", "sqrt")
    mine = ours(frame, ("offset",), family="poisson")
    x, offset = sm.add_constant(frame[["a", "b"]])[:4], np.arange(4.0)
    plain = mine.predict(x, offset=offset)
    assert plain.shape == (4,)
    np.testing.assert_array_equal(mine.predict(x, offset=offset.reshape(4, 1)), plain)
    np.testing.assert_array_equal(mine.predict(x, offset=pd.DataFrame({"o": offset})), plain)
    np.testing.assert_allclose(mine.predict(x, offset=1.0), mine.predict(x) * np.e, rtol=1e-14)
    np.testing.assert_allclose(mine.predict(x, exposure=np.e), mine.predict(x) * np.e, rtol=1e-14)
    for wrong in (np.zeros((4, 2)), np.zeros(3), np.zeros((1, 4)), np.zeros((4, 1, 1))):
        with pytest.raises(ValueError, match="predict: offset has shape"):
            mine.predict(x, offset=wrong)
