"""Cox's proportional hazards, by Newton's method over the network, on a declared grid of times.

In each round the coordinator makes the partial likelihood with its derivatives of sums at each time; it solves, moves, and goes
on until a move gains nothing. Columns are centred by their means over all members, which the first round finds. All rounds sum
the same members.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from .. import _tables
from .. import manifest as m
from .._arguments import AnalyticsArguments, takes
from ..bundle import Bundle
from ..dataset import DataFrame as Table
from ..pandas import DataFrame, Series
from ..pandas.symbolic import Rounds, Symbol, block, reads
from ..task import HorizontalTask
from . import _cox_graphs as graphs
from ._arguments import is_levels, is_real, rising


class CoxTask(HorizontalTask):
    """Cox's proportional hazards, as ``statsmodels.PHReg``; with ``ties = "efron"`` also as ``lifelines.CoxPHFitter``.

    The author writes :meth:`dataset` and :meth:`preprocess`, and says ``times``. The result is a :class:`CoxResult`, exact where
    all durations are on the grid.

    Parameters
    ----------
    name : str
        The display name.
    min_clients, max_clients : int
        The least and largest number of members. All rounds sum the members of the first.
    wait_timeout, connection_timeout : float
        Deadlines in seconds: of joining (``connection_timeout``), of every other phase (``wait_timeout``).
    precision : int
        Sums are exact. With 4 or less: decimal digits kept of what each row adds.
    curve : {"secp256k1", "secp256r1", "secp384r1"}
        The curve of the members' keys.
    description : str
        Read by the owners of the data.
    privacy : None
        There is no form with noise.

    Attributes
    ----------
    times : sequence of float
        The grid, which rises. A duration between two of its times counts as the later one; one beyond the last is at risk at all
        of them.
    strata : sequence of float or str
        The values of the strata, where ``preprocess`` returns some; rows of another one are left out. Of a column of texts by
        default the declared levels.
    ties : {"breslow", "efron"}
        How events at one time are taken. Efron's way is nearer to the truth where a time has many of them; it wants two sums for
        each number of Breslow's, of those with the event and of the others.
    maxiter : int
        How many moves there are at most, each a round.

    Raises
    ------
    ValueError
        An argument cannot work; the text names it.
    """

    times: ClassVar[Sequence[float]] = ()
    strata: ClassVar[Sequence[float | str]] = ()
    ties: ClassVar[str] = "breslow"
    maxiter: ClassVar[int] = 25

    @takes(AnalyticsArguments)
    def __init__(self, given: AnalyticsArguments) -> None:
        if given.privacy is not None:
            raise ValueError("CoxTask: sums over those at risk have no form with noise; leave privacy out")
        super().__init__(given.name, given.strategy(), description=given.description)

    @abc.abstractmethod
    def dataset(self) -> Mapping[str, Table]:
        """Return the tables that the task reads; the author writes it.

        Returns
        -------
        mapping of str to delta.dataset.DataFrame
            Under the names of :meth:`preprocess`'s arguments.
        """

    @abc.abstractmethod
    def preprocess(self, **frames: DataFrame) -> tuple[Symbol, ...]:
        """Make ``(x, duration, event)`` or ``(x, duration, event, stratum)`` of the tables; the author writes it.

        Parameters
        ----------
        **frames : delta.pandas.DataFrame
            One for each table of :meth:`dataset`, by its name.

        Returns
        -------
        x : DataFrame
            The explanatory columns, without a constant.
        duration, event : Series
            How long each row was watched, and whether it ended with the event: 1 or 0, or bool.
        stratum : Series or column of levels, optional
            Each stratum has a hazard of its own.
        """

    def build(self) -> Bundle:
        """Turn the task into a bundle.

        Returns
        -------
        Bundle
            What goes to a node.

        Raises
        ------
        ValueError
            ``preprocess`` does not take what ``dataset`` names, what it returns does not fit together, or the grid cannot work.
        """
        if self.ties not in ("breslow", "efron"):
            raise ValueError(f"ties={self.ties!r}: must be 'breslow' or 'efron'")
        if not isinstance(self.maxiter, int) or not 1 <= self.maxiter <= 1000:
            raise ValueError(f"maxiter={self.maxiter!r}: must be 1 to 1000")
        grid, tables = rising(self.times, type(self).__name__, "times", 1), dict(self.dataset())
        x, *rest = parts = self._parts(tables)
        names = [str(c) for c in block(x).columns or ()]
        named = [_plain(s) for s in self._strata] if len(rest) == 3 else None
        strata = [0.0] if named is None else [float(i) if isinstance(s, str) else s for i, s in enumerate(named)]
        p, cells = len(names), len(strata) * (len(grid) + 1)
        draft = m.Draft(self.name, self.strategy, description=self.description)
        by_file = _tables.declare(draft, tables)
        Rounds(draft, by_file, {"mean": block(x.mean()).x})
        draft.variable("params", "server", np.zeros(p))
        draft.variable("gained", "server", np.array(1e300))
        kept = {"hessian": (p, p), "loglike": (), "tally": (3,), "risk": (cells,), "deaths": (cells,)}
        for name, shape in (kept | {"iterations": (), "converged": (), "llnull": (), "rate": ()}).items():
            draft.variable(name, "server", shape=shape)
        self._rounds(draft, parts, grid, strata, p)
        draft.outputs = ["params", "mean", "iterations", "converged", "llnull", "gained", "rate", *kept]
        spec: m.Json = {"kind": "statistic", "method": "cox", "task": self.name, "x": names, "times": grid}
        spec |= {"ties": self.ties, "strata": named, "values": {n: n for n in draft.outputs}}
        draft.options |= {"result": [spec], "inputs": {a: t.dataset for a, t in tables.items()}}
        return draft.build()

    def _parts(self, tables: Mapping[str, Table]) -> list[Any]:
        try:
            made = self.preprocess(**_tables.frames(tables, self.preprocess))
        except _tables.Unfit as error:
            raise ValueError(str(error)) from None
        if not isinstance(made, tuple) or len(made) not in (3, 4):
            raise ValueError("preprocess: return (x, duration, event) or (x, duration, event, stratum)")
        x, *rest = made
        if isinstance(x, Series):
            x = x.to_frame()
        self._strata = list(self.strata)
        if len(rest) == 3 and is_levels(rest[2]):
            # Levels are numbered as they are declared; any other text is none of them.
            self._strata = self._strata or list(rest[2].levels)
            rest[2] = rest[2].map({level: float(i) for i, level in enumerate(self._strata)})
        if not isinstance(x, DataFrame) or not all(isinstance(s, Series) for s in rest):
            raise ValueError("preprocess: x is a DataFrame, and duration, event and stratum are Series")
        if block(x).typed or not block(x).columns:
            raise ValueError("preprocess: x must have columns of numbers; use get_dummies() or map() of levels")
        for what, s in zip(("x", "duration", "event", "stratum"), (x, *rest), strict=False):
            if block(s).rows is None or block(s).rows != block(x).rows:
                raise ValueError(f"preprocess: {what} has {block(s).rows}, x has {block(x).rows}; select the same rows")
        wanted = self._strata
        texts = len(rest) == 3 and all(isinstance(s, str) for s in wanted)
        if len(rest) == 3 and (
            not wanted or not (texts or all(map(is_real, wanted))) or len(set(wanted)) != len(wanted)
        ):
            raise ValueError("strata: declare the values of the strata, numbers, each once")
        return [x, *rest]

    def _rounds(self, draft: m.Draft, parts: list[Any], grid: list[float], strata: list[float], p: int) -> None:
        ((dataset, columns),) = reads(*parts).items()
        member, sent = graphs.member(parts, dataset, columns, grid, strata, p, self.ties == "efron")
        system, update = graphs.system(sent, len(grid) + 1, len(strata), p, self.maxiter), graphs.update(p)
        state = {n: m.variable(n) for n in ("params", "mean")}
        step = m.Step(
            draft.graph("cox", member.bytes()),
            {"rows": m.data(dataset, m.columns(columns))} | state,
            {n: m.accumulate(n) for n in sent},
            m.records(dataset),
        )
        reduce = [
            m.Step(
                draft.graph("cox_system", system.bytes()),
                {f"sum.{n}": m.total(n) for n in sent}
                | {f"was.{n}": m.variable(n) for n in ("params", "iterations", "gained", "llnull")},
                {n: n if n in graphs.PLAIN else f"next.{n}" for n in system.outputs},
            ),
            m.Step(None, {"a": m.value("a"), "b": m.value("b")}, {"x": "move"}, m.solve(0.0)),
            m.Step(
                draft.graph("cox_update", update.bytes()),
                {n: m.variable(n) for n in ("params", "gained", "rate")}
                | {n: m.value(n) for n in ("move", "b", "unit", "stop")},
                {n: n for n in update.outputs},
            ),
        ]
        made = [n for n in system.outputs if n not in graphs.PLAIN] + ["params", "gained", "rate"]
        exact = set(sent) - {"deaths", "tally"} if self.strategy.exact else set()
        draft.round(
            m.Map([step], [(n, "f64", s) for n, s in sent.items()], exact=exact),
            m.Reduce(reduce, {n: f"next.{n}" for n in made}, {"log-likelihood": "next.loglike"}, stop="stop"),
            self.maxiter + 1,
            cohort="same",
        )


def _plain(stratum: float | str) -> float | str:
    return stratum if isinstance(stratum, str) else float(stratum)
