"""Regressions by Newton's method over the network: what all of them have in common.

In each round a graph says what each row adds to the log-likelihood at the current parameters, to its first and second
derivatives, and to the number of rows; members' nodes sum that over their rows (driver ``records``). The coordinator knows only
the sums over all members, and moves by

    params += (hessian / n + ridge)^-1 (score / n)        (hessian: the negative second derivatives)

When the norm of score / n is below ``tol``, each number in units of the root of its second derivative so that the units of
columns do not matter, and what the last step gained was, too, it takes that last step as well, and one more round evaluates
everything at the final parameters, so that standard errors belong to the parameters that are reported.

All rounds sum the members of the first (``cohort``). Newton's method would find its way to the answer over other members, most
times; but each round sums the rows, the classes and nearly the Hessian of the round before again, and the difference of two such
sums over members that differ by one is that member's own.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from .. import manifest as m
from .._arguments import RegressionArguments, takes
from ..bundle import Bundle
from ..dataset import DataFrame as Table
from ..graph import Graph, Value
from ..task import HorizontalTask
from . import _robust
from ._inputs import Inputs, declare, inputs
from ._options import Options
from ._sample import Moments, Sample
from ._system import Plan, system_graph, update_graph

TINY = 2.0**-200
"""What is below, 6e-61, counts as nothing in scores and curvatures."""
# As the driver solve allows.
_LARGEST = 4096
# Under noise nothing tells when to stop, and every step costs.
_PRIVATE_STEPS = 5


class RegressionTask(HorizontalTask):
    """What regressions have in common. Subclass :class:`LogitTask`, :class:`MNLogitTask`, :class:`LinearTask`, :class:`GLMTask`.

    The author writes :meth:`dataset` and :meth:`preprocess`, and :meth:`options` when the defaults do not fit. Another kind
    of regression overrides :meth:`valid` and :meth:`moments`, and says ``model``, ``classes`` and, if the mean of ``y`` is
    needed, ``centred``.

    Parameters
    ----------
    name : str
        The display name.
    min_clients, max_clients : int
        The least and largest number of members. All rounds sum the members of the first, and a task ends that loses one of them
        for good: what is reported is of one set of members, whose number is in ``rounds`` of the result.
    wait_timeout, connection_timeout, verify_timeout : float
        Deadlines in seconds: of joining (``connection_timeout``), of every other phase (``wait_timeout``), of a proof
        (``verify_timeout``).
    precision : int
        Decimal digits kept of every number that is summed under ``privacy``, 0 to 15. Without it sums are exact.
    curve : {"secp256k1", "secp256r1", "secp384r1"}
        The curve of the members' keys.
    enable_verify : bool
        Must be False: nodes of this version make no proofs.
    description : str
        Read by the owners of the data.
    privacy : delta.Privacy, optional
        Noise on every sum. Then exactly ``maxiter`` steps are taken (5 when it is not given), each a round that costs, and rows
        with missing or impossible values are left out and not counted. Scale columns: ``clip`` bounds all numbers of a row
        together. Standard errors know nothing of the noise.

    Attributes
    ----------
    model : str
        The name of the model in the result.
    classes : int
        How many classes ``y`` has, numbered from 0; 0 when it is a number.
    centred : bool
        Whether members get the mean of ``y``, as of the round before.
    kind : {"horizontal", "hlr"}
        The task's type in the manifest.

    Raises
    ------
    ValueError
        An argument cannot work; the text names it.
    """

    kind: ClassVar[Literal["horizontal", "hlr"]] = "horizontal"
    model: ClassVar[str]
    centred: ClassVar[bool] = False
    classes: int
    # What preprocess may return beside x and y, and how many parameters there are beside the columns', each for itself.
    _more: ClassVar[tuple[str, ...]] = ("groups",)
    _apart: ClassVar[int] = 0

    @takes(RegressionArguments)
    def __init__(self, given: RegressionArguments) -> None:
        if given.enable_verify:
            raise ValueError("enable_verify=True: nodes of this version make no proofs of their results; leave it out")
        super().__init__(given.name, given.strategy(), description=given.description)
        self.privacy = given.privacy

    @abc.abstractmethod
    def dataset(self) -> Mapping[str, Table]:
        """Return the tables that the task reads; the author writes it.

        Returns
        -------
        mapping of str to delta.dataset.DataFrame
            Under the names of :meth:`preprocess`'s arguments.
        """

    @abc.abstractmethod
    def preprocess(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Make ``(x, y)`` of the tables, or ``(x, y, more)``; the author writes it.

        Parameters
        ----------
        *args, **kwargs : delta.pandas.DataFrame
            One for each table of :meth:`dataset`, by its name.

        Returns
        -------
        x : DataFrame or Series
            The explanatory columns. There is no constant unless one is added, see :func:`add_constant`.
        y : Series, or DataFrame of one column
            What is explained, of the same rows.
        more : dict of str to Series, optional
            Further series of the same rows: ``groups``, a column of declared levels, for ``cov_type="cluster"``; and see
            :class:`GLMTask`.
        """

    def options(self) -> Mapping[str, Any]:
        """Say how to search; what is left out has its default.

        Returns
        -------
        mapping
            ``maxiter`` (35): steps at most. ``method`` (``"newton"``). ``tol`` (1e-8): stop when the norm of the mean score
            is below, each number in units of the root of its second derivative. ``ord`` (inf): which norm. ``ridge_factor``:
            added to the diagonal of the mean Hessian; left out, 1e-15 of the diagonal itself.
            ``start_params`` (zeros): ``[P]``, or ``[columns, classes - 1]``. ``missing`` (``"drop"``): rows with NaN are left
            out and counted; with ``"ignore"`` they are not counted, and with ``"raise"`` they make the task fail. Owners' rules
            for controlled releases refuse a count of few rows: with gaps in few rows of a node, ``"ignore"`` passes.
            ``cov_type`` (``"nonrobust"``): what standard errors are made of. ``"HC0"`` to ``"HC3"`` hold where variances differ
            from row to row, ``"HC2"`` and ``"HC3"`` for one more round; ``"cluster"`` where rows of one of ``groups`` hang
            together, see :meth:`preprocess`.
        """
        return {}

    def size(self, columns: int) -> int:
        """Return the number of parameters, P.

        Parameters
        ----------
        columns : int
            The number of explanatory columns.

        Returns
        -------
        int
            As many, unless a kind of regression says otherwise.
        """
        return columns

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
        return Options.parse(given)

    @abc.abstractmethod
    def valid(self, g: Graph, y: Value) -> Value:
        """Whether each ``y`` can be explained: for every kind of regression something else.

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

    @abc.abstractmethod
    def moments(self, s: Sample) -> Moments:
        """Return what each row adds to log-likelihood, score and Hessian at the current parameters.

        Parameters
        ----------
        s : Sample
            The member's rows.

        Returns
        -------
        Moments
            Of each row; nothing is summed over rows here, nodes do that.
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
            x and y do not fit together, ``preprocess`` does not take what ``dataset`` names, or an option cannot work.
        """
        options, tables = self._search(), self.dataset()
        given = inputs(self.preprocess, tables, self._more)
        self._check(options, given)
        names = given.names
        size = self.size(len(names))
        if size > _LARGEST:
            raise ValueError(
                f"the model has {size} parameters; nodes solve for {_LARGEST} at most, so use fewer columns"
            )
        start = np.zeros(size) if options.start_params is None else options.start_params
        if start.shape != (size,):
            raise ValueError(f"options: start_params has {start.size} numbers, the model has {size} parameters")
        whole = size + self._apart
        draft = m.Draft(self.name, self.strategy, kind=self.kind, description=self.description)
        draft.variable("params", "server", np.concatenate([start, np.zeros(self._apart)]))
        kept: dict[str, tuple[int, ...]] = {"hessian": (whole, whole), "tally": (3,), "loglike": ()}
        kept |= {"counts": (self.classes,)} if self.classes else {"sums": (self._sums(given),)}
        kept |= self._further(options, given, size)
        kept |= {"iterations": (), "converged": (), "norm": (), "step": (), "gained": (), "rate": ()}
        centre: dict[str, tuple[int, ...]] = {"centre": ()} if self.centred else {}
        for name, shape in (centre | kept).items():
            draft.variable(name, "server", shape=shape)
        dataset, columns = given.reads()
        declare(draft, tables, dataset, columns)
        self._rounds(draft, options, given, whole, kept)
        draft.outputs = ["params", *kept]
        spec: m.Json = {"kind": "regression", "model": self.model, "x": names, "y": given.target}
        spec |= {"missing": options.missing, "classes": self.classes, "task": self.name}
        # Under noise parameters move to the end: that says nothing about the columns.
        spec |= {"noise": True} if self.privacy else {}
        spec |= {"ridge": True} if options.ridge_factor else {}
        spec |= {"cov_type": options.cov_type} if options.cov_type != "nonrobust" else {}
        draft.options["result"] = [spec | self._spec(options, given)]
        return draft.build()

    def _check(self, options: Options, given: Inputs) -> None:
        """Refuse options that do not fit together, or do not fit what ``preprocess`` returned."""
        clustered = options.cov_type == "cluster"
        if clustered != ("groups" in given.more):
            raise ValueError(
                "options: cov_type='cluster' needs groups: preprocess must return (x, y, {'groups': data['ward']})"
                if clustered
                else "preprocess: groups are for cov_type='cluster' of options() only"
            )
        if options.cov_type != "nonrobust" and self.privacy is not None:
            raise ValueError(
                f"options: cov_type={options.cov_type!r} needs sums without noise; leave it out under privacy"
            )

    def _sums(self, given: Inputs) -> int:
        """Return how many numbers are summed beside derivatives, where there are no classes."""
        return 4 + len(given.names)

    def _spec(self, options: Options, given: Inputs) -> m.Json:
        """Return what a result must know beside what all have."""
        return {}

    def _further(self, options: Options, given: Inputs, size: int) -> dict[str, tuple[int, ...]]:
        """Return further sums that are kept, by name, with shapes."""
        return _robust.shapes(options.cov_type, size, len(given.levels))

    def _plan(self, options: Options, given: Inputs, whole: int, tallies: list[str]) -> Plan:
        """Return how the coordinator searches."""
        again = _robust.needs_inverse(options.cov_type)
        return Plan(options, whole, tuple(tallies), self.centred, apart=self._apart, inverse=again)

    def _search(self) -> Options:
        """Return the options; under noise a fixed number of steps."""
        given = self.options()
        options = self.parse_options(given)
        if self.privacy is None:
            return options
        if options.missing == "raise":
            raise ValueError("options: missing='raise' needs a count without noise; leave it out under privacy")
        steps = options.maxiter if options.fixed or "maxiter" in given else _PRIVATE_STEPS
        return dataclasses.replace(options, fixed=True, maxiter=steps, missing="ignore")

    def _rounds(
        self, draft: m.Draft, options: Options, given: Inputs, whole: int, kept: Mapping[str, tuple[int, ...]]
    ) -> None:
        dataset, columns = given.reads()
        tallies = ["kept"] if self.privacy else ["kept", *(["missing"] if options.missing != "ignore" else []), "wrong"]
        plan = self._plan(options, given, whole, tallies)
        known = plan.known()
        for name, (shape, initial) in plan.variables().items():
            draft.variable(name, "server", np.full(shape, initial))
        rows = {"rows": m.data(dataset, m.columns(columns))}
        state = {n: m.variable(n) for n in known}
        gather, sent = self._gather(given, plan, known)
        driver, noise = self._driver(draft, dataset, options.maxiter + 1 + plan.again)
        summed: m.Json = {n: n if noise else m.accumulate(n) for n in sent}
        member = m.Step(draft.graph("member", gather.bytes()), rows | state, summed, driver)
        system, update = system_graph(plan, sent), update_graph(plan)
        plain = ("a", "b", "stop", "norm", "unit", "still", "divisor")
        made = {n: f"next.{n}" for n in system.outputs if n not in plain}
        reads = {f"sum.{n}": m.total(n) for n in sent} | {f"was.{n}": m.variable(n) for n in plan.reads()}
        values = [n for n in update.inputs if n not in ("params", "step", "gained", "rate")]
        reduce = [
            m.Step(draft.graph("system", system.bytes()), reads, made | {n: n for n in plain if n in system.outputs}),
            m.Step(None, {"a": m.value("a"), "b": m.value("b")}, {"x": "move"}, m.solve(0.0)),
            m.Step(
                draft.graph("update", update.bytes()),
                {n: m.variable(n) for n in ("params", "step", "gained", "rate")} | {n: m.value(n) for n in values},
                {n: n for n in update.outputs},
            ),
        ]
        assign = {n: f"next.{n}" for n in ("params", *kept, *plan.variables()) if n != "norm"} | {"norm": "norm"}
        assign |= {"centre": "next.centre"} if self.centred else {}
        counts = {"tally", "counts", "clusters", "alone"}
        exact = set(sent) - counts if self.privacy is None and self.strategy.exact else set()
        map = m.Map([member], [(n, "f64", s) for n, s in sent.items()], noise=noise, exact=exact)
        solved = m.Reduce(reduce, assign, {"log-likelihood": "next.loglike", "score": "norm"}, stop="stop")
        # Of other members the later rounds would say the same things again: what the two differ in is one member's own.
        draft.round(map, solved)
        draft.round(map, solved, options.maxiter + plan.again, cohort="same")

    def _driver(self, draft: m.Draft, dataset: str, rounds: int) -> tuple[m.Json | None, m.Json | None]:
        """Return the driver of the members' step and the noise of their map, and note in the draft what it costs."""
        if self.privacy is None:
            return m.records(dataset), None
        plan = self.privacy.plan(rounds)
        draft.table(dataset, plan.columns)
        draft.options["privacy"] = plan.json()
        if noise := plan.of_map():
            return None, noise
        return m.records(dataset, **plan.driver()), None

    def _gather(
        self, given: Inputs, plan: Plan, known: Mapping[str, tuple[int, ...]]
    ) -> tuple[Graph, dict[str, tuple[int, ...]]]:
        """Return the members' graph, and the sums of what it says of each row, with shapes."""
        g = Graph("member")
        rows = g.input("rows", "f64", ["rows", len(given.reads()[1])])
        state = {n: g.input(n, "f64", shape) for n, shape in known.items()}
        made, selected = given.emit(g, rows)
        xs, ys = made.pop("x"), made.pop("y")
        groups = made.pop("groups", None)
        both = g.concat(xs, ys, *made.values(), axis=1)
        chosen = g.equal(ys, ys) if selected is None else g.unsqueeze(selected, 1)
        chosen = g.or_(chosen, g.not_(chosen)) if selected is None else chosen
        missing = g.greater(g.sum(g.cast(g.is_nan(both), "f64"), 1, keepdims=True), 0.5)
        infinite = g.greater(g.sum(g.cast(g.greater(g.abs(both), np.finfo(float).max), "f64"), 1, keepdims=True), 0.5)
        wrong = g.or_(infinite, g.not_(self._possible(g, ys, made)))
        if groups is not None:
            wrong = g.or_(wrong, g.less(g.sum(groups, 1, keepdims=True), 0.5))
        present = g.and_(chosen, g.not_(missing))
        keep = g.and_(present, g.not_(wrong))
        zeros = {
            n: g.where(keep, v, 1.0 if n in ("freq_weights", "var_weights", "exposure") else 0.0)
            for n, v in made.items()
        }
        x0, y0 = g.where(keep, xs, 0.0), g.where(keep, ys, self._filler)
        sample = self._sample(
            Sample(g, x0, y0, g.cast(keep, "f64"), state["params"], state.get("centre", 0.0)), zeros, state
        )
        moments = self.moments(sample)
        size = plan.size - plan.apart
        triangle = size * (size + 1) // 2
        sent = self._blocks(g, moments, {"score": (plan.size,), "hessian": (triangle + plan.apart,), "loglike": ()})
        sent |= _robust.blocks(plan.options.cov_type, sample, moments, size, state.get("inverse"), groups)
        counted = {"kept": keep, "missing": g.and_(chosen, missing), "wrong": g.and_(present, wrong)}
        sent["tally"] = g.concat(*(g.cast(counted[t], "f64") for t in plan.tallies), axis=1)
        if self.classes:
            sent["counts"] = g.cast(g.and_(keep, g.equal(y0, np.arange(float(self.classes)))), "f64")
        whole = self.privacy is not None and self.privacy.member
        for name, value in sent.items():
            g.output(name, g.sum(value, 0) if whole else value)
        return g, {n: tuple(int(d) for d in v.shape[1:]) for n, v in sent.items()}

    # What stands for y in rows that do not count.
    _filler: ClassVar[float] = 0.0

    def _possible(self, g: Graph, y: Value, more: Mapping[str, Value]) -> Value:
        """Whether each row can be explained."""
        return self.valid(g, y)

    def _sample(self, plain: Sample, more: Mapping[str, Value], state: Mapping[str, Value]) -> Sample:
        """Add to the rows what only this kind of regression has."""
        return plain

    def _blocks(self, g: Graph, moments: Moments, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Value]:
        """Return what a row adds."""
        blocks = {"loglike": moments.loglike, "score": moments.score, "hessian": moments.hessian}
        for name, shape in shapes.items():
            if blocks[name].shape[1:] != shape or not isinstance(blocks[name].shape[0], str):
                raise ValueError(
                    f"moments: {name} is {blocks[name].type}; it must be [rows, ...] and then {list(shape)}"
                )
        if moments.expected is not None:
            blocks["expected"] = moments.expected
        # Where classes are told apart without error, what is left of a row is nothing, however small a double can be.
        blocks = {n: g.where(g.less(g.abs(v), TINY), 0.0, v) for n, v in blocks.items()}
        return blocks | ({} if moments.sums is None else {"sums": moments.sums})
