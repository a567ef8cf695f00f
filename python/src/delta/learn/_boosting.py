"""Gradient boosting by histograms over declared bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..pandas.symbolic import Block, Expr, ops
from ._classify import Classifier, both
from ._estimator import Fit, Parts, Spec
from ._forest import HistGradientBoosting
from ._predict import is_rows, r_squared, series
from ._rows import sample, total

Array = npt.NDArray[np.float64]


class HistGradientBoostingRegressor(HistGradientBoosting):
    """Boosted trees of a number, as ``sklearn.ensemble.HistGradientBoostingRegressor(max_leaf_nodes=None)``.

    Trees grow level by level, one round each: ``max_iter * max_depth`` rounds, and one before. Splits are scikit-learn's where
    its thresholds are, for instance of columns of whole numbers with all halves as bins; it sums in single precision, so that
    leaves agree to six digits. A task repeats the rounds of one such estimator.

    Parameters
    ----------
    bins : dict of str to sequence of float, or list of them
        Of each column the thresholds that may split it, rising: as ``numpy.linspace(20, 80, 13)``, or ``[0.5]`` of 0 and 1.
    learning_rate : float
        The share of each tree's prediction that is taken.
    max_iter : int
        Trees.
    max_depth : int
        Levels of a tree, 8 at most.
    min_samples_leaf : int
        Rows of a leaf, at least.
    l2_regularization : float
        The penalty on what leaves are worth.
    by_record : bool
        Whether nodes sum record by record (class ``controlled``): owners' rules then judge each round and ask nobody, and let
        256 numbers pass at most, each of ten rows or of none. Otherwise members' graphs sum many rows at once, which is faster by
        far, and every owner is asked (class ``free``): counts in the bins of small nodes are of few rows.
    missing : {"raise", "drop", "ignore"}
        As in :class:`LinearRegression`.

    Attributes
    ----------
    train_loss_ : ndarray
        ``[max_iter]``: the mean loss (half the squared error) before each tree.
    bins_ : list of ndarray
        The thresholds of each column.
    n_iter_, n_samples_, n_missing_, n_features_in_ : int
        How many there are.
    feature_names_in_ : ndarray
        The columns.

    Raises
    ------
    ValueError
        A parameter cannot work.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Fit:
        """Fit to the rows of all members, in ``execute``.

        Parameters
        ----------
        X : DataFrame of rows
            Columns of numbers.
        y : Series of rows
            What is explained.
        sample_weight : Series of rows, optional
            0 or more.

        Returns
        -------
        Fit
            For ``execute`` to return; the result is an estimator of the same kind, with attributes.
        """
        s = sample(type(self).__name__, X, y, sample_weight, missing=self.missing)
        assert s.y is not None
        weight = total(s.ones, "weight")
        mean = ops.div(total(ops.mul(s.y, s.ones), "sum"), ops.where(ops.greater(weight, 0.0), weight, 1.0))
        return self._fit(s, 1, mean, {})

    def _finish(self, spec: Spec, parts: Parts) -> None:
        self._begin(spec, parts, "an infinite value, or a weight below 0")

    def predict(self, X: Any) -> Any:
        """Predict a number.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            A table is read by its columns' names.

        Returns
        -------
        ndarray or Series
            ``[rows]``; of rows at the members a column of rows.

        Raises
        ------
        ValueError
            There is no result yet, columns are missing, or values of a table are.
        """
        if is_rows(X):
            b, raw = self._raw_rows(X)
            return series(b, ops.take(raw, 0, 1), "predicted")
        return self._raw(X)[:, 0]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the share of ``y``'s variance that is explained, of rows of this machine.

        Parameters
        ----------
        X : DataFrame or array of shape [rows, columns]
            Rows.
        y : array
            ``[rows]``.
        sample_weight : array, optional
            ``[rows]``.

        Returns
        -------
        float
            1 at most.
        """
        return r_squared(type(self).__name__, y, self.predict(X), sample_weight)


class HistGradientBoostingClassifier(HistGradientBoosting, Classifier):
    """Boosted trees of classes, as ``sklearn.ensemble.HistGradientBoostingClassifier(max_leaf_nodes=None)``.

    See :class:`HistGradientBoostingRegressor`. Of more than two classes each round grows a tree for each.

    Parameters
    ----------
    bins, learning_rate, max_iter, max_depth, min_samples_leaf, l2_regularization, by_record, missing
        As in :class:`HistGradientBoostingRegressor`.

    Attributes
    ----------
    classes_, class_count_ : ndarray
        The classes, and how many rows, or what weight, each has.
    train_loss_ : ndarray
        ``[max_iter]``: the mean log loss before each tree.
    bins_, n_iter_, n_samples_, n_missing_, n_features_in_, feature_names_in_ : object
        As in :class:`HistGradientBoostingRegressor`.

    Raises
    ------
    ValueError
        A parameter cannot work.
    """

    class_count_: Array
    _loss = "log_loss"

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, classes: Sequence[Any] | None = None) -> Fit:
        """Fit to the rows of all members, in ``execute``.

        Parameters
        ----------
        X : DataFrame of rows
            Columns of numbers.
        y : Series of rows, or column of declared levels
            The class of each row.
        sample_weight : Series of rows, optional
            0 or more.
        classes : sequence, optional
            Which there are, two at least. Of levels and of bool that is known; of numbers it must be said.

        Returns
        -------
        Fit
            For ``execute`` to return; the result is an estimator of the same kind, with attributes.

        Raises
        ------
        ValueError
            There are fewer than two classes.
        """
        what = type(self).__name__
        s = sample(what, X, y, sample_weight, missing=self.missing, classes=classes, labels=True)
        assert s.classes is not None
        if len(s.classes) < 2:
            raise ValueError(f"{what}: there must be two classes at least, not {s.classes}")
        here = s.members if s.weight is None else ops.mul(s.members, s.weight)
        count = total(here, "class_count")
        # A class without rows is refused when the task is over; until then its logarithm must be a number.
        log = ops.log(ops.maximum(count, 1e-9))
        two = len(s.classes) == 2
        if two:
            begin = ops.sub(ops.slice(log, 1, 2, 0), ops.slice(log, 0, 1, 0))
        else:
            begin = ops.sub(log, ops.div(ops.sum(log, 0), float(len(s.classes))))
        return self._fit(s, 1 if two else len(s.classes), begin, {"counts": count})

    def _finish(self, spec: Spec, parts: Parts) -> None:
        self._begin(spec, parts, "a class that is not declared, an infinite value, or a weight below 0")
        classes, what = list(spec["classes"]), type(self).__name__
        if empty := [c for c, w in zip(classes, parts["counts"], strict=True) if not w > 0]:
            raise ValueError(
                f"{what}: no row that weighs something has the class {empty[0]!r}; leave it out of classes"
            )
        self.classes_, self.class_count_ = np.asarray(classes), parts["counts"]

    def _joint(self, X: Any) -> Array:
        raw = self._raw(X)
        return np.concatenate([-raw / 2, raw / 2], axis=1) if len(self.classes_) == 2 else raw

    def _joint_rows(self, X: Any) -> tuple[Block, Expr]:
        b, raw = self._raw_rows(X)
        return b, both(raw) if len(self.classes_) == 2 else raw

    def decision_function(self, X: Any) -> Any:
        """Compute the log odds of the second of two classes, or a score of each class.

        Parameters
        ----------
        X : DataFrame or array of shape [rows, columns]
            A table is read by its columns' names.

        Returns
        -------
        ndarray
            ``[rows]`` or ``[rows, classes]``.
        """
        raw = self._raw(X)
        return raw[:, 0] if len(self.classes_) == 2 else raw
