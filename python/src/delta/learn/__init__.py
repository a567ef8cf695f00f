"""Estimators in scikit-learn's manner, equal to those of scikit-learn on the pooled rows.

    class Risk(delta.task.HorizontalAnalytics):
        def dataset(self):
            return {"patients": delta.dataset.DataFrame("patients.csv", columns=["age", "bmi", "ill"])}

        def execute(self, patients):
            model = delta.learn.make_pipeline(delta.learn.StandardScaler(), delta.learn.LogisticRegression(C=0.5))
            return model.fit(patients[["age", "bmi"]], patients["ill"], classes=[0, 1])

``fit`` is called in ``execute`` of analytics, beside means and counts. What it returns there is a note of what is to be summed;
``get_result`` and ``delta.debug`` give the fitted estimator in its place, with ``coef_``, ``predict`` and the like. Fitted
estimators are applied to tables and arrays of this machine, and in later tasks to the members' rows, which stay where they are.

What leaves the nodes are sums over rows, which owners' rules judge as those of any analytics; penalties, priors and
eigenvectors are the business of the author's machine. ``missing="raise"`` refuses rows in which a value is missing, as
scikit-learn does; ``"drop"`` and ``"ignore"`` leave them out. Under ``privacy`` the sums have noise, and so has every attribute.
"""

from ._bayes import BernoulliNB, GaussianNB, MultinomialNB
from ._boosting import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from ._categories import CategoricalNB, OneHotEncoder
from ._decompose import PCA, KMeans
from ._estimator import Estimator, Fit
from ._linear import LinearRegression
from ._logistic import LogisticRegression
from ._penalties import ElasticNet, Lasso, Ridge
from ._pipeline import Pipeline, make_pipeline
from ._transform import StandardScaler

__all__ = [
    "PCA",
    "BernoulliNB",
    "CategoricalNB",
    "ElasticNet",
    "Estimator",
    "Fit",
    "GaussianNB",
    "HistGradientBoostingClassifier",
    "HistGradientBoostingRegressor",
    "KMeans",
    "Lasso",
    "LinearRegression",
    "LogisticRegression",
    "MultinomialNB",
    "OneHotEncoder",
    "Pipeline",
    "Ridge",
    "StandardScaler",
    "make_pipeline",
]
