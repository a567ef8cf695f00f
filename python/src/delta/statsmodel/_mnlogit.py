"""Multinomial logistic regression: a choice among several classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from .._arguments import ClassesArguments, RegressionArguments, shared, takes
from ..graph import Graph, Value
from ._newton import RegressionTask
from ._options import Options
from ._sample import Moments, Sample


class MNLogitTask(RegressionTask):
    """The log odds of each class of ``y`` against class 0 as linear functions of ``x``, as ``statsmodels.MNLogit``.

    Parameters of the result are ``[columns, n_classes - 1]``.

    Parameters
    ----------
    name, min_clients, max_clients, wait_timeout, connection_timeout, verify_timeout
        As in :class:`RegressionTask`.
    precision, curve, enable_verify, bounds, verify_tolerance, description, privacy
        As there.
    n_classes : int
        How many classes there are, at least 2; ``y`` holds 0 to ``n_classes - 1``. It must be said here, as no node knows
        what the others have.

    Raises
    ------
    ValueError
        An argument cannot work; the text names it.
    """

    model: ClassVar[str] = "MNLogit"

    @takes(ClassesArguments)
    def __init__(self, given: ClassesArguments) -> None:
        super().__init__(**shared(given, RegressionArguments))
        if given.n_classes < 2:
            raise ValueError(f"n_classes={given.n_classes}: must be at least 2")
        self.classes = given.n_classes

    def size(self, columns: int) -> int:
        """Return the number of parameters: one set for each class but the first.

        Parameters
        ----------
        columns : int
            The number of explanatory columns.

        Returns
        -------
        int
            ``columns * (n_classes - 1)``.
        """
        return columns * (self.classes - 1)

    def parse_options(self, given: Mapping[str, Any]) -> Options:
        """Check what :meth:`options` returned.

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
            There is no such option, or its value cannot work.
        """
        options = super().parse_options(given)
        if options.cov_type in ("HC2", "HC3"):
            raise ValueError(
                f"options: cov_type={options.cov_type!r}: MNLogit has no leverage of a row; use HC0 or HC1"
            )
        return options

    def valid(self, g: Graph, y: Value) -> Value:
        """Whether each ``y`` can be explained: whole, from 0 to ``n_classes - 1``.

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
        inside = g.and_(g.greater_equal(y, 0.0), g.less_equal(y, float(self.classes - 1)))
        return g.and_(inside, g.equal(g.floor(y), y))

    def moments(self, s: Sample) -> Moments:
        """Return ``z_y - log(1 + sum_j e^z_j)`` with ``z_j = x b_j`` and ``z_0 = 0``, and its derivatives.

        Parameters
        ----------
        s : Sample
            The member's rows.

        Returns
        -------
        Moments
            Of each row.
        """
        g, others = s.graph, self.classes - 1
        size = s.columns * others
        z = s.x @ g.transpose(g.reshape(s.params, others, s.columns))
        largest = g.maximum(g.max(z, 1, keepdims=True), 0.0)
        total = largest + g.log(g.exp(-largest) + g.sum(g.exp(z - largest), 1, keepdims=True))
        p = g.exp(z - total)
        # Not 1 - p: where p is nearly 1, the difference has no digits left.
        rest = g.exp(-total) + p @ (1.0 - np.eye(others))
        chosen = g.cast(g.equal(s.y, np.arange(1.0, self.classes)), "f64")
        # [rows, classes - 1, columns] laid flat: parameters are in the order of statsmodels, class by class.
        flat = s.x.shape[0], size
        px = g.reshape(g.unsqueeze(p, 2) * g.unsqueeze(s.x, 1), *flat)
        left = g.reshape(g.unsqueeze(rest, 2) * g.unsqueeze(s.x, 1), *flat)
        # p_j (1 - p_j) x x' in the blocks on the diagonal, -p_j p_k x x' in the others.
        first, second = np.triu_indices(size)
        diagonal = (first // s.columns == second // s.columns).astype(float)
        return Moments(
            loglike=g.take(s.weight * (g.sum(chosen * z, 1, keepdims=True) - total), 0, 1),
            score=g.reshape(
                g.unsqueeze(s.weight * (chosen * rest - (1.0 - chosen) * p), 2) * g.unsqueeze(s.x, 1), *flat
            ),
            hessian=s.weight * (s.pairs(px, left) * diagonal - s.pairs(px, px) * (1.0 - diagonal)),
        )
