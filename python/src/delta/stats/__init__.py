"""Tests, survival curves and the like for analytics, equal to those of scipy, statsmodels and scikit-learn on the pooled rows.

::

    class Trial(delta.task.HorizontalAnalytics):
        def dataset(self):
            return {"trial": delta.dataset.DataFrame("trial.csv", columns=["arm", "pressure", "days", "died"])}

        def execute(self, trial):
            old, new = trial[trial.arm == 0], trial[trial.arm == 1]
            return (
                delta.stats.ttest_ind(old["pressure"], new["pressure"], equal_var=False),
                delta.stats.logrank_test(trial["days"], trial["died"], trial["arm"], times=range(366), categories=[0, 1]),
            )

:class:`CoxTask` is a task of its own; the functions are called in ``execute``. What leaves the nodes are sums that the frames
have anyway (counts, means, counts in bins), so that owners' rules for them are the same; statistics and p values are made of the
sums on the author's machine, and ``get_result`` returns objects with the names of the reference.

Missing values are left out, as by ``nan_policy="omit"``; of pairs, both. What cannot be computed (no rows, no spread) is NaN,
with a warning where the reference refuses. Under ``privacy`` the sums have noise that no p value and no error knows of.
"""

from ._calibration import CalibrationResult, calibration
from ._clusters import KMeansResult, kmeans
from ._columns import PCAResult, ScalerResult, pca, standard_scaler
from ._correlation import PearsonRResult, pearsonr
from ._cox import CoxTask
from ._cox_result import CoxResult
from ._groups import FOnewayResult, f_oneway
from ._outcome import TestOutcome
from ._ranks import MannWhitneyUResult, RocResult, mannwhitneyu, roc_auc
from ._survival import KaplanMeierResult, LogrankResult, kaplan_meier, logrank_test
from ._tables import Chi2ContingencyResult, ChisquareResult, chi2_contingency, chisquare
from ._ttest import TTestResult, ttest_1samp, ttest_ind, ttest_rel

__all__ = [
    "CalibrationResult",
    "Chi2ContingencyResult",
    "ChisquareResult",
    "CoxResult",
    "CoxTask",
    "FOnewayResult",
    "KMeansResult",
    "KaplanMeierResult",
    "LogrankResult",
    "MannWhitneyUResult",
    "PCAResult",
    "PearsonRResult",
    "RocResult",
    "ScalerResult",
    "TTestResult",
    "TestOutcome",
    "calibration",
    "chi2_contingency",
    "chisquare",
    "f_oneway",
    "kaplan_meier",
    "kmeans",
    "logrank_test",
    "mannwhitneyu",
    "pca",
    "pearsonr",
    "roc_auc",
    "standard_scaler",
    "ttest_1samp",
    "ttest_ind",
    "ttest_rel",
]
