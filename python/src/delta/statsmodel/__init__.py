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

from ._compare import LikelihoodRatio, likelihood_ratio_test
from ._constant import add_constant
from ._formula import design
from ._glm import GLMTask, PoissonTask
from ._glm_result import GLMResult
from ._linear import LinearTask
from ._logit import LogitTask, ProbitTask
from ._mnlogit import MNLogitTask
from ._newton import RegressionTask
from ._options import Options
from ._result import RegressionResult
from ._sample import Moments, Sample

__all__ = [
    "GLMResult",
    "GLMTask",
    "LikelihoodRatio",
    "LinearTask",
    "LogitTask",
    "MNLogitTask",
    "Moments",
    "Options",
    "PoissonTask",
    "ProbitTask",
    "RegressionResult",
    "RegressionTask",
    "Sample",
    "add_constant",
    "design",
    "likelihood_ratio_test",
]
