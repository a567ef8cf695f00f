"""Comparing analytics over three members with pandas on the pooled rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import delta
from delta.bundle import Bundle
from delta.dataset import DataFrame as Table
from delta.task import HorizontalAnalytics


def sample(rows: int = 61, seed: int = 0) -> pd.DataFrame:
    """Numbers with gaps: ``a`` and ``b`` real, ``c`` whole, ``d`` all missing at the last member, ``k`` and ``j`` keys."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "a": rng.normal(3, 4, rows),
            "b": rng.normal(-100, 30, rows),
            "c": rng.integers(-3, 4, rows).astype(float),
            "d": rng.uniform(0, 1, rows),
            "k": rng.integers(0, 4, rows).astype(float),
            "j": rng.integers(0, 2, rows).astype(float),
        }
    )
    frame.loc[frame.index % 7 == 2, "a"] = np.nan
    frame.loc[frame.index % 5 == 1, "b"] = np.nan
    frame.loc[40:, "d"] = np.nan
    frame.loc[frame.index % 11 == 3, "k"] = np.nan
    return frame


def task(
    execute: Callable[[Any], Any], columns: list[str], *, min_clients: int = 3, max_clients: int = 3, **options: Any
) -> HorizontalAnalytics:
    """A task of one table, ``data.csv``, that does ``execute(frame)``."""

    class Task(HorizontalAnalytics):
        def dataset(self) -> dict[str, Table]:
            return {"frame": Table("data.csv", columns)}

        def execute(self, frame: Any) -> Any:
            return execute(frame)

    return Task("test", min_clients=min_clients, max_clients=max(min_clients, max_clients), **options)


def build(execute: Callable[[Any], Any], columns: list[str] | None = None) -> Bundle:
    return task(execute, columns or list(sample().columns)).build()


def run(
    execute: Callable[[Any], Any], frame: pd.DataFrame, *, split: tuple[int, int] = (20, 40), **options: Any
) -> Any:
    """Run over three members, whose rows end where ``split`` says (two equal numbers: a member without rows)."""
    pieces = [frame.iloc[: split[0]], frame.iloc[split[0] : split[1]], frame.iloc[split[1] :]]
    return delta.debug(task(execute, list(frame.columns), **options).build(), data=pieces, parts=3)


def same(ours: Any, theirs: Any, *, rtol: float = 1e-6, atol: float = 1e-7, what: str = "") -> None:
    """Fail unless a result equals pandas': values, missing values, labels, dtype, name."""
    if isinstance(theirs, pd.DataFrame):
        assert isinstance(ours, pd.DataFrame), what
        assert list(ours.columns) == list(theirs.columns) and list(ours.index) == list(theirs.index), what
        left, right = ours.to_numpy(float), theirs.astype(float).to_numpy()
    elif isinstance(theirs, pd.Series):
        assert isinstance(ours, pd.Series), what
        assert list(ours.index) == list(theirs.index), (what, ours.index, theirs.index)
        assert ours.name == theirs.name, (what, ours.name, theirs.name)
        assert ours.dtype == theirs.dtype, (what, ours.dtype, theirs.dtype)
        left, right = ours.to_numpy(float), theirs.to_numpy(float)
    else:
        assert np.ndim(ours) == 0 and not isinstance(ours, (pd.Series, pd.DataFrame)), what
        assert isinstance(ours, bool) == isinstance(theirs, (bool, np.bool_)), (what, ours, theirs)
        left, right = np.asarray(ours, float), np.asarray(theirs, float)
    np.testing.assert_allclose(left, right, rtol=rtol, atol=atol, err_msg=what)


def agrees(
    execute: Callable[[Any], Any],
    frame: pd.DataFrame | None = None,
    *,
    pandas: Callable[[Any], Any] | None = None,
    rtol: float = 1e-6,
    split: tuple[int, int] = (20, 40),
) -> None:
    """Fail unless ``execute`` gives over three members what it (or ``pandas``) gives on the pooled rows."""
    frame = sample() if frame is None else frame
    ours, theirs = run(execute, frame, split=split), (pandas or execute)(frame)
    if not isinstance(theirs, tuple):
        ours, theirs = (ours,), (theirs,)
    assert len(ours) == len(theirs)
    for i, (x, y) in enumerate(zip(ours, theirs, strict=True)):
        same(x, y, rtol=rtol, what=f"result {i}")
