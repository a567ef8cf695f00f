"""Regressions of a yes or no: logit and probit."""

from __future__ import annotations

from typing import ClassVar, Literal

from ..graph import Graph, Value
from ._binomial import normal
from ._newton import RegressionTask
from ._sample import Moments, Sample


class LogitTask(RegressionTask):
    """The log odds of ``y`` (0 or 1) as a linear function of ``x``, as ``statsmodels.Logit``.

    The result is a :class:`RegressionResult`. There is no constant unless ``x`` has one; see :func:`add_constant`.

    Parameters
    ----------
    name, min_clients, max_clients, wait_timeout, connection_timeout, verify_timeout
        As in :class:`RegressionTask`.
    precision, curve, enable_verify, bounds, verify_tolerance, description, privacy
        As there.
    """

    kind: ClassVar[Literal["horizontal", "hlr"]] = "hlr"
    model: ClassVar[str] = "Logit"
    classes: int = 2
    _proven: ClassVar[str | None] = "logistic"

    def valid(self, g: Graph, y: Value) -> Value:
        """Whether each ``y`` can be explained: 0 or 1.

        Parameters
        ----------
        g : Graph
            The member's graph.
        y : Value
            ``f64 [rows, 1]``.

        Returns
        -------
        Value
            ``bool [rows, 1]``.
        """
        return g.or_(g.equal(y, 0.0), g.equal(y, 1.0))

    def moments(self, s: Sample) -> Moments:
        """Return ``y z - log(1 + e^z)`` with ``z = x b``, and its derivatives.

        Parameters
        ----------
        s : Sample
            The member's rows.

        Returns
        -------
        Moments
            Of each row.
        """
        g, z = s.graph, s.x @ s.graph.reshape(s.params, s.columns, 1)
        # Not 1 - p: where p is nearly 1, the difference has no digits left.
        p, rest = g.sigmoid(z), g.sigmoid(-z)
        return Moments(
            loglike=g.take(s.weight * (s.y * z - g.softplus(z)), 0, 1),
            score=s.x * (s.weight * (s.y * rest - (1.0 - s.y) * p)),
            hessian=s.pairs(s.x, s.x * (s.weight * p * rest)),
        )


class ProbitTask(RegressionTask):
    """The probability of ``y`` (1, not 0) as the normal distribution of a linear function of ``x``, as ``statsmodels.Probit``.

    The result is a :class:`RegressionResult`. There is no constant unless ``x`` has one; see :func:`add_constant`.

    Parameters
    ----------
    name, min_clients, max_clients, wait_timeout, connection_timeout, verify_timeout
        As in :class:`RegressionTask`.
    precision, curve, enable_verify, bounds, verify_tolerance, description, privacy
        As there.
    """

    model: ClassVar[str] = "Probit"
    classes: int = 2

    valid = LogitTask.valid

    def moments(self, s: Sample) -> Moments:
        """Return the logarithm of the normal distribution at ``x b``, of ``-x b`` where ``y`` is 0, and its derivatives.

        Parameters
        ----------
        s : Sample
            The member's rows.

        Returns
        -------
        Moments
            Of each row.
        """
        g, z = s.graph, s.x @ s.graph.reshape(s.params, s.columns, 1)
        # Beyond, doubles have no density; the derivatives stay those of the end.
        z = g.minimum(g.maximum(z, -37.0), 37.0)
        n, no = normal(g, z), 1.0 - s.y
        return Moments(
            loglike=g.take(s.weight * (s.y * n.log_mu + no * n.log_rest), 0, 1),
            score=s.x * (s.weight * (s.y * n.yes - no * n.no)),
            hessian=s.pairs(s.x, s.x * (s.weight * (s.y * n.yes * (n.yes + z) + no * n.no * (n.no - z)))),
        )
