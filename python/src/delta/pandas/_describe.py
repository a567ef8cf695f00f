"""``describe`` and ``agg``: several figures of each column at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._along import rows_only
from ._base import Block, Symbol, block, check_axis, repeat, wrap
from ._expr import columns, ops

AGGREGATES = ("all", "any", "count", "max", "mean", "median", "min", "sem", "std", "sum", "var")


class Describable(Symbol):
    """A summary of frames and series."""

    def agg(self, func: Any, axis: Any = 0) -> Any:
        """Compute aggregates by their names.

        Parameters
        ----------
        func : str or list of str
            Of ``all any count max mean median min sem std sum var``.
        axis : {0}
            Down the rows.

        Returns
        -------
        DataFrame, Series or Scalar
            For a list one row each.

        Raises
        ------
        TypeError
            A name is none of these, or bool and numbers would mix in one column.
        """
        if check_axis(axis) != 0:
            raise TypeError("agg: only down the rows, axis=0")
        names = [func] if isinstance(func, str) else func
        if not isinstance(names, (list, tuple)) or not names or not all(n in AGGREGATES for n in names):
            raise TypeError(f"agg: {func!r}: use a name or a list of names from {', '.join(AGGREGATES)}")
        made = [block(getattr(self, n)()) for n in names]
        if isinstance(func, str):
            return wrap(made[0])
        b = block(self)
        kinds = {"bool" if m.dtype == "bool" else "number" for m in made}
        if len(kinds) > 1:
            raise TypeError("agg: bool and numbers do not mix in one column; compute all and any apart")
        whole = all(m.dtype == made[0].dtype for m in made)
        dtypes = repeat(made[0].dtype if whole else "float64", b.dtypes)
        x = ops.stack(*(m.x for m in made), axis=0)
        return wrap(Block(x, dtypes, tuple(names), b.columns, None if b.columns else b.name))

    aggregate = agg

    def describe(
        self,
        percentiles: Sequence[float] | None = None,
        *,
        bounds: Sequence[float] | None = None,
        buckets: int = 1024,
        rounds: int | None = None,
    ) -> Any:
        """Compute count, mean, std, min, quantiles and max, in the rounds of :meth:`quantile`. Columns of bool are left out.

        Parameters
        ----------
        percentiles : sequence of float, optional
            By default 0.25, 0.5 and 0.75.
        bounds : (float, float), optional
            Where the values lie; values outside count as the nearer one. By default anywhere.
        buckets : int
            How many a round tells apart, 2 to 65536.
        rounds : int, optional
            How often buckets are cut again, 1 to 20; by default 4, and 3 with ``bounds``.

        Returns
        -------
        DataFrame or Series
            One row each.

        Raises
        ------
        TypeError
            There are only bools.
        """
        rows_only(self, "describe")
        b = block(self)
        if b.columns is not None:
            at = [i for i, d in enumerate(b.dtypes) if d != "bool"]
            names = tuple(b.columns[i] for i in at)
            b = b.with_(x=columns(b.x, at) if at else b.x, dtypes=tuple(b.dtypes[i] for i in at), columns=names)
        if not b.dtypes or set(b.dtypes) == {"bool"}:
            raise TypeError("describe: bool is summarised otherwise by pandas; use astype(int), or value_counts")
        this: Any = wrap(b)
        qs = sorted({float(q) for q in (percentiles if percentiles is not None else (0.25, 0.5, 0.75))})
        search: dict[str, Any] = {"bounds": bounds, "buckets": buckets}
        rounds = rounds if rounds is not None else 3 if bounds else 4
        rows = [this.count(), this.mean(), this.std(), this.min(rounds=rounds, **search)]
        rows += [this.quantile(q, rounds=rounds, **search) for q in qs]
        rows.append(this.max(rounds=rounds, **search))
        labels = ("count", "mean", "std", "min", *(_percent(q) for q in qs), "max")
        x = ops.stack(*(block(r).x for r in rows), axis=0)
        return wrap(Block(x, repeat("float64", b.dtypes), labels, b.columns, None if b.columns else b.name))


def _percent(q: float) -> str:
    text = f"{100 * q:.6f}".rstrip("0").rstrip(".")
    return f"{text}%"
