"""What transformers have in common, and the standard scaler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import results
from ..pandas.symbolic import Expr, Symbol, block, ops
from ..stats import standard_scaler
from ._estimator import Estimator, Fit, Parts, Spec, flags
from ._predict import frame, is_rows, matrix, pick
from ._rows import features, part

Array = npt.NDArray[np.float64]
Apply = Callable[[Any], Any]


class Transformer(Estimator):
    """What turns columns into others: in the task that fits it, and, fitted, in later ones and on this machine."""

    n_features_in_: int
    feature_names_in_: Array

    def fit(self, X: Any, y: Any = None, sample_weight: None = None) -> Fit:
        """Fit to the rows of all members, in ``execute``.

        Parameters
        ----------
        X : DataFrame of rows
            The columns.
        y : object, optional
            Nothing is done with it, as in scikit-learn.
        sample_weight : None
            Rows have no weights here.

        Returns
        -------
        Fit
            For ``execute`` to return; the result is an estimator of the same kind, with attributes.

        Raises
        ------
        TypeError
            There are weights.
        """
        if sample_weight is not None:
            raise TypeError(f"{type(self).__name__}.fit: rows have no sample_weight here; leave it out")
        apply, parts, spec = self._prepare(X)
        return FittedRows(self, parts, apply, spec)

    def fit_transform(self, X: Any) -> Any:
        """Fit, and return the columns that come of it, in ``execute``: for what is computed with further in the same task.

        Parameters
        ----------
        X : DataFrame of rows
            The columns.

        Returns
        -------
        DataFrame of rows
            Which later rounds of the same task compute with.
        """
        return self._prepare(X)[0](X)

    def transform(self, X: Any) -> Any:
        """Turn columns into others, as was fitted.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            A table is read by its columns' names.

        Returns
        -------
        ndarray or delta DataFrame
            ``[rows, ...]``; of rows at the members a frame of rows.
        """
        raise NotImplementedError

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the columns that :meth:`transform` makes.

        Parameters
        ----------
        input_features : None
            As in scikit-learn; those that were fitted are known.

        Returns
        -------
        ndarray
            Of texts.
        """
        self._known()
        return self.feature_names_in_

    def _prepare(self, X: Any) -> tuple[Apply, dict[str, Symbol], dict[str, Any]]:
        """Return what turns rows into others, the parts of a result, and what else it must know."""
        raise NotImplementedError


class FittedRows(Fit):
    """A transformer that is fitted in a task that is being written: later rounds of it may read what it makes of rows."""

    def __init__(
        self, estimator: Transformer, parts: Mapping[str, Symbol], apply: Apply, spec: Mapping[str, Any]
    ) -> None:
        super().__init__(estimator, parts, **spec)
        self._apply = apply

    def transform(self, X: Any) -> Any:
        """Return what is made of rows, of those that were fitted or of others."""
        return self._apply(X)


class StandardScaler(Transformer):
    """Columns less their means, in units of their deviations, as ``sklearn.preprocessing.StandardScaler``. Two rounds.

    Missing values of a column are left out when it is fitted, and stay missing, as in scikit-learn.

    Parameters
    ----------
    with_mean : bool
        Whether the mean is taken away.
    with_std : bool
        Whether columns are divided by their standard deviations; a constant one by 1.

    Attributes
    ----------
    mean_, var_, scale_ : ndarray
        ``[columns]``; ``var_`` and ``scale_`` are None without ``with_std``.
    n_samples_seen_ : ndarray
        ``[columns]``: how many values there are.
    feature_names_in_, n_features_in_ : ndarray, int
        The columns.
    """

    mean_: Array
    var_: Array | None
    scale_: Array | None
    n_samples_seen_: Array

    def __init__(self, *, with_mean: bool = True, with_std: bool = True) -> None:
        flags("StandardScaler", with_mean=with_mean, with_std=with_std)
        self.with_mean, self.with_std = with_mean, with_std

    def _prepare(self, X: Any) -> tuple[Apply, dict[str, Symbol], dict[str, Any]]:
        b = features("StandardScaler", X)
        names = [str(c) for c in b.columns or ()]
        columns = frame(b, b.x, names)
        parts = standard_scaler(columns).parts if self.with_std else {"n": columns.count(), "mean": columns.mean()}
        n, mean, var = (None if k not in parts else block(parts[k]).x for k in ("n", "mean", "var"))

        def apply(rows: Any) -> Any:
            like, x = pick("StandardScaler", rows, names) if is_rows(rows) else (b, b.x)
            if self.with_mean:
                x = ops.sub(x, mean)
            if n is not None and mean is not None and var is not None:
                x = ops.div(x, ops.where(_constant(n, mean, var), 1.0, ops.sqrt(var)))
            return frame(like, x, names)

        return apply, {name: part(block(s).x) for name, s in parts.items()}, {"columns": names}

    def _finish(self, spec: Spec, parts: Parts) -> None:
        self.n_samples_seen_, self.mean_ = parts["n"], parts["mean"]
        if not (self.n_samples_seen_ > 0).any():
            raise ValueError("StandardScaler: no row counts")
        self.var_ = self.scale_ = None
        if self.with_std:
            told = {
                "kind": "statistic",
                "method": "standard_scaler",
                "columns": spec["columns"],
                "values": {n: n for n in parts},
            }
            found = results.build({"options": {"result": [told]}}, parts)
            self.var_, self.scale_ = found.var_, found.scale_
        self.feature_names_in_ = np.asarray(spec["columns"], object)
        self.n_features_in_ = len(spec["columns"])

    def transform(self, X: Any) -> Any:
        """Take the means away and divide by the deviations.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            A table is read by its columns' names; missing values stay missing.

        Returns
        -------
        ndarray or delta DataFrame
            ``[rows, columns]``; of rows at the members a frame of rows.

        Raises
        ------
        ValueError
            There is no result yet, or columns are missing.
        """
        self._known()
        names = list(self.feature_names_in_)
        mean = self.mean_ if self.with_mean else np.zeros(len(names))
        scale = np.ones(len(names)) if self.scale_ is None else self.scale_
        if is_rows(X):
            b, x = pick("StandardScaler", X, names)
            return frame(b, ops.div(ops.sub(x, mean), scale), names)
        return (matrix("StandardScaler", X, names, gaps=True) - mean) / scale

    def inverse_transform(self, X: Any) -> Array:
        """Return what :meth:`transform` was given.

        Parameters
        ----------
        X : array of shape [rows, columns]
            Columns in units of their deviations.

        Returns
        -------
        ndarray
            ``[rows, columns]``.

        Raises
        ------
        ValueError
            There is no result yet, or ``X`` has another shape.
        """
        self._known()
        made = matrix("StandardScaler", X, list(self.feature_names_in_), gaps=True)
        made = made if self.scale_ is None else made * self.scale_
        return made + self.mean_ if self.with_mean else made


def _constant(n: Expr, mean: Expr, var: Expr) -> Expr:
    """Whether columns are constant, as scikit-learn tells it."""
    eps = float(np.finfo(np.float64).eps)
    bound = ops.add(ops.mul(ops.mul(n, eps), var), ops.square(ops.mul(ops.mul(n, mean), eps)))
    return ops.less_equal(var, bound)
