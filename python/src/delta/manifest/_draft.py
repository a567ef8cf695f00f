"""The task itself, from its first dataset to its bundle."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy.typing as npt

from .._shapes import DTYPES
from .._version import __version__
from ..bundle import Bundle
from ..strategy import Strategy
from . import _records
from ._sources import Json
from ._steps import Map, Reduce

Array = npt.NDArray[Any]
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}\Z")


class Draft:
    """A task under construction.

    What no node would take is refused as soon as it is added.

    Parameters
    ----------
    name : str
        The task's display name.
    strategy : Strategy
        How its rounds are run.
    kind : {"horizontal", "hlr"}
        ``hlr`` for logistic regressions, else ``horizontal``.
    description : str
        Read by the owners of the data.

    Attributes
    ----------
    outputs : list of str
        Server variables that are the task's result; to be set before :meth:`build`.
    options : dict
        Further entries of the manifest, which nodes ignore; ``options["result"]`` says how the result is read, see
        :mod:`delta.results`.
    datasets, variables, graphs, arrays : dict
        What was declared so far, by name.
    rounds : list of dict
        The rounds so far.
    authoring : dict of str to str
        Versions of what made the task.
    enable_verify : bool
        Whether a proof of the result is asked for.
    """

    def __init__(
        self, name: str, strategy: Strategy, *, kind: Literal["horizontal", "hlr"] = "horizontal", description: str = ""
    ) -> None:
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

    def table(
        self, name: str, columns: Sequence[str], header: bool = True, types: Mapping[str, Json] | None = None
    ) -> None:
        """Declare a dataset of rows and named columns; columns declared before are kept.

        Parameters
        ----------
        name : str
            The file's name at the nodes.
        columns : sequence of str
            The columns that are read.
        header : bool
            Whether the first line of the file holds the names.
        types : mapping of str to dict, optional
            Of columns that are no numbers, see :attr:`delta.dataset.DataFrame.types`.

        Raises
        ------
        ValueError
            A column was declared with another type before.
        """
        known = self.datasets.setdefault(name, {"kind": "table", "columns": []} | ({} if header else {"header": False}))
        before = set(known["columns"])
        known["columns"] += [c for c in columns if c not in known["columns"]]
        for column in columns:
            kind, was = (types or {}).get(column), known.get("types", {}).get(column)
            if column in before and kind != was:
                raise ValueError(f"{name}: column {column!r} is declared twice, with different types")
            if kind is not None:
                known.setdefault("types", {})[column] = dict(kind)

    def join(
        self,
        name: str,
        other: str,
        key: str,
        columns: Sequence[str],
        *,
        how: Literal["left", "inner"] = "left",
        right_key: str | None = None,
    ) -> None:
        """Let the rows of a table look up columns of another; both are declared before.

        Parameters
        ----------
        name : str
            The table whose rows look up.
        other : str
            The table in which they do: each finds at most one row.
        key : str
            The column that is compared; it need not be declared.
        columns : sequence of str
            Columns of ``other`` that are read as columns of ``name``; to those of the same join declared before they are added.
        how : {"left", "inner"}
            Whether rows that find none are kept, with missing values, or are left out.
        right_key : str, optional
            The key's name in ``other``, if it is another one.

        Raises
        ------
        ValueError
            A table or column is not declared, or the same join was declared with another ``how``.
        """
        for table in (name, other):
            if self.datasets.get(table, {}).get("kind") != "table":
                raise ValueError(f"join: the task has no table {table!r}; declare it first")
        if absent := [c for c in columns if c not in self.datasets[other]["columns"]]:
            raise ValueError(f"join: {other} does not declare a column {absent[0]!r}")
        made: Json = {"dataset": other, "key": key} | ({} if right_key in (None, key) else {"right_key": right_key})
        joins = self.datasets[name].setdefault("joins", [])
        known = next((j for j in joins if all(j.get(f) == made.get(f) for f in ("dataset", "key", "right_key"))), None)
        if known is None:
            joins.append(made | {"how": how, "columns": list(columns)})
        elif known["how"] != how:
            raise ValueError(f"join: {name} is joined with {other} by {key!r} already, as {known['how']!r}")
        else:
            known["columns"] += [c for c in columns if c not in known["columns"]]

    def samples(self, name: str, shape: Sequence[int], classes: Sequence[str] = ()) -> None:
        """Declare a dataset of samples.

        Parameters
        ----------
        name : str
            The file's or folder's name at the nodes.
        shape : sequence of int
            Of one sample.
        classes : sequence of str
            The names of the classes in the order of the labels, when samples have labels.
        """
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
        """Declare a variable, with its initial value, or with shape and dtype and zeros.

        Parameters
        ----------
        name : str
            A letter or ``_``, then letters, digits, ``_``, ``.`` and ``-``; at most 128.
        location : {"server", "client"}
            At the coordinator, or at each member privately.
        initial : ndarray, optional
            The initial value; its shape and dtype are the variable's.
        shape : sequence of int
            Without an initial value, the shape.
        dtype : str
            Without an initial value: ``f32``, ``f64``, ``i32``, ``i64``, ``u8`` or ``bool``.

        Returns
        -------
        str
            The name.

        Raises
        ------
        ValueError
            The name is none or is taken, or tasks do not have the dtype.
        """
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
        """Add a graph; the same bytes are kept once.

        Parameters
        ----------
        name : str
            What its file is called: letters, digits, ``_``, ``.`` and ``-``.
        model : bytes
            The ONNX file.

        Returns
        -------
        str
            The file's name in the bundle, for steps.

        Raises
        ------
        ValueError
            The name is none or is taken.
        """
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

    def round(
        self,
        map: Map,
        reduce: Reduce,
        repeat: int = 1,
        *,
        cohort: Literal["same"] | None = None,
        certify: Json | None = None,
    ) -> None:
        """Append a round.

        Parameters
        ----------
        map : Map
            At the members.
        reduce : Reduce
            At the coordinator.
        repeat : int
            How often in a row.
        cohort : {"same"}, optional
            The sum is over exactly the members of the round before, in each repetition too; a task ends that cannot have
            them. Rounds need it that combine their sums with those of earlier rounds. By default each round may have other
            members.
        certify : dict, optional
            What members prove in this round, which is the last one and sums nothing; see :func:`certify`.

        Raises
        ------
        ValueError
            A step asks of the driver ``records`` what no node would do, or the first round is to have the members of the one
            before.
        """
        if cohort not in (None, "same"):
            raise ValueError(f"cohort={cohort!r}: must be 'same', or be left out")
        if cohort and not self.rounds:
            raise ValueError("cohort='same': the first round of a task has no round before it; add it once without")
        made: Json = ({"repeat": repeat} if repeat != 1 else {}) | ({"cohort": cohort} if cohort else {})
        made |= {"certify": certify} if certify else {}
        made |= {"map": map.json(), "reduce": reduce.json()}
        for step in made["map"]["steps"]:
            if step.get("driver", {}).get("kind") == "records":
                _records.check(step, self.datasets, self.variables, self.strategy.precision)
        _records.check_map(made["map"], self.strategy.precision)
        if any(step.get("driver", {}).get("kind") == "records" for step in made["reduce"]["steps"]):
            raise ValueError("records: the coordinator has no data; use the driver in a map")
        self.rounds.append(made)

    def build(self) -> Bundle:
        """Pack everything.

        Returns
        -------
        Bundle
            The task.

        Raises
        ------
        ValueError
            There is no round or no output.
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
