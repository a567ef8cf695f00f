"""Arguments of strategies and tasks are written once and stand in every signature, in delta-task's order."""

from __future__ import annotations

import inspect
from pathlib import Path

import mypy.api
import pytest

from delta.dataset import DataFrame as Table
from delta.statsmodel import LinearTask, LogitTask, MNLogitTask
from delta.strategy import AnalyticsStrategy, RandomSelectStrategy, SameSelectStrategy
from delta.task import FaultTolerantFedAvg, FedAvg, HorizontalAnalytics
from delta.task.learning import GradResultStrategy

FEDAVG = [
    "min_clients",
    "max_clients",
    "merge_epoch",
    "merge_iteration",
    "wait_timeout",
    "connection_timeout",
    "precision",
    "curve",
    "select_strategy",
    "result_strategy",
]
REGRESSION = [
    "name",
    "min_clients",
    "max_clients",
    "wait_timeout",
    "connection_timeout",
    "verify_timeout",
    "precision",
    "curve",
    "enable_verify",
    "description",
    "privacy",
    "bounds",
    "verify_tolerance",
]


def parameters(kind: type) -> list[str]:
    return list(inspect.signature(kind).parameters)


@pytest.mark.parametrize("kind", [FedAvg, FaultTolerantFedAvg])
def test_averaging_has_the_order_of_delta_task(kind: type[FedAvg]) -> None:
    assert parameters(kind)[: len(FEDAVG)] == FEDAVG
    made = kind(3, 4, 0, 7, 30, 10, 5, "secp384r1", SameSelectStrategy, GradResultStrategy, weighting="mean", retries=1)
    assert [getattr(made, a) for a in FEDAVG[:8]] == [3, 4, 0, 7, 30, 10, 5, "secp384r1"]
    assert (made.select_strategy, made.result_strategy) == (SameSelectStrategy, GradResultStrategy)
    assert (made.weighting, made.retries, made.name, made.length) == ("mean", 1, kind.__name__, {"iterations": 7})


def test_analytics_have_the_order_of_delta_task() -> None:
    order = [
        "name",
        "min_clients",
        "max_clients",
        "wait_timeout",
        "connection_timeout",
        "precision",
        "curve",
        "description",
        "privacy",
    ]
    assert parameters(HorizontalAnalytics) == order


def test_regressions_have_the_order_of_delta_task() -> None:
    assert parameters(LogitTask) == REGRESSION
    assert parameters(LinearTask) == REGRESSION
    assert parameters(MNLogitTask) == [*REGRESSION, "n_classes"]


class Wages(LinearTask):
    def dataset(self) -> dict[str, Table]:
        return {"wages": Table("wages.csv", columns=["wage"])}

    def preprocess(self, wages):  # type: ignore[no-untyped-def]
        return wages, wages["wage"]


def test_arguments_of_a_task_reach_its_strategy() -> None:
    task = Wages("wages", 3, 4, 30, 10, 90, 5, "secp256r1", description="All wages.")
    assert (task.name, task.description) == ("wages", "All wages.")
    assert task.strategy == AnalyticsStrategy(
        min_clients=3,
        max_clients=4,
        wait_timeout=30,
        connection_timeout=10,
        verify_timeout=90,
        precision=5,
        curve="secp256r1",
    )
    assert Wages("wages").strategy.select_strategy is SameSelectStrategy
    assert FedAvg().select_strategy is RandomSelectStrategy


def test_an_argument_that_is_none_is_refused_with_the_tasks_name() -> None:
    with pytest.raises(TypeError, match=r"^Wages: got an unexpected keyword argument 'min_client'$"):
        Wages("wages", min_client=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^Wages: missing a required argument: 'name'$"):
        Wages()  # type: ignore[call-arg]


CHECKED = """
from typing import Any
from delta.task import FedAvg, HorizontalAnalytics
class Good(HorizontalAnalytics):
    def __init__(self) -> None:
        super().__init__(name="a", min_clients=2, curve="secp256r1", description="b")
class Better(HorizontalAnalytics):
    def __init__(self) -> None:
        super().__init__("a", 2, 3, 60.0, 1)
class Misspelt(HorizontalAnalytics):
    def __init__(self) -> None:
        super().__init__("a", min_client=2)  # wrong
class Mistyped(HorizontalAnalytics):
    def __init__(self) -> None:
        super().__init__("a", min_clients="2")  # wrong
FedAvg(2, 3, 1, weighting="mean", dropout=0.1)
FedAvg(weighting="median")  # wrong
FedAvg(merge_epochs=1)  # wrong
"""


def test_type_checkers_see_the_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    monkeypatch.setenv("MYPYPATH", "src")
    snippet = tmp_path / "snippet.py"
    snippet.write_text(CHECKED)
    said, errors, _ = mypy.api.run(["--no-error-summary", str(snippet)])
    wrong = {int(line.split(":")[1]) for line in said.splitlines() if ": error:" in line}
    expected = {i for i, line in enumerate(CHECKED.splitlines(), 1) if line.endswith("# wrong")}
    assert wrong == expected, said + errors
