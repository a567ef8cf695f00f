"""A whole federation on this machine: one table or set of samples, split over many clients, of whom some are in each round.

>>> import delta
>>> from delta.simulation import dirichlet
>>> result = delta.simulate(task, (x, y), clients=100, split=dirichlet(0.3), sample=0.1)  # doctest: +SKIP
>>> result.plot()  # doctest: +SKIP
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _describe, _local, results
from ._answers import Progress
from ._progress import Display, display
from ._splits import IID, By, Dirichlet, Split, by, dirichlet, iid
from .bundle import Bundle

if TYPE_CHECKING:
    from .task import HorizontalTask

__all__ = ["IID", "By", "Dirichlet", "Split", "by", "dirichlet", "iid", "simulate"]


def simulate(
    task: HorizontalTask | Bundle,
    data: Any,
    clients: int | None = None,
    split: Split | Sequence[Any] | None = None,
    sample: float = 1.0,
    *,
    rounds: int | None = None,
    drop: float = 0.0,
    seed: int = 0,
    threads: int = 1,
    processes: int = 1,
    progress: bool = True,
    on_round: Callable[[int, Mapping[str, Any]], None] | None = None,
) -> Any:
    """Run a task over many make-believe clients on this machine.

    The graphs are those that nodes run, and so are batches, their order and the rounding of sums: what comes out is to the last
    bit what :func:`delta.debug` gives for the same clients. Sums are not judged by owners' rules here; ``delta.debug`` does
    that. Needs onnxruntime.

    Parameters
    ----------
    task : HorizontalTask or Bundle
        What to run; one that is not built yet is built first.
    data : DataFrame, dict of columns, pair of arrays, torch dataset, or list of these
        All rows, or a list with those of each client. Of a task with several datasets a dict of such by name: the one that is
        not looked up in is split, the others are given to each client whole.
    clients : int, optional
        How many clients the rows are split over; by default 100, or as many as ``split`` or a list says.
    split : Split or sequence of array of int, optional
        :func:`iid` (the default), :func:`dirichlet`, :func:`by`, or row numbers for each client.
    sample : float or int
        The share of the clients that is in each round, or their number: drawn anew for each round, without replacement. Of
        tasks whose rounds must have the same members, as of analytics and regressions, once. The strategy's ``max_clients`` is
        for nodes and has no say here.
    rounds : int, optional
        In place of the ``max_rounds`` of a learning task.
    drop : float
        The probability that a client of a round is lost before it contributes; at least 0 and below 1. A round with fewer than
        ``min_clients`` is drawn again, as often as the strategy's ``retries``. Rounds that must have the members of the one
        before lose nobody.
    seed : int
        Of the split, of who is in which round, who is lost, and of noise for privacy.
    threads : int
        Threads of onnxruntime in each process; small models are fastest with one. 0 lets it choose.
    processes : int
        Over how many processes the clients are spread; the result is the same to the last bit. Each loads the package and has the
        rows of its clients in memory: worth it where a round takes longer than a second. Sums are made in this one.
    progress : bool
        Show a bar in a terminal or notebook, and a line a round elsewhere.
    on_round : callable, optional
        ``on_round(number, metrics)`` is called after each round, from 1.

    Returns
    -------
    object
        What :meth:`delta.DeltaNode.get_result` would return. ``rounds`` of it says for each round ``who`` was in it
        (``"client-17"``, from 0), who was ``lost``, how many ``failed``, and the ``seconds`` that it took.

    Raises
    ------
    ValueError
        An argument cannot be, or the data does not fit the task.
    RuntimeError
        A round had too few members, or a process ended before its time.
    ImportError
        onnxruntime is missing.

    Examples
    --------
    >>> delta.simulate(task, (x, y), clients=100, split=dirichlet(0.3), sample=0.1, rounds=50)  # doctest: +SKIP
    """
    if not 0.0 <= drop < 1.0:
        raise ValueError(f"drop={drop!r}: must be at least 0 and below 1")
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
        raise ValueError(f"processes={processes!r}: must be a whole number from 1")
    bundle = _built(task, rounds)
    rng = np.random.default_rng(seed)
    members = _members(bundle.manifest, data, clients, split, rng)
    size = _local.size_of(sample, len(members), bundle.manifest["strategy"]["min_clients"])
    cohorts = _local.Sampled(bundle.manifest, len(members), size, drop, rng)
    shown = _Shown(display() if progress else Display(), cohorts, bundle.manifest, on_round)
    with shown.display:
        arrays, metrics = _local.simulate(
            bundle,
            members,
            cohorts=cohorts,
            threads=threads,
            seed=seed,
            on_round=shown,
            lenient=True,
            processes=processes,
        )
        shown.over()
    sent = _describe.sent(bundle.manifest)
    told = [one | {"bytes": each} for one, each in zip(cohorts.told, sent, strict=False)]
    return results.build(bundle.manifest, arrays, metrics, told)


class _Shown:
    """Shows each round, and tells the author's callback."""

    def __init__(self, display: Display, cohorts: Any, manifest: Mapping[str, Any], on_round: Any) -> None:
        self.display, self._cohorts, self._on_round = display, cohorts, on_round
        total = sum(r.get("repeat", 1) for r in manifest["rounds"])
        self._now = Progress("RUNNING", rounds=total)

    def __call__(self, number: int, metrics: Mapping[str, Any]) -> None:
        now, told = self._now, self._cohorts.told[-1]
        now.round = number
        now.metrics.append(dict(metrics))
        for name in ("members", "failed", "dropped"):
            getattr(now, name).append(told[name])
        self.display.update(now)
        if self._on_round is not None:
            self._on_round(number, metrics)

    def over(self) -> None:
        self._now.status = "FINISHED"
        self.display.update(self._now)


def _built(task: Any, rounds: int | None) -> Bundle:
    if rounds is None:
        bundle: Bundle = task if isinstance(task, Bundle) else task.build()
        return bundle
    if isinstance(task, Bundle) or not hasattr(task, "max_rounds"):
        what = (
            "a bundle has its rounds already" if isinstance(task, Bundle) else "its rounds follow from what it computes"
        )
        raise ValueError(f"rounds={rounds!r}: only a learning task takes another number of rounds; {what}")
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
        raise ValueError(f"rounds={rounds!r}: must be a whole number from 1")
    other = copy.copy(task)
    other.max_rounds = rounds
    made: Bundle = other.build()
    return made


def _members(
    manifest: Mapping[str, Any], data: Any, clients: int | None, split: Any, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Each client's data."""
    datasets = list(manifest["datasets"])
    several = len(datasets) > 1
    if several and not isinstance(data, Mapping):
        raise ValueError(f"the task has several datasets: give a dict with {', '.join(datasets)}")
    given = dict(data) if several else {datasets[0]: data}
    pieces = {name: len(content) for name, content in given.items() if isinstance(content, list)}
    if pieces:
        number = next(iter(pieces.values()))
        if split is not None:
            raise ValueError("split: the data is a list with each client's part already")
        if clients not in (None, number):
            raise ValueError(f"clients={clients}: the data is a list of {number} parts")
        return _local.split(manifest, given, number)
    (whole,) = _local.split(manifest, given, 1)
    apart = [name for name in whole if name not in _local.looked_up(manifest)]
    if len(apart) > 1:
        raise ValueError(
            f"the task reads {' and '.join(apart)}, and which rows of one belong to which of the other is not known: give each a "
            "list with every client's part"
        )
    name = apart[0]
    content = next(c for k, c in given.items() if k == name or not several or _local.dataset_of(manifest, k) == name)
    everything, count = whole[name], len(whole[name])
    if isinstance(split, Split) or split is None:
        how = IID() if split is None else split
        labels = _labels(manifest, name, content, everything, how.column)
        wanted = clients if clients is not None or isinstance(how, By) else min(100, count)
        rows = how.rows(count, labels, wanted, rng)
    else:
        rows = [_chosen(part, i, count) for i, part in enumerate(split)]
        if clients not in (None, len(rows)):
            raise ValueError(f"clients={clients}: split has rows for {len(rows)}")
    return [{**whole, name: _local.Picked(everything, part)} for part in rows]


def _labels(manifest: Mapping[str, Any], name: str, content: Any, rows: Any, column: Any) -> Any:
    """What the rows are split by."""
    count = len(rows)
    if isinstance(column, str):
        names = (
            list(content.columns)
            if hasattr(content, "columns")
            else list(content)
            if isinstance(content, Mapping)
            else []
        )
        if column not in names:
            raise ValueError(
                f"the data has no column {column!r}" + (f"; it has {', '.join(map(str, names))}" if names else "")
            )
        column = content[column]
    if column is not None:
        values = np.asarray(column)
        if values.shape != (count,):
            raise ValueError(
                f"column: an array of shape {list(values.shape)} for {count} rows; it has one value for each"
            )
        return values
    inputs = [s for spec in manifest["rounds"] for step in spec["map"]["steps"] for s in step["inputs"].values()]
    fields = [s["field"] for s in inputs if s["from"] == "data" and s["dataset"] == name]
    label = next((f for f in fields if f == "y" or (isinstance(f, Mapping) and "column_i64" in f)), None)
    return None if label is None else rows.read(label, np.arange(count))


def _chosen(part: Any, client: int, count: int) -> npt.NDArray[np.int64]:
    made = np.asarray(part)
    if made.ndim != 1 or (made.size and made.dtype.kind not in "iu"):
        raise ValueError(f"split: client {client} has no list of row numbers")
    if made.size and not (made.min() >= 0 and made.max() < count):
        raise ValueError(f"split: client {client} has a row number that is not from 0 to {count - 1}")
    return made.astype(np.int64)
