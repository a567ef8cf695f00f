"""What people who know pandas write out of habit: it works, or the message says what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import delta
from delta.dataset import DataFrame as Table
from delta.task import HorizontalAnalytics

COLUMNS = ["age", "cost", "ward", "admitted"]


class Task(HorizontalAnalytics):
    def __init__(self, execute: Callable[[Any], Any]) -> None:
        super().__init__("habits", 2, 3)
        self.of = execute

    def dataset(self) -> Any:
        return {"d": Table("d.csv", COLUMNS, levels={"ward": ["A", "B"]}, dates=["admitted"])}

    def execute(self, d: Any) -> Any:
        return self.of(d)


HABITS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "query": (lambda d: d.query("age > 50"), "df[df.age > 50]"),
    "loc": (lambda d: d.loc[d.age > 50, "cost"], "df[df.age > 50].cost"),
    "head": (lambda d: d.head(), "rows stay at the nodes"),
    "values": (lambda d: d.age.values, "rows stay at the nodes"),
    "sort": (lambda d: d.sort_values("age"), "have no order"),
    "shift": (lambda d: d.age.shift(), "have no order"),
    "apply": (lambda d: d.age.apply(lambda x: x + 1), "whole columns"),
    "map": (lambda d: d.age.map(lambda x: x + 1), "whole columns"),
    "shape": (lambda d: d.shape, "df.x.count()"),
    "len": (lambda d: len(d), ".count()"),
    "len of dates": (lambda d: pd.to_datetime(d.admitted), ".count()"),
    "str": (lambda d: d.ward.str.contains("A"), "df.ward.isin"),
    "mode": (lambda d: d.age.mode(), "value_counts(categories=[...])"),
    "pivot": (lambda d: d.pivot_table("cost", "ward"), "df.groupby"),
    "a column that is not there": (lambda d: d.weight, "its columns are 'age', 'cost', 'ward', 'admitted'"),
    "a slip": (lambda d: d.age.meen(), "did you mean mean"),
    "where": (lambda d: np.where(d.age > 50, 1, 0), "a.where(condition, b)"),
    "percentile": (lambda d: np.percentile(d.age, 50), "df.x.quantile(q)"),
    "mean of a frame": (lambda d: np.mean(d[["age", "cost"]]), "df.x.mean()"),
    "along rows": (lambda d: np.mean(d.age, axis=0, keepdims=True), "without axis="),
    "cut": (lambda d: pd.cut(d.age, [0, 50, 100]), "histogram()"),
}


@pytest.mark.parametrize("habit", HABITS)
def test_a_habit_is_told_what_to_write(habit: str) -> None:
    execute, told = HABITS[habit]
    with pytest.raises((AttributeError, TypeError), match=re.escape(told)) as raised:
        Task(execute).build()
    assert len(str(raised.value)) < 260


@pytest.mark.filterwarnings("ignore::delta.ReleaseWarning")
def test_what_numpy_asks_a_series_is_as_with_pandas() -> None:
    def execute(d: Any) -> Any:
        x = d.age
        return np.mean(x), np.std(x), np.var(x, ddof=1), np.sum(x), np.nanmean(x), np.max(x), np.min(x)

    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"age": rng.normal(50, 9, 60), "cost": 1.0, "ward": "A", "admitted": "2025-01-01"})
    frame.loc[7, "age"] = np.nan
    for ours, theirs in zip(delta.debug(Task(execute), d=frame), execute(frame), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-8)
    cubes = (frame.age - frame.age.mean()) ** 3
    skew = delta.debug(Task(lambda d: ((d.age - d.age.mean()) ** 3).mean() / d.age.std(ddof=0) ** 3), d=frame)
    assert skew == pytest.approx(cubes.mean() / frame.age.std(ddof=0) ** 3, rel=1e-6)
