"""Regressions with the names and results of statsmodels, on rows that stay where they are.

    class Spector(delta.statsmodel.LogitTask):
        def __init__(self):
            super().__init__("spector", min_clients=2, max_clients=3)

        def dataset(self):
            return {"data": delta.dataset.DataFrame("spector.csv", columns=["GPA", "TUCE", "PSI", "Grade"])}

        def preprocess(self, data):
            return delta.statsmodel.add_constant(data.drop(columns="Grade")), data["Grade"]

The result has parameters, standard errors, tests, and ``summary()``, equal to those of statsmodels on all rows in one place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._linear import LinearTask
from ._logit import LogitTask
from ._mnlogit import MNLogitTask
from ._newton import RegressionTask
from ._result import RegressionResult

if TYPE_CHECKING:
    from ..pandas import DataFrame, Series

__all__ = ["LinearTask", "LogitTask", "MNLogitTask", "RegressionResult", "RegressionTask", "add_constant"]


def add_constant(data: DataFrame | Series, prepend: bool = True) -> DataFrame:
    """Return ``data`` with a column ``const`` of ones, in front or behind, as ``statsmodels.add_constant``.

    Raises ``ValueError`` when there is a column of that name.
    """
    from ._newton import as_frame

    frame = as_frame(data)
    names = frame.columns
    if "const" in names:
        raise ValueError("add_constant: there is a column 'const' already")
    made: DataFrame = frame.assign(const=1.0)
    return made[["const", *names]] if prepend else made
