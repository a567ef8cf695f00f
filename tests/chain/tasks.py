"""The three standard tasks on the tables of the demo, and whether a result is that of the pooled rows of who was in the sums."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import delta
import numpy as np
import pandas as pd
import statsmodels.api as sm
import torch
from delta.statsmodel import LogitTask
from delta.task import FaultTolerantFedAvg, HorizontalAnalytics, HorizontalLearning

from work import Cohort, differ

ASSETS = Path(__file__).parents[2] / "assets"
MEMBERS, PICTURES = 3, 200
"""Nodes, and pictures that each of them has."""
ASKED: dict[str, Any] = {"min_clients": 2, "max_clients": 3}
PREDICTORS = ["GPA", "TUCE", "PSI"]


def table(name: str, member: int) -> pd.DataFrame:
    """A node's rows of a table."""
    return pd.read_csv(ASSETS / name).iloc[member::MEMBERS]


@cache
def digits(member: int) -> tuple[np.ndarray, np.ndarray]:
    """A node's pictures and what each shows."""
    every = np.load(ASSETS / "digits.npz")
    mine = slice(member, MEMBERS * PICTURES, MEMBERS)
    return every["x"][mine], every["y"][mine].astype(np.int64)


def data(member: int) -> dict[str, bytes]:
    """The files in a node's data folder."""
    x, y = digits(member)
    file = io.BytesIO()
    np.savez(file, x=x, y=y)
    tables = {name: table(name, member).to_csv(index=False).encode() for name in ("wages.csv", "spector.csv")}
    return tables | {"digits": file.getvalue()}


class Wages(HorizontalAnalytics):
    """A mean wage."""

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        """One column."""
        return {"wages": delta.dataset.DataFrame("wages.csv", columns=["wage"])}

    def execute(self, wages: Any) -> Any:  # type: ignore[override]
        """Its mean."""
        return wages["wage"].mean()


class Spector(LogitTask):
    """A logistic regression, which is an ``hlr`` task on the record."""

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        """Spector's table."""
        return {"data": delta.dataset.DataFrame("spector.csv", columns=[*PREDICTORS, "GRADE"])}

    def preprocess(self, data: Any) -> Any:
        """The grade by the rest, without a constant."""
        return data[PREDICTORS], data["GRADE"]


class Digits(HorizontalLearning):
    """Training with one step over all rows in a round: a round over some members is a step on their pooled rows."""

    batch_size = 100_000

    def __init__(self, rounds: int) -> None:
        strategy = FaultTolerantFedAvg(merge_epoch=1, min_clients=2, max_clients=3)
        super().__init__("digits", rounds, 0, strategy=strategy)
        torch.manual_seed(1)
        self.model = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.Tanh(), torch.nn.Linear(16, 10)
        )
        self.loss_func = torch.nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.5)

    def dataset(self) -> delta.dataset.Dataset:
        """Handwritten digits."""
        return delta.dataset.Dataset("digits", shape=(1, 8, 8), classes=[str(d) for d in range(10)])

    def preprocess(self, x: Any, y: Any) -> Any:
        """Pixels from 0 to 1."""
        return x / 255, y


Judge = Callable[[Any, list[Cohort]], "str | None"]


@dataclass(frozen=True)
class Work:
    """A task that can be submitted, and who says what is wrong with its result."""

    name: str
    bundle: delta.Bundle
    wrong: Judge


def make(name: str) -> Work:
    """One of the three: ``wages``, ``spector``, ``digits``, the last with its rounds behind a colon if need be."""
    kind, _, rounds = name.partition(":")
    if kind == "wages":
        return Work(kind, Wages("wages", **ASKED).build(), _wages)
    if kind == "spector":
        return Work(kind, Spector("spector", **ASKED).build(), _spector)
    if kind == "digits":
        return Work(kind, Digits(int(rounds or 3)).build(), _digits)
    raise SystemExit(f"there is no task {name}: wages, spector, digits")


def _pooled(name: str, cohorts: list[Cohort]) -> pd.DataFrame:
    if len(set(cohorts)) != 1:
        raise ValueError(f"rounds over different members: {cohorts}")
    return pd.concat([table(name, m) for m in cohorts[0]])


def _wages(result: Any, cohorts: list[Cohort]) -> str | None:
    return differ([result], [_pooled("wages.csv", cohorts)["wage"].mean()], 1e-6)


def _spector(result: Any, cohorts: list[Cohort]) -> str | None:
    rows = _pooled("spector.csv", cohorts)
    fitted = sm.Logit(rows["GRADE"], rows[PREDICTORS]).fit(disp=False)
    return differ([result.params, result.bse], [fitted.params, fitted.bse], 1e-5)


def _digits(result: Any, cohorts: list[Cohort]) -> str | None:
    task = Digits(len(cohorts))
    for members in cohorts:
        x, y = (torch.from_numpy(np.concatenate(part)) for part in zip(*map(digits, members), strict=True))
        task.optimizer.zero_grad()
        task.loss_func(task.model(x.float() / 255), y).backward()
        task.optimizer.step()
    trained = [p.detach().numpy() for p in task.model.state_dict().values()]
    return differ(list(result.parameters.values()), trained, 2e-5)
