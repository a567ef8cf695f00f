"""Rows for :mod:`delta.stats`, over three members, and comparing results with those of a reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from delta import stats as ds
from delta.dataset import DataFrame as Table
from pooled import run

EXACT = {"rtol": 1e-8, "atol": 1e-12}
SPLIT = (50, 130)


def people(rows: int = 200, seed: int = 3) -> pd.DataFrame:
    """Numbers with gaps, groups, labels, scores, and durations on the grid 1, 2, ..., 30."""
    rng = np.random.default_rng(seed)
    arm = rng.integers(0, 3, rows).astype(float)
    x = rng.normal(120, 15, rows) + 4 * arm
    y = 0.4 * x + rng.normal(0, 9, rows)
    label = (rng.uniform(size=rows) < 1 / (1 + np.exp(-(x - 125) / 12))).astype(float)
    score = np.clip(1 / (1 + np.exp(-(x - 128) / 9)) + rng.normal(0, 0.05, rows), 0, 1)
    frame = pd.DataFrame(
        {
            "x": x,
            "y": y,
            "arm": arm,
            "site": rng.integers(1, 4, rows).astype(float),
            "likert": np.clip(np.round(rng.normal(3 + 0.4 * arm, 1)), 1, 5),
            "label": label,
            "score": score,
            "days": np.minimum(np.ceil(rng.exponential(9 + 5 * arm)), 30),
            "died": (rng.uniform(size=rows) < 0.7).astype(float),
        }
    )
    for i, column in enumerate(("x", "y", "arm", "likert", "label", "score", "days", "died")):
        frame.loc[frame.index % (17 + 2 * i) == i, column] = np.nan
    return frame


PEOPLE = people()
GRID = list(range(1, 31))


def ours(execute: Callable[[Any], Any], frame: pd.DataFrame = PEOPLE) -> Any:
    return run(execute, frame, split=SPLIT)


def same(ours: Any, theirs: Any, *names: str, **tolerance: float) -> None:
    for name in names:
        mine, yours = name.split("=") if "=" in name else (name, name)
        np.testing.assert_allclose(getattr(ours, mine), getattr(theirs, yours), err_msg=name, **(tolerance or EXACT))


class Cox(ds.CoxTask):
    times = GRID

    def dataset(self) -> dict[str, Table]:
        return {"df": Table("t.csv", ["x", "y", "likert", "arm", "days", "died"])}

    def preprocess(self, df: Any) -> Any:
        return df[["x", "likert"]], df["days"], df["died"]


class StratifiedCox(Cox):
    strata = (0, 2)

    def preprocess(self, df: Any) -> Any:
        return (*super().preprocess(df), df["arm"])
