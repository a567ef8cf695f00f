"""Formulas as statsmodels and R have them: ``y ~ x1 + C(group) + x1:x2 + np.log(x3) + I(x**2)``."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _given
from .. import manifest as m
from ..pandas import DataFrame, Series
from . import _factors as factors
from ._design import Design, Part, designed, kinds
from ._factors import FormulaError
from ._splines import Spline, spline_of

Array = npt.NDArray[np.float64]
_MOST = 4096
_LARGEST = float(np.finfo(np.float64).max)


class Frame(Mapping[str, Any]):
    """Columns of rows at the nodes, by name."""

    def __init__(self, data: DataFrame) -> None:
        self._data = data

    def __getitem__(self, name: str) -> Any:
        if name not in self.names:
            raise KeyError(name)
        return self._data[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    @functools.cached_property
    def names(self) -> list[str]:
        """All of them."""
        return [str(c) for c in self._data.columns]


class Here(Frame):
    """Columns of rows that are here."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self.names = [str(c) for c in (data.columns if hasattr(data, "columns") else data)]

    def __getitem__(self, name: str) -> Any:
        found = self.read(name)
        if getattr(getattr(found, "dtype", None), "kind", "") in "Mm":
            raise FormulaError(
                f"{name!r} has dates or times, and a formula takes numbers and levels: make a column of what is meant"
            )
        return found

    def read(self, name: str) -> Any:
        """Return a column, whatever it has."""
        found = self._data[name] if name in self.names else super().__getitem__(name)
        return found.reset_index(drop=True) if hasattr(found, "reset_index") else np.asarray(found)


def terms(formula: str) -> tuple[str | None, list[list[str]]]:
    """Return what is explained, and the terms that explain it, each a product of expressions.

    Raises ``ImportError`` without formulaic, and :class:`FormulaError` for what is no formula.
    """
    try:
        from formulaic.errors import FormulaicError
        from formulaic.parser import DefaultFormulaParser
    except ImportError:
        raise ImportError(
            "formulas need formulaic: pip install 'delta-node-sdk[formula]', or pip install formulaic"
        ) from None
    if not isinstance(formula, str):
        raise FormulaError(f"formula={formula!r}: must be a text, such as 'y ~ x1 + C(group)'")
    try:
        parsed = DefaultFormulaParser(include_intercept=True).get_terms(formula)
        sides = [_side(getattr(parsed, s)) for s in ("lhs", "rhs")] if hasattr(parsed, "lhs") else [None, _side(parsed)]
    except (FormulaicError, AttributeError, SyntaxError, NotImplementedError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else "it cannot be read"
        if isinstance(error, AttributeError):
            first = "| and the like have no meaning here; terms are joined by + : * / - **"
        elif "`.` operator" in first:
            first = "the columns are not known beforehand: name each of them instead of ."
        raise FormulaError(f"formula {formula!r}: {first}") from None
    left, right = sides
    if left is not None and (len(left) != 1 or len(left[0]) != 1):
        raise FormulaError(f"formula {formula!r}: one column or expression stands before the ~")
    if not right:
        raise FormulaError(f"formula {formula!r}: nothing stands behind the ~")
    return (left[0][0] if left else None), right


def _side(found: Any) -> list[list[str]]:
    made: list[list[str]] = []
    for term in found:
        literal = [f.expr for f in term.factors if f.eval_method.name == "LITERAL"]
        if any(v != "1" for v in literal):
            raise FormulaError(f"{term}: numbers stand within I(...), such as I(2 * x)")
        made.append([f.expr for f in term.factors if f.eval_method.name != "LITERAL"])
    return made


def columns_of(formula: str, more: Sequence[str] = ()) -> list[str]:
    """Return the columns that a formula and further expressions read, in their order."""
    left, right = terms(formula)
    every = [*([] if left is None else [left]), *(f for term in right for f in term), *more]
    return list(dict.fromkeys(n for f in every for n in sorted(factors.names(f))))


def design(
    formula: str,
    data: Any,
    *,
    levels: Mapping[str, Sequence[Any]] | None = None,
    intercept: bool = True,
) -> Any:
    """Make the columns of a formula, as ``patsy.dmatrices`` and ``formulaic.model_matrix``, for ``preprocess``.

    A formula has columns, numbers within ``I(...)``, ``+ - * / **`` and comparisons, functions of numpy (``np.log(x)``), products
    ``a:b`` and ``a*b``, ``C(x, levels=[...])`` with ``Treatment("b")`` or ``Sum``, ``Q("odd name")``, and
    ``bs(x, knots=[...], lower_bound=..., upper_bound=...)``. Columns of texts are categorical, of the levels that the table
    declares. There is a constant unless ``- 1`` or ``+ 0`` is in it. Whatever would need all rows is refused.

    Parameters
    ----------
    formula : str
        ``"y ~ x1 + C(group)"``, or ``"~ x1 + C(group)"`` for columns alone.
    data : delta.pandas.DataFrame, pandas.DataFrame or mapping
        Rows of the members; or rows that are here, of which an array is made.
    levels : mapping of str to sequence, optional
        Levels by column, of those that are not declared with the table; numbers, too.
    intercept : bool
        Whether the constant is kept; without it categorical variables are still compared with a level, as Cox's model needs it.

    Returns
    -------
    DataFrame, or (DataFrame, Series)
        The columns, named as in statsmodels; before them of rows that are here a ``pandas.DataFrame``. With a ``y`` both:
        ``(x, y)``, as ``preprocess`` returns them. A row whose level is none of the declared is infinite there, so that the task
        refuses it; a missing value stays missing.

    Raises
    ------
    ValueError
        A term cannot be computed by nodes, or names no column; the text says what to write instead.
    ImportError
        ``formulaic`` is missing.

    Examples
    --------
    >>> import pandas
    >>> list(design("~ a + C(g, levels=[1, 2])", pandas.DataFrame({"a": [1.0, 2.0], "g": [1, 2]})).columns)
    ['Intercept', 'C(g, levels=[1, 2])[T.2]', 'a']
    """
    declared = {str(k): list(v) for k, v in (levels or {}).items()}
    left, right = terms(formula)
    if isinstance(data, DataFrame):
        frame = Frame(data)
        made = [(n, p) for n, p in designed(right, kinds(frame, declared)) if intercept or p]
        x = columns(made, data)
        return x if left is None else (x, explained(left, frame))
    import pandas

    here = Here(data)
    made = [(n, p) for n, p in designed(right, kinds(_Sample(here), declared)) if intercept or p]
    x = pandas.DataFrame(
        matrix(made, here, _rows(data)), columns=[n for n, _ in made], index=getattr(data, "index", None)
    )
    if left is None:
        return x
    y = _given.numbers("formula", left, factors.value(left, here))
    return x, pandas.Series(y, name=left, index=x.index)


class _Sample(Here):
    """What columns that are here would be at nodes, to find out what they are."""

    def __init__(self, here: Here) -> None:
        from ..pandas.symbolic import table

        types = {}
        for name in here:
            values = np.asarray(here.read(name))
            if values.dtype.kind in "OUST":
                texts = sorted({str(v) for v in values if isinstance(v, str)})
                types[name] = {"type": "category", "levels": texts or ["-", "+"]}
        self._frame = Frame(table("rows", list(here), types))
        self.names = list(here)

    def __getitem__(self, name: str) -> Any:
        return self._frame[name]


def _rows(data: Any) -> int:
    return len(data) if hasattr(data, "columns") else len(next(iter(data.values())))


def explained(expression: str, frame: Mapping[str, Any]) -> Series:
    """Return what is explained, as a series of numbers."""
    found = factors.value(expression, frame)
    if isinstance(getattr(found, "levels", None), list):
        raise FormulaError(f"{expression!r} has levels; write I({expression} == {found.levels[0]!r}), which is 0 or 1")
    if not isinstance(found, Series):
        raise FormulaError(f"{expression!r} is no column of numbers")
    made: Series = (found.astype(float) if found.dtype == "bool" else found).rename(expression)
    return made


def columns(made: Design, data: DataFrame) -> DataFrame:
    """Return the columns of rows at the nodes."""
    if len(made) > _MOST:
        raise FormulaError(f"the formula has {len(made)} columns; nodes solve for {_MOST} at most")
    frame = Frame(data)
    whole: dict[str, Any] = {name: _column(parts, frame) for name, parts in made}
    x: DataFrame = data.assign(**whole)[list(whole)]
    return x


def _column(parts: Sequence[Part], frame: Frame) -> Any:
    out: Any = 1.0
    undeclared: list[Any] = []
    missing: list[Any] = []
    for part in parts:
        if part.place is not None:
            spline, x = _spline(part, frame)
            undeclared.append(spline.outside(x))
            out = spline.values(x, lambda inside: inside.astype(float))[part.place] * out
            continue
        found = factors.value(part.of, frame)
        if part.levels is None:
            number = found.astype(float) if found.dtype == "bool" else found
            if len(parts) > 1:
                undeclared.append(number.abs() > _LARGEST)
            out = number * out
            continue
        if isinstance(found, Series) and found.dtype == "bool":
            here = {level: found if level else ~found for level in part.levels}
        else:
            here = {level: found == level for level in part.levels}
            missing.append(found.isna())
            undeclared.append(found.notna() & ~functools.reduce(operator.or_, here.values()))
        numbers = [here[v].astype(float) * n for v, n in zip(part.levels, part.numbers, strict=True) if n]
        out = functools.reduce(operator.add, numbers) * out
    # Products of what is not there would be 0, or missing: nobody would hear of it.
    for cond in undeclared:
        out = out.mask(cond, float("inf"))
    for cond in missing:
        out = out.mask(cond)
    return out


def _spline(part: Part, frame: Mapping[str, Any]) -> tuple[Spline, Any]:
    called = factors.call_of(part.of)
    if called is None or called[0] != "bs":
        raise FormulaError(f"{part.of}: no spline")
    spline = spline_of(called[1])
    return spline, factors.value(spline.of, frame)


def matrix(made: Design, here: Mapping[str, Any], rows: int) -> Array:
    """Return the columns of rows that are here, ``[rows, columns]``.

    Raises ``ValueError`` for a value that is no declared level.
    """
    out = np.empty((rows, len(made)))
    for i, (_, parts) in enumerate(made):
        column = np.ones(rows)
        for part in parts:
            column = column * _values(part, here)
        out[:, i] = column
    return out


def _values(part: Part, here: Mapping[str, Any]) -> Array:
    if part.place is not None:
        spline, x = _spline(part, here)
        x = _given.numbers("formula", spline.of, x)
        if np.any(spline.outside(x)):
            raise FormulaError(f"{part.of}: a value is outside the bounds")
        return np.asarray(spline.values(x, lambda inside: np.asarray(inside, np.float64))[part.place])
    found = factors.value(part.of, here)
    if part.levels is None:
        return _given.numbers("formula", part.of, found)
    values = np.asarray(found)
    missing = np.array([v is None or v != v or type(v).__name__ == "NAType" for v in values.ravel().tolist()])
    out, known = np.where(missing, np.nan, 0.0), missing.copy()
    for level, number in zip(part.levels, part.numbers, strict=True):
        is_level = np.array([not gap and v == level for v, gap in zip(values.ravel().tolist(), missing, strict=True)])
        out[is_level], known = number, known | is_level
    if not known.all():
        raise FormulaError(f"{part.of}: {values.ravel()[~known][0]!r} is none of the levels {list(part.levels)}")
    return out


def spec_of(formula: str, made: Design) -> m.Json:
    """Return what a result must know to predict of the columns that the formula reads."""
    parts: list[Any] = [[name, [p.json() for p in factors_]] for name, factors_ in made]
    return {"formula": formula, "columns": parts}


def checked_words(spec: Mapping[str, Any]) -> str:
    """Say which rows cannot be explained for their levels or bounds."""
    parts = [p for _, each in spec["columns"] for p in each]
    levels = dict.fromkeys(p["of"] for p in parts if "levels" in p and set(p["levels"]) != {False, True})
    words = [f"a level of {', '.join(levels)} that is not declared"] if levels else []
    words += ["a value outside the bounds of bs()"] if any("place" in p for p in parts) else []
    return "".join(f", {w}" for w in words)


def predictors(spec: Mapping[str, Any], rows: Any) -> Array | None:
    """Return ``[rows, columns]`` of rows with the columns that a formula reads; None where these are not there."""
    made = [(str(name), [Part.of_json(p) for p in parts]) for name, parts in spec["columns"]]
    if not hasattr(rows, "columns") and not isinstance(rows, Mapping):
        return None
    here = Here(rows)
    if sorted(n for n, _ in made) == sorted(here.names):
        return None
    try:
        return matrix(made, here, _rows(rows))
    except FormulaError as error:
        raise FormulaError(f"predict: {error}") from None
