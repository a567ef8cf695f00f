"""A task while it is being written: datasets, variables, rounds, graphs, packed at the end into a bundle.

The names are those of ``docs/task.schema.json`` (format ``delta-task/1``). Nothing here looks into a graph, and nothing
here knows PyTorch or pandas: learning, analytics and regression tasks all end up as calls of :class:`Draft`.
``docs/task-format.md`` has an example.
"""

from ._draft import Draft
from ._records import member_noise, records
from ._sources import (
    Json,
    batch_size,
    clients,
    column_i64,
    columns,
    data,
    noise,
    subset,
    total,
    value,
    variable,
)
from ._steps import Map, Reduce, Step, accumulate, carry, certify, left, right, solve

__all__ = [
    "Draft",
    "Json",
    "Map",
    "Reduce",
    "Step",
    "accumulate",
    "batch_size",
    "carry",
    "certify",
    "clients",
    "column_i64",
    "columns",
    "data",
    "left",
    "member_noise",
    "noise",
    "records",
    "right",
    "solve",
    "subset",
    "total",
    "value",
    "variable",
]
