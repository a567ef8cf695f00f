"""How results of regressions are shown: as statsmodels prints them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _html

Array = npt.NDArray[np.float64]


class Printed:
    """Tables and summaries of a result."""

    model: str
    exog_names: list[str]
    endog_names: str
    cov_type: str
    use_t: bool
    missing: int
    nobs: float
    df_model: float
    df_resid: float
    llf: float
    aic: float
    bic: float
    converged: bool
    iterations: int
    rounds: list[dict[str, Any]]
    params: Array
    bse: Array
    tvalues: Array
    pvalues: Array
    llnull: float
    llr: float
    llr_pvalue: float
    prsquared: float
    rsquared: float
    rsquared_adj: float
    fvalue: float
    f_pvalue: float
    _shape: tuple[int, ...]

    def conf_int(self, alpha: float = 0.05) -> Array:
        """Return intervals of confidence; every result has its own."""
        raise NotImplementedError

    def table(self, alpha: float = 0.05) -> list[tuple[str, list[float]]]:
        """Return one row a parameter.

        Parameters
        ----------
        alpha : float
            One minus the confidence of the bounds.

        Returns
        -------
        list of (str, list of float)
            Name, and estimate, standard error, t or z, p value, lower and upper bound.
        """
        names = self.exog_names
        if self.model == "MNLogit":
            names = [f"{self.endog_names}={c + 1}: {n}" for c in range(self._shape[1]) for n in names]
        flat = [v.ravel(order="F") for v in (self.params, self.bse, self.tvalues, self.pvalues)]
        numbers = np.column_stack([*flat, self.conf_int(alpha).reshape(-1, 2)])
        return list(zip(names, numbers.tolist(), strict=True))

    def to_frame(self, alpha: float = 0.05) -> Any:
        """Return :meth:`table` as a DataFrame of pandas.

        Parameters
        ----------
        alpha : float
            One minus the confidence of the bounds.

        Returns
        -------
        pandas.DataFrame
            One row a parameter.

        Raises
        ------
        ImportError
            pandas is missing.
        """
        import pandas

        rows = dict(self.table(alpha))
        return pandas.DataFrame.from_dict(rows, orient="index", columns=self._headings(alpha))

    def _headings(self, alpha: float) -> list[str]:
        t = "t" if self.use_t else "z"
        return ["coef", "std err", t, f"P>|{t}|", f"[{alpha / 2:g}", f"{1 - alpha / 2:g}]"]

    def summary(self, alpha: float = 0.05) -> str:
        """Return everything as a text table.

        Parameters
        ----------
        alpha : float
            One minus the confidence of the bounds.

        Returns
        -------
        str
            Several lines, as statsmodels prints them.
        """
        facts, rows = self._facts(), self.table(alpha)
        wide = max(len(n) for n, _ in rows)
        head = " " * wide + "".join(f"{h:>12}" for h in self._headings(alpha))
        body = [
            f"{n:<{wide}}" + "".join(f"{v:12.3f}" if i == 3 else f"{v:12.5g}" for i, v in enumerate(r)) for n, r in rows
        ]
        pairs = [f"{k + ':':<20}{v!s:>14}" for k, v in facts]
        top = [a + "    " + b for a, b in zip(pairs[::2], [*pairs[1::2], ""], strict=False)]
        rule = "=" * max(len(head), *map(len, top))
        return "\n".join([rule, *top, rule, head, "-" * len(rule), *body, rule])

    def _facts(self) -> list[tuple[str, Any]]:
        facts: list[tuple[str, Any]] = [("Model", self.model), ("Dep. Variable", self.endog_names)]
        facts += [("No. Observations", f"{self.nobs:.0f}"), ("Missing, left out", self.missing)]
        facts += [("Df Residuals", f"{self.df_resid:.0f}"), ("Df Model", f"{self.df_model:.0f}")]
        facts += self._own_facts()
        facts += [("Covariance Type", self.cov_type)] if self.cov_type != "nonrobust" else []
        facts += [("Log-Likelihood", f"{self.llf:.5g}"), ("AIC", f"{self.aic:.5g}"), ("BIC", f"{self.bic:.5g}")]
        return facts

    def _own_facts(self) -> list[tuple[str, Any]]:
        """Say what this kind of model has beside what all have."""
        if self.model == "OLS":
            return [
                ("R-squared", f"{self.rsquared:.4g}"),
                ("Adj. R-squared", f"{self.rsquared_adj:.4g}"),
                ("F-statistic", f"{self.fvalue:.4g}"),
                ("Prob (F)", f"{self.f_pvalue:.3g}"),
            ]
        return [
            ("Pseudo R-squ.", f"{self.prsquared:.4g}"),
            ("LL-Null", f"{self.llnull:.5g}"),
            ("LLR", f"{self.llr:.4g}"),
            ("LLR p-value", f"{self.llr_pvalue:.3g}"),
            ("Converged", self.converged),
            ("Iterations", self.iterations),
        ]

    def __str__(self) -> str:
        """Show :meth:`summary`."""
        return self.summary()

    def __repr__(self) -> str:
        """Show the model and its parameters."""
        return (
            f"RegressionResult({self.model} of {self.endog_names}, nobs={self.nobs:.0f}, params={self.params.tolist()})"
        )

    def _repr_html_(self) -> str:
        table = _html.regression(self._facts(), self._headings(0.05), self.table())
        return f"<div>{table}{_html.rounds(self.rounds)}</div>"
