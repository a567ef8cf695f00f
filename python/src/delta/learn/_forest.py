"""What boosted trees have in common: bins, the rounds in which trees grow, and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..pandas.symbolic import Expr, ops
from ._estimator import MISSING, Estimator, Fit, Parts, Spec, at_least, choice
from ._predict import matrix, pick
from ._rows import Sample, number_of_rows, part, refuse, total
from ._trees import NEVER, Bins, Boosting, Grower

Array = npt.NDArray[np.float64]

DEEPEST = 8


class HistGradientBoosting(Estimator):
    """What boosted trees have in common."""

    n_features_in_: int
    feature_names_in_: Array
    n_samples_: int
    n_missing_: int
    n_iter_: int
    bins_: list[Array]
    train_loss_: Array
    _baseline_prediction: Array
    _feature: npt.NDArray[np.int64]
    _threshold: Array
    _value: Array
    _loss = "squared_error"

    def __init__(
        self,
        bins: Mapping[str, Sequence[float]] | Sequence[Sequence[float]],
        *,
        learning_rate: float = 0.1,
        max_iter: int = 100,
        max_depth: int = 3,
        min_samples_leaf: int = 20,
        l2_regularization: float = 0.0,
        by_record: bool = False,
        missing: str = "raise",
    ) -> None:
        what = type(self).__name__
        at_least(what, "learning_rate", learning_rate, 0)
        at_least(what, "max_iter", max_iter, 1, whole=True)
        at_least(what, "max_depth", max_depth, 1, whole=True)
        at_least(what, "min_samples_leaf", min_samples_leaf, 1, whole=True)
        at_least(what, "l2_regularization", l2_regularization, 0)
        choice(what, "by_record", by_record, (True, False))
        choice(what, "missing", missing, MISSING)
        if max_depth > DEEPEST:
            raise ValueError(f"{what}: max_depth={max_depth} must be {DEEPEST} at most: each level has twice the nodes")
        self.bins, self.learning_rate, self.max_iter, self.max_depth = bins, learning_rate, max_iter, max_depth
        self.min_samples_leaf, self.l2_regularization = min_samples_leaf, l2_regularization
        self.by_record, self.missing = by_record, missing

    def _edges(self, names: Sequence[str]) -> list[list[float]]:
        """Return the thresholds of each column."""
        what = type(self).__name__
        if isinstance(self.bins, Mapping):
            known = {str(k): v for k, v in self.bins.items()}
            if wrong := [n for n in names if n not in known] or [k for k in known if k not in names]:
                raise ValueError(
                    f"{what}: bins must have the thresholds of {', '.join(names)}; {wrong[0]!r} is one too few or many"
                )
            given: list[Any] = [known[n] for n in names]
        else:
            given = list(self.bins)
        if len(given) != len(names):
            raise ValueError(f"{what}: bins must be a list of thresholds for each of the {len(names)} columns")
        made = []
        for name, one in zip(names, given, strict=True):
            edges = np.asarray(one, np.float64)
            if edges.ndim != 1 or not edges.size or not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
                raise ValueError(
                    f"{what}: the bins of {name!r} must be thresholds, finite numbers that rise: at least one"
                )
            made.append(edges.tolist())
        return made

    def _fit(self, s: Sample, outputs: int, begin: Expr, parts: dict[str, Expr]) -> Fit:
        """Make the rounds; ``begin``: where predictions begin, ``f64 [outputs]``."""
        edges = self._edges(s.names)
        assert s.y is not None
        start = ops.mul(ops.cast(s.valid, "f64"), begin)
        whole = ops.concat(s.x, s.y, s.ones, ops.cast(s.valid, "f64"), start, axis=1)
        bins, weighted = Bins(edges), s.weight is not None
        grower = Grower(
            self.max_iter,
            self.max_depth,
            outputs,
            self._loss,
            float(self.learning_rate),
            self.min_samples_leaf,
            float(self.l2_regularization),
            weighted,
            self.by_record,
        )
        loop = Boosting(s.index, whole, len(s.names), bins, grower)
        kept = parts | {"n": number_of_rows(s), "weight": total(s.ones, "weight"), "begin": begin}
        found = {name: part(v) for name, v in kept.items()} | s.checks
        return Fit(self, found, loop, columns=s.names, classes=s.classes, edges=edges)

    def _begin(self, spec: Spec, parts: Parts, wrong: str) -> None:
        what, n = type(self).__name__, float(parts["n"].flat[0])
        self.n_missing_ = refuse(what, parts, self.missing, wrong, n)
        weight = float(parts["weight"].flat[0])
        if not weight > 0:
            raise ValueError(f"{what}: all weights are 0")
        self.n_samples_, self.n_features_in_, self.n_iter_ = round(n), len(spec["columns"]), self.max_iter
        self.feature_names_in_ = np.asarray(spec["columns"], object)
        self.bins_ = [np.asarray(e) for e in spec["edges"]]
        self.train_loss_ = parts["losses"] / weight
        self._baseline_prediction = np.atleast_1d(parts["begin"])
        self._feature = np.rint(parts["feature"]).astype(np.int64)
        self._threshold, self._value = parts["threshold"], parts["value"]

    def trees(self) -> list[dict[str, Any]]:
        """Return the trees, each as nested nodes.

        Returns
        -------
        list of dict
            A node has ``feature``, ``threshold``, ``left`` (what is not above it) and ``right``; a leaf has ``value``. Of several
            classes each round has a tree for each.

        Raises
        ------
        ValueError
            There is no result yet.
        """
        self._known()

        def node(t: int, level: int, place: int) -> dict[str, Any]:
            if level == self.max_depth:
                return {"value": float(self._value[t, place])}
            at = 2**level - 1 + place
            if self._threshold[t, at] == NEVER:
                return node(t, level + 1, place)
            name = str(self.feature_names_in_[self._feature[t, at]])
            found = {"feature": name, "threshold": float(self._threshold[t, at])}
            return found | {"left": node(t, level + 1, place), "right": node(t, level + 1, place + 2**level)}

        return [node(t, 0, 0) for t in range(len(self._value))]

    def _raw(self, X: Any) -> Array:
        """Return predictions before any link, ``[rows, outputs]``."""
        self._known()
        x = matrix(type(self).__name__, X, list(self.feature_names_in_))
        outputs = len(self._baseline_prediction)
        out: Array = np.tile(self._baseline_prediction, (len(x), 1))
        every = np.arange(len(x))
        for t, (feature, threshold, value) in enumerate(zip(self._feature, self._threshold, self._value, strict=True)):
            place = np.zeros(len(x), np.int64)
            for level in range(self.max_depth):
                at = 2**level - 1 + place
                place = place + 2**level * (x[every, feature[at]] > threshold[at])
            out[:, t % outputs] += value[place]
        return out

    def _raw_rows(self, X: Any) -> tuple[Any, Expr]:
        """Return the same of rows at the members."""
        self._known()
        b, x = pick(type(self).__name__, X, list(self.feature_names_in_))
        outputs = len(self._baseline_prediction)
        columns = []
        for k in range(outputs):
            worth: Expr = ops.add(ops.mul(ops.slice(x, 0, 1, 1), 0.0), float(self._baseline_prediction[k]))
            for t in range(k, len(self._value), outputs):
                picks = np.zeros((self.n_features_in_, self._feature.shape[1]))
                picks[self._feature[t], np.arange(picks.shape[1])] = 1.0
                right = ops.cast(ops.greater(ops.matmul(x, picks), self._threshold[t]), "f64")
                here = ops.add(ops.mul(ops.slice(right, 0, 1, 1), 0.0), 1.0)
                for level in range(self.max_depth):
                    goes = ops.slice(right, 2**level - 1, 2 ** (level + 1) - 1, 1)
                    here = ops.concat(ops.mul(here, ops.sub(1.0, goes)), ops.mul(here, goes), axis=1)
                worth = ops.add(worth, ops.matmul(here, self._value[t][:, np.newaxis]))
            columns.append(worth)
        return b, columns[0] if outputs == 1 else ops.concat(*columns, axis=1)
