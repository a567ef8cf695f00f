"""All rounds of a task over simulated members in this process.

The same semantics as on nodes: the same batches in the same order, the same noise, sums rounded to the task's precision.
What is left out is what needs other machines: masks, deadlines, members that are lost within a round.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _describe, _reasons, _release, results
from .._metrics import folded
from .._widths import travelled
from ..bundle import Bundle
from . import discrete, records
from .cohorts import Absent, Cohorts
from .data import Rows, split
from .exact import exact_sums
from .members import NUMPY, Member, Members, Round, Task, fitted, generator
from .releases import Releases
from .steps import Position, Scope, Sessions, Singular, run_step
from .workers import spread

if TYPE_CHECKING:
    from ..task import HorizontalTask

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]
Json = Mapping[str, Any]


def debug(
    task: HorizontalTask | Bundle,
    *,
    parts: int | None = None,
    threads: int = 0,
    strict: bool = False,
    seed: int | None = None,
    absent: Absent | None = None,
    show: bool = True,
    on_round: Callable[[int, Mapping[str, Any]], None] | None = None,
    **data: Any,
) -> Any:
    """Run a whole task on this machine, as nodes would; print who takes part and what would leave each member.

    Batches, their order and the rounding of sums are those of nodes, and so is the noise for privacy: a discrete Gaussian, of
    which each member adds its share. The sums of a controlled task are judged by the rules of nodes (``docs/policy.md``) with
    their default limits; the result is what owners get who let a broken rule pass by hand. What needs other machines is left
    out: masks, deadlines, and what is compared between tasks; who is away is said by ``absent``. A member that has no row of
    what a step sums contributes zeros to the whole round, and so it does in the rounds that must sum the same members. Needs
    onnxruntime.

    Parameters
    ----------
    task : HorizontalTask or Bundle
        What to run; one that is not built yet is built first.
    parts : int, optional
        The number of make-believe members, each a node of the network. A round takes at most ``max_clients`` of them, chosen at
        random as a coordinator does (with ``SameSelectStrategy`` those of the round before first), and the rows of the others
        are in no sum of it; fewer than ``min_clients`` cannot run the task. By default as many as a list of data has, else 3, or
        as many as the strategy allows.
    threads : int
        Threads of onnxruntime; 0 lets it choose.
    strict : bool
        Whether a sum that breaks a rule is an error, and not a warning.
    seed : int, optional
        Makes the noise the same in every run, and says who is chosen where more parts are there than a round takes (0 where
        it is left out). Only here: nodes draw from entropy of their own.
    absent : mapping of int to iterable of int, optional
        Who is away: by round, from 1, the parts that take no part in it, from 0 as in a list of data. ``absent={2: [0]}``
        loses the first part between the first round and the second, and has it back in the third. Rounds that must sum the
        members of the round before (``cohort="same"`` of :meth:`delta.manifest.Draft.round`; of analytics and
        regressions all but the first) leave out who was not in it, and end the run when one of them is away.
    show : bool
        Whether to print how many of the parts are in a round and what leaves each of them.
    on_round : callable, optional
        ``on_round(number, metrics)`` is called after each round, from 1.
    **data : DataFrame, dict of columns, pair of arrays, torch dataset, or list of these
        One argument a dataset: its file name without the ending, or the argument's name in the task. A table is a DataFrame
        of pandas or a dict of columns, samples are a pair ``(x, y)`` or a torch dataset. Rows are split evenly in their
        order; a list gives each member its own.

    Returns
    -------
    object
        What :meth:`delta.DeltaNode.get_result` would return. Where more parts are there than a round takes, ``rounds`` of it
        says ``who`` was in each (``"part-2"``, from 0).

    Raises
    ------
    RuntimeError
        A task ends as on nodes: a member of the round before must be in a sum and is away or could not compute, or fewer than
        ``min_clients`` are there.
    ValueError
        The data does not fit the task, a round makes numbers that no node could send, or, with ``strict``, a sum breaks a rule of
        controlled releases; the text names the rule.
    ImportError
        onnxruntime is missing.

    Warns
    -----
    ReleaseWarning
        The task is free, so that every owner is asked; or a sum breaks a rule of controlled releases.

    Examples
    --------
    >>> delta.debug(task, wages={"wage": np.array([3000.0, 4000.0, 5500.0])})  # doctest: +SKIP
    """
    bundle = task if isinstance(task, Bundle) else task.build()
    if _release.class_of(bundle.manifest) == "free":
        warnings.warn(_release.asked(bundle.manifest), _release.ReleaseWarning, stacklevel=2)
    parts = _parts(bundle.manifest, data) if parts is None else parts
    releases, cohorts = Releases(bundle.manifest, parts, strict), Cohorts(bundle.manifest, parts, absent, seed)
    members = split(bundle.manifest, data, parts)
    if show:
        print(_describe.leaving(bundle.manifest, parts))
    try:
        arrays, metrics = simulate(
            bundle,
            members,
            cohorts=cohorts,
            threads=threads,
            seed=seed,
            releases=releases,
            on_round=on_round,
        )
    finally:
        for text in releases.broken:
            warnings.warn(text, _release.ReleaseWarning, stacklevel=2)
    return results.build(bundle.manifest, arrays, metrics, cohorts.told)


def _parts(manifest: Json, data: Mapping[str, Any]) -> int:
    """How many members there are where nobody says it."""
    if lists := [len(content) for content in data.values() if isinstance(content, list)]:
        return lists[0]
    low, high = manifest["strategy"]["min_clients"], manifest["strategy"]["max_clients"]
    return int(min(max(3, low), high))


def simulate(
    bundle: Bundle,
    data: list[dict[str, Rows]],
    *,
    cohorts: Cohorts,
    threads: int = 0,
    seed: int | None = None,
    releases: Releases | None = None,
    on_round: Callable[[int, Mapping[str, Any]], None] | None = None,
    lenient: bool = False,
    processes: int = 1,
) -> tuple[dict[str, Array], list[dict[str, Any]]]:
    """Run a bundle over members' data; return the outputs by name and the metrics of each round.

    ``lenient``: as of :meth:`Member.contribute`. ``processes``: over how many the members are spread; releases are judged in one.
    """
    manifest = bundle.manifest
    initial: dict[str, dict[str, Array]] = {"server": {}, "client": {}}
    for name, spec in manifest["variables"].items():
        initial[spec["location"]][name] = bundle.initial(name)
    precision, rng = manifest["strategy"]["precision"], discrete.source(seed)
    entropy = rng.getrandbits(128)
    made = [Member(d, dict(initial["client"])) for d in data]
    with spread(Task(manifest, bundle.graphs, threads, entropy, lenient), made, processes) as members:
        return _rounds(members, manifest, initial["server"], cohorts, releases, on_round, precision, rng, entropy)


def _rounds(
    members: Members,
    manifest: Json,
    server: dict[str, Array],
    cohorts: Cohorts,
    releases: Releases | None,
    on_round: Callable[[int, Mapping[str, Any]], None] | None,
    precision: int,
    rng: Any,
    entropy: int,
) -> tuple[dict[str, Array], list[dict[str, Any]]]:
    history: list[dict[str, Any]] = []
    chance, sessions = generator(entropy), members.sessions
    for number, spec in ((i, r) for i, r in enumerate(manifest["rounds"]) for _ in range(r.get("repeat", 1))):
        if "certify" in spec:
            # Nobody here doubts the others.
            continue
        cohorts.begin(spec)
        declared, drivers = spec["map"]["contribute"], _noised(spec["map"])
        cohort = len(cohorts.members)
        honest = records.honest(manifest["strategy"], cohort)
        totals, failed, downloaded = (
            [_Total(c, precision) for c in declared],
            [],
            travelled(manifest, spec, server, chance),
        )
        judge = None if releases is None else partial(releases.judge, number, len(history) + 1)
        able = [m for m in cohorts.members if m not in cohorts.failed]
        contributed = members.contribute(Round(number, len(history) + 1, downloaded, cohort), able, judge)
        for member in cohorts.members:
            sent = next(contributed) if member not in cohorts.failed else None
            if sent is None:
                failed.append(member)
                sent = [np.zeros(c["shape"], np.int64) for c in declared]
            for i, c in enumerate(declared):
                if c["name"] in drivers:
                    # Every member adds its share, also one that has no records.
                    sent[i] += records.noise(c["shape"], drivers[c["name"]], precision, honest, rng)
            for part, numbers in zip(totals, sent, strict=True):
                part.add(numbers)
        cohorts.end(spec, failed, counted=not drivers)
        sums: dict[str, Array] = {
            c["name"]: np.asarray(part.finish(), NUMPY[c["dtype"]]) for c, part in zip(declared, totals, strict=True)
        }
        # Under noise nobody says who could not compute.
        counted = cohort if drivers else cohort - len(failed)
        metrics, stop = _reduce(sessions, manifest, spec["reduce"], Scope(server, sums, counted), server)
        history.append(metrics)
        if on_round:
            on_round(len(history), metrics)
        if stop:
            break
    return {name: server[name] for name in manifest["outputs"]}, history


class _Total:
    """Adds up what the members send of a contribution."""

    def __init__(self, spec: Json, precision: int) -> None:
        self._exact = spec.get("written") == "exact"
        self._name, self._precision = spec["name"], precision
        self._sum: Array | None = None
        self._column: list[Array] = []

    def add(self, sent: Array) -> None:
        """Take one member's numbers."""
        if self._exact:
            self._column.append(sent)
        else:
            self._sum = sent if self._sum is None else self._sum + sent

    def finish(self) -> Array:
        """Return the sum as a number."""
        if self._exact:
            sums = exact_sums(np.stack(self._column).reshape(len(self._column), -1), self._name)
            return sums.reshape(self._column[0].shape)
        assert self._sum is not None, "a round has members"
        return np.asarray(self._sum / 10.0**self._precision)


def _reduce(
    sessions: Sessions, manifest: Json, spec: Json, scope: Scope, server: dict[str, Array]
) -> tuple[dict[str, Any], bool]:
    """Run the reduce of a round, which changes ``server``; return the round's metrics, and whether the task ends."""
    for step in spec["steps"]:
        try:
            run_step(sessions, step, scope, Position())
        except Singular as error:
            raise ValueError(_reasons.columns(str(error), manifest)) from None
    made = {**scope.sums, **scope.values}
    server |= {v: fitted(made[n], manifest["variables"][v], v) for v, n in spec["assign"].items()}
    shown = {name: float(np.asarray(made[n]).reshape(())) for name, n in spec.get("metrics", {}).items()}
    metrics = folded(shown)
    flag = float(np.asarray(made[spec["stop"]]).reshape(())) if spec.get("stop") else 0.0
    return metrics, flag != 0 and not np.isnan(flag)


def _noised(map: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The drivers of contributions to which members add noise, by contribution."""
    if asked := map.get("noise"):
        spread = {"multiplier": asked["multiplier"], "delta": asked["delta"]}
        return {c["name"]: {"clip": {"l2": asked["l2"]}, "noise": spread} for c in map["contribute"]}
    steps = [s for s in map["steps"] if s.get("driver", {}).get("noise")]
    return {target["name"]: step["driver"] for step in steps for target in step["outputs"].values()}
