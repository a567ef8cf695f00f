"""What the sixty tasks share: made-up stays in a hospital, how a task is told, and how its numbers are compared."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import delta
from delta.dataset import DataFrame as Table
from delta.task import HorizontalAnalytics, HorizontalLearning

SPLIT = (170, 360)
"""Where the rows of the first node end, and those of the second."""
LEVELS = {"sex": ["f", "m"], "ward": ["A", "B", "C"], "arm": ["old", "new"]}
DATES = ["admitted", "discharged"]


def stays(rows: int = 540) -> pd.DataFrame:
    """Numbers with gaps, texts, dates, counts, costs and durations."""
    rng = np.random.default_rng(16)
    age = rng.integers(25, 90, rows)
    frame = pd.DataFrame({"patient": 1000 + rng.permutation(rows), "age": age.astype(float)})
    frame["sex"] = rng.choice(LEVELS["sex"], rows)
    frame["ward"] = rng.choice(LEVELS["ward"], rows, p=[0.5, 0.3, 0.2])
    frame["arm"] = rng.choice(LEVELS["arm"], rows)
    frame["height"] = np.round(rng.normal(170, 9, rows), 1)
    frame["weight"] = np.round(0.5 * frame.height + rng.normal(-10, 11, rows), 1)
    frame["smoker"] = (rng.uniform(size=rows) < 0.35).astype(float)
    new = (frame.arm == "new").astype(float)
    frame["pressure"] = np.round(105 + 0.4 * age + 5 * frame.smoker - 6 * new + rng.normal(0, 9, rows), 1)
    frame["before"] = np.round(frame.pressure + rng.normal(3, 5, rows), 1)
    risk = 1 / (1 + np.exp(-(0.05 * (age - 60) + 0.8 * frame.smoker - 0.6 * new)))
    frame["risk"] = np.round(risk, 4)
    frame["died"] = (rng.uniform(size=rows) < risk).astype(float)
    frame["days"] = np.minimum(np.ceil(rng.exponential(14 - 8 * risk)), 30)
    frame["visits"] = rng.poisson(np.exp(0.2 + 0.01 * age + 0.3 * frame.smoker)).astype(float)
    frame["cost"] = np.round(rng.gamma(2.0, np.exp(5 + 0.01 * age + 0.2 * frame.smoker) / 2), 2)
    frame["pain"] = np.clip(np.round(rng.normal(3 - 0.5 * new, 1.1)), 1, 5)
    frame["grade"] = rng.integers(0, 3, rows) + (risk > 0.6)
    frame["admitted"] = pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 365, rows), unit="D")
    frame["discharged"] = frame.admitted + pd.to_timedelta(frame.days, unit="D")
    frame.loc[frame.index % 23 == 4, "pressure"] = np.nan
    frame.loc[frame.index % 31 == 9, "weight"] = np.nan
    return frame


def patients(frame: pd.DataFrame) -> pd.DataFrame:
    """A second table, in another order."""
    rng = np.random.default_rng(17)
    other = frame[["patient"]].sort_values("patient").reset_index(drop=True)
    other["income"] = np.round(rng.normal(3000, 700, len(other)), 2)
    return other[other.index % 9 != 3]


STAYS = stays()
PATIENTS = patients(STAYS)


def parted(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """What each of three nodes has."""
    return [frame.iloc[: SPLIT[0]], frame.iloc[SPLIT[0] : SPLIT[1]], frame.iloc[SPLIT[1] :]]


def tables() -> list[dict[str, pd.DataFrame]]:
    """The files of each node."""
    made = []
    for part in parted(STAYS):
        made.append({"stays.csv": part, "patients.csv": PATIENTS[PATIENTS.patient.isin(part.patient)]})
    return made


@dataclass(frozen=True)
class Case:
    """A task, what it is compared with, and how far off it may be.

    ``make()`` gives the task, and of learning tasks the rows of each node. ``compare(result)`` gives the largest difference to
    the reference, relative where numbers are above 1.
    """

    name: str
    reference: str
    make: Callable[[], Any]
    compare: Callable[[Any], float]
    within: float
    group: str


CASES: list[Case] = []


def off(ours: Any, theirs: Any) -> float:
    """The largest difference, relative where numbers are above 1; infinite where labels or gaps are not the same."""
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs), (ours, theirs)
        return max(off(a, b) for a, b in zip(ours, theirs, strict=True))
    if isinstance(theirs, (pd.Series, pd.DataFrame)):
        assert type(ours) is type(theirs), (type(ours), type(theirs))
        mine, yours = list(ours.index), list(theirs.index)
        assert mine == yours, (mine, yours)
        if isinstance(theirs, pd.DataFrame):
            assert list(ours.columns) == list(theirs.columns), (ours.columns, theirs.columns)
    a, b = np.asarray(ours, float), np.asarray(theirs, float)
    assert a.shape == b.shape, (a.shape, b.shape)
    if (np.isnan(a) != np.isnan(b)).any():
        return float("inf")
    far = np.abs(a - b) / np.maximum(1.0, np.abs(b))
    return float(np.nanmax(far)) if far.size and not np.isnan(far).all() else 0.0


# ---------------------------------------------------------------- frames
class Stays(HorizontalAnalytics):
    """Analytics of the stays; ``execute`` is a function of the frame."""

    def __init__(self, name: str, execute: Callable[[Any], Any]) -> None:
        super().__init__(name, min_clients=3, max_clients=3, connection_timeout=10)
        self.of = execute

    def dataset(self) -> dict[str, Table]:
        return {"d": stays_table()}

    def execute(self, d: Any) -> Any:
        return self.of(d)


def stays_table(columns: Sequence[str] = tuple(STAYS.columns)) -> Table:
    levels = {c: v for c, v in LEVELS.items() if c in columns}
    return Table("stays.csv", list(columns), levels=levels, dates=[d for d in DATES if d in columns])


def frames(
    name: str, reference: str = "pandas", *, theirs: Callable[[pd.DataFrame], Any] | None = None, within: float = 1e-8,
    read: Callable[[Any], Any] = lambda result: result, group: str = "frames",
) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:  # fmt: skip
    """A function of a frame: the same on the pooled rows in pandas, or what ``theirs`` makes of them."""

    def add(execute: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def compare(result: Any) -> float:
            return off(read(result), (theirs or execute)(STAYS.copy()))

        CASES.append(Case(name, reference, lambda: Stays(name, execute), compare, within, group))
        return execute

    return add


def task(
    name: str, reference: str, *, theirs: Callable[[pd.DataFrame], Any], read: Callable[[Any], Any], within: float = 1e-8,
    group: str = "regressions", **options: Any,
) -> Callable[[type], type]:  # fmt: skip
    """A class of task over the stays: ``read(result)`` beside ``theirs(pooled rows)``."""

    def add(kind: type) -> type:
        def make() -> Any:
            return kind(name, min_clients=3, max_clients=3, connection_timeout=10, **options)

        CASES.append(Case(name, reference, make, lambda result: off(read(result), theirs(STAYS.copy())), within, group))
        return kind

    return add


# ---------------------------------------------------------------- learning
Parts = list[tuple[Any, Any]]


def learning(
    name: str, parts: Callable[[], Parts], *, within: float = 2e-5, personal: Sequence[str] = ()
) -> Callable[[type[HorizontalLearning]], type[HorizontalLearning]]:
    """A learning task beside its own ``train``, run by torch at each member, and the mean of their models by rows."""

    def add(kind: type[HorizontalLearning]) -> type[HorizontalLearning]:
        def compare(result: Any) -> float:
            expected = eagerly(kind(), parts(), personal)
            assert set(result.parameters) == set(expected), (set(result.parameters), set(expected))
            first = {k: v.detach().numpy() for k, v in kind().state_dict().items()}
            assert max(float(np.abs(expected[k] - first[k]).max()) for k in expected) > 100 * within, (
                "nothing was learnt"
            )
            return max(off(result.parameters[k], v) for k, v in expected.items())

        case = Case(name, "torch", lambda: (kind(), parts()), compare, within, "learning")
        CASES.append(case)
        return kind

    return add


def eagerly(task: HorizontalLearning, parts: Parts, personal: Sequence[str]) -> dict[str, Any]:
    """Federated averaging of the task's own ``train`` in plain torch."""
    size = task.batch_size
    members = [copy.deepcopy(task) for _ in parts]
    state = {k: v.clone() for k, v in task.state_dict().items() if k not in personal}
    for _ in range(task.max_rounds):
        results = []
        for member, (x, y) in zip(members, parts, strict=True):
            for key, tensor in member.state_dict().items():
                if key in state:
                    tensor.copy_(state[key])
            for module in vars(member).values():
                if isinstance(module, torch.nn.Module):
                    module.train()
            batches = []
            for begin in range(0, len(x), size):
                batch = torch.from_numpy(np.asarray(x[begin : begin + size], np.float32))
                batches.append(member.preprocess(batch, torch.from_numpy(y[begin : begin + size])))
            member.train(batches)
            results.append({k: v.clone() for k, v in member.state_dict().items() if k in state})
        rows = [len(x) for x, _ in parts]
        for key, tensor in state.items():
            mean = sum(r[key].double() * n for r, n in zip(results, rows, strict=True)) / sum(rows)
            state[key] = mean.to(tensor.dtype) if tensor.is_floating_point() else mean.round().to(tensor.dtype)
    return {k: v.numpy() for k, v in state.items()}


def write(folders: Sequence[Path]) -> None:
    """Give each node its tables."""
    for folder, files in zip(folders, tables(), strict=True):
        for name, frame in files.items():
            frame.to_csv(folder / name, index=False, date_format="%Y-%m-%d")


def solve(case: Case, node: delta.DeltaNode, folders: Sequence[Path]) -> float:
    """Run a case over nodes; how far off it is."""
    made = case.make()
    if isinstance(made, tuple):
        made, parts = made
        for folder, (x, y) in zip(folders, parts, strict=True):
            with (folder / made.dataset().dataset).open("wb") as file:
                np.savez(file, x=x, y=y)
    task_id = node.create_task(made)
    assert node.wait(task_id, timeout=120, progress=False), f"{case.name}: {node.progress(task_id).error}"
    return case.compare(node.get_result(task_id))


def chosen(whole: bool, cases: Sequence[Case]) -> list[Case]:
    """All cases, or about a third: fewer of those that train, which take longest."""
    if whole:
        return list(cases)
    trained = [c for c in cases if c.group == "learning"]
    others = [c for c in cases if c.group != "learning"]
    return [c for i, c in enumerate(others) if i % 5 in (0, 3)] + trained[3::6]
