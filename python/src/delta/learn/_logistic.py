"""Logistic regression with a penalty, by Newton's rounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _trust
from ..pandas.symbolic import Block, Expr, ops
from ._classify import Classifier, both
from ._estimator import MISSING, Fit, Parts, Spec, at_least, choice, doubt, flags
from ._newton import GAINED, Newton
from ._predict import frame, is_rows, matrix, pick, series
from ._rows import number_of_rows, part, refuse, sample, total

Array = npt.NDArray[np.float64]

# Variances that are inflated so much: columns depend on others.
_HOPELESS = 1e12
# As the driver solve allows.
LARGEST = 4096
_ROUNDED = 1e-15
# Where there is a smallest value, a move gains the square of what the one before did; where there is none, a share of it.
_ENDLESS = 0.2


class LogisticRegression(Classifier):
    """Logistic regression of two classes or more, as ``sklearn.linear_model.LogisticRegression``: its ``lbfgs`` at the end.

    It minimises ``|w|^2 / 2 + C sum(log losses)``; constants have no penalty. Rounds are Newton's: about eight, and one for
    means. A task repeats the rounds of one such estimator.

    Parameters
    ----------
    C : float
        The penalty's inverse, above 0; ``float("inf")`` is no penalty.
    fit_intercept : bool
        Whether there are constants.
    class_weight : "balanced" or dict, optional
        Weights of rows by class; ``"balanced"`` makes all classes weigh the same.
    max_iter : int
        Rounds at most.
    missing : {"raise", "drop", "ignore"}
        As in :class:`LinearRegression`.

    Attributes
    ----------
    coef_ : ndarray
        ``[1, columns]`` of two classes, else ``[classes, columns]``, which add up to 0.
    intercept_ : ndarray
        ``[1]`` or ``[classes]``.
    n_iter_ : ndarray
        ``[1]``: how many moves there were.
    class_count_ : ndarray
        ``[classes]``: rows of each.
    converged_ : bool
        Whether the last move gained nothing; a warning says where not.
    classes_, feature_names_in_, n_features_in_, n_samples_, n_missing_ : object
        The classes, and what was fitted.

    Raises
    ------
    ValueError
        A parameter cannot work.
    """

    coef_: Array
    intercept_: Array
    n_iter_: npt.NDArray[np.int64]
    class_count_: Array
    converged_: bool
    n_samples_: int
    n_missing_: int

    def __init__(
        self,
        *,
        C: float = 1.0,
        fit_intercept: bool = True,
        class_weight: str | Mapping[Any, float] | None = None,
        max_iter: int = 100,
        missing: str = "raise",
    ) -> None:
        at_least("LogisticRegression", "C", C, 0, infinite=True)
        if C == 0:
            raise ValueError("LogisticRegression: C must be above 0")
        at_least("LogisticRegression", "max_iter", max_iter, 1, whole=True)
        choice("LogisticRegression", "missing", missing, MISSING)
        flags("LogisticRegression", fit_intercept=fit_intercept)
        if not isinstance(class_weight, Mapping):
            choice("LogisticRegression", "class_weight", class_weight, (None, "balanced"))
        self.C, self.fit_intercept, self.class_weight = C, fit_intercept, class_weight
        self.max_iter, self.missing = max_iter, missing

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
            There are fewer than two classes, ``class_weight`` names another one, or there are too many parameters.
        """
        what = "LogisticRegression"
        s = sample(what, X, y, sample_weight, missing=self.missing, classes=classes, labels=True)
        assert s.classes is not None and s.y is not None
        if len(s.classes) < 2:
            raise ValueError(f"{what}: there must be two classes at least, not {s.classes}")
        n, count = number_of_rows(s), total(s.members, "class_count")
        weighted = count if s.weight is None else total(ops.mul(s.members, s.weight), "class_weight")
        weight = ops.mul(s.ones, self._class_weights(s.classes, s.members, weighted))
        # Columns less their means: that moves the constants alone, and keeps digits.
        x, parts = s.x, {"n": n, "counts": count, "weights": weighted}
        if self.fit_intercept:
            mean = parts["mean"] = ops.div(total(s.x, "sum"), ops.maximum(n, 1.0))
            x = s.kept(ops.sub(s.x, mean))
            # What rounding the mean leaves of a constant column is nothing.
            x = ops.where(ops.less_equal(ops.abs(x), ops.mul(ops.abs(mean), _ROUNDED)), 0.0, x)
        whole = ops.concat(x, s.y, weight, ops.cast(s.valid, "f64"), axis=1)
        loop = Newton(s.index, whole, len(s.names), len(s.classes), self.fit_intercept, 1 / self.C, self.max_iter)
        if loop.size > LARGEST:
            raise ValueError(
                f"{what}: it has {loop.size} parameters; nodes solve for {LARGEST} at most, so use fewer columns"
            )
        found = {name: part(v) for name, v in parts.items()} | s.checks
        return Fit(self, found, loop, columns=s.names, classes=s.classes)

    def _class_weights(self, classes: list[Any], here: Expr, count: Expr) -> Any:
        """Return the weight of each row's class."""
        if self.class_weight is None:
            return 1.0
        if isinstance(self.class_weight, Mapping):
            if strange := [c for c in self.class_weight if c not in classes]:
                raise ValueError(f"LogisticRegression: class_weight has {strange[0]!r}, and the classes are {classes}")
            each: Any = np.array([float(self.class_weight.get(c, 1.0)) for c in classes])
            if not (np.isfinite(each) & (each > 0)).all():
                raise ValueError(
                    f"LogisticRegression: class_weight must be above 0, not {min(each.tolist()):g}: a class that weighs nothing "
                    "has no best constant; leave it out of classes, and select the rows of the others"
                )
            return ops.sum(ops.mul(here, each), 1, keepdims=True)
        safe = ops.where(ops.greater(count, 0.0), count, 1.0)
        each = ops.div(ops.div(ops.sum(count, 0), float(len(classes))), safe)
        return ops.sum(ops.mul(here, each), 1, keepdims=True)

    # What rows are refused for.
    _wrong = "a class that is not declared, an infinite value, or a weight below 0"

    def _finish(self, spec: Spec, parts: Parts) -> None:
        what, classes = "LogisticRegression", list(spec["classes"])
        n = float(parts["n"].flat[0])
        self.n_missing_ = refuse(what, parts, self.missing, self._wrong, n)
        if empty := [c for c, w in zip(classes, parts["weights"], strict=True) if not w > 0]:
            raise ValueError(
                f"{what}: no row that weighs something has the class {empty[0]!r}; leave it out of classes"
            )
        self.n_samples_, self.n_features_in_ = round(n), len(spec["columns"])
        self.feature_names_in_ = np.asarray(spec["columns"], object)
        self.classes_, self.class_count_ = np.asarray(classes), parts["counts"]
        self.converged_ = bool(parts["converged"] > 0.5)
        self.n_iter_ = np.array([int(parts["iterations"])])
        w = parts["params"].reshape(len(classes) - 1, -1)
        if len(classes) > 2:
            # Of all that say the same, the one whose classes add up to 0, as the penalty wants it.
            w = np.concatenate([np.zeros((1, w.shape[1])), w])
            w = w - w.mean(0)
        p = self.n_features_in_
        self.coef_ = w[:, :p].copy()
        self.intercept_ = w[:, p] - self.coef_ @ parts["mean"] if self.fit_intercept else np.zeros(len(w))
        if not self.converged_:
            doubt(
                what,
                f"{self.max_iter} rounds did not find the end (the last gained {float(parts['gained']):.2g}): raise max_iter",
            )
        elif math.isinf(self.C) and parts["rate"] > _ENDLESS and parts["gained"] > GAINED * 1e-6:
            doubt(
                what,
                "columns tell the classes apart without error: there is no best estimate without a penalty; lower C",
            )
        elif "curve" in parts:
            self._doubt_columns(np.diagonal(parts["curve"]), _trust.inverse(parts["curve"])[1])

    def _doubt_columns(self, curvature: Array, inflation: Array) -> None:
        """Warn where columns depend on others, or do not vary: then only a penalty says which of many estimates is best."""
        names = [str(n) for n in self.feature_names_in_] + (["the constant"] if self.fit_intercept else [])
        found = np.flatnonzero(~(inflation <= _HOPELESS) | ~(curvature > 0))
        if len(which := dict.fromkeys(names[int(i) % len(names)] for i in found)):
            shown = ", ".join(map(repr, list(which)[:6]))
            doubt(
                "LogisticRegression",
                f"columns depend on others, or do not vary ({shown}): without a penalty one of many estimates is shown; leave "
                "them out, or lower C",
            )

    def decision_function(self, X: Any) -> Any:
        """Compute ``X @ coef_.T + intercept_``.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            A table is read by its columns' names.

        Returns
        -------
        ndarray, Series or DataFrame
            ``[rows]`` of two classes, the log odds of the second; else ``[rows, classes]``.

        Raises
        ------
        ValueError
            There is no result yet, columns are missing, or values of a table are.
        """
        self._known()
        what, names = "LogisticRegression", list(self.feature_names_in_)
        if is_rows(X):
            b, x = pick(what, X, names)
            z = ops.add(ops.matmul(x, self.coef_.T), self.intercept_)
            if len(self.classes_) == 2:
                return series(b, ops.take(z, 0, 1), "decision")
            return frame(b, z, [str(c) for c in self.classes_])
        made = matrix(what, X, names) @ self.coef_.T + self.intercept_
        return made[:, 0] if len(self.classes_) == 2 else made

    def _joint_rows(self, X: Any) -> tuple[Block, Expr]:
        self._known()
        b, x = pick("LogisticRegression", X, list(self.feature_names_in_))
        z = ops.add(ops.matmul(x, self.coef_.T), self.intercept_)
        return b, both(z) if len(self.classes_) == 2 else z

    def _joint(self, X: Any) -> Array:
        z: Array = self.decision_function(X)
        return np.stack([-z / 2, z / 2], axis=1) if len(self.classes_) == 2 else z
