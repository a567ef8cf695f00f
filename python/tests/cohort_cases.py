"""Members that come and go between the rounds of a task, and every statistic that takes several rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from delta.bundle import Bundle
from delta.pandas import GroupBy
from delta.pandas._categories import Countable
from delta.pandas._describe import Describable
from delta.pandas._order import Searches
from delta.pandas._pairs import FramePairs, SeriesPairs
from delta.pandas._reduce import Reductions
from pooled import sample

PARTS, ROWS = 4, 20
CHANGING = 1
"""The part that comes or goes: the others are fewer than what it changes."""
CATEGORIES = [0, 1, 2, 3]
Run = Callable[[Any], Any]


def rows() -> pd.DataFrame:
    """Rows of all parts; the one that comes and goes has the extremes of ``a``, half of ``c`` and its own mean of ``b``."""
    frame = sample(PARTS * ROWS)
    mine = slice(CHANGING * ROWS, (CHANGING + 1) * ROWS - 1)
    frame.loc[frame.index[mine.start], "a"], frame.loc[frame.index[mine.start] + 5, "a"] = -90.0, 70.0
    frame.loc[mine, "b"] += 300.0
    frame.loc[mine, "c"] = 9.0
    return frame


@dataclass(frozen=True)
class Change:
    """A part that is there up to a round and away then, or the other way round."""

    after: int
    lost: bool

    def absent(self, rounds: int, part: int = CHANGING) -> dict[int, list[int]]:
        """For ``delta.debug``."""
        away = range(self.after + 1, rounds + 1) if self.lost else range(1, self.after + 1)
        return {number: [part] for number in away}

    def members(self, bundle: Bundle) -> list[int]:
        """Whose rows the result is of: the members of the last round, who are those of the first where all are bound to it."""
        there = self.lost if bound(bundle) else not self.lost
        return [p for p in range(PARTS) if p != CHANGING or there]

    def ends(self, bundle: Bundle) -> str | None:
        """With what sentence the task must end."""
        if not (self.lost and bound(bundle)):
            return None
        return rf"^round {self.after + 1} must sum the members of round {self.after}, and part {CHANGING} is away$"


def changes(rounds: int) -> Iterator[Change]:
    """Every change of one member between two rounds."""
    for after in range(1, rounds):
        yield from (Change(after, lost) for lost in (True, False))


def bound(bundle: Bundle) -> bool:
    """Whether every round but the first sums the members of the one before."""
    said = [r.get("cohort") == "same" for r in bundle.manifest["rounds"]]
    assert not said[0] and len(set(said[1:])) <= 1, "some rounds of a task are bound and some are not"
    return any(said)


def group(df: Any, by: str = "k") -> Any:
    """The same groups for both; pandas gets a key of declared categories."""
    if isinstance(df, pd.DataFrame):
        return df.assign(**{by: pd.Categorical(df[by], [float(c) for c in CATEGORIES])}).groupby(by, observed=False)
    return df.groupby(by, categories=CATEGORIES)


def counts(df: Any) -> Any:
    if isinstance(df, pd.DataFrame):
        return df["k"].value_counts().reindex(CATEGORIES, fill_value=0).rename("count")
    return df["k"].value_counts(categories=CATEGORIES)


def histogram(series: Any, bins: list[float]) -> Any:
    if isinstance(series, pd.Series):
        return pd.Series(np.histogram(series.dropna(), bins)[0], index=bins[:-1], name=series.name)
    return series.histogram(bins)


STATISTICS: dict[str, Run] = {
    "all": lambda df: df.all(),
    "any": lambda df: (df - 9).any(),
    "count": lambda df: df.count(),
    "sum": lambda df: df.sum(),
    "mean": lambda df: df.mean(),
    "var": lambda df: df.var(),
    "std": lambda df: (df.std(), df["a"].std(ddof=0), df.mean()),
    "sem": lambda df: df.sem(skipna=False),
    "min": lambda df: df.min(),
    "max": lambda df: df[["a", "b"]].max(),
    "quantile": lambda df: (df["a"].quantile([0.1, 0.9]), df["b"].quantile(0.3, interpolation="lower")),
    "median": lambda df: df[["b", "c"]].median(),
    "cov": lambda df: df[["a", "b", "c"]].cov(),
    "corr": lambda df: df[["a", "b", "c"]].corr(),
    "describe": lambda df: df[["a", "b"]].describe(),
    "agg": lambda df: df[["a", "b"]].agg(["mean", "std", "max"]),
    "aggregate": lambda df: df[["a", "b"]].aggregate(["sem", "median"]),
    "Series.cov": lambda df: df["a"].cov(df["b"]),
    "Series.corr": lambda df: df["a"].corr(df["c"]),
    "value_counts": counts,
    "nunique": lambda df: df["k"].nunique() if isinstance(df, pd.DataFrame) else df["k"].nunique(categories=CATEGORIES),
    "histogram": lambda df: histogram(df["a"], [-100.0, 0.0, 3.0, 100.0]),
    "GroupBy.count": lambda df: group(df).count(),
    "GroupBy.sum": lambda df: group(df).sum(),
    "GroupBy.mean": lambda df: group(df)[["a", "b"]].mean(),
    "GroupBy.var": lambda df: group(df).var(),
    "GroupBy.std": lambda df: group(df)["b"].std(),
    "GroupBy.sem": lambda df: group(df).sem(),
    "GroupBy.size": lambda df: group(df).size(),
    "GroupBy.agg": lambda df: group(df)[["a", "b"]].agg(["mean", "std"]),
    "GroupBy.aggregate": lambda df: group(df)["a"].aggregate(["mean", "var"]),
    # Aggregates computed with further, in which sums of one round meet rows or sums of another.
    "rows above the mean": lambda df: (df["b"][df["b"] > df["b"].mean()].sum(), df["b"].count()),
    "standardised rows": lambda df: ((df[["a", "b"]] - df[["a", "b"]].mean()) / df[["a", "b"]].std()).abs().mean(),
    "share of the sum": lambda df: df["b"][df["c"] > df["c"].mean()].sum() / df["b"].sum(),
    "groups of the deviation": lambda df: group(df.assign(e=df["b"] - df["b"].mean()))["e"].std(),
    "gaps filled with the mean": lambda df: df[["a", "b"]].fillna(df[["a", "b"]].mean()).var(),
    "mean of what is below the median": lambda df: df["b"][df["b"] < df["b"].median()].mean(),
    "skewness": lambda df: ((df["b"] - df["b"].mean()) ** 3).mean() / df["b"].std() ** 3,
}


def public_statistics() -> set[str]:
    """The names of all methods that make an aggregate of rows."""
    frames = {n for kind in (Reductions, Searches, FramePairs, Countable, Describable) for n in public(kind)}
    return frames | {f"{k.__name__.removesuffix('Pairs')}.{n}" for k in (SeriesPairs, GroupBy) for n in public(k)}


def public(kind: type) -> set[str]:
    return {n for n, v in vars(kind).items() if callable(v) and not n.startswith("_")}
