"""The private examples over three nodes that let such tasks run within a budget: how far off, at what cost, and what ends it."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import delta
from conftest import ROOT, program

EXAMPLES = ROOT / "python/examples"


def example(name: str) -> ModuleType:
    if str(EXAMPLES) not in sys.path:
        sys.path.append(str(EXAMPLES))
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DELTA_NODE_BIN", program())
        with example("private_nodes").network(tmp_path_factory.mktemp("private")) as running:
            yield running


def pooled(name: str) -> pd.DataFrame:
    """All nodes' rows of a table: what nobody in a real network has."""
    made = example("private_nodes")
    return pd.concat([pd.DataFrame(made.tables(i)[name]) for i in range(made.NODES)], ignore_index=True)


def told(nodes: list[Any], name: str) -> str:
    """What an example prints."""
    environment = os.environ | {"PYTHONPATH": str(Path(delta.__file__).parents[1])}
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), "--node", nodes[0].url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "RuntimeWarning" not in done.stderr, done.stderr
    return done.stdout


def charged(nodes: list[Any], dataset: str) -> list[dict[str, Any]]:
    """Each node's account of a dataset, which its owner's command and its API tell alike."""
    accounts = []
    for node in nodes:
        answer = httpx.get(f"{node.url}/v1/privacy").json()
        command = [program(), "privacy", "--config", node.config, "--json"]
        printed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        assert printed == answer
        accounts += [a for a in answer["datasets"] if a["dataset"] == dataset]
    assert len(accounts) == len(nodes)
    return accounts


def costs_what_is_told(nodes: list[Any], file: str, text: str, *, releases: int, asked: float) -> None:
    """Every node's ledger of ``file`` says what the author was told, and no more than was asked for."""
    epsilon = number(r"cost +epsilon ([0-9.]+)", text)
    for account in charged(nodes, file):
        assert account["delta"] == 1e-6 and account["open"] == 0 and len(account["charges"]) == releases
        assert account["spent"]["colluding"] == pytest.approx(epsilon, abs=1e-4)
        assert account["spent"]["colluding"] <= asked, "what was asked for is a promise"


def ends_with_the_budget(nodes: list[Any], task: Any, dataset: str) -> None:
    """Run once more: every node declines, by the closed code, and nothing more is charged."""
    before = charged(nodes, dataset)
    task.strategy.connection_timeout, task.strategy.retries = 2, 0
    with delta.DeltaNode(nodes[0].url) as node:
        number = node.create_task(task)
        assert not node.wait(number, timeout=60, progress=False)
        # The words of the code `over_budget`; no rule, no number.
        assert f"each of {len(nodes)} nodes has spent the budget for its data" in node.progress(number).error
    assert charged(nodes, dataset) == before


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found, text
    return float(found.group(1).replace(",", ""))


def test_the_mean_is_within_its_margin_at_the_cost_that_is_told(nodes: list[Any]) -> None:
    made = example("private_mean")
    text = told(nodes, "private_mean")
    mean, most = number(r"mean wage +([0-9,.]+)", text), number(r"margin +([0-9.]+)", text)
    wages = pooled("staff.csv")["wage"]
    # No wage is clipped, so the pooled mean is that of all rows. The margin is for a chance of 1e-6, and sized for the widest
    # mean; at this one the noise leaves it with a chance below 1e-10. 0.01 is for what is printed.
    assert abs(mean - wages.mean()) <= most + 0.01
    assert most < 0.01 * wages.mean(), "useful"
    assert number(r"people +([0-9,]+)", text) == pytest.approx(len(wages), abs=7 * 7.32 * made.CLIP)
    assert number(r"members +(\d+)", text) == len(nodes)
    costs_what_is_told(nodes, "staff.csv", text, releases=1, asked=0.6)
    ends_with_the_budget(nodes, made.MeanWage(), "staff.csv")


def test_the_regression_is_within_its_margins_at_the_cost_that_is_told(nodes: list[Any]) -> None:
    made = example("private_logit")
    text = told(nodes, "private_logit")
    rows = pooled("trial.csv")
    x = pd.DataFrame({"const": 1.0, "age": (rows["age"] - 50) / 30, "treated": rows["treated"]})
    expected = sm.Logit(rows["recovered"], x).fit(disp=False)
    cells = [re.search(rf"^{name} +(.*)$", text, re.MULTILINE) for name in x.columns]
    table = np.array([[float(c) for c in found.group(1).split()] for found in cells if found])
    estimate, sampling, error, most = table.T
    # Nobody's vector is clipped at the estimate, nor near it; the margin is for a chance of 1e-6 over all three parameters, to
    # first order, and its allowance for the rest makes it six standard errors or more: below 1e-8. 1e-4 is for what is printed.
    assert (norms(x.to_numpy(), rows["recovered"].to_numpy(), expected.params.to_numpy()) < 0.75 * made.CLIP).all()
    assert (np.abs(estimate - expected.params) <= most + 1e-4).all(), text
    assert (most > 6 * error).all() and (error < sampling).all(), "useful"
    assert number(r"members +(\d+)", text) == len(nodes)
    costs_what_is_told(nodes, "trial.csv", text, releases=6, asked=2.0)
    ends_with_the_budget(nodes, made.Treatment(), "trial.csv")


def norms(x: Any, y: Any, params: Any) -> Any:
    """The Euclidean norm of what each record adds: score, Hessian's triangle, log-likelihood, and two counts."""
    z = x @ params
    p = 1 / (1 + np.exp(-z))
    triangle = [x[:, i] * x[:, j] * p * (1 - p) for i in range(3) for j in range(i + 1)]
    score, loglike = x * (y - p)[:, None], y * z - np.log1p(np.exp(z))
    return np.sqrt((score**2).sum(1) + sum(h**2 for h in triangle) + loglike**2 + 2)


def test_errors_of_the_noise_are_as_large_as_they_are_said_to_be() -> None:
    made, nodes = example("private_logit"), example("private_nodes")
    frames = [nodes.tables(i)[nodes.TRIAL] for i in range(nodes.NODES)]
    rows = pooled(nodes.TRIAL)
    x = pd.DataFrame({"const": 1.0, "age": (rows["age"] - 50) / 30, "treated": rows["treated"]})
    expected = sm.Logit(rows["recovered"], x).fit(disp=False).params.to_numpy()
    ratios = []
    for seed in range(8):
        found = delta.debug(made.Treatment(), trial=frames, parts=len(frames), seed=seed)
        ratios.append((found.params - expected) / made.margin(-found.hessian, found.privacy)[0])
    # Seeded. 24 ratios, of which those of one run depend: their root mean square is 1, give or take.
    assert 0.6 < np.sqrt(np.mean(np.square(ratios))) < 1.5


def test_a_margin_that_would_say_nothing_is_an_error() -> None:
    privacy = {"multiplier": 5.8, "clip": 4.0}
    with pytest.raises(ValueError, match="more records or a larger epsilon"):
        example("private_logit").margin(200 * np.eye(3), privacy)
    error, most = example("private_mean").margin(5500.0, 1000.0, privacy)
    assert error == pytest.approx(2500 * 23.2 / 1000) and 4.8 * error < most < 7 * error
