"""One step of a map or reduce on this machine: the node's drivers, over onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from . import random, records
from .data import Rows

Array = npt.NDArray[Any]
Json = Mapping[str, Any]
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}

# What is left of a number of a matrix by rounding, as nodes reckon: sums keep 48 bits of each row's.
_ROUNDED = 2.0**-48


class CannotCompute(Exception):
    """A member cannot compute its part of a round, and contributes zeros."""


class Singular(ValueError):
    """Equations have no one solution, for a column that depends on others."""


class TooFewRows(ValueError):
    """A member has no row, or fewer than the smallest batch."""


@dataclass
class Position:
    """Where an iteration over a dataset stands between rounds."""

    epoch: int = 0
    position: int = 0
    batches: int = 0


@dataclass
class Scope:
    """Everything that has a name while a map or a reduce runs."""

    variables: Mapping[str, Array]
    sums: Mapping[str, Array] = field(default_factory=dict)
    clients: int = 0
    data: Mapping[str, Rows] = field(default_factory=dict)
    precision: int = 0
    judge: Callable[..., None] | None = None
    """Is shown what a step under the driver ``records`` is about to sum."""
    exact: Collection[str] = ()
    """Sums that are contributed as exact numbers."""
    values: dict[str, Array] = field(default_factory=dict)


class Sessions:
    """The graphs of a task, loaded when first run."""

    def __init__(self, graphs: Mapping[str, bytes], threads: int = 0) -> None:
        """Take the bundle's graphs; ``threads`` of 0 lets onnxruntime choose.

        Raises ``ImportError`` when onnxruntime is missing.
        """
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError("delta.debug runs graphs with onnxruntime: pip install 'onnxruntime>=1.20,<2'") from error
        self._runtime, self._graphs, self._threads = onnxruntime, graphs, threads
        self._loaded: dict[str, Any] = {}

    def get(self, step: Json) -> Any:
        """Return the session of a step, in its onnxruntime form when it has one."""
        name = step.get("graph_onnxruntime") or step["graph"]
        if name not in self._loaded:
            options = self._runtime.SessionOptions()
            options.intra_op_num_threads = self._threads
            options.log_severity_level = 3
            self._loaded[name] = self._runtime.InferenceSession(
                self._graphs[name], options, providers=["CPUExecutionProvider"]
            )
        return self._loaded[name]


def run_step(sessions: Sessions, step: Json, scope: Scope, position: Position) -> Position:
    """Run a step into ``scope.values`` and return where its iteration stands afterwards.

    Raises ``CannotCompute`` where a node would contribute zeros and let the others go on.
    """
    driver = step.get("driver") or {"kind": "once"}
    if driver["kind"] == "solve":
        solve(step, driver, scope)
        return position
    session = sessions.get(step)
    ports = {i.name: _TYPES.get(i.type) for i in session.get_inputs()}
    fixed = {name: _fixed(source, scope) for name, source in step["inputs"].items()}
    if driver["kind"] == "records":
        _records(session, ports, step, driver, scope, fixed)
        return position
    if driver["kind"] == "batches":
        return _batches(session, ports, step, driver, scope, fixed, position)
    for name, source in step["inputs"].items():
        if source["from"] == "data":
            rows = scope.data[source["dataset"]]
            fixed[name] = rows.read(source["field"], _chosen(rows, source.get("subset")))
    names = list(step["outputs"])
    for name, array in zip(names, session.run(names, _feed(fixed, ports)), strict=True):
        scope.values[step["outputs"][name]["name"]] = np.asarray(array)
    return position


def _chosen(rows: Rows, subset: Json | None) -> random.Ints:
    """Return the rows of a subset that are there: parts are those of all rows, whatever a join leaves of them."""
    return rows.there(random.subset_rows(len(rows), dict(subset or {})))


def _records(
    session: Any, ports: Mapping[str, Any], step: Json, driver: Json, scope: Scope, fixed: dict[str, Array | None]
) -> None:
    dataset = scope.data[driver["dataset"]]
    rows = _chosen(dataset, driver.get("subset"))
    names = list(step["outputs"])
    judge = scope.judge
    if len(rows) == 0:
        if judge:
            judge(step, np.zeros((0, 0), np.int64), [])
        raise CannotCompute(f"dataset {driver['dataset']} has no row in the part that the task reads")

    def graph(some: random.Ints) -> dict[str, Array]:
        read = {n: dataset.read(s["field"], some) for n, s in step["inputs"].items() if s["from"] == "data"}
        return dict(zip(names, session.run(names, _feed(fixed | read, ports)), strict=True))

    if any(target["to"] == "left" for target in step["outputs"].values()):
        scope.values |= records.run_products(rows, driver, scope.precision, graph, step["outputs"])
        return
    keys = dataset.read({"columns": [driver["unit"]["key"]]}, rows)[:, 0] if "unit" in driver else None
    shared = [text for one in dataset.found if (text := one.shared(rows, keys))]
    see = partial(judge, step, shared=shared) if judge else None
    exact = {name for name, target in step["outputs"].items() if target["name"] in scope.exact}
    for name, value in records.run(rows, driver, scope.precision, graph, keys, see, exact).items():
        scope.values[step["outputs"][name]["name"]] = value


def solve(step: Json, driver: Json, scope: Scope) -> None:
    """Solve ``(a + ridge I) x = b`` (driver ``solve``).

    Raises :class:`Singular` when the matrix is, and ``ValueError`` for numbers that are not finite.
    """
    a, b = (np.asarray(_fixed(step["inputs"][k], scope), np.float64) for k in ("a", "b"))
    matrix = a + driver.get("ridge", 0.0) * np.eye(len(a))
    if not (np.isfinite(matrix).all() and np.isfinite(b).all()):
        raise ValueError("solve: a or b has numbers that are not finite")
    # As the node does, whatever the units of columns are: what is left by rounding alone does not count.
    scaled = matrix / np.maximum(np.abs(matrix).max(1, keepdims=True), np.finfo(float).tiny)
    scaled /= np.maximum(np.abs(scaled).max(0), np.finfo(float).tiny)
    sizes = np.linalg.svd(scaled, compute_uv=False)
    # A pivot is no smaller than the least of these but for what elimination lets grow.
    near = sizes[-1] <= 64 * len(a) * _ROUNDED * sizes[0]
    if near and (column := _dependent(scaled)) is not None:
        raise Singular(
            f"the matrix a is singular: its column {column} (counted from 0) depends on those before it; leave out columns that "
            "follow from others, or raise ridge"
        )
    x = np.linalg.solve(matrix, b)
    scope.values[step["outputs"]["x"]["name"]] = x


def _dependent(matrix: Array) -> int | None:
    """Return the first column that depends on those before it, by elimination with partial pivoting, if there is one."""
    rest, nothing = matrix.copy(), len(matrix) * _ROUNDED
    for p in range(len(rest)):
        best = p + int(np.abs(rest[p:, p]).argmax())
        if not abs(rest[best, p]) > nothing:
            return p
        rest[[p, best]] = rest[[best, p]]
        rest[p + 1 :] -= np.outer(rest[p + 1 :, p] / rest[p, p], rest[p])
    return None


def _fixed(source: Json, scope: Scope) -> Array | None:
    kind = source["from"]
    if kind == "clients":
        return np.asarray(float(scope.clients))
    where = {"variable": scope.variables, "value": scope.values, "sum": scope.sums}.get(kind)
    return None if where is None else where[source["name"]]


def _feed(inputs: Mapping[str, Array | None], ports: Mapping[str, Any]) -> dict[str, Array]:
    out = {}
    for name, dtype in ports.items():
        array = inputs[name]
        assert array is not None, name
        out[name] = np.asarray(array, dtype)
    return out


def _batches(
    session: Any,
    ports: Mapping[str, Any],
    step: Json,
    driver: Json,
    scope: Scope,
    fixed: dict[str, Array | None],
    position: Position,
) -> Position:
    dataset = scope.data[driver["dataset"]]
    walk = Walk(
        _chosen(dataset, driver.get("subset")),
        driver,
        position if driver.get("resume") else Position(),
    )
    names = list(step["outputs"])
    totals: dict[str, Array] = {}
    last: dict[str, Array] = {}
    while (batch := walk.next()) is not None:
        number, rows = batch
        changing = {}
        for name, source in step["inputs"].items():
            if source["from"] == "data":
                changing[name] = dataset.read(source["field"], rows)
            elif source["from"] == "batch_size":
                changing[name] = np.asarray(float(len(rows)))
            elif source["from"] == "noise":
                changing[name] = random.noise(
                    source["distribution"], len(rows), source["shape"], driver.get("seed", 0), number, name
                )
        for name, array in zip(names, session.run(names, _feed(fixed | changing, ports)), strict=True):
            target = step["outputs"][name]
            if target["to"] == "sum":
                more = np.asarray(array, np.float64)
                totals[target["name"]] = totals[target["name"]] + more if target["name"] in totals else more
                continue
            last[target["name"]] = array
            if target["to"] == "carry":
                fixed[target["input"]] = array
    scope.values |= last | totals
    return walk.position if driver.get("resume") else position


class Walk:
    """Goes through passes and batches; ``position`` is always where the next one begins."""

    def __init__(self, rows: random.Ints, driver: Json, position: Position) -> None:
        """Begin at ``position``.

        Raises :class:`TooFewRows` when there is no batch at all.
        """
        self._rows, self._driver, self.position = rows, driver, Position(**vars(position))
        self._size: int = driver["batch_size"]
        (self._unit, self._left), *_ = driver["length"].items()
        if len(rows) == 0 or (driver.get("drop_last") and len(rows) < self._size):
            raise TooFewRows(
                f"{driver['dataset']}: a member has {len(rows)} rows, fewer than one batch of {self._size}"
            )
        if self.position.position > len(rows):
            self.position.position = 0
        if self.position.batches == 0 and (done := driver.get("after")):
            self.position = self._after(done)
        self._order: random.Ints | None = None

    def _after(self, done: Json) -> Position:
        """Where a walk stands that has gone so far already: what the task that it goes on with has done."""
        whole, rest = divmod(len(self._rows), self._size)
        each = max(whole + (rest > 0 and not self._driver.get("drop_last")), 1)
        if (passes := done.get("epochs")) is not None:
            return Position(passes, 0, passes * each)
        count: int = done["iterations"]
        return Position(count // each, count % each * self._size, count)

    def _shuffled(self) -> random.Ints:
        if not self._driver.get("shuffle"):
            return self._rows
        seed = self._driver.get("seed", 0)
        return self._rows[random.permutation(len(self._rows), random.SHUFFLE, seed, self.position.epoch)]

    def _rest(self) -> random.Ints:
        # Drawn when it is needed: after the last pass of a round nobody asks.
        self._order = self._shuffled() if self._order is None else self._order
        rows = self._order[self.position.position :][: self._size]
        return rows[:0] if self._driver.get("drop_last") and len(rows) < self._size else rows

    def next(self) -> tuple[int, random.Ints] | None:
        """Return the number and rows of the next batch, ``None`` at the end of the round."""
        if self._left == 0:
            return None
        if len(self._rest()) == 0:
            self._pass()
        rows, number = self._rest(), self.position.batches
        self.position.position += len(rows)
        self.position.batches += 1
        ended = len(self._rest()) == 0
        if ended:
            self._pass()
        if ended or self._unit == "iterations":
            self._left -= 1
        return number, rows

    def _pass(self) -> None:
        self.position.epoch += 1
        self.position.position = 0
        self._order = None
