"""What classifiers have in common: from scores to probabilities and classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..pandas.symbolic import Block, Expr, ops
from ._estimator import Estimator
from ._predict import code_of, frame, is_rows, mean_accuracy, series

Array = npt.NDArray[np.float64]


class Classifier(Estimator):
    """What classifiers have in common."""

    classes_: Array
    n_features_in_: int
    feature_names_in_: Array

    def predict_log_proba(self, X: Any) -> Array:
        """Predict the logarithm of each class's probability.

        Parameters
        ----------
        X : DataFrame or array of shape [rows, columns]
            A table is read by its columns' names.

        Returns
        -------
        ndarray
            ``[rows, classes]``.

        Raises
        ------
        TypeError
            ``X`` is of rows at the members.
        ValueError
            There is no result yet, columns are missing, or values are.
        """
        self._known()
        if is_rows(X):
            raise TypeError(
                f"{type(self).__name__}: of rows at the members use predict_proba, and the logarithm of that"
            )
        joint = self._joint(X)
        top = joint.max(1, keepdims=True)
        made: Array = joint - top - np.log(np.exp(joint - top).sum(1, keepdims=True))
        return made

    def predict_proba(self, X: Any) -> Any:
        """Predict each class's probability.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            A table is read by its columns' names. Naive Bayes reads none of rows at the members.

        Returns
        -------
        ndarray or DataFrame
            ``[rows, classes]``; of rows at the members a frame whose columns are called as the classes.
        """
        if not is_rows(X):
            return np.exp(self.predict_log_proba(X))
        b, z = self._joint_rows(X)
        e = ops.exp(ops.sub(z, ops.max(z, 1, keepdims=True)))
        return frame(b, ops.div(e, ops.sum(e, 1, keepdims=True)), [str(c) for c in self.classes_.tolist()])

    def predict(self, X: Any) -> Any:
        """Predict the class that is most probable.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            A table is read by its columns' names. Naive Bayes reads none of rows at the members.

        Returns
        -------
        ndarray or Series
            ``[rows]``, of ``classes_``; of rows at the members a column of rows, where classes are numbers.
        """
        if not is_rows(X):
            self._known()
            return self.classes_[self._joint(X).argmax(1)]
        b, z = self._joint_rows(X)
        most = ops.take(z, 0, 1)
        place = ops.mul(most, 0.0)
        for k in range(1, len(self.classes_)):
            one = ops.take(z, k, 1)
            more = ops.greater(one, most)
            place, most = ops.where(more, float(k), place), ops.where(more, one, most)
        return series(b, code_of(self.classes_.tolist(), place), "predicted")

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the share of right classes, of rows of this machine.

        Parameters
        ----------
        X : DataFrame or array of shape [rows, columns]
            Rows.
        y : array
            ``[rows]``: their classes.
        sample_weight : array, optional
            ``[rows]``.

        Returns
        -------
        float
            0 to 1.
        """
        return mean_accuracy(type(self).__name__, self.classes_, y, self.predict(X), sample_weight)

    def _joint(self, X: Any) -> Array:
        """Return what is, but for a number of each row, the logarithm of each class's probability."""
        raise NotImplementedError

    def _joint_rows(self, X: Any) -> tuple[Block, Expr]:
        """Return the same of rows at the members, ``[rows, classes]``."""
        raise TypeError(f"{type(self).__name__} does not read rows at the members")


def both(z: Expr) -> Expr:
    """Make scores of two classes of the log odds of the second, ``[rows, 1]``."""
    half = ops.mul(z, 0.5)
    return ops.concat(ops.neg(half), half, axis=1)
