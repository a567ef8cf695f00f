"""What a regression computes at a member: from its rows to what it sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..graph import Graph, Value


class Moments(NamedTuple):
    """What a member sends of its own rows, all of them sums.

    Parameters
    ----------
    loglike : Value
        ``f64 []``: the log-likelihood at the current parameters.
    score : Value
        ``f64 [P]``: its first derivatives.
    hessian : Value
        ``f64 [P, P]``: minus its second derivatives.
    sums : Value, optional
        ``f64 [4 + columns]``: of linear models only. The sums of ``y``, of squared residuals, of squared deviations of ``y``
        from its mean, and of squared ``y``; then the sum of each column.
    """

    loglike: Value
    score: Value
    hessian: Value
    sums: Value | None = None


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
    """

    graph: Graph
    x: Value
    y: Value
    weight: Value
    params: Value
    centre: Value | float

    @property
    def columns(self) -> int:
        """The number of explanatory variables."""
        return int(self.x.shape[1])
