"""A real network for the tests that need one: `delta-node demo --keep`, a connector and three nodes on this machine."""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import delta

ROOT = Path(__file__).parents[2]

# What torch has made so far stays: looking it through again and again is a quarter of the time in which a task is built.
gc.collect()
gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also the tests that are marked as long")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked as long, unless it is asked for: by ``--long``, or by its name."""
    if config.getoption("--long") or any("::" in given for given in config.args):
        return
    left_out = [i for i in items if i.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [i for i in items if i not in left_out]


@dataclass
class Network:
    """Three running nodes; ``nodes[0]`` takes the tasks."""

    urls: list[str]
    folders: list[Path]

    @property
    def node(self) -> delta.DeltaNode:
        """A client of the first node."""
        return delta.DeltaNode(self.urls[0])

    def tables(self, name: str) -> list[pd.DataFrame]:
        """Each node's part of a table."""
        return [pd.read_csv(folder / name) for folder in self.folders]

    def pooled(self, name: str) -> pd.DataFrame:
        """All nodes' rows of a table: what nobody in a real network has."""
        return pd.concat(self.tables(name), ignore_index=True)

    def digits(self) -> list[tuple[Any, Any]]:
        """Each node's images and labels."""
        loaded = [np.load(io.BytesIO((folder / "digits").read_bytes())) for folder in self.folders]
        return [(d["x"], d["y"]) for d in loaded]


def binary() -> Path | None:
    """The node's program: ``DELTA_NODE_BIN``, or where cargo puts it."""
    given = [Path(os.environ["DELTA_NODE_BIN"])] if "DELTA_NODE_BIN" in os.environ else []
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return next((p for p in [*given, target / "release/delta-node", target / "debug/delta-node"] if p.exists()), None)


def program() -> str:
    """The node's program; without one the test is skipped, or fails where one is required."""
    found = binary()
    if found is None:
        if os.environ.get("DELTA_REQUIRE_NODE"):
            pytest.fail("no delta-node program: build it, or set DELTA_NODE_BIN")
        pytest.skip("no delta-node program: build it with cargo, or set DELTA_NODE_BIN")
    return str(found)


@contextmanager
def running(folder: Path) -> Iterator[Network]:
    """A network for a while; its log goes into a folder."""
    log = folder / "network.log"
    with log.open("w") as told:
        command = [program(), "demo", "--keep", "--port", "0", "--json"]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, text=True)
        assert running.stdout is not None
        line = running.stdout.readline()
        if not line:
            pytest.fail(f"the network did not start: {log.read_text()}")
        nodes = json.loads(line)["nodes"]
        folders = [Path(n["data"]) for n in nodes]
        try:
            yield Network([n["url"] for n in nodes], folders)
        finally:
            running.terminate()
            ended = running.wait(30)
        assert ended == 0, log.read_text()
        shutil.rmtree(folders[0].parents[1])


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running(tmp_path_factory.mktemp("network")) as network:
        yield network
