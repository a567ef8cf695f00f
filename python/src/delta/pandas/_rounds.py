"""From results to rounds: which sums are contributed when, what the coordinator computes and keeps, what members download.

A round has one map graph and one reduce graph, in which everything that is due is computed once. Where all that a task
contributes are sums over rows, maps run under the driver ``records``, one step for each dataset: the graph says what a row adds,
and the nodes sum. Otherwise all maps run once on whole tables, and every owner is asked.

What is due in a later round hangs on the sums of earlier ones, so every round but the first sums the very members of the round
before (``cohort``): there is one answer, of one cohort.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from ..dataset import DataFrame as Table
from ..graph import Graph, Value
from ..manifest import Draft, Json, Map, Reduce, Step, accumulate, columns, data, records, total, variable
from ..privacy import Privacy
from ._emit import Emitter, used_columns
from ._expr import Array, Expr, walk
from ._per_record import counts, per_record, triangle
from ._search import SEARCH

COARSE = 4
"""Up to this precision its author wants these digits and no more."""


class Rounds:
    """The rounds that end with some results known to the coordinator, added to a draft.

    Parameters
    ----------
    draft : Draft
        Where the rounds, graphs and variables go.
    tables : mapping of str to delta.dataset.DataFrame
        By dataset.
    results : mapping of str to Expr
        Names of server variables to be made, and what they become: ``f64``, at the server.
    needed : iterable of Expr
        Further server expressions that later rounds of another maker will download, see :meth:`given`. Such rounds should be
        bound to the members of these, see :meth:`delta.manifest.Draft.round`.
    prefix : str
        Keeps names of variables and graphs apart from others in the draft.
    privacy : Privacy, optional
        Noise on every sum.

    Attributes
    ----------
    kept_apart : bool
        Whether maps run under ``records``.

    Raises
    ------
    ValueError
        ``privacy`` is asked for, and something is no sum over rows.
    """

    def __init__(
        self,
        draft: Draft,
        tables: Mapping[str, Table],
        results: Mapping[str, Expr],
        needed: Iterable[Expr] = (),
        prefix: str = "",
        privacy: Privacy | None = None,
    ) -> None:
        self.draft, self.tables, self.prefix, self.privacy = draft, tables, prefix, privacy
        self.variables: dict[Expr, str] = {}
        for name, x in results.items():
            self.variables.setdefault(x, name)
        needed = [n for x in needed for n in _frontier(x)]
        roots = [*results.values(), *needed]
        self.order = list(walk(roots))
        self.last = max((x.round for x in roots), default=0)
        self.sums = {r: [x for x in self.order if x.op == "Total" and x.round == r] for r in range(1, self.last + 1)}
        self.halves: dict[Expr, Array] = {}
        self.shares = self._shares()
        if privacy is not None and privacy.member:
            self.shares, self.halves = {}, {}
        self.kept_apart = bool(self.shares)
        for x in [*needed, *(n for sums in self.sums.values() for t in sums for n in _frontier(t.args[0]))]:
            self._keep(x)
        self._keep_for_reduces()
        for x, name in self.variables.items():
            draft.variable(name, "server", shape=[int(d) for d in x.shape])
        self.noise: Json | None = None
        self.driver = self._driver()
        for r in range(1, self.last + 1):
            self._round(r)

    def _shares(self) -> dict[Expr, Expr]:
        """Return what a row adds to each sum; nothing when one of them is no sum over rows."""
        out: dict[Expr, Expr] = {}
        for t in (t for sums in self.sums.values() for t in sums):
            share = per_record(t.args[0])
            if share is None and self.privacy:
                raise ValueError(
                    f"privacy: {t.get('label')} is no sum over rows, so that noise has no measure; leave out min and max"
                )
            # Counts in fine buckets are of few rows each: where owners limit such counts, being asked is better than zeros.
            if share is None or (t.get("label") == SEARCH and not self.privacy):
                return {}
            out[t] = share
            if (half := triangle(t.args[0])) is not None:
                out[t], self.halves[t] = half
        return out

    def _driver(self) -> dict[str, Json]:
        """Return the driver of each dataset, and note in the draft what its noise costs."""
        datasets = {r: {self._dataset(self.shares[t]) for t in sums} for r, sums in self.sums.items() if self.shares}
        names = sorted(set().union(*datasets.values()))
        if self.privacy is None:
            return {d: records(d) for d in names}
        if self.privacy.member:
            # A member that reads nothing in a round has a share of its noise all the same, and pays for it.
            plan = self.privacy.plan(self.last)
            self.noise, self.draft.options["privacy"] = plan.of_map(), plan.json()
            return {}
        plan = self.privacy.plan(max((sum(d in s for s in datasets.values()) for d in names), default=0))
        for d in names:
            self.draft.table(d, plan.columns)
        self.draft.options["privacy"] = plan.json()
        return {d: records(d, **plan.driver()) for d in names}

    @staticmethod
    def _dataset(share: Expr) -> str:
        (dataset,) = used_columns([share])
        return dataset

    def sent(self, t: Expr) -> list[int]:
        """Return the shape in which a sum travels.

        Parameters
        ----------
        t : Expr
            A sum over the members.

        Returns
        -------
        list of int
            Of a symmetric matrix the upper triangle.
        """
        shape = self.shares[t].shape[1:] if self.shares else t.shape
        return [int(d) for d in shape]

    def received(self, graph: Graph, t: Expr, sums: Value) -> Value:
        """Make a sum of what travelled for it.

        Parameters
        ----------
        graph : Graph
            Of a reduce.
        t : Expr
            A sum over the members.
        sums : Value
            In the shape of :meth:`sent`.

        Returns
        -------
        Value
            In the shape of ``t``.
        """
        at = self.halves.get(t) if self.shares else None
        return sums if at is None else graph.reshape(graph.take(sums, at, 0), *t.shape)

    def exact(self, t: Expr) -> bool:
        """Return whether a sum travels exactly, whatever its scale.

        Parameters
        ----------
        t : Expr
            A sum over the members.

        Returns
        -------
        bool
            Counts do not need it, and what has noise cannot have it.
        """
        strategy = self.draft.strategy
        if self.privacy is not None or strategy.precision <= COARSE or not strategy.exact:
            return False
        return not counts(self.shares[t]) if self.shares else t.get("label") != SEARCH

    def _keep(self, x: Expr) -> None:
        self.variables.setdefault(x, f"{self.prefix}kept{sum(1 for n in self.variables.values() if 'kept' in n) + 1}")

    def _keep_for_reduces(self) -> None:
        """Keep what a later reduce uses of an earlier round, until nothing more is found."""
        waiting, seen = list(self.variables), set(self.variables)
        while waiting:
            made = waiting.pop(0)
            for x in _below(made, made.round):
                self._keep(x)
                if x not in seen:
                    seen.add(x)
                    waiting.append(x)

    def given(self, graph: Graph, inputs: dict[str, Json], before: int) -> Given:
        """Return a function that makes kept expressions inputs of a graph.

        Parameters
        ----------
        graph : Graph
            Whose inputs.
        inputs : dict
            Where the sources of the inputs go, for a step.
        before : int
            Expressions of rounds up to this one.

        Returns
        -------
        callable
            For :func:`emit`.
        """
        return Given(self, graph, inputs, before)

    def _round(self, r: int) -> None:
        contributions = self._names(self.sums[r])
        steps = self._apart(r, contributions) if self.shares else [self._whole(r, contributions)]
        shapes = [(name, "f64", self.sent(t)) for t, name in contributions.items()]
        # A sum of round r is made of rows and results of the rounds before: over other members it would be of nobody's rows.
        bound: Literal["same"] | None = "same" if r > 1 else None
        exact = {name for t, name in contributions.items() if self.exact(t)}
        map = Map(steps, shapes, noise=self.noise, exact=exact)
        self.draft.round(map, self._reduce(r, contributions), cohort=bound)

    def _whole(self, r: int, contributions: Mapping[Expr, str]) -> Step:
        """Return the step that runs once on whole tables."""
        graph = Graph(f"map{r}")
        inputs: dict[str, Json] = {}
        emitter = Emitter(graph, read_tables(graph, inputs, self.tables, [t.args[0] for t in contributions]))
        emitter.given = self.given(graph, inputs, r - 1)
        for t, name in contributions.items():
            graph.output(name, emitter.emit(t.args[0]))
        file = self.draft.graph(f"{self.prefix}map{r}", graph.bytes())
        return Step(file, inputs, {n: n for n in contributions.values()})

    def _apart(self, r: int, contributions: Mapping[Expr, str]) -> list[Step]:
        """Return the steps whose graphs say what a row adds, one for each dataset."""
        by_dataset: dict[str, list[Expr]] = {}
        for t in contributions:
            by_dataset.setdefault(self._dataset(self.shares[t]), []).append(t)
        steps = []
        for i, (dataset, sums) in enumerate(by_dataset.items()):
            name = f"map{r}" if i == 0 else f"map{r}_{i + 1}"
            graph = Graph(name)
            inputs: dict[str, Json] = {}
            emitter = Emitter(graph, read_tables(graph, inputs, self.tables, [self.shares[t] for t in sums]))
            emitter.given = self.given(graph, inputs, r - 1)
            for t in sums:
                graph.output(contributions[t], emitter.emit(self.shares[t]))
            file = self.draft.graph(f"{self.prefix}{name}", graph.bytes())
            steps.append(
                Step(file, inputs, {contributions[t]: accumulate(contributions[t]) for t in sums}, self.driver[dataset])
            )
        return steps

    def _reduce(self, r: int, contributions: Mapping[Expr, str]) -> Reduce:
        made = {x: name for x, name in self.variables.items() if max(x.round, 1) == r}
        graph = Graph(f"reduce{r}")
        inputs: dict[str, Json] = {}
        emitter = Emitter(graph, {})
        given = self.given(graph, inputs, r - 1)
        given.sums = contributions
        emitter.given = given
        for x, name in made.items():
            graph.output(name, emitter.emit(x))
        file = self.draft.graph(f"{self.prefix}reduce{r}", graph.bytes())
        steps = [Step(file, inputs, {n: n for n in made.values()})]
        return Reduce(steps, {n: n for n in made.values()})

    def _names(self, sums: Sequence[Expr]) -> dict[Expr, str]:
        names: dict[Expr, str] = {}
        for t in sums:
            label, n = t.get("label"), 1
            while (label if n == 1 else f"{label}_{n}") in names.values():
                n += 1
            names[t] = label if n == 1 else f"{label}_{n}"
        return names


class Given:
    """Gives a graph its inputs when they are asked for: kept variables, and in a reduce the sums of its round."""

    def __init__(self, rounds: Rounds, graph: Graph, inputs: dict[str, Json], before: int) -> None:
        """Prepare."""
        self.rounds, self.graph, self.inputs, self.before = rounds, graph, inputs, before
        self.sums: Mapping[Expr, str] = {}

    def __call__(self, x: Expr) -> Value | None:
        """Return the input for an expression that is known by then, if it is kept."""
        if x in self.sums:
            name, source = f"sum.{self.sums[x]}", total(self.sums[x])
        elif x.round <= self.before and x in self.rounds.variables:
            name, source = f"var.{self.rounds.variables[x]}", variable(self.rounds.variables[x])
        else:
            return None
        self.inputs[name] = source
        if x not in self.sums:
            return self.graph.input(name, "f64", x.shape)
        return self.rounds.received(self.graph, x, self.graph.input(name, "f64", self.rounds.sent(x)))


def read_tables(
    graph: Graph, inputs: dict[str, Json], tables: Mapping[str, Table], roots: Iterable[Expr]
) -> dict[str, tuple[Value, list[str]]]:
    """Declare an input for each dataset that expressions read, with only the columns that they read."""
    used = used_columns(roots, {d: t.columns for d, t in tables.items()})
    out = {}
    for i, (dataset, names) in enumerate(used.items()):
        name = "table" if i == 0 else f"table{i + 1}"
        inputs[name] = data(dataset, columns(names))
        rows = "rows" if i == 0 else f"rows{i + 1}"
        out[dataset] = graph.input(name, "f64", (rows, len(names))), names
    return out


def _frontier(x: Expr) -> list[Expr]:
    """Return what a member must be given to compute ``x``: the server expressions that local ones use."""
    out: list[Expr] = []
    seen: set[Expr] = set()
    stack = [x]
    while stack:
        e = stack.pop()
        if e in seen or e.place == "constant":
            continue
        seen.add(e)
        if e.place == "server" and e.type.dtype == "f64":
            out.append(e)
        else:
            stack.extend(reversed(e.args))
    return out


def _below(x: Expr, r: int) -> list[Expr]:
    """Return the server expressions of rounds before ``r`` that a reduce of round ``r`` uses to compute ``x``."""
    out: list[Expr] = []
    seen: set[Expr] = set()
    stack = [x]
    while stack:
        e = stack.pop()
        if e in seen or e.place == "constant" or (e.op == "Total" and e.round == r):
            continue
        seen.add(e)
        if e.round < r and e.type.dtype == "f64":
            out.append(e)
        else:
            stack.extend(reversed(e.args))
    return out
