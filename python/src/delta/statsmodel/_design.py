"""From a formula to columns: which ones there are, what they are called, and their values.

Columns are in the order of statsmodels' formulas, and have their names. A categorical variable has a column for each level where
nothing before spans what its terms do together, and else one fewer: of the terms' subsets of variables those that are new are
kept, and one that lacks a single variable of another is taken up by it, whose variable then has all its levels.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .. import manifest as m
from ..pandas import Series
from . import _factors as factors
from ._factors import FormulaError
from ._splines import Spline, spline_of


@dataclass(frozen=True)
class Coding:
    """A categorical variable.

    Parameters
    ----------
    of : str
        The expression of its values.
    levels : tuple
        Texts, numbers, or False and True.
    kind : {"treatment", "sum"}
        What a column says of each level.
    base : int
        The level that others are compared with; of ``"sum"`` the one that is left out.
    """

    of: str
    levels: tuple[Any, ...]
    kind: str = "treatment"
    base: int = 0

    def columns(self, full: bool) -> list[tuple[str, list[float]]]:
        """Return what stands in brackets behind the name, and each level's number, column by column."""
        count = len(self.levels)
        each = [(i, [float(i == j) for j in range(count)]) for i in range(count)]
        if self.kind == "treatment":
            if full:
                return [(f"[{self.levels[i]}]", row) for i, row in each]
            return [(f"[T.{self.levels[i]}]", row) for i, row in each if i != self.base]
        made = [
            (f"[S.{self.levels[i]}]", [-1.0 if j == self.base else v for j, v in enumerate(row)])
            for i, row in each
            if i != self.base
        ]
        return [("[mean]", [1.0] * count), *made] if full else made


class Part(NamedTuple):
    """One factor of a column: an expression; by levels, where there are some; or one of a spline's columns."""

    of: str
    levels: tuple[Any, ...] | None = None
    numbers: tuple[float, ...] = ()
    place: int | None = None

    def json(self) -> m.Json:
        """Return it as a manifest has it."""
        made: m.Json = {"of": self.of}
        if self.levels is not None:
            made |= {"levels": list(self.levels), "numbers": list(self.numbers)}
        return made | ({} if self.place is None else {"place": self.place})

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> Part:
        """Return what :meth:`json` made."""
        levels = None if "levels" not in given else tuple(given["levels"])
        return cls(str(given["of"]), levels, tuple(given.get("numbers", ())), given.get("place"))


Design = list[tuple[str, list[Part]]]
"""Names of columns, and the factors of each."""


def designed(terms: Sequence[Sequence[str]], kind_of: Callable[[str], Coding | Spline | None]) -> Design:
    """Return the columns of terms, each of which is a product of expressions, none for the constant.

    ``kind_of``: what an expression is; None for a number.
    """
    kinds = {f: kind_of(f) for term in terms for f in term}
    coded = {f: kind for f, kind in kinds.items() if isinstance(kind, Coding)}
    buckets: dict[frozenset[str], list[Sequence[str]]] = {}
    for term in terms:
        buckets.setdefault(frozenset(f for f in term if f not in coded), []).append(term)
    order = sorted(buckets, key=lambda numeric: bool(numeric))
    out: Design = []
    for numeric in order:
        used: set[frozenset[str]] = set()
        for term in sorted(buckets[numeric], key=len):
            for full in _spanned([f for f in term if f in coded], used):
                present = [f for f in term if f in numeric or f in full]
                out += _products(present, [_columns(f, kinds[f], full.get(f, False)) for f in present])
    return out


def _spanned(variables: list[str], used: set[frozenset[str]]) -> list[dict[str, bool]]:
    """Return products of categorical variables that span what is new, and whether each has all its levels."""
    new = []
    for count in range(len(variables) + 1):
        for some in itertools.combinations(variables, count):
            if frozenset(some) not in used:
                used.add(frozenset(some))
                new.append(dict.fromkeys(some, False))
    while (pair := _taken_up(new)) is not None:
        short, long, variable = pair
        new[long] = {**new[long], variable: True}
        del new[short]
    return new


def _taken_up(products: list[dict[str, bool]]) -> tuple[int, int, str] | None:
    for i, short in enumerate(products):
        for j in range(i + 1, len(products)):
            more = products[j].keys() - short.keys()
            if len(more) == 1 and all(products[j].get(f) == full for f, full in short.items()):
                (variable,) = more
                if not products[j][variable]:
                    return i, j, variable
    return None


def _columns(factor: str, kind: Coding | Spline | None, full: bool) -> list[tuple[str, Part]]:
    if isinstance(kind, Coding):
        made = kind.columns(full)
        return [(factor + shown, Part(kind.of, kind.levels, tuple(numbers))) for shown, numbers in made]
    if isinstance(kind, Spline):
        return [(f"{factor}[{i}]", Part(factor, place=i)) for i in range(kind.columns)]
    return [(factor, Part(factor))]


def _products(present: list[str], columns: list[list[tuple[str, Part]]]) -> Design:
    if not present:
        return [("Intercept", [])]
    # The first one changes fastest.
    chosen = [list(reversed(c)) for c in itertools.product(*reversed(columns))]
    return [(":".join(name for name, _ in c), [part for _, part in c]) for c in chosen]


def kinds(columns: Mapping[str, Any], declared: Mapping[str, Sequence[Any]]) -> Callable[[str], Coding | Spline | None]:
    """Return what says what an expression is, of columns at the nodes.

    ``declared``: levels by expression, of numbers too.
    """

    def kind_of(expression: str) -> Coding | Spline | None:
        called = None if expression in columns else factors.call_of(expression)
        if called is not None and called[0] == "bs":
            return spline_of(called[1])
        inner, given = expression, {}
        if called is not None:
            given = factors.arguments(called[1], ("values", "contrasts", "levels"), "C")
            if "values" not in given:
                raise FormulaError(f"{expression}: C needs a column")
            inner = ast.unparse(given["values"])
        found = factors.value(inner, columns)
        levels = factors.constants(given["levels"], "levels") if "levels" in given else declared.get(inner)
        known = getattr(found, "levels", None)
        if isinstance(found, Series) and found.dtype == "bool":
            levels = levels or [False, True]
        elif isinstance(known, list):
            levels = _of_text(expression, levels, known)
        elif not isinstance(found, Series):
            raise FormulaError(f"{expression}: no column of numbers or of declared levels")
        elif called is None:
            return None
        if not levels:
            raise FormulaError(
                f"{expression}: which values occur is not known beforehand; declare them: C({inner}, levels=[1, 2, 3])"
            )
        if not isinstance(levels, (list, tuple)) or len(set(levels)) != len(levels):
            raise FormulaError(f"{expression}: levels are a list of values, each once")
        if not isinstance(known, list) and not all(isinstance(v, (int, float)) and v == v for v in levels):
            raise FormulaError(
                f"{expression}: {inner!r} is read as numbers, and {levels} are none; declare texts with the table, "
                f"DataFrame(..., levels={{{inner!r}: [...]}})"
            )
        return _coding(expression, inner, tuple(levels), given.get("contrasts"))

    return kind_of


def _of_text(expression: str, wanted: Any, known: list[str]) -> Any:
    if wanted is None:
        return known
    if strange := [v for v in wanted if v not in known]:
        raise FormulaError(
            f"{expression}: {strange[0]!r} is no declared level; there are {', '.join(map(repr, known))}"
        )
    return wanted


def _coding(expression: str, inner: str, levels: tuple[Any, ...], contrast: ast.expr | None) -> Coding:
    kind, base, given = "treatment", 0, None
    if contrast is not None:
        call = contrast if isinstance(contrast, ast.Call) else None
        name = ast.unparse(contrast.func if isinstance(contrast, ast.Call) else contrast).removeprefix("contr.").lower()
        if name not in ("treatment", "sum"):
            raise FormulaError(
                f"{expression}: contrasts are Treatment and Sum; make other columns with I({inner} == ...)"
            )
        kind, base = name, 0 if name == "treatment" else len(levels) - 1
        if call is not None:
            named = {k.arg: k.value for k in call.keywords}
            given = next(iter([*call.args, *named.values()]), None)
    if given is not None:
        wanted = factors.constants(given, "reference")
        if wanted not in levels and not (isinstance(wanted, int) and 0 <= wanted < len(levels)):
            raise FormulaError(f"{expression}: {wanted!r} is none of the levels {', '.join(map(repr, levels))}")
        base = levels.index(wanted) if wanted in levels else wanted
    if len(levels) < 2:
        raise FormulaError(f"{expression}: there must be two levels at least, not {list(levels)}")
    return Coding(inner, levels, kind, base)
