"""Whole tasks through three real nodes, against PyTorch, pandas and statsmodels on the pooled data."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import torch
from torch.utils.data import DataLoader

import delta
import delta.dataset
from conftest import ROOT, Network
from delta.statsmodel import LogitTask
from delta.task import FaultTolerantFedAvg, HorizontalAnalytics, HorizontalLearning

SOON = {"connection_timeout": 10, "wait_timeout": 30, "min_clients": 3, "max_clients": 3}


def run(network: Network, task: Any, seconds: float = 120) -> Any:
    node = network.node
    task_id = node.create_task(task)
    if not node.wait(task_id, timeout=seconds, progress=False):
        pytest.fail(node.progress(task_id).error + "\n" + "\n".join(r["message"] for r in node.logs(task_id)))
    return node.get_result(task_id)


class Wages(HorizontalAnalytics):
    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"wages": delta.dataset.DataFrame("wages.csv", columns=["wage"])}

    def execute(self, wages: Any) -> Any:
        return wages.mean()


class Flowers(HorizontalAnalytics):
    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        columns = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "target"]
        return {"iris": delta.dataset.DataFrame("iris.csv", columns=columns)}

    def execute(self, iris: Any) -> Any:
        leaves = iris.drop(["target"], axis=1)
        return leaves.std(), leaves[iris["target"] > 0].mean(), iris.groupby("target", categories=[0, 1, 2]).mean()


class Spector(LogitTask):
    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"data": delta.dataset.DataFrame("spector.csv", columns=["GPA", "TUCE", "PSI", "GRADE"])}

    def preprocess(self, data: Any) -> Any:
        names = data.columns
        return data.drop([names[3]], axis=1), data[names[3]].copy()


class Digits(HorizontalLearning):
    """``rate`` and ``batch`` make it one full-batch step a round for the comparison with pooled data."""

    def __init__(
        self, name: str, rounds: int, *, batch: int, epochs: int = 1, momentum: float = 0.0, **more: Any
    ) -> None:
        super().__init__(name, rounds, strategy=FaultTolerantFedAvg(merge_epoch=epochs, **SOON), **more)
        torch.manual_seed(1)
        self.batch = batch
        self.model = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.Tanh(), torch.nn.Linear(16, 10)
        )
        self.loss_func = torch.nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.5 if batch > 100 else 0.1, momentum=momentum)

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset("digits", shape=[1, 8, 8], classes=[str(d) for d in range(10)])

    def preprocess(self, x: Any, y: Any) -> Any:
        return x / 255, y

    def make_train_dataloader(self, dataset: Any) -> Any:
        return DataLoader(dataset, batch_size=self.batch, shuffle=True)

    def make_validate_dataloader(self, dataset: Any) -> Any:
        return DataLoader(dataset, batch_size=256)

    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            loss = self.loss_func(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def validate(self, dataloader: Any) -> Any:
        correct, rows = 0, 0
        for x, y in dataloader:
            correct += (self.model(x).argmax(1) == y).sum()
            rows += y.shape[0]
        return {"accuracy": correct / rows}


def test_the_mean_wage_is_that_of_the_pooled_rows(network: Network) -> None:
    mean = run(network, Wages("wage_avg", **SOON))
    pd.testing.assert_series_equal(mean, network.pooled("wages.csv").mean())
    (only,) = mean.attrs["rounds"]
    assert (only["members"], only["failed"], only["dropped"], only["lost"]) == (3, 0, 0, [])
    assert only["declined"] == {} and only["bytes"] > 0 and only["seconds"] > 0
    assert len(set(only["who"])) == 3


def test_statistics_of_several_rounds_are_pandas(network: Network) -> None:
    rows = network.pooled("iris.csv")[["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "target"]]
    leaves = rows.drop(["target"], axis=1)
    spread, some, groups = run(network, Flowers("flowers", **SOON))
    pd.testing.assert_series_equal(spread, leaves.std(), rtol=1e-6)
    pd.testing.assert_series_equal(some, leaves[rows["target"] > 0].mean(), rtol=1e-6)
    pd.testing.assert_frame_equal(groups, rows.groupby("target").mean(), rtol=1e-6, check_index_type=False)


def test_the_spector_logit_is_statsmodels(network: Network) -> None:
    rows = network.pooled("spector.csv")
    expected = sm.Logit(rows["GRADE"], rows[["GPA", "TUCE", "PSI"]]).fit(disp=False)
    result = run(network, Spector("spector_logit", **SOON))
    np.testing.assert_allclose(np.asarray(result.params), expected.params, atol=1e-6)
    np.testing.assert_allclose(np.asarray(result.bse), expected.bse, atol=1e-6)
    assert result.llf == pytest.approx(expected.llf, abs=1e-6)


def test_training_learns_and_is_what_debug_shows(network: Network) -> None:
    task = Digits("digits", 4, batch=32, momentum=0.9)
    result = run(network, task)
    assert result.metrics["accuracy"] > 0.85
    accuracy = result.history["accuracy"]
    assert accuracy.iloc[-1] > accuracy.iloc[0]
    rehearsed = delta.debug(task, digits=network.digits())
    for name, value in result.parameters.items():
        np.testing.assert_allclose(value, rehearsed.parameters[name], rtol=1e-4, atol=1e-5, err_msg=name)
    model = result.load_into(task.model)
    x, y = (np.concatenate(part) for part in zip(*network.digits(), strict=True))
    with torch.no_grad():
        guess = model(torch.from_numpy(x).float() / 255).argmax(1).numpy()
    assert (guess == y).mean() > 0.85


def test_one_full_step_a_round_is_training_on_the_pooled_rows(network: Network) -> None:
    rounds = 3
    task = Digits("pooled", rounds, batch=100_000, validate_interval=0)
    x, y = (torch.from_numpy(np.concatenate(part)) for part in zip(*network.digits(), strict=True))
    x, y = x.float() / 255, y.long()
    alone = Digits("alone", rounds, batch=100_000)
    for _ in range(rounds):
        alone.train([(x, y)])
    result = run(network, task)
    for name, value in alone.model.state_dict().items():
        # The fixed point keeps 8 decimal digits of n * w, n being the rows of a member.
        np.testing.assert_allclose(result.parameters[name], value.numpy(), rtol=1e-6, atol=2e-6, err_msg=name)


class Around(Digits):
    """Shrinks the weights before the loop, stays near where it began, and takes a mean after it."""

    def train(self, dataloader: Any) -> None:
        start = copy.deepcopy(self.model)
        with torch.no_grad():
            for p in self.model.parameters():
                p.mul_(0.99)
        for x, y in dataloader:
            near = sum(((p - q) ** 2).sum() for p, q in zip(self.model.parameters(), start.parameters(), strict=True))
            loss = self.loss_func(self.model(x), y) + 0.1 * near
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        with torch.no_grad():
            for p, q in zip(self.model.parameters(), start.parameters(), strict=True):
                p.mul_(0.75).add_(q, alpha=0.25)


def test_code_around_the_loop_runs_once_a_round(network: Network) -> None:
    rounds = 2
    result = run(network, Around("around", rounds, batch=100_000, validate_interval=0))
    x, y = (torch.from_numpy(np.concatenate(part)) for part in zip(*network.digits(), strict=True))
    alone = Around("alone", rounds, batch=100_000)
    for _ in range(rounds):
        alone.train([(x.float() / 255, y.long())])
    for name, value in alone.model.state_dict().items():
        np.testing.assert_allclose(result.parameters[name], value.numpy(), rtol=1e-6, atol=2e-6, err_msg=name)


def test_a_task_that_fits_no_data_fails_without_a_word_about_them(network: Network) -> None:
    class Nowhere(Wages):
        def dataset(self) -> dict[str, delta.dataset.DataFrame]:
            return {"wages": delta.dataset.DataFrame("wages.csv", columns=["salary"])}

    node = network.node
    task_id = node.create_task(Nowhere("nowhere", **(SOON | {"connection_timeout": 2})))
    assert not node.wait(task_id, timeout=100, progress=False)
    with pytest.raises(delta.TaskFailed):
        node.get_result(task_id)
    log = " ".join(r["message"] for r in node.logs(task_id))
    assert "3 of 3 members could not compute" in log
    assert "salary" not in log and "wages.csv" not in log


def test_a_task_with_a_forged_operator_is_refused_at_once(network: Network) -> None:
    good = Wages("forged", **SOON).build()
    graphs = {name: content.replace(b"Where", b"Flood") for name, content in good.graphs.items()}
    assert graphs != good.graphs
    with pytest.raises(delta.DeltaNodeError, match="Flood"):
        network.node.create_task(delta.Bundle.pack(good.manifest, graphs, good.arrays))


@pytest.mark.parametrize("example", ["learning", "analytics", "regression"])
def test_the_examples_run_as_the_readme_says(network: Network, example: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(delta.__file__).parents[1])}
    script = ROOT / "python/examples" / f"{example}.py"
    command = [sys.executable, str(script), "--node", network.urls[0]]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert told.returncode == 0, told.stdout + told.stderr
    if example == "learning":
        found = re.search(r"accuracy\D*([0-9.]+)", told.stdout.splitlines()[-1])
        assert found, told.stdout
        assert "round 1 of" in told.stdout
        assert float(found.group(1)) > (80 if "%" in told.stdout.splitlines()[-1] else 0.8)
