"""Tasks of a formula: a class of task whose tables and columns are what the formula reads."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ..dataset import DataFrame as Table
from ..pandas import DataFrame
from . import _factors as factors
from . import _formula
from ._design import designed, kinds
from ._factors import FormulaError

T = TypeVar("T")


def task_of(
    kind: type[T],
    formula: str,
    data: str | Table,
    *,
    levels: Mapping[str, Sequence[Any]],
    subset: str | None,
    more: Mapping[str, str],
    options: Mapping[str, Any] | None,
    arguments: Mapping[str, Any],
) -> T:
    """Make a task; see :meth:`RegressionTask.from_formula`."""
    left, _ = _formula.terms(formula)
    if left is None:
        raise FormulaError(f"formula {formula!r}: say what is explained, 'y ~ ...'")
    extra = [*more.values(), *([] if subset is None else [subset])]
    if strange := [v for v in extra if not isinstance(v, str)]:
        raise FormulaError(f"from_formula: {strange[0]!r}: name a column, or write an expression of columns as a text")
    table = _table(formula, data, levels, extra)
    numeric = {c: v for c, v in levels.items() if c not in table.all_types}

    def preprocess(self: Any, data: DataFrame) -> tuple[Any, ...]:
        if subset is not None:
            data = data[factors.value(subset, _formula.Frame(data))]
        frame = _formula.Frame(data)
        left, right = _formula.terms(formula)
        made = designed(right, kinds(frame, numeric))
        self.design = _formula.spec_of(formula, made)
        x, y = _formula.columns(made, data), _formula.explained(str(left), frame)
        beside = {name: factors.value(of, frame) for name, of in more.items()}
        return (x, y, beside) if beside else (x, y)

    methods: dict[str, Any] = {"dataset": lambda self: {"data": table}, "preprocess": preprocess}
    if options is not None:
        methods["options"] = lambda self: dict(options)
    made = type(kind.__name__, (kind,), methods | {"__module__": kind.__module__, "__doc__": kind.__doc__})
    task: T = made(**({"name": formula} | dict(arguments)))
    return task


def _table(formula: str, data: str | Table, levels: Mapping[str, Sequence[Any]], more: Sequence[str]) -> Table:
    texts = {c: list(v) for c, v in levels.items() if any(isinstance(one, str) for one in v)}
    if isinstance(data, Table):
        if twice := [c for c in texts if c in data.names and data.all_types.get(c, {}).get("levels") != texts[c]]:
            raise FormulaError(
                f"from_formula: declare the levels of {twice[0]!r} with the table, DataFrame(..., levels=...)"
            )
        return data
    if not isinstance(data, str):
        raise FormulaError(
            f"from_formula: data is a {type(data).__name__}; give the table's name at the nodes, such as 'patients.csv', or a "
            "delta.dataset.DataFrame"
        )
    columns = _formula.columns_of(formula, more)
    # Levels of many formulas may be one dict; a name that is nearly a column's is a slip.
    for other in (c for c in levels if c not in columns):
        if difflib.get_close_matches(other, [c for c in columns if c not in levels], 1, 0.75):
            raise factors.no_column(other, columns)
    return Table(data, columns=columns, levels={c: v for c, v in texts.items() if c in columns})
