"""Regressions written as an author would, and the comparison with statsmodels on the pooled rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

import delta
from delta.statsmodel import RegressionTask, add_constant

LIKELIHOOD = "params bse tvalues pvalues llf llnull aic bic prsquared llr llr_pvalue df_model df_resid nobs"
LEAST_SQUARES = (
    "params bse tvalues pvalues llf aic bic rsquared rsquared_adj fvalue f_pvalue ssr ess centered_tss uncentered_tss "
    "mse_model mse_resid scale k_constant df_model df_resid nobs"
)


def task(
    base: type[RegressionTask],
    columns: list[str],
    target: str,
    *,
    constant: bool = True,
    options: Mapping[str, Any] | None = None,
    preprocess: Callable[[Any], tuple[Any, Any]] | None = None,
    members: int = 3,
    **arguments: Any,
) -> RegressionTask:
    """A task that explains one column by the others."""

    class Task(base):  # type: ignore[misc, valid-type]
        def dataset(self) -> dict[str, delta.dataset.DataFrame]:
            return {"data": delta.dataset.DataFrame("table.csv", columns=columns)}

        def preprocess(self, data: Any) -> tuple[Any, Any]:
            if preprocess:
                return preprocess(data)
            x = data.drop(columns=target)
            return (add_constant(x) if constant else x), data[target]

        def options(self) -> Mapping[str, Any]:
            return options or {}

    made: RegressionTask = Task("test", 2, members, **arguments)
    return made


def fit(base: type[RegressionTask], data: pd.DataFrame, target: str, parts: int = 3, **arguments: Any) -> Any:
    """Run a task over members that hold consecutive rows."""
    made = task(base, list(data.columns), target, members=max(parts, 2), **arguments)
    return delta.debug(made, data=data, parts=parts, threads=1)


def agrees(mine: Any, theirs: Any, names: str, tolerance: float = 1e-6) -> None:
    """Every named attribute is the same number, or array of numbers, relative to its size."""
    for name in names.split():
        found, expected = (np.asarray(getattr(r, name), float) for r in (mine, theirs))
        assert found.shape == expected.shape, name
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=1e-300, err_msg=name)
    covariance = np.asarray(theirs.cov_params())
    np.testing.assert_allclose(mine.cov_params(), covariance, rtol=tolerance, atol=tolerance * np.abs(covariance).max())
    interval = np.asarray(theirs.conf_int())
    np.testing.assert_allclose(mine.conf_int().reshape(interval.shape), interval, rtol=tolerance, atol=1e-7)
