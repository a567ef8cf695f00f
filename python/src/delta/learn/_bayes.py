"""Naive Bayes: counts, means and variances of the columns in each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..pandas.symbolic import Expr, Symbol, ops, pooled
from ._classify import Classifier
from ._estimator import MISSING, Fit, Parts, Spec, at_least, choice, doubt, flags
from ._predict import matrix
from ._rows import Sample, features, number_of_rows, part, refuse, sample, total

Array = npt.NDArray[np.float64]
# Squared deviations of a constant column, relative to its square: roundings of the mean.
_STILL = 1e-28


class NaiveBayes(Classifier):
    """What naive Bayes has in common: how often each class is there."""

    class_count_: Array
    n_samples_: int
    n_missing_: int
    missing: str

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
            Which there are. Of levels and of bool that is known; of numbers it must be said.

        Returns
        -------
        Fit
            For ``execute`` to return; the result is an estimator of the same kind, with attributes.
        """
        what = type(self).__name__
        s = sample(
            what,
            X,
            y,
            sample_weight,
            missing=self.missing,
            classes=classes,
            labels=True,
            must=self._must(features(what, X).x),
        )
        self._fits(s)
        return Fit(self, self._sums(s) | s.checks, columns=s.names, classes=s.classes)

    def _must(self, x: Expr) -> Mapping[str, Expr]:
        """Return what must hold of ``[rows, columns]``."""
        return {}

    def _fits(self, s: Sample) -> None:
        """Refuse parameters that do not fit the columns and classes, before a node is asked."""
        priors = getattr(self, "priors", getattr(self, "class_prior", None))
        if priors is not None:
            _prior(type(self).__name__, priors, list(s.classes or ()))

    def _sums(self, s: Sample) -> dict[str, Symbol]:
        raise NotImplementedError

    # What rows are refused for.
    _wrong = "a class that is not declared, an infinite value, or a weight below 0"

    def _begin(self, spec: Spec, parts: Parts) -> npt.NDArray[np.bool_]:
        """Set what all have; return which of the declared classes have rows."""
        what, classes = type(self).__name__, list(spec["classes"])
        counts = parts["classes"]
        n = float(parts["n"].flat[0]) if "n" in parts else float(counts.sum())
        self.n_missing_ = refuse(what, parts, self.missing, self._wrong, n)
        there: npt.NDArray[np.bool_] = counts > 0
        if not there.any():
            raise ValueError(f"{what}: all weights are 0")
        if not there.all():
            names = ", ".join(repr(c) for c, t in zip(classes, there, strict=True) if not t)
            doubt(what, f"no row has the class {names}, which is left out of classes_")
        self.n_samples_, self.n_features_in_ = round(n), len(spec["columns"])
        self.feature_names_in_ = np.asarray(spec["columns"], object)
        self.classes_ = np.asarray(classes)[there]
        self.class_count_ = counts[there]
        return there

    def _log_prior(self, given: Any, fitted: bool = True) -> Array:
        """Return the logarithm of each class's share, or of what its author says."""
        if given is not None:
            return np.asarray(np.log(_prior(type(self).__name__, given, self.classes_.tolist())))
        if not fitted:
            return np.full(len(self.classes_), -np.log(len(self.classes_)))
        return np.asarray(np.log(self.class_count_ / self.class_count_.sum()))


def _prior(what: str, given: Any, classes: Sequence[Any]) -> Array:
    """Return probabilities of classes that an author says.

    Raises ``ValueError`` where they are no such.
    """
    try:
        prior = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        prior = np.zeros(0)
    if prior.shape != (len(classes),) or not (prior >= 0).all() or not np.isclose(prior.sum(), 1):
        raise ValueError(
            f"{what}: priors must be {len(classes)} numbers that add up to 1, of the classes {list(classes)}"
        )
    return prior


class GaussianNB(NaiveBayes):
    """Naive Bayes of normal columns, as ``sklearn.naive_bayes.GaussianNB``. Two rounds.

    Parameters
    ----------
    priors : sequence of float, optional
        The classes' probabilities; by default their shares.
    var_smoothing : float
        This share of the largest variance of a column is added to all variances.
    missing : {"raise", "drop", "ignore"}
        As in :class:`LinearRegression`.

    Attributes
    ----------
    theta_, var_ : ndarray
        ``[classes, columns]``: means and variances.
    class_count_, class_prior_ : ndarray
        ``[classes]``.
    epsilon_ : float
        What was added to variances.
    classes_, feature_names_in_, n_features_in_, n_samples_, n_missing_ : object
        The classes that have rows, and what was fitted.

    Raises
    ------
    ValueError
        A parameter cannot work.
    """

    theta_: Array
    var_: Array
    class_prior_: Array
    epsilon_: float

    def __init__(
        self, *, priors: Sequence[float] | None = None, var_smoothing: float = 1e-9, missing: str = "raise"
    ) -> None:
        at_least("GaussianNB", "var_smoothing", var_smoothing, 0)
        choice("GaussianNB", "missing", missing, MISSING)
        self.priors, self.var_smoothing, self.missing = priors, var_smoothing, missing

    def _sums(self, s: Sample) -> dict[str, Symbol]:
        here = s.members
        weights = here if s.weight is None else ops.mul(here, s.weight)
        count = total(weights, "class_count")
        safe = ops.unsqueeze(ops.where(ops.greater(count, 0.0), count, 1.0), 1)
        mean = ops.div(pooled(ops.gram(weights, s.x), "class_sum"), safe)
        # Each row's deviation from the mean of its own class.
        d = s.kept(ops.sub(s.x, ops.matmul(here, mean)))
        squares = pooled(ops.gram(weights, ops.square(d)), "squared_deviations")
        made = {"classes": count, "theta": mean, "squares": squares}
        if s.weight is not None:
            # The variance of whole columns knows no weights in scikit-learn.
            n = number_of_rows(s)
            middle = ops.div(total(s.x, "sum"), ops.maximum(n, 1.0))
            made |= {"n": n, "spread": total(ops.square(s.kept(ops.sub(s.x, middle))), "squared_deviations_of_all")}
        return {name: part(x) for name, x in made.items()}

    def _finish(self, spec: Spec, parts: Parts) -> None:
        there = self._begin(spec, parts)
        self.theta_ = parts["theta"][there]
        count = self.class_count_[:, np.newaxis]
        squares = parts["squares"][there]
        if "spread" in parts:
            whole = parts["spread"] / self.n_samples_
        else:
            middle = (count * self.theta_).sum(0) / count.sum()
            whole = (squares + count * np.square(self.theta_ - middle)).sum(0) / count.sum()
        self.epsilon_ = self.var_smoothing * float(whole.max())
        # What is left of squared deviations of a constant is rounding.
        still = squares <= _STILL * count * np.square(self.theta_)
        self.var_ = np.where(still, 0.0, np.maximum(squares, 0.0)) / count + self.epsilon_
        if not (self.var_ > 0).all():
            names = ", ".join(repr(str(n)) for n in self.feature_names_in_[~(self.var_ > 0).all(0)])
            doubt(
                "GaussianNB",
                f"{names} does not vary within a class: var_smoothing must be above 0 for probabilities",
            )
        self.class_prior_ = np.exp(self._log_prior(self.priors))

    def _joint(self, X: Any) -> Array:
        x = matrix("GaussianNB", X, list(self.feature_names_in_))[:, np.newaxis, :]
        if not (self.var_ > 0).all():
            raise ValueError("GaussianNB: a column does not vary within a class; fit with var_smoothing above 0")
        each = np.log(2 * np.pi * self.var_) + np.square(x - self.theta_) / self.var_
        made: Array = np.log(self.class_prior_) - 0.5 * each.sum(2)
        return made


class Discrete(NaiveBayes):
    """Naive Bayes of counts, with a smoothing that is added to each."""

    def _fits(self, s: Sample) -> None:
        super()._fits(s)
        if np.ndim(self.alpha) and len(self.alpha) != len(s.names):
            raise ValueError(
                f"{type(self).__name__}: alpha has {len(self.alpha)} numbers, and X has {len(s.names)} columns: "
                + ", ".join(s.names)
            )

    def _possible(self, joint: Array) -> Array:
        """Refuse rows that no class can have, as far as its counts without smoothing say."""
        if (none := int((~np.isfinite(joint)).all(1).sum())) > 0:
            raise ValueError(
                f"{type(self).__name__}: {none} rows of X have what no class had when it was fitted, so that none has a "
                "probability; fit with alpha above 0"
            )
        return joint

    alpha: Any
    fit_prior: bool
    class_prior: Any
    class_log_prior_: Array
    feature_count_: Array
    feature_log_prob_: Array

    def _check(self, what: str) -> None:
        several = isinstance(self.alpha, (list, tuple, np.ndarray)) and np.ndim(self.alpha) == 1
        for a in self.alpha if several else [self.alpha]:
            at_least(what, "alpha", a, 0)
        choice(what, "missing", self.missing, MISSING)
        flags(what, fit_prior=self.fit_prior)

    def _sums(self, s: Sample) -> dict[str, Symbol]:
        here = s.members
        weights = here if s.weight is None else ops.mul(here, s.weight)
        made = {
            "classes": total(weights, "class_count"),
            "counts": pooled(ops.gram(weights, self._seen(s)), "class_sum"),
        }
        made |= {} if s.weight is None else {"n": number_of_rows(s)}
        return {name: part(x) for name, x in made.items()}

    def _seen(self, s: Sample) -> Expr:
        """Return what is counted of each row and column."""
        return s.x

    def _finish(self, spec: Spec, parts: Parts) -> None:
        there = self._begin(spec, parts)
        self.feature_count_ = parts["counts"][there]
        self.class_log_prior_ = self._log_prior(self.class_prior, self.fit_prior)
        smooth = np.maximum(np.broadcast_to(np.asarray(self.alpha, np.float64), self.n_features_in_), 0.0)
        self.feature_log_prob_ = self._log_prob(smooth)

    def _log_prob(self, smooth: Array) -> Array:
        raise NotImplementedError


class MultinomialNB(Discrete):
    """Naive Bayes of counts, such as of words, as ``sklearn.naive_bayes.MultinomialNB``. One round.

    Parameters
    ----------
    alpha : float or sequence of float
        What is added to each count, of all columns or by column.
    fit_prior : bool
        Whether classes have their shares as probabilities, else the same.
    class_prior : sequence of float, optional
        The classes' probabilities.
    missing : {"raise", "drop", "ignore"}
        As in :class:`LinearRegression`.

    Attributes
    ----------
    feature_count_, feature_log_prob_ : ndarray
        ``[classes, columns]``.
    class_count_, class_log_prior_ : ndarray
        ``[classes]``.
    classes_, feature_names_in_, n_features_in_, n_samples_, n_missing_ : object
        The classes that have rows, and what was fitted.

    Raises
    ------
    ValueError
        A parameter cannot work.
    """

    def __init__(
        self,
        *,
        alpha: float | Sequence[float] = 1.0,
        fit_prior: bool = True,
        class_prior: Sequence[float] | None = None,
        missing: str = "raise",
    ) -> None:
        self.alpha, self.fit_prior, self.class_prior, self.missing = alpha, fit_prior, class_prior, missing
        self._check("MultinomialNB")

    _wrong = f"a value below 0, {NaiveBayes._wrong}"

    def _must(self, x: Expr) -> Mapping[str, Expr]:
        return {"counts": ops.greater_equal(x, 0.0)}

    def _log_prob(self, smooth: Array) -> Array:
        smoothed = self.feature_count_ + smooth
        made: Array = np.log(smoothed) - np.log(smoothed.sum(1, keepdims=True))
        return made

    def _joint(self, X: Any) -> Array:
        x = matrix("MultinomialNB", X, list(self.feature_names_in_))
        return self._possible(_times(x, self.feature_log_prob_) + self.class_log_prior_)


class BernoulliNB(Discrete):
    """Naive Bayes of yes and no, as ``sklearn.naive_bayes.BernoulliNB``. One round.

    Parameters
    ----------
    alpha : float
        What is added to each count.
    binarize : float or None
        What is above it is yes; with None columns hold 0 and 1, and other values are refused.
    fit_prior : bool
        Whether classes have their shares as probabilities, else the same.
    class_prior : sequence of float, optional
        The classes' probabilities.
    missing : {"raise", "drop", "ignore"}
        As in :class:`LinearRegression`.

    Attributes
    ----------
    feature_count_, feature_log_prob_ : ndarray
        ``[classes, columns]``.
    class_count_, class_log_prior_ : ndarray
        ``[classes]``.
    classes_, feature_names_in_, n_features_in_, n_samples_, n_missing_ : object
        The classes that have rows, and what was fitted.

    Raises
    ------
    ValueError
        A parameter cannot work.
    """

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        binarize: float | None = 0.0,
        fit_prior: bool = True,
        class_prior: Sequence[float] | None = None,
        missing: str = "raise",
    ) -> None:
        self.alpha, self.binarize, self.fit_prior = alpha, binarize, fit_prior
        self.class_prior, self.missing = class_prior, missing
        at_least("BernoulliNB", "alpha", alpha, 0)
        self._check("BernoulliNB")

    _wrong = f"a value that is not 0 or 1 (with binarize=None), {NaiveBayes._wrong}"

    def _must(self, x: Expr) -> Mapping[str, Expr]:
        return {} if self.binarize is not None else {"binary": ops.or_(ops.equal(x, 0.0), ops.equal(x, 1.0))}

    def _seen(self, s: Sample) -> Expr:
        return (
            s.x if self.binarize is None else ops.cast(ops.and_(ops.greater(s.x, float(self.binarize)), s.valid), "f64")
        )

    def _log_prob(self, smooth: Array) -> Array:
        made: Array = np.log(self.feature_count_ + smooth) - np.log(self.class_count_[:, np.newaxis] + 2 * smooth)
        return made

    def _joint(self, X: Any) -> Array:
        x = matrix("BernoulliNB", X, list(self.feature_names_in_))
        x = x if self.binarize is None else (x > self.binarize).astype(np.float64)
        with np.errstate(divide="ignore"):
            no = np.log(1 - np.exp(self.feature_log_prob_))
        return self._possible(_times(x, self.feature_log_prob_) + _times(1 - x, no) + self.class_log_prior_)


def _times(x: Array, log: Array) -> Array:
    """Return ``x @ log.T``, where nothing of what is impossible is nothing."""
    impossible = np.isinf(log)
    made: Array = x @ np.where(impossible, 0.0, log).T
    return np.where((x != 0).astype(np.float64) @ impossible.T > 0, -np.inf, made) if impossible.any() else made
