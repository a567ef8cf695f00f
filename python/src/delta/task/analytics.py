"""``HorizontalAnalytics``: statistics over the rows of all members, written as if they were one pandas DataFrame."""

from __future__ import annotations

import abc
from typing import Any

from .. import _tables
from .._arguments import AnalyticsArguments, takes
from ..bundle import Bundle
from ..dataset import DataFrame as Table
from ..manifest import Draft, Json
from ..pandas import DataFrame
from ..pandas.symbolic import CHECKS, Block, Expr, Loop, Recipe, Rounds, Symbol, block
from ._task import HorizontalTask

__all__ = ["HorizontalAnalytics"]


class HorizontalAnalytics(HorizontalTask):
    """Statistics over tables that are split by rows.

    Subclass it: :meth:`dataset` names the tables, :meth:`execute` gets a :class:`delta.pandas.DataFrame` for each of them and
    returns results (Series, DataFrames and numbers that are aggregates), one or a tuple. :meth:`build` turns that into one
    map graph and one reduce graph for each round; what several results have in common is computed and sent once. A task in
    which everything is a sum over rows (all but order statistics) keeps records apart: nodes whose owners say what their columns
    are can run it without asking.

    Parameters
    ----------
    name : str
        The display name.
    min_clients, max_clients : int
        The least and largest number of members. All rounds sum the members of the first, and a task ends that loses one of them
        for good: every number is of one set of rows. Results say in ``attrs["rounds"]`` how many members that was.
    wait_timeout, connection_timeout : float
        Deadlines in seconds: of joining (``connection_timeout``), of every other phase (``wait_timeout``).
    precision : int
        Sums are exact. With 4 or less, or under ``privacy``: decimal digits kept of what each row adds, 0 to 15.
    curve : {"secp256k1", "secp256r1", "secp384r1"}
        The curve of the members' keys.
    description : str
        Read by the owners of the data.
    privacy : delta.Privacy, optional
        Noise on every sum. Order statistics other than quantiles have no form that noise fits.

    Raises
    ------
    ValueError
        An argument cannot work; the text names it.

    Examples
    --------
    >>> class Wages(HorizontalAnalytics):
    ...     def dataset(self):
    ...         return {"wages": Table("wages.csv", columns=["wage"])}
    ...
    ...     def execute(self, wages):
    ...         return wages.mean()
    >>> Wages("mean wage", min_clients=2, max_clients=3).build().rounds
    1
    """

    @takes(AnalyticsArguments)
    def __init__(self, given: AnalyticsArguments) -> None:
        super().__init__(given.name, given.strategy(), description=given.description)
        self.privacy = given.privacy

    @abc.abstractmethod
    def dataset(self) -> dict[str, Table]:
        """Return the tables that the task reads; the author writes it.

        Returns
        -------
        dict of str to delta.dataset.DataFrame
            Under the names of :meth:`execute`'s arguments.
        """

    @abc.abstractmethod
    def execute(self, **frames: DataFrame) -> Any:
        """Compute the results; the author writes it.

        Parameters
        ----------
        **frames : delta.pandas.DataFrame
            One for each table of :meth:`dataset`; its rows are those of all members.

        Returns
        -------
        Series, DataFrame, Scalar, Recipe, or a tuple of these
            Aggregates, and what :mod:`delta.stats` and :mod:`delta.learn` make of them; of estimators that repeat rounds one.
        """

    def build(self) -> Bundle:
        """Turn the task into a bundle.

        Returns
        -------
        Bundle
            What goes to a node.

        Raises
        ------
        TypeError
            Rows of the members, a constant, or something else than a result is returned; or ``execute`` does not take what
            ``dataset`` names. What the author's own lines raise comes through.
        ValueError
            ``privacy`` is asked for and something is no sum over rows, or its epsilon cannot be had.
        """
        tables = self._tables()
        returned = self.execute(**_tables.frames(tables, self.execute))
        values = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        if not values:
            raise TypeError("execute() returned nothing; return the results")
        draft = Draft(self.name, self.strategy, description=self.description)
        by_file = _tables.declare(draft, tables)
        results: dict[str, Expr] = {}
        specs: list[Json] = []
        loop: tuple[str, Json, Loop] | None = None
        for i, v in enumerate(values):
            name = f"result{i + 1}" if len(values) > 1 else "result"
            if isinstance(v, Recipe):
                # Under noise a count of wrong rows is one of chance, and would take its share of what there is.
                kept = {k: s for k, s in v.parts.items() if self.privacy is None or k.rpartition(".")[2] not in CHECKS}
                parts = {part: self._result(s, i, len(values)).x for part, s in kept.items()}
                made = {part: _name(results, x, f"{name}_{part}") for part, x in parts.items()}
                specs.append(v.spec | {"kind": v.kind, "values": made})
                if v.loop is not None:
                    self._may_loop(v, loop is None)
                    loop = name, specs[-1], v.loop
            else:
                b = self._result(v, i, len(values))
                specs.append(_spec(b, _name(results, b.x, name)))
        needed = [] if loop is None else [block(s).x for s in loop[2].rows()]
        rounds = Rounds(draft, by_file, results, needed, privacy=self.privacy)
        if not draft.rounds:
            raise TypeError("execute() returned only constants: nothing is computed from the tables")
        draft.outputs = list(results)
        if loop is not None:
            name, spec, found = loop
            more = found.add(draft, rounds, f"{name}_")
            spec["values"] |= more
            draft.outputs += more.values()
        draft.options |= {"result": specs, "inputs": {a: t.dataset for a, t in tables.items()}}
        return draft.build()

    def _may_loop(self, fit: Recipe, first: bool) -> None:
        """Refuse a second result with rounds of its own, and noise in them."""
        what = fit.spec.get("method", fit.kind)
        if not first:
            raise TypeError(
                f"execute() returned a second result that is found by rounds of its own, {what}: a task repeats the rounds of "
                "one; make a task of each"
            )
        if self.privacy is not None:
            raise ValueError(
                f"privacy: {what} is found by rounds of its own, which have no form with noise; leave privacy out, or use a "
                "regression of delta.statsmodel"
            )

    def _tables(self) -> dict[str, Table]:
        tables = self.dataset()
        if isinstance(tables, Table):
            raise TypeError('dataset() must return a dict, such as {"data": delta.dataset.DataFrame(...)}')
        if not isinstance(tables, dict) or not tables:
            raise TypeError("dataset() must return a dict with at least one delta.dataset.DataFrame")
        for argument, t in tables.items():
            if not isinstance(t, Table):
                raise TypeError(
                    f"dataset(): {argument!r} is a {type(t).__name__}; analytics read delta.dataset.DataFrame"
                )
        return tables

    @staticmethod
    def _result(value: Any, i: int, n: int) -> Block:
        which = "execute()" if n == 1 else f"execute(), result {i + 1} of {n},"
        if not isinstance(value, Symbol):
            way = (
                "an estimator is fitted when the task is over: return what its fit(...) returns"
                if hasattr(value, "fit")
                else "return a delta Series, DataFrame or number, or a tuple of them"
            )
            raise TypeError(f"{which} returned a {type(value).__name__}; {way}")
        b = block(value)
        if b.rows is not None or b.x.local:
            shown = f"column {b.name!r}" if b.columns is None else f"columns {', '.join(map(repr, b.columns))}"
            raise TypeError(
                f"{which} returned the rows of {shown}: they would leave the nodes as they are. Return an aggregate: "
                ".mean(), .sum(), .count(), .quantile(), .value_counts(), .groupby(...).mean(), ..."
            )
        return b


def _name(results: dict[str, Expr], x: Expr, name: str) -> str:
    """Return the name of an output, and note it; what is there already keeps its name."""
    name = next((n for n, known in results.items() if known is x), name)
    results[name] = x
    return name


def _spec(b: Block, name: str) -> Json:
    spec: Json = {"kind": "scalar" if b.index is None else "series" if b.columns is None else "frame", "value": name}
    if isinstance(b.index, tuple):
        spec["index"] = [_label(v) for v in b.index]
        if b.index_name is not None:
            spec["index_name"] = _label(b.index_name)
    if b.columns is not None:
        spec["columns"] = [_label(v) for v in b.columns]
    if b.columns is None and b.index is not None:
        spec["name"] = _label(b.name)
    return spec | {"dtype": b.common}


def _label(label: Any) -> Any:
    return [_label(v) for v in label] if isinstance(label, tuple) else label
