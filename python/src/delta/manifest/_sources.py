"""Where a graph's input comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

Json = dict[str, Any]
"""A piece of ``task.json``."""


def variable(name: str) -> Json:
    """Read a variable: in a map the server's or this member's, in a reduce the server's.

    Parameters
    ----------
    name : str
        As declared with :meth:`Draft.variable`.

    Returns
    -------
    dict
        The source, for a step's ``inputs``.
    """
    return {"from": "variable", "name": name}


def value(name: str) -> Json:
    """Read a value made by an earlier step of the same map or reduce.

    Parameters
    ----------
    name : str
        As in that step's ``outputs``.

    Returns
    -------
    dict
        The source, for a step's ``inputs``.
    """
    return {"from": "value", "name": name}


def total(name: str) -> Json:
    """Read the sum of a contribution over the members (reduces only).

    Parameters
    ----------
    name : str
        As in the map's ``contribute``.

    Returns
    -------
    dict
        The source, for a step's ``inputs``.
    """
    return {"from": "sum", "name": name}


def clients() -> Json:
    """Read how many members contributed, one ``f64`` (reduces only).

    Returns
    -------
    dict
        The source, for a step's ``inputs``.
    """
    return {"from": "clients"}


def batch_size() -> Json:
    """Read the number of rows of the current batch, one ``f64`` (driver ``batches``).

    Returns
    -------
    dict
        The source, for a step's ``inputs``.
    """
    return {"from": "batch_size"}


def noise(distribution: Literal["uniform", "normal"], shape: Sequence[int]) -> Json:
    """Draw ``f32`` numbers, a block for each row, the same on every runtime (driver ``batches``).

    Parameters
    ----------
    distribution : {"uniform", "normal"}
        On [0, 1), or with mean 0 and variance 1.
    shape : sequence of int
        Of one block; the graph gets ``[rows, *shape]``.

    Returns
    -------
    dict
        The source, for a step's ``inputs``.
    """
    return {"from": "noise", "distribution": distribution, "shape": [int(d) for d in shape]}


def data(dataset: str, field: str | Json, subset: Json | None = None) -> Json:
    """Read local data.

    Parameters
    ----------
    dataset : str
        A dataset of the task, by its name at the nodes.
    field : str or dict
        ``"x"`` (``f32 [rows, *shape]``) or ``"y"`` (``i64 [rows]``) of samples; :func:`columns` or :func:`column_i64` of a
        table.
    subset : dict, optional
        Which rows, from :func:`subset`; by default all.

    Returns
    -------
    dict
        The source, for a step's ``inputs``.
    """
    return {"from": "data", "dataset": dataset, "field": field} | ({"subset": subset} if subset else {})


def columns(names: Sequence[str], dtype: Literal["f64", "f32"] = "f64") -> Json:
    """Select columns of a table, ``[rows, len(names)]``.

    Parameters
    ----------
    names : sequence of str
        The columns, in this order.
    dtype : {"f64", "f32"}
        What the graph gets.

    Returns
    -------
    dict
        A ``field`` for :func:`data`.
    """
    return {"columns" if dtype == "f64" else "columns_f32": list(names)}


def column_i64(name: str) -> Json:
    """Select one column of a table as whole numbers, ``i64 [rows]``.

    Parameters
    ----------
    name : str
        The column.

    Returns
    -------
    dict
        A ``field`` for :func:`data`.
    """
    return {"column_i64": name}


def subset(start: float = 0.0, end: float = 1.0, seed: int = 0, part: Literal["train", "val"] | None = None) -> Json:
    """Select some rows.

    Parameters
    ----------
    start, end : float
        From this fraction of the rows to that one, 0 to 1.
    seed : int
        Of the order in which rows are counted; 0 is the file's order.
    part : {"train", "val"}, optional
        Only rows of this part of a dataset that has parts.

    Returns
    -------
    dict
        For :func:`data` and the driver ``batches``.
    """
    return {"from": start, "to": end, "seed": seed} | ({"part": part} if part else {})
