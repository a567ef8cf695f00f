"""A task while it is being written: datasets, variables, rounds, graphs, packed at the end into a bundle.

The names are those of ``docs/task.schema.json`` (format ``delta-task/1``). Nothing here looks into a graph, and nothing
here knows PyTorch or pandas: learning, analytics and regression tasks all end up as calls of :class:`Draft`.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy.typing as npt

from ._version import __version__
from .bundle import Bundle
from .strategy import Strategy

Json = dict[str, Any]
"""A piece of ``task.json``."""
Array = npt.NDArray[Any]
DTYPES: dict[str, str] = {
    "float32": "f32",
    "float64": "f64",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
    "bool": "bool",
}
"""numpy's names to the manifest's."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}\Z")


# ---------------------------------------------------------------- where a graph's input comes from


def variable(name: str) -> Json:
    """Read a variable: in a map the server's or this member's, in a reduce the server's."""
    return {"from": "variable", "name": name}


def value(name: str) -> Json:
    """Read a value made by an earlier step of the same map or reduce."""
    return {"from": "value", "name": name}


def total(name: str) -> Json:
    """Read the sum of a contribution over the members (reduces only)."""
    return {"from": "sum", "name": name}


def clients() -> Json:
    """Read how many members contributed, one ``f64`` (reduces only)."""
    return {"from": "clients"}


def batch_size() -> Json:
    """Read the number of rows of the current batch, one ``f64`` (driver ``batches``)."""
    return {"from": "batch_size"}


def noise(distribution: Literal["uniform", "normal"], shape: Sequence[int]) -> Json:
    """Random ``f32`` numbers, one block of ``shape`` for each row (driver ``batches``)."""
    return {"from": "noise", "distribution": distribution, "shape": [int(d) for d in shape]}


def data(dataset: str, field: str | Json, subset: Json | None = None) -> Json:
    """Read local data: ``field`` is ``"x"``, ``"y"``, :func:`columns` or :func:`column_i64`."""
    return {"from": "data", "dataset": dataset, "field": field} | ({"subset": subset} if subset else {})


def columns(names: Sequence[str], dtype: Literal["f64", "f32"] = "f64") -> Json:
    """Select columns of a table as ``[rows, len(names)]``."""
    return {"columns" if dtype == "f64" else "columns_f32": list(names)}


def column_i64(name: str) -> Json:
    """Select one column of a table as whole numbers, ``i64 [rows]``."""
    return {"column_i64": name}


def subset(start: float = 0.0, end: float = 1.0, seed: int = 0, part: Literal["train", "val"] | None = None) -> Json:
    """Select some rows: from one fraction to another in an order drawn from ``seed`` (0: the file's order)."""
    return {"from": start, "to": end, "seed": seed} | ({"part": part} if part else {})


# ---------------------------------------------------------------- what becomes of a graph's output


def carry(input: str, name: str) -> Json:
    """Feed the output into ``input`` for the next batch; the last one becomes the value ``name``."""
    return {"to": "carry", "input": input, "name": name}


def accumulate(name: str) -> Json:
    """Add the output up over the batches, as ``f64``."""
    return {"to": "sum", "name": name}


def solve(ridge: float = 0.0) -> Json:
    """Solve ``(a + ridge I) x = b`` at the coordinator: a driver of reduce steps that have no graph."""
    return {"kind": "solve"} | ({"ridge": ridge} if ridge else {})


@dataclass
class Step:
    """One graph under one driver; ``outputs`` maps a graph output to a value's name, :func:`carry` or :func:`accumulate`.

    Under the driver :func:`solve` there is no graph; inputs are ``a`` (``f64 [n, n]``) and ``b`` (``f64 [n]`` or
    ``[n, k]``), the output is ``x``.
    """

    graph: str | None
    inputs: Mapping[str, Json]
    outputs: Mapping[str, str | Json]
    driver: Json | None = None
    graph_onnxruntime: str | None = None

    def json(self) -> Json:
        """Return the step as it stands in ``task.json``."""
        target = {k: {"to": "value", "name": v} if isinstance(v, str) else v for k, v in self.outputs.items()}
        out: Json = {"graph": self.graph} if self.graph else {}
        if self.graph_onnxruntime:
            out["graph_onnxruntime"] = self.graph_onnxruntime
        if self.driver:
            out["driver"] = self.driver
        return out | {"inputs": dict(self.inputs), "outputs": target}


@dataclass
class Map:
    """What each member does in a round; ``contribute`` is ``(value, dtype, shape)``, the only things that leave the node."""

    steps: Sequence[Step]
    contribute: Sequence[tuple[str, str, Sequence[int]]]
    assign: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Json:
        """Return the map as it stands in ``task.json``."""
        out: Json = {"steps": [s.json() for s in self.steps]}
        if self.assign:
            out["assign"] = dict(self.assign)
        out["contribute"] = [{"name": n, "dtype": t, "shape": [int(d) for d in s]} for n, t, s in self.contribute]
        return out


@dataclass
class Reduce:
    """What the coordinator does with the sums; ``stop`` names a value that ends the task early when it is not 0."""

    steps: Sequence[Step]
    assign: Mapping[str, str]
    metrics: Mapping[str, str] = field(default_factory=dict)
    stop: str | None = None

    def json(self) -> Json:
        """Return the reduce as it stands in ``task.json``."""
        out: Json = {"steps": [s.json() for s in self.steps], "assign": dict(self.assign)}
        if self.metrics:
            out["metrics"] = dict(self.metrics)
        if self.stop:
            out["stop"] = self.stop
        return out


class Draft:
    """A task under construction.

    Raises ``ValueError`` as soon as something is added that no node would take: a name with strange characters, a variable
    or graph declared twice, a dtype that tasks do not have.
    """

    def __init__(
        self, name: str, strategy: Strategy, *, kind: Literal["horizontal", "hlr"] = "horizontal", description: str = ""
    ) -> None:
        """Begin an empty task."""
        self.name, self.strategy, self.kind, self.description = name, strategy, kind, description
        self.datasets: dict[str, Json] = {}
        self.variables: dict[str, Json] = {}
        self.rounds: list[Json] = []
        self.outputs: list[str] = []
        self.options: Json = {}
        self.authoring: dict[str, str] = {"delta-node-sdk": __version__, "python": platform.python_version()}
        self.graphs: dict[str, bytes] = {}
        self.arrays: dict[str, Array] = {}
        self.enable_verify = False

    def table(self, name: str, columns: Sequence[str], header: bool = True) -> None:
        """Declare a dataset of rows and named columns; columns declared before are kept."""
        known = self.datasets.setdefault(name, {"kind": "table", "columns": []} | ({} if header else {"header": False}))
        known["columns"] += [c for c in columns if c not in known["columns"]]

    def samples(self, name: str, shape: Sequence[int], classes: Sequence[str] = ()) -> None:
        """Declare a dataset of samples of one shape, with class names in label order when samples have labels."""
        self.datasets[name] = {"kind": "samples", "shape": [int(d) for d in shape]} | (
            {"classes": list(classes)} if classes else {}
        )

    def variable(
        self,
        name: str,
        location: Literal["server", "client"],
        initial: Array | None = None,
        *,
        shape: Sequence[int] = (),
        dtype: str = "f64",
    ) -> str:
        """Declare a variable, with its initial value or with shape and dtype (then zeros); return its name."""
        if not NAME.match(name):
            raise ValueError(f"variable {name!r}: a name is a letter or '_' and then letters, digits, '_', '.' or '-'")
        if name in self.variables:
            raise ValueError(f"variable {name!r} is declared twice")
        spec: Json = {"location": location, "dtype": dtype, "shape": [int(d) for d in shape]}
        if initial is not None:
            if initial.dtype.name not in DTYPES:
                raise ValueError(f"variable {name!r}: tasks have no {initial.dtype}; use one of {', '.join(DTYPES)}")
            spec |= {"dtype": DTYPES[initial.dtype.name], "shape": list(initial.shape)}
            if initial.any():
                spec["init"] = f"arrays/{name}.npy"
                self.arrays[spec["init"]] = initial
        self.variables[name] = spec
        return name

    def graph(self, name: str, model: bytes) -> str:
        """Add a graph and return the file name that steps use; the same bytes are kept once."""
        for file, known in self.graphs.items():
            if known == model:
                return file
        file = f"graphs/{name}.onnx"
        if not NAME.match(name) or file in self.graphs:
            raise ValueError(
                f"graph {name!r}: the name is taken, or has characters other than letters, digits, '_', '.' and '-'"
            )
        self.graphs[file] = model
        return file

    def round(self, map: Map, reduce: Reduce, repeat: int = 1) -> None:
        """Append a round, or the same round several times."""
        self.rounds.append(({"repeat": repeat} if repeat != 1 else {}) | {"map": map.json(), "reduce": reduce.json()})

    def build(self) -> Bundle:
        """Pack everything.

        Raises ``ValueError`` when there is no round or no output.
        """
        if not self.rounds or not self.outputs:
            raise ValueError(f"task {self.name!r} computes nothing: it has no round or no output")
        manifest: Json = {"format": "delta-task/1", "name": self.name, "type": self.kind}
        if self.description:
            manifest["description"] = self.description
        manifest |= {
            "authoring": self.authoring,
            "datasets": self.datasets,
            "strategy": self.strategy.json(),
            "variables": self.variables,
            "rounds": self.rounds,
            "outputs": self.outputs,
        }
        if self.enable_verify:
            manifest["enable_verify"] = True
        if self.options:
            manifest["options"] = self.options
        return Bundle.pack(manifest, self.graphs, self.arrays)
