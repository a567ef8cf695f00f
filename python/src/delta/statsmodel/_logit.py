"""Logistic regression of a yes or no."""

from __future__ import annotations

from typing import ClassVar, Literal

from ..graph import Graph, Value
from ._newton import Moments, RegressionTask, Sample


class LogitTask(RegressionTask):
    """The log odds of ``y`` (0 or 1) as a linear function of ``x``, as ``statsmodels.Logit``.

    The result is a :class:`~delta.statsmodel._result.RegressionResult`. There is no constant unless ``x`` has one; see
    :func:`~delta.statsmodel.add_constant`.
    """

    kind: ClassVar[Literal["horizontal", "hlr"]] = "hlr"
    model: ClassVar[str] = "Logit"
    classes: int = 2

    def valid(self, g: Graph, y: Value) -> Value:
        """Whether each ``y`` is 0 or 1."""
        return g.or_(g.equal(y, 0.0), g.equal(y, 1.0))

    def moments(self, s: Sample) -> Moments:
        """Return ``sum(y z - log(1 + e^z))`` with z = x b, and its derivatives."""
        g, z = s.graph, s.x @ s.graph.reshape(s.params, s.columns, 1)
        p = g.sigmoid(z)
        # Not p (1 - p): where p is nearly 1, the difference has no digits left.
        curvature = s.weight * p * g.sigmoid(-z)
        return Moments(
            loglike=g.sum(s.weight * (s.y * z - g.softplus(z))),
            score=g.reshape(g.gram(s.x, s.weight * (s.y - p)), s.columns),
            hessian=g.gram(s.x, s.x * curvature),
        )
