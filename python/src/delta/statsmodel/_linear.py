"""Linear regression by least squares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..graph import Graph, Value
from ._newton import RegressionTask
from ._options import Options
from ._sample import Moments, Sample


class LinearTask(RegressionTask):
    """``y`` as a linear function of ``x`` by least squares, as ``statsmodels.OLS``.

    Three rounds: the solution of the normal equations; the same for what that left over, which takes its rounding errors
    away; and the sums of squares at the end. Of :meth:`options`, ``missing``, ``cov_type`` and ``ridge_factor`` (default 0) have
    a meaning.

    Parameters
    ----------
    name, min_clients, max_clients, wait_timeout, connection_timeout, verify_timeout
        As in :class:`RegressionTask`.
    precision, curve, enable_verify, bounds, verify_tolerance, description, privacy
        As there.
    """

    model: ClassVar[str] = "OLS"
    classes: int = 0
    centred: ClassVar[bool] = True
    _proven: ClassVar[str | None] = "linear"

    def parse_options(self, given: Mapping[str, Any]) -> Options:
        """Check what :meth:`options` returned, and fix the number of steps.

        Parameters
        ----------
        given : mapping
            As the author gives them.

        Returns
        -------
        Options
            All of them.

        Raises
        ------
        ValueError
            Least squares has no such option, or its value cannot work.
        """
        unknown = sorted(set(given) - {"missing", "ridge_factor", "cov_type"})
        if unknown:
            raise ValueError(
                f"options: least squares has no {', '.join(unknown)}; it has missing, ridge_factor and cov_type"
            )
        return Options.parse({"ridge_factor": 0.0, "tol": 0.0, "maxiter": 2} | dict(given), fixed=True)

    def valid(self, g: Graph, y: Value) -> Value:
        """Whether each ``y`` can be explained: any number; whether it is finite is seen to elsewhere.

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
        return g.equal(y, y)

    def moments(self, s: Sample) -> Moments:
        """Return minus half the squared residual, its derivatives, and what a table of variances needs.

        Parameters
        ----------
        s : Sample
            The member's rows.

        Returns
        -------
        Moments
            Of each row.
        """
        g = s.graph
        left = s.weight * (s.y - s.x @ g.reshape(s.params, s.columns, 1))
        off = s.weight * (s.y - s.centre)
        y = s.weight * s.y
        return Moments(
            loglike=g.take(g.square(left), 0, 1) * -0.5,
            score=s.x * left,
            hessian=s.pairs(s.x, s.x),
            sums=g.concat(y, g.square(left), g.square(off), g.square(y), s.x, axis=1),
        )
