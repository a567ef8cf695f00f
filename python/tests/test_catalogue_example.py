"""Catalogues over real nodes: the example from end to end, what owners say while nodes run, and how soon a slip is told."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

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
        policies = example("catalogue").POLICIES
        with example("private_nodes").network(tmp_path_factory.mktemp("catalogue"), policies) as running:
            yield running


@pytest.fixture
def here(nodes: list[Any]) -> Iterator[delta.Network]:
    with delta.Network(nodes[0].url) as network:
        until(lambda: all(node.state == "published" for node in network.nodes()), 60)
        yield network


def until(holds: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.5)


def say(node: Any, name: str, change: Any) -> None:
    """Change what an owner says about a dataset, in the running node's configuration."""
    config = json.loads(node.config.read_text())
    change(config["datasets"][name])
    node.config.write_text(json.dumps(config))


def test_the_example_goes_all_the_way(nodes: list[Any], here: delta.Network) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(delta.__file__).parents[1])}
    command = [sys.executable, str(EXAMPLES / "catalogue.py"), "--node", nodes[0].url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout
    assert "about 20,000 rows" in told and "age: integer; in years; 18 to 99; quasi" in told
    assert told.count('column "recoverd" is not in trial.csv (it has: age, patient, recovered, treated)') == 3
    seconds = re.search(r"told in ([0-9.]+) s", told)
    assert seconds and float(seconds.group(1)) < 1
    made = example("private_nodes")
    rows = pd.concat([pd.DataFrame(made.tables(i)[made.TRIAL]) for i in range(made.NODES)])
    for share in rows.groupby("treated")["recovered"].mean():
        assert f"{share:.6f}" in told.rpartition("At the hospitals:")[2]


def test_nothing_is_published_that_is_not_said(nodes: list[Any], here: delta.Network) -> None:
    for found in here.nodes():
        assert list(found.datasets) == ["trial.csv"], "staff.csv is there, and is nobody's business"
    text = httpx.get(f"{nodes[1].url}/v1/catalogue").text
    assert "staff" not in text and "digits" not in text
    # The least and largest ages of the data are 20 and 80.
    assert '"range":["18","99"]' in text and '"20"' not in text and '"80"' not in text
    answer = httpx.get(f"{nodes[1].url}/v1/datasets").json()["datasets"]
    there = {d["name"]: d["published"] for d in answer}
    assert there["trial.csv"] and not there["staff.csv"]


@pytest.mark.long
def test_a_running_node_takes_up_what_its_owner_says(nodes: list[Any], here: delta.Network) -> None:
    made = example("private_nodes")

    def withhold(rules: dict[str, Any]) -> None:
        del rules["catalogue"]["columns"]["recovered"]

    def columns() -> Any:
        return {n.name: n.datasets["trial.csv"].columns for n in here.nodes() if n.datasets}

    before = nodes[2].config.read_text()
    say(nodes[2], made.TRIAL, withhold)
    until(lambda: "recovered" not in columns()["node-3"], 40)
    task = example("catalogue").Recovery("recovered")
    found = task.check(here)
    assert [v.can for v in found.verdicts].count(False) == 1 and found.too_few
    with delta.DeltaNode(nodes[0].url) as node, pytest.warns(delta.CatalogueWarning, match="recovered"):
        node.cancel(node.create_task(task))

    # From the file: its names and plain types, in its order, and nothing of what is hidden.
    def from_file(rules: dict[str, Any]) -> None:
        rules["columns"]["age"] = "hidden"
        rules["catalogue"] = {"columns": "from-file"}

    say(nodes[2], made.TRIAL, from_file)
    until(lambda: list(columns()["node-3"]) == ["patient", "treated", "recovered"], 60)
    assert {c.type for c in columns()["node-3"].values()} == {"integer"}
    nodes[2].config.write_text(before)
    until(lambda: "age" in columns()["node-3"], 60)


def test_a_slip_that_is_submitted_is_told_by_the_catalogue_long_before_the_round(
    nodes: list[Any], here: delta.Network
) -> None:
    slip = example("catalogue").Recovery("recoverd")
    with delta.DeltaNode(nodes[0].url) as node:
        begun = time.monotonic()
        with pytest.warns(delta.CatalogueWarning, match='"recoverd" is not in trial.csv'):
            number = node.create_task(slip)
        assert time.monotonic() - begun < 5
        # The nodes themselves would ask their owners about a column that no rule lists.
        node.cancel(number)


def test_the_draft_of_a_catalogue_is_for_the_owner(nodes: list[Any]) -> None:
    command = [program(), "data", "publish", "trial.csv", "--config", str(nodes[1].config)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert '"age": { type: integer }  # range: [20, 80]' in text
    assert "# rows: rounded  # 20000 rows" in text


def test_mock_rows_know_nothing_of_the_data(nodes: list[Any], here: delta.Network) -> None:
    rows = here.mock("trial.csv", rows=5000)
    made = example("private_nodes")
    real = np.concatenate([made.tables(i)[made.TRIAL]["age"] for i in range(made.NODES)])
    assert rows["age"].min() == 18 < real.min() and rows["age"].max() == 99 > real.max()
