"""Generalised linear models: counts, durations, costs, shares."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from .. import manifest as m
from .._arguments import RegressionArguments, shared, takes
from ..graph import Graph, Value
from ._families import easier, family
from ._family import Family
from ._inputs import Inputs
from ._newton import RegressionTask
from ._options import Options
from ._rounds import TINY
from ._sample import Moments, Sample
from ._system import ROUNDING, Plan

# How much of the null model's score, and of curvatures that standard errors are not made of, is left to chance.
_DIGITS = 2.0**-24, 2.0**-36


@dataclass
class GLMArguments(RegressionArguments):
    """Those of generalised linear models."""

    family: str = field(default="gaussian", kw_only=True)
    link: str | None = field(default=None, kw_only=True)
    alpha: float | None = field(default=None, kw_only=True)


class GLMTask(RegressionTask):
    """The mean of ``y`` by a link as a linear function of ``x``, as ``statsmodels.GLM``.

    The first round begins from the data, as iteratively reweighted least squares do; the others are Newton's, as of all
    regressions. The model of a constant alone, which ``null_deviance`` is of, is fitted beside.

    ``preprocess`` may return ``(x, y, more)``, with any of these series in the dict ``more``: ``offset``, what is added to the
    linear predictor; ``exposure`` (above 0), whose logarithm is, with the link ``"log"``; ``freq_weights`` (0 or more), for how
    many rows one stands; ``var_weights`` (above 0), by what its variance is smaller; and ``groups``.

    :meth:`options` has ``scale``, too: ``"X2"`` estimates it where the family has none, as for counts that vary more than
    Poisson's; ``tol`` (1e-10) is the cosine between what is left of ``y`` and each column.

    Parameters
    ----------
    name, min_clients, max_clients, wait_timeout, connection_timeout, verify_timeout
        As in :class:`RegressionTask`.
    precision, curve, enable_verify, bounds, verify_tolerance, description, privacy
        As there.
    family : {"gaussian", "binomial", "poisson", "negativebinomial", "gamma"}
        The distribution of ``y``: any number, 0 to 1, 0 or more, 0 or more, above 0. Rows with another ``y`` stop the task.
    link : str, optional
        By default the first of: ``"identity"``, ``"log"``, ``"inverse_power"`` of Gaussian; ``"logit"``, ``"probit"``,
        ``"cloglog"`` of Binomial; ``"log"``, ``"identity"``, ``"sqrt"`` of Poisson; ``"log"`` of NegativeBinomial;
        ``"inverse_power"``, ``"log"``, ``"identity"`` of Gamma.
    alpha : float, optional
        The dispersion of NegativeBinomial, which needs it.

    Raises
    ------
    ValueError
        An argument cannot work; the text names it.
    """

    model: ClassVar[str] = "GLM"
    classes: int = 0
    _more: ClassVar[tuple[str, ...]] = ("offset", "exposure", "freq_weights", "var_weights", "groups")
    _apart: ClassVar[int] = 1
    _filler: ClassVar[float] = 1.0

    @takes(GLMArguments)
    def __init__(self, given: GLMArguments) -> None:
        super().__init__(**shared(given, RegressionArguments))
        self._family: Family = family(given.family, given.link, given.alpha)
        self._alpha = given.alpha
        self._started = False

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
        return Options.parse({"tol": 1e-10} | dict(given), more=["scale"])

    def valid(self, g: Graph, y: Value) -> Value:
        """Whether each ``y`` can be explained: what the family has.

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
        return self._family.valid(g, y)

    def moments(self, s: Sample) -> Moments:
        """Return minus half the deviance, what is a score and a curvature for parameters, and what a result counts.

        Parameters
        ----------
        s : Sample
            The member's rows.

        Returns
        -------
        Moments
            Of each row. The last parameter is that of the constant alone.
        """
        g, size = s.graph, s.columns
        count = s.weight if s.freq is None else s.weight * s.freq
        weight = count if s.var is None else count * s.var
        main = _look(self._family, s, s.x @ g.reshape(g.slice(s.params, 0, size, 0), size, 1), not self._started)
        own = g.slice(s.params, size, size + 1, 0)
        # Without offsets the constant's mean is that of y, which the first round finds: then its parameter is the mean itself.
        simple = not isinstance(s.offset, Value)
        easy = easier(self._family, self._alpha) if simple else self._family
        null = _look(easy, s, easy.of_mean(g, own) if simple else own, True)
        constant = self._family.constant(g, s.y, s.var, s.scale)
        # Each round sums what it needs and no more: many functions of y together would tell single rows apart.
        fresh, final = (g.cast(v, "f64") for v in (_given(s.fresh), _given(s.final)))
        searches = 1.0 - final
        known: Value | float = 1.0 if self._started else 1.0 - fresh
        spread = known * (weight * (main.pearson + ROUNDING * searches * main.size))
        sums = [spread, count, *(final * v for v in (weight * null.deviance, s.weight * main.off))]
        if constant is not None:
            sums.append(final * ((count if self._family.free else weight) * constant))
        made = g.concat(*sums, axis=1)
        expected = None if self._family.canonical else s.pairs(s.x, s.x * (final * (weight * main.expected)))
        # Scores and curvatures may add up to y or to 1 but for their last digits, which are other ones in few rows only, and
        # would look as if those stood out. So digits that no result hangs on are others in every row.
        turn = (main.eta + s.y) * 997.0
        turn = turn - g.round(turn)
        bent, base_bent = main.curvature, null.curvature
        if self._family.scored:
            ends = _given(s.final)
            bent, base_bent = (g.where(ends, v.curvature, v.expected) for v in (main, null))
        curvature = bent if self._family.canonical else bent * (1.0 + _DIGITS[1] * turn)
        if simple:
            alone, base = fresh * (weight * s.y), weight
        else:
            alone = searches * (weight * null.score * (1.0 + _DIGITS[0] * turn))
            base = g.where(_given(s.final), count, weight * base_bent)
        return Moments(
            loglike=g.take(known * (weight * main.deviance), 0, 1) * -0.5,
            score=g.concat(s.x * (weight * main.score), alone, axis=1),
            hessian=g.concat(s.pairs(s.x, s.x * (weight * curvature)), base, axis=1),
            sums=g.where(g.less(g.abs(made), TINY), 0.0, made),
            expected=expected,
        )

    def build(self) -> Any:
        """Turn the task into a bundle.

        Returns
        -------
        Bundle
            What goes to a node.

        Raises
        ------
        ValueError
            As of :meth:`RegressionTask.build`.
        """
        self._started = self.options().get("start_params") is not None
        return super().build()

    def _check(self, options: Options, given: Inputs) -> None:
        super()._check(options, given)
        if "exposure" in given.more and self._family.link != "log":
            raise ValueError(f"preprocess: exposure is for the link 'log', not {self._family.link!r}; use offset")

    def _sums(self, given: Inputs) -> int:
        return 4 + (self._family.name != "Gaussian" or "var_weights" in given.more)

    def _further(self, options: Options, given: Inputs, size: int) -> dict[str, tuple[int, ...]]:
        made = super()._further(options, given, size)
        return made if self._family.canonical else {"expected": (size * (size + 1) // 2,)} | made

    def _plan(self, options: Options, given: Inputs, whole: int, tallies: list[str]) -> Plan:
        scaled = self._family.name == "Gamma" and "var_weights" in given.more
        return dataclasses.replace(
            super()._plan(options, given, whole, tallies),
            scale=scaled,
            fresh=True,
            relative=True,
            begins=options.start_params is None,
        )

    def _spec(self, options: Options, given: Inputs) -> m.Json:
        made: m.Json = {"family": self._family.name, "link": self._family.link}
        # Roundings of a search that has ended gain less, one without an end more than what it ended by.
        # Steps by what is expected of curvatures gain a share of the step before however near the end is: that says nothing.
        made |= {"least": 1e300 if self._family.scored else 1e-4 * options.tol**2}
        made |= {} if self._alpha is None else {"alpha": float(self._alpha)}
        made |= {"scale": options.scale} if options.scale else {}
        return made | {"more": sorted(given.more)}

    def _possible(self, g: Graph, y: Value, more: Mapping[str, Value]) -> Value:
        made = self.valid(g, y)
        for name in ("exposure", "var_weights"):
            made = g.and_(made, g.greater(more[name], 0.0)) if name in more else made
        return g.and_(made, g.greater_equal(more["freq_weights"], 0.0)) if "freq_weights" in more else made

    def _sample(self, plain: Sample, more: Mapping[str, Value], state: Mapping[str, Value]) -> Sample:
        g = plain.graph
        offset: Value | float = more.get("offset", 0.0)
        if "exposure" in more:
            offset = offset + g.log(more["exposure"])
        return dataclasses.replace(
            plain,
            offset=offset,
            freq=more.get("freq_weights"),
            var=more.get("var_weights"),
            fresh=g.less(state["iterations"], 0.5),
            final=g.greater(state["last"], 0.5),
            scale=state.get("scale"),
        )


class PoissonTask(GLMTask):
    """Counts: the logarithm of their mean as a linear function of ``x``, as ``statsmodels.Poisson``.

    It is :class:`GLMTask` with ``family="poisson"``.

    Parameters
    ----------
    name, min_clients, max_clients, wait_timeout, connection_timeout, verify_timeout
        As in :class:`RegressionTask`.
    precision, curve, enable_verify, bounds, verify_tolerance, description, privacy
        As there.
    """

    @takes(RegressionArguments)
    def __init__(self, given: RegressionArguments) -> None:
        super().__init__(**shared(given, RegressionArguments), family="poisson")


def _given(v: Value | None) -> Value:
    if v is None:
        raise TypeError("a sample of a generalised linear model says which round it is of")
    return v


class _Look(NamedTuple):
    eta: Value
    score: Value
    curvature: Value
    expected: Value
    deviance: Value
    pearson: Value
    size: Value
    off: Value


def _look(kind: Family, s: Sample, linear: Value, begins: bool) -> _Look:
    """Return what each row has at a linear predictor; in the first round, if it ``begins`` there, at one made of ``y``."""
    g = s.graph
    # A column of rows, also where the predictor is one number.
    wanted = linear + s.offset + s.y * 0.0
    if begins and s.fresh is not None:
        first = kind.start(g, s.y)
        wanted = g.where(s.fresh, first, wanted)
    eta = kind.reach(g, s.y, wanted)
    fit = kind.fit(g, s.y, eta)
    expected = fit.q * fit.slope + s.y * 0.0
    score, curvature = fit.residual * fit.q, expected - fit.residual * fit.bend
    if begins and s.fresh is not None:
        score = g.where(s.fresh, score + expected * (first - s.offset), score)
        curvature = g.where(s.fresh, expected, curvature)
    off = g.cast(g.not_equal(eta, wanted), "f64")
    return _Look(eta, score, curvature, expected, fit.deviance, fit.pearson, fit.size, off)
