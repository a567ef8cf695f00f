"""Chi-squared tests, of counts in declared categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import _distributions as tails
from ..pandas import Series
from ..pandas.symbolic import Recipe, block
from ._arguments import frame as frame_of
from ._arguments import is_levels, is_real, one_of
from ._outcome import Array, Spec, TestOutcome, doubt, finishes, recipe
from ._show import Table


@dataclass(kw_only=True, repr=False)
class Chi2ContingencyResult(TestOutcome):
    """A test of independence, with the names of scipy.

    Parameters
    ----------
    statistic, pvalue : float
        As of :class:`TestOutcome`.
    dof : int
        The degrees of freedom.
    expected_freq : ndarray
        ``[rows, columns]``: how many there would be where the two have nothing to do with each other.
    observed : ndarray
        ``[rows, columns]``: how many there are.
    index, columns : list
        The categories.
    """

    _tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "index",
            (
                "observed",
                "expected_freq",
            ),
            "columns",
        ),
    )
    dof: int
    expected_freq: Array
    observed: Array
    index: list[Any]
    columns: list[Any]


@dataclass(kw_only=True, repr=False)
class ChisquareResult(TestOutcome):
    """A test of counts against expected ones, with the names of scipy.

    Parameters
    ----------
    statistic, pvalue : float
        As of :class:`TestOutcome`.
    df : int
        The degrees of freedom.
    observed, expected : ndarray
        The counts.
    index : list
        The categories.
    """

    _tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "index",
            (
                "observed",
                "expected",
            ),
        ),
    )
    df: int
    observed: Array
    expected: Array
    index: list[Any]


def chi2_contingency(frame: Any, row: Any, column: Any, *, categories: Any = None, correction: bool = True) -> Recipe:
    """Test whether two columns are independent, as ``scipy.stats.chi2_contingency`` of their cross table. One round.

    Parameters
    ----------
    frame : DataFrame of rows
        Whose columns.
    row, column : label, or Series of the same rows
        The two columns. Rows in which a value is missing, or none of the categories, are left out.
    categories : dict or list of two sequences, optional
        The values of both, as ``groupby`` takes them; of columns of texts the declared levels.
    correction : bool
        Whether Yates' correction is made where there is one degree of freedom.

    Returns
    -------
    Recipe
        Of a :class:`Chi2ContingencyResult`. scipy refuses a table in which a category has no rows; here the test is NaN
        then, a warning says which category it is, and ``observed`` is there.
    """
    one_of(correction, (True, False), "chi2_contingency", "correction")
    counts = frame_of(frame, "chi2_contingency").groupby([row, column], categories=categories).size()
    labels = list(counts.index)
    index, columns = list(dict.fromkeys(r for r, _ in labels)), list(dict.fromkeys(c for _, c in labels))
    return recipe("chi2_contingency", {"counts": counts}, correction=correction, index=index, columns=columns)


def chisquare(counts: Any, f_exp: Sequence[float] | None = None, ddof: int = 0) -> Recipe:
    """Test whether counts are as expected, as ``scipy.stats.chisquare``. One round.

    Parameters
    ----------
    counts : Series of counts, or column of levels
        A result such as ``df["a"].value_counts(categories=[1, 2, 3])``; of a column of texts, and of its ``value_counts()``, the
        declared levels are counted, and not the cell of all other texts.
    f_exp : sequence of float, optional
        What is expected, as counts or shares: it is scaled to as many as there are. By default all the same.
    ddof : int
        What is taken off the degrees of freedom.

    Returns
    -------
    Recipe
        Of a :class:`ChisquareResult`.

    Raises
    ------
    TypeError
        ``counts`` are none.
    ValueError
        ``f_exp`` does not fit the counts, or one is not above 0.
    """
    if is_levels(counts):
        counts = counts.value_counts()[counts.levels]
    if isinstance(counts, Series) and block(counts).rest is not None:
        # What other texts there are is no category: no test of the declared ones has it.
        counts = counts[[c for c in counts.index if c != block(counts).rest]]
    if not isinstance(counts, Series) or not isinstance(block(counts).index, tuple):
        raise TypeError("chisquare: give counts, such as df['a'].value_counts(categories=[1, 2, 3])")
    shares = [1.0] * len(counts) if f_exp is None else list(f_exp)
    if len(shares) != len(counts) or not all(is_real(v) and v > 0 for v in shares):
        raise ValueError(f"chisquare: f_exp must be {len(counts)} numbers above 0, one for each of the counts")
    index = [list(v) if isinstance(v, tuple) else v for v in counts.index]
    return recipe("chisquare", {"counts": counts}, shares=[float(v) for v in shares], ddof=int(ddof), index=index)


@finishes("chi2_contingency")
def _independent(spec: Spec, parts: dict[str, Array]) -> Chi2ContingencyResult:
    index, columns = spec["index"], spec["columns"]
    observed = parts["counts"].reshape(len(index), len(columns))
    down, across, n = observed.sum(0), observed.sum(1), observed.sum()
    expected = np.outer(across, down) / n
    dof = (len(index) - 1) * (len(columns) - 1)
    if empty := [c for c, k in zip((*index, *columns), (*across, *down), strict=True) if not k > 0]:
        doubt("chi2_contingency", f"no row has {', '.join(map(repr, empty))}: there is no test; leave it out")
        statistic = pvalue = np.nan
    elif dof == 0:
        statistic, pvalue = 0.0, 1.0
    else:
        off = expected - observed
        if dof == 1 and spec["correction"]:
            off = off - np.sign(off) * np.minimum(0.5, np.abs(off))
        statistic = float((off**2 / expected).sum())
        pvalue = tails.chi2_upper(statistic, dof)
    return Chi2ContingencyResult(
        statistic=statistic,
        pvalue=pvalue,
        dof=dof,
        expected_freq=expected,
        observed=observed,
        index=list(index),
        columns=list(columns),
    )


@finishes("chisquare")
def _as_expected(spec: Spec, parts: dict[str, Array]) -> ChisquareResult:
    observed, shares = parts["counts"], np.asarray(spec["shares"])
    expected = shares / shares.sum() * observed.sum()
    statistic = float(((observed - expected) ** 2 / expected).sum())
    df = len(observed) - 1 - spec["ddof"]
    return ChisquareResult(
        statistic=statistic,
        pvalue=tails.chi2_upper(statistic, df),
        df=df,
        observed=observed,
        expected=expected,
        index=[tuple(v) if isinstance(v, list) else v for v in spec["index"]],
    )
