"""Multinomial logistic regression: a choice among several classes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .._arguments import ClassesArguments, RegressionArguments, shared, takes
from ..graph import Graph, Value
from ._newton import Moments, RegressionTask, Sample


class MNLogitTask(RegressionTask):
    """The log odds of each class of ``y`` against class 0 as linear functions of ``x``, as ``statsmodels.MNLogit``.

    ``n_classes``: how many classes there are; ``y`` holds 0 to ``n_classes - 1``. It must be said here, as no node knows
    what the others have. Parameters of the result are ``[columns, n_classes - 1]``.

    Raises ``ValueError`` for fewer than 2 classes.
    """

    model: ClassVar[str] = "MNLogit"

    @takes(ClassesArguments)
    def __init__(self, given: ClassesArguments) -> None:
        super().__init__(**shared(given, RegressionArguments))
        if given.n_classes < 2:
            raise ValueError(f"n_classes={given.n_classes}: must be at least 2")
        self.classes = given.n_classes

    def size(self, columns: int) -> int:
        """Return the number of parameters: one set for each class but the first."""
        return columns * (self.classes - 1)

    def valid(self, g: Graph, y: Value) -> Value:
        """Whether each ``y`` is a class."""
        inside = g.and_(g.greater_equal(y, 0.0), g.less_equal(y, float(self.classes - 1)))
        return g.and_(inside, g.equal(g.floor(y), y))

    def moments(self, s: Sample) -> Moments:
        """Return ``sum(z_y - log(1 + sum_j e^z_j))`` with z_j = x b_j and z_0 = 0, and its derivatives."""
        g, others = s.graph, self.classes - 1
        size = s.columns * others
        z = s.x @ g.transpose(g.reshape(s.params, others, s.columns))
        largest = g.maximum(g.max(z, 1, keepdims=True), 0.0)
        total = largest + g.log(g.exp(-largest) + g.sum(g.exp(z - largest), 1, keepdims=True))
        p = g.exp(z - total)
        chosen = g.cast(g.equal(s.y, np.arange(1.0, self.classes)), "f64")
        # [rows, classes - 1, columns] laid flat: parameters are in the order of statsmodels, class by class.
        px = g.reshape(g.unsqueeze(p, 2) * g.unsqueeze(s.x, 1), s.x.shape[0], size)
        # sum of p_j (1[j = k] - p_k) x x': the first part only in the blocks on the diagonal.
        blocks = g.concat(*[g.gram(s.x, s.weight * px)] * others, axis=0)
        diagonal = np.kron(np.eye(others), np.ones((s.columns, s.columns)))
        return Moments(
            loglike=g.sum(s.weight * (g.sum(chosen * z, 1, keepdims=True) - total)),
            score=g.reshape(g.transpose(g.gram(s.x, s.weight * (chosen - p))), size),
            hessian=blocks * diagonal - g.gram(s.weight * px, px),
        )
