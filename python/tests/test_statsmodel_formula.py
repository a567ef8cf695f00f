"""Formulas: coefficients, names and predictions of statsmodels' formulas on the pooled rows, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

import delta
from delta import stats as ds
from delta.dataset import DataFrame as Table
from delta.statsmodel import GLMTask, LinearTask, LogitTask, MNLogitTask, design
from regression_cases import task

pytest.importorskip("formulaic")
sm = pytest.importorskip("statsmodels.api")
smf = pytest.importorskip("statsmodels.formula.api")
pytestmark = pytest.mark.filterwarnings("ignore::delta.ReleaseWarning")

LEVELS = {"g": ["a", "b", "c"], "h": ["u", "v"]}
MEMBERS = {"min_clients": 2, "max_clients": 3}


def people(n: int = 240) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x1": rng.normal(size=n), "x2": rng.normal(size=n), "x3": rng.uniform(1, 5, n)})
    frame["site"], frame["Leaf.Size"] = rng.integers(1, 4, n), rng.normal(5, 1, n)
    frame["g"], frame["h"] = rng.choice(LEVELS["g"], n), rng.choice(LEVELS["h"], n)
    frame["y"] = frame.x1 + 0.3 * frame.x2 + (frame.g == "b") + rng.normal(size=n)
    frame["k"], frame["yes"] = rng.poisson(np.exp(0.3 * frame.x1)), (rng.random(n) < 0.5) * 1.0
    return frame


PEOPLE = people()


def fitted(kind: Any, formula: str, frame: pd.DataFrame = PEOPLE, **arguments: Any) -> Any:
    return delta.debug(
        kind.from_formula(formula, "t.csv", levels=LEVELS, **(MEMBERS | arguments)), data=frame, parts=3, threads=1
    )


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x1 + C(site, levels=[1,2,3]) + x1:x2 + np.log(x3) + I(x2**2)",
        "y ~ g*h + x1",
        "y ~ g:h:x1 + h",
        "y ~ 0 + g + h:x1",
        "y ~ g:h",
        "y ~ x1 / g - 1",
        "y ~ (x1 + g + h)**2",
        "np.log(x3) ~ C(g, Treatment('b')) + C(h, Sum)",
        "y ~ 0 + C(g, Sum) + Q('Leaf.Size')",
        "y ~ I(x1 > 0) + g:I(x1 > 0) + abs(x2)",
        "y ~ bs(x3, knots=[2,3], degree=3, lower_bound=1, upper_bound=5)",
        "y ~ bs(x3, knots=[2.5], degree=2, include_intercept=True, lower_bound=1, upper_bound=5):h - 1",
    ],
)
def test_columns_are_those_of_statsmodels(formula: str) -> None:
    mine, theirs = fitted(LinearTask, formula), smf.ols(formula, PEOPLE).fit()
    assert mine.exog_names == list(theirs.params.index) and mine.endog_names == theirs.model.endog_names
    np.testing.assert_allclose(mine.params, theirs.params, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(mine.bse, theirs.bse, rtol=1e-8)
    np.testing.assert_allclose(mine.rsquared, theirs.rsquared, rtol=1e-8)
    np.testing.assert_allclose(mine.predict(PEOPLE[:9]), theirs.predict(PEOPLE[:9]), rtol=1e-8, atol=1e-12)
    # And the columns themselves, of rows that are here.
    x, _ = design(formula, PEOPLE)
    np.testing.assert_allclose(x, theirs.model.exog, atol=1e-13)
    assert list(x.columns) == mine.exog_names


def test_generalised_linear_models_of_a_formula() -> None:
    formula = "k ~ x1*g + C(site, levels=[1,2,3])"
    options = {"cov_type": "HC0"}
    mine = fitted(GLMTask, formula, family="poisson", exposure="x3", subset="x2 > -1", options=options)
    rows = PEOPLE[PEOPLE.x2 > -1]
    theirs = smf.glm(formula, rows, family=sm.families.Poisson(), exposure=rows.x3).fit(cov_type="HC0", tol=1e-12)
    np.testing.assert_allclose(mine.params, theirs.params, rtol=1e-8)
    np.testing.assert_allclose(mine.bse, theirs.bse, rtol=1e-8)
    new = PEOPLE[:5]
    np.testing.assert_allclose(mine.predict(new, exposure=new.x3), theirs.predict(new, exposure=new.x3), rtol=1e-8)


def test_classes_of_a_formula() -> None:
    mine, theirs = fitted(LogitTask, "yes ~ x1 + h"), smf.logit("yes ~ x1 + h", PEOPLE).fit(disp=0, tol=1e-14)
    np.testing.assert_allclose(mine.params, theirs.params, rtol=1e-8)
    np.testing.assert_allclose(fitted(LogitTask, "I(g == 'a') ~ x1 + h").nobs, 240)
    mine = fitted(MNLogitTask, "I(site - 1) ~ x1 + h", n_classes=3)
    theirs = smf.mnlogit("I(site - 1) ~ x1 + h", PEOPLE).fit(disp=0, tol=1e-14)
    np.testing.assert_allclose(mine.params, theirs.params, rtol=1e-8)
    np.testing.assert_allclose(mine.predict(PEOPLE[:4]), theirs.predict(PEOPLE[:4]), rtol=1e-8)


def test_missing_levels_are_gaps_and_undeclared_ones_are_refused() -> None:
    formula = "y ~ x2:g + C(site, levels=[1,2,3]) + bs(x3, knots=[2], lower_bound=1, upper_bound=5)"
    index = PEOPLE.index
    gaps = PEOPLE.assign(g=np.where(index < 3, None, PEOPLE.g), site=np.where(index == 7, np.nan, PEOPLE.site))
    mine, theirs = fitted(LinearTask, formula, gaps), smf.ols(formula, gaps).fit()
    assert (mine.nobs, mine.missing) == (theirs.nobs, 4)
    np.testing.assert_allclose(mine.params, theirs.params, rtol=1e-8)
    # x2 is 0 in one of the rows: 0 times what is not declared must not be 0.
    strange = {"g": "z", "site": 9, "x3": 7.0}
    for column, value in strange.items():
        wrong = PEOPLE.assign(
            **{column: np.where(index < 3, value, PEOPLE[column]), "x2": np.where(index == 0, 0, PEOPLE.x2)}
        )
        with pytest.raises(
            ValueError, match=r"3 rows .* a level of site, g that is not declared, a value outside the bounds"
        ):
            fitted(LinearTask, formula, wrong)
        with pytest.raises(ValueError, match=r"predict: .*(none of the levels|outside the bounds)"):
            mine.predict(wrong[:4])
    with pytest.raises(ValueError, match="predict: 'x2' is no column; there are g"):
        mine.predict(PEOPLE[["g", "site", "x3"]])


def test_infinite_factors_are_refused_and_no_gaps() -> None:
    # 0 times infinity is missing, and rows with gaps would be left out.
    zero = PEOPLE.assign(x3=np.where(PEOPLE.index < 3, 0.0, PEOPLE.x3))
    for formula in ("y ~ np.log(x3):g", "y ~ x1 + h:np.log(x3)"):
        with pytest.raises(ValueError, match=r"3 rows of all members have .* an infinite value"):
            fitted(LinearTask, formula, zero)


def test_rows_that_are_here_are_read_as_numbers_and_levels_alone() -> None:
    rows = PEOPLE.assign(day=pd.Timestamp("2020-01-01"), word="high")
    assert list(design("~ x1", rows).columns) == ["Intercept", "x1"]
    for formula in ("y ~ day", "day ~ x1", "y ~ x1:day", "y ~ I(day)"):
        with pytest.raises(ValueError, match="'day' has dates or times, and a formula takes numbers and levels"):
            design(formula, rows)
    with pytest.raises(ValueError, match="the column 'g' has texts, such as"):
        design("g ~ x1", rows)
    mine = fitted(LinearTask, "y ~ x1 + x2")
    for column, message in (("day", "'x1' has dates or times"), ("word", "the column 'x1' has texts, such as 'high'")):
        with pytest.raises(ValueError, match=message):
            mine.predict(rows[:3].assign(x1=rows[column][:3]))
    plain = mine.predict(rows[:3].assign(x1=[1, 2, 0]))
    np.testing.assert_allclose(mine.predict(rows[:3].assign(x1=pd.array([1, 2, 0], "Int64"))), plain)


def test_a_formula_within_preprocess() -> None:
    """With joins, selections and columns of one's own; and for Cox's model, which has no constant."""

    def preprocess(d: Any) -> Any:
        d["late"] = d["x3"] - 3.0
        return design("y ~ late + C(site)", d[d["x1"] > -1], levels={"site": [1, 2, 3]})

    columns = ["x1", "x3", "site", "y"]
    mine = delta.debug(task(LinearTask, columns, "y", preprocess=preprocess), data=PEOPLE[columns], parts=3)
    theirs = smf.ols("y ~ I(x3 - 3) + C(site)", PEOPLE[PEOPLE.x1 > -1]).fit()
    np.testing.assert_allclose(np.sort(mine.params), np.sort(theirs.params), rtol=1e-8)

    class Hazards(ds.CoxTask):
        times, ties = range(1, 21), "efron"

        def dataset(self) -> Any:
            return {"d": Table("t.csv", columns=["x1", "g", "days", "yes"], levels={"g": LEVELS["g"]})}

        def preprocess(self, d: Any) -> Any:
            return design("~ x1 + g", d, intercept=False), d["days"], d["yes"]

    from statsmodels.duration.hazard_regression import PHReg

    rows = PEOPLE.assign(days=np.random.default_rng(3).integers(1, 21, 240) * 1.0)
    found = delta.debug(Hazards("hazards", 2, 3), d=rows[["x1", "g", "days", "yes"]], parts=3)
    x = design("~ x1 + g", rows, intercept=False)
    reference = PHReg(rows.days, x, rows.yes, ties="efron").fit()
    assert found.exog_names == ["g[T.b]", "g[T.c]", "x1"]
    np.testing.assert_allclose(found.params, reference.params, rtol=1e-7)


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("y ~ center(x1)", r"center\(x1\): center\(\) needs the mean of all rows.*write I\(x1 - 40\)"),
        ("y ~ scale(x1):g", r"scale\(x1\): .*write I\(\(x1 - 40\) / 10\)"),
        ("y ~ poly(x1, 2)", r"write x1 \+ I\(x1\*\*2\)"),
        ("y ~ bs(x1, df=4)", r"declare them: bs\(x1, knots="),
        ("y ~ bs(x1, knots=[2])", "lower_bound="),
        ("y ~ bs(x1, knots=[9], lower_bound=0, upper_bound=5)", "knots must be between"),
        ("y ~ C(site)", r"C\(site\): which values occur is not known .* C\(site, levels=\[1, 2, 3\]\)"),
        ("y ~ C(site, levels=['a', 'b'])", "'site' is read as numbers"),
        ("y ~ C(g, levels=['a', 'z'])", "'z' is no declared level; there are 'a', 'b', 'c'"),
        ("y ~ C(g, levels=OURS)", "levels=OURS: write the values themselves"),
        ("y ~ C(site, levels=[1, 1])", "each once"),
        ("y ~ C(g, Poly)", "contrasts are Treatment and Sum"),
        ("y ~ C(g, Treatment('q'))", "'q' is none of the levels"),
        ("y ~ I(g + 1)", r"I\(g \+ 1\)"),
        ("g ~ x1", r"'g' has levels; write I\(g == 'a'\)"),
        ("y ~ np.sin(x1)", r"nodes have no np.sin\(\); a formula may call log"),
        ("y ~ x1.mean()", r"nodes have no x1.mean\(\)"),
        ("y ~ np.log(C(g))", "stands by itself"),
        ("y ~ 2:x1", r"numbers stand within I\(...\)"),
        ("y + x1 ~ x2", "one column or expression stands before the ~"),
        ("y ~ .", "name each of them"),
        ("y ~ x1 | g", "terms are joined by"),
        ("y ~ x1 +", "formula 'y ~ x1 \\+'"),
        ("y ~ x1 > 2", "Unknown operator"),
        ("y ~ 0", "nothing stands behind"),
        ("x1", "say what is explained"),
        ("y ~ I(9**9**9*x1)", "I\\(9"),
        ("y ~ [c for c in x1]", "formula"),
        ("y ~ I(().__class__)", "nodes do not compute"),
        ("y ~ np.load('x')", "nodes have no np.load"),
    ],
)
def test_what_nodes_cannot_compute_is_refused(formula: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LinearTask.from_formula(formula, "t.csv", levels=LEVELS, **MEMBERS).build()


def test_names_that_are_not_there() -> None:
    table = Table("t.csv", columns=["wage", "age", "ward"], levels={"ward": ["a", "b"]})
    with pytest.raises(ValueError, match=r"'agee' is no column; there are wage, age, ward. Do you mean 'age'\?"):
        LinearTask.from_formula("wage ~ agee", table, **MEMBERS).build()
    with pytest.raises(ValueError, match="'wrad' is no column"):
        LinearTask.from_formula("wage ~ ward", "t.csv", levels={"wrad": ["a", "b"]}, **MEMBERS)
    with pytest.raises(ValueError, match="data is a dict; give the table's name at the nodes"):
        LinearTask.from_formula("wage ~ age", {}, **MEMBERS)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="familly"):
        GLMTask.from_formula("wage ~ age", "t.csv", familly="gamma", **MEMBERS)
    dotted = LinearTask.from_formula("y ~ Leaf.Size", "t.csv", **MEMBERS).build().manifest["options"]["result"][0]
    assert dotted["x"] == ["Intercept", "Leaf.Size"]
    made = LinearTask.from_formula("wage ~ ward", table, **MEMBERS)
    assert made.name == "wage ~ ward" and made.build().manifest["options"]["result"][0]["x"] == [
        "Intercept",
        "ward[T.b]",
    ]


def test_without_formulaic_a_message_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['formulaic'] = None\n"
        "import delta\n"
        "try: delta.statsmodel.LinearTask.from_formula('y ~ x', 't.csv', min_clients=2, max_clients=3)\n"
        "except ImportError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'delta-node-sdk[formula]'" in said
