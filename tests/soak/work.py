"""Tasks of all kinds, the data that they are about, and what must come out of them.

An answer is right when it is that of the pooled rows of the members who took part, whom the coordinator's log names. Analytics
say so themselves as well: node i has 4^i once in the column ``mark``, so that the digits of its sum count the nodes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import delta
import numpy as np
import pandas as pd
import statsmodels.api as sm
import torch
from delta.statsmodel import LinearTask, LogitTask, add_constant
from delta.task import FaultTolerantFedAvg, HorizontalAnalytics, HorizontalLearning

from network import Network, Node

ROWS, PICTURES = 240, 60
TABLE, CONTROLLED, DIGITS = "rows.csv", "controlled.csv", "digits"
COLUMNS = ["a", "b", "k", "y", "mark"]
POLICIES: dict[str, Any] = {
    # Its columns are known, and its tasks are sums that nodes make themselves: nobody is asked.
    CONTROLLED: {"columns": {"a": "value", "b": "value", "k": "quasi"}, "approval": "controlled"}
}
Cohort = tuple[int, ...]


@cache
def frame(node: int) -> pd.DataFrame:
    """A node's rows; those of each node are about something else, so that no two cohorts have the same answer."""
    rng = np.random.default_rng([13, node])
    a, b = rng.normal(3 + node, 4, ROWS).round(4), rng.normal(-100 + 10 * node, 30, ROWS).round(3)
    k = rng.integers(0, 4, ROWS).astype(float)
    y = (rng.random(ROWS) < 1 / (1 + np.exp(-(0.3 * a - 0.02 * (b + 100) - 1)))).astype(float)
    mark = np.zeros(ROWS)
    mark[node] = 4.0**node
    return pd.DataFrame({"a": a, "b": b, "k": k, "y": y, "mark": mark})


@cache
def digits(node: int) -> tuple[np.ndarray, np.ndarray]:
    """A node's pictures and what each shows."""
    rng = np.random.default_rng([14, node])
    return rng.integers(0, 256, (PICTURES, 1, 4, 4), dtype=np.uint8), rng.integers(0, 3, PICTURES)


def data(node: int) -> dict[str, bytes]:
    """The files in a node's data folder."""
    x, y = digits(node)
    file = io.BytesIO()
    np.savez(file, x=x, y=y)
    table = frame(node)
    return {
        TABLE: table.to_csv(index=False).encode(),
        CONTROLLED: table[["a", "b", "k"]].to_csv(index=False).encode(),
        DIGITS: file.getvalue(),
    }


def pooled(members: Cohort) -> pd.DataFrame:
    """The rows of some nodes together: what nobody in a real network has."""
    return pd.concat([frame(m) for m in members], ignore_index=True)


def group(df: Any, by: str = "k") -> Any:
    """The same groups for pandas and for a task."""
    return df.groupby(by) if isinstance(df, pd.DataFrame) else df.groupby(by, categories=[0.0, 1.0, 2.0, 3.0])


STATISTICS: dict[str, Callable[[Any], Any]] = {
    "mean": lambda df: df[["a", "b"]].mean(),
    "spread": lambda df: (df[["a", "b"]].std(), df[["a", "b"]].corr()),
    "median": lambda df: df["a"].median(),
    "groups": lambda df: group(df)["b"].agg(["mean", "std"]),
    "above": lambda df: df["b"][df["a"] > df["a"].mean()].mean(),
}


def every(result: Any) -> tuple[Any, ...]:
    """The parts of a result."""
    return result if isinstance(result, tuple) else (result,)


class Statistics(HorizontalAnalytics):
    """Statistics of the table, and who was in them."""

    def __init__(self, kind: str, **strategy: Any) -> None:
        super().__init__(kind, **strategy)
        self.kind = kind

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        """The table."""
        return {"rows": delta.dataset.DataFrame(TABLE, columns=COLUMNS)}

    def execute(self, rows: Any) -> Any:  # type: ignore[override]
        """The statistics and the mark."""
        return *every(STATISTICS[self.kind](rows)), rows["mark"].sum()


class Controlled(HorizontalAnalytics):
    """Statistics that no owner is asked about. Each number asks something new: answers are not given to other members again."""

    def __init__(self, number: int, **strategy: Any) -> None:
        super().__init__("controlled", **strategy)
        self.factor = 1 + number / 1000

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        """The table that has rules."""
        return {"rows": delta.dataset.DataFrame(CONTROLLED, columns=["a", "b", "k"])}

    def execute(self, rows: Any) -> Any:  # type: ignore[override]
        """Means and deviations of scaled columns."""
        scaled = rows[["a", "b"]] * self.factor
        return scaled.mean(), scaled.std()


class Linear(LinearTask):
    """A linear regression."""

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        """The table."""
        return {"data": delta.dataset.DataFrame(TABLE, columns=["a", "b", "y"])}

    def preprocess(self, data: Any) -> Any:
        """``b`` by ``a`` and ``y``."""
        return add_constant(data[["a", "y"]]), data["b"]


class Logit(LogitTask):
    """A logistic regression."""

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        """The table."""
        return {"data": delta.dataset.DataFrame(TABLE, columns=["a", "b", "y"])}

    def preprocess(self, data: Any) -> Any:
        """``y`` by ``a`` and ``b``, which is scaled."""
        return add_constant(data[["a", "b"]] / 10), data["y"]


class Softmax(HorizontalLearning):
    """Training with one step over all rows in a round: a round over some members is a step on their pooled rows."""

    def __init__(self, rounds: int, **strategy: Any) -> None:
        super().__init__("learning", rounds, 0, strategy=FaultTolerantFedAvg(merge_epoch=1, **strategy))
        self.model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        for parameter in self.model.parameters():
            torch.nn.init.zeros_(parameter)
        self.loss_func = torch.nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.5)

    batch_size = 100_000

    def dataset(self) -> delta.dataset.Dataset:
        """The pictures."""
        return delta.dataset.Dataset(DIGITS, shape=(1, 4, 4), classes=["0", "1", "2"])

    def preprocess(self, x: Any, y: Any) -> Any:
        """Pixels from 0 to 1."""
        return x / 255, y


def trained(cohorts: list[Cohort]) -> list[np.ndarray]:
    """The parameters after a round over each of these members."""
    task = Softmax(len(cohorts), min_clients=2, max_clients=2)
    for members in cohorts:
        x, y = (torch.from_numpy(np.concatenate(part)) for part in zip(*map(digits, members), strict=True))
        task.optimizer.zero_grad()
        task.loss_func(task.model(x.float() / 255), y.long()).backward()
        task.optimizer.step()
    return [p.detach().numpy() for p in task.model.state_dict().values()]


@cache
def regression(kind: str, members: Cohort) -> list[np.ndarray]:
    """What statsmodels says of the pooled rows."""
    rows = pooled(members)
    if kind == "linear":
        fitted = sm.OLS(rows["b"], sm.add_constant(rows[["a", "y"]])).fit()
    else:
        fitted = sm.Logit(rows["y"], sm.add_constant(rows[["a", "b"]] / 10)).fit(disp=False)
    return [np.asarray(fitted.params), np.asarray(fitted.bse)]


@dataclass(frozen=True)
class Round:
    """A finished round: who was in its sum, by place, and how many of them contributed zeros."""

    members: Cohort
    failed: int


@dataclass(frozen=True)
class Work:
    """One task: what was submitted, and what it must give."""

    kind: str
    number: int
    bundle: delta.Bundle

    def wrong(self, result: Any, rounds: list[Round]) -> str | None:
        """What is wrong with a result; None when it is that of the pooled rows of the members who took part."""
        if any(r.failed for r in rounds):
            return self._without_some(result, rounds)
        return self._differs(result, [r.members for r in rounds])

    def _without_some(self, result: Any, rounds: list[Round]) -> str | None:
        """Nobody says who contributed zeros: they are the same ones in all rounds that are combined."""
        if self.kind == "learning":
            return None if len({r.members for r in rounds}) == 1 else "cannot be told"
        everybody = rounds[0].members
        for absent in everybody:
            left = tuple(m for m in everybody if m != absent)
            if rounds[0].failed == 1 and self._differs(result, [left] * len(rounds)) is None:
                return None
        return "with zeros of some it is that of no members"

    def _differs(self, result: Any, cohorts: list[Cohort]) -> str | None:
        if self.kind == "learning":
            return differ(list(result.parameters.values()), trained(cohorts), 2e-5)
        if len(set(cohorts)) != 1:
            return f"its rounds have different members: {cohorts}"
        members = cohorts[0]
        if self.kind in ("linear", "logit"):
            return differ([result.params, result.bse], regression(self.kind, members), 1e-5)
        if self.kind == "controlled":
            scaled = pooled(members)[["a", "b"]] * (1 + self.number / 1000)
            return differ(every(result), (scaled.mean(), scaled.std()), 1e-6)
        *numbers, mark = every(result)
        counted = tuple(i for i in range(8) if round(float(mark)) >> 2 * i & 3 == 1)
        if float(mark) != sum(4.0**m for m in members):
            return f"the sum counts {counted}, its coordinator {members}"
        return differ(numbers, every(STATISTICS[self.kind](pooled(members))), 1e-6)


def differ(found: Any, expected: Any, tolerance: float) -> str | None:
    """How numbers differ, relative to their size; None when they do not."""
    for ours, theirs in zip(found, expected, strict=True):
        a, b = np.asarray(ours, float), np.asarray(theirs, float)
        if a.shape != b.shape or not np.allclose(a, b, rtol=tolerance, atol=tolerance):
            return f"{a.tolist()} is not {b.tolist()}"
    return None


KINDS = [*STATISTICS, "controlled", "linear", "logit", "learning"]


def make(kind: str, number: int, **strategy: Any) -> Work:
    """A task of some kind. What only differs by its number is built once."""
    if kind == "controlled":
        return Work(kind, number, Controlled(number, **strategy).build())
    return Work(kind, number, _built(kind, tuple(sorted(strategy.items()))))


@cache
def _built(kind: str, strategy: tuple[tuple[str, Any], ...]) -> delta.Bundle:
    options = dict(strategy)
    if kind == "linear":
        return Linear("linear", **options).build()
    if kind == "logit":
        return Logit("logit", **options).build()
    if kind == "learning":
        return Softmax(options.pop("rounds", 3), **options).build()
    return Statistics(kind, **options).build()


def took_part(network: Network, node: Node, task: int) -> list[Round]:
    """Who was in the sums of a task, as its coordinator says."""
    places = {n.address: i for i, n in enumerate(network.nodes)}
    told = node.client.progress(task)
    cohorts = [tuple(sorted(places[address] for address in who)) for who in told.who]
    if [len(c) for c in cohorts] != told.members:
        raise LookupError(f"progress names {cohorts} and counts {told.members}")
    return [Round(c, f) for c, f in zip(cohorts, told.failed, strict=True)]
