"""What a regression computes at a member: from its rows to what it sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..graph import Graph, Value


class Moments(NamedTuple):
    """What each row adds to the sums that nodes send, with the rows as the first axis.

    Parameters
    ----------
    loglike : Value
        ``f64 [rows]``: the log-likelihood at the current parameters.
    score : Value
        ``f64 [rows, P]``: its first derivatives.
    hessian : Value
        ``f64 [rows, P (P + 1) / 2]``: minus its second derivatives, the upper triangle row by row; see :meth:`Sample.pairs`.
    sums : Value, optional
        ``f64 [rows, 4 + columns]``: of linear models only. ``y``, the squared residual, the squared deviation of ``y`` from its
        mean, and squared ``y``; then each column. Of generalised linear models what :class:`GLMTask` counts.
    expected : Value, optional
        ``f64 [rows, P (P + 1) / 2]``: what is expected of ``hessian``, where that is something else.
    """

    loglike: Value
    score: Value
    hessian: Value
    sums: Value | None = None
    expected: Value | None = None


@dataclass(frozen=True)
class Sample:
    """A member's rows in its graph; rows that do not count have weight 0, and zeros in ``x`` and ``y``.

    Parameters
    ----------
    graph : Graph
        The member's graph.
    x : Value
        ``f64 [rows, columns]``.
    y : Value
        ``f64 [rows, 1]``.
    weight : Value
        ``f64 [rows, 1]``, 0 or 1.
    params : Value
        ``f64 [P]``: the current parameters.
    centre : Value or float
        The mean of ``y`` over all members, as of the round before.
    offset : Value or float
        ``f64 [rows, 1]``: what is added to the linear predictor.
    freq, var : Value, optional
        ``f64 [rows, 1]``: for how many rows each stands, and by what its variance is smaller.
    fresh : Value, optional
        ``bool []``: whether this is the first round, in which there are no parameters yet.
    final : Value, optional
        ``bool []``: whether parameters are those that are reported.
    scale : Value, optional
        ``f64 []``: the scale, as of the round before.
    """

    graph: Graph
    x: Value
    y: Value
    weight: Value
    params: Value
    centre: Value | float
    offset: Value | float = 0.0
    freq: Value | None = None
    var: Value | None = None
    fresh: Value | None = None
    final: Value | None = None
    scale: Value | None = None

    @property
    def columns(self) -> int:
        """The number of explanatory variables."""
        return int(self.x.shape[1])

    def pairs(self, a: Value, b: Value) -> Value:
        """Multiply columns of ``a`` with columns of ``b``, for the upper triangle of all pairs.

        Parameters
        ----------
        a, b : Value
            ``f64 [rows, P]``.

        Returns
        -------
        Value
            ``f64 [rows, P (P + 1) / 2]``, row by row of the triangle.
        """
        first, second = np.triu_indices(int(a.shape[1]))
        return self.graph.take(a, first, 1) * self.graph.take(b, second, 1)
