"""Bundles and drafts: bytes, commitments, descriptions, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import delta
from delta import manifest as m
from delta.strategy import AnalyticsStrategy, RandomSelectStrategy, Strategy

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/task.schema.json").read_text())


def draft() -> m.Draft:
    out = m.Draft("sums", Strategy(max_clients=3), description="for a test")
    out.table("t.csv", ["a", "b"])
    out.variable("total", "server", np.array([1.0, 2.0]))
    graph = out.graph("sum", b"not looked into")
    step = m.Step(graph, {"x": m.data("t.csv", m.columns(["a", "b"]))}, {"y": "sum"})
    out.round(m.Map([step], [("sum", "f64", [2])]), m.Reduce([], {"total": "sum"}), repeat=2)
    out.outputs = ["total"]
    return out


def test_the_same_task_is_the_same_bytes() -> None:
    first, second = draft().build(), draft().build()
    assert first.data == second.data
    assert first.commitment == second.commitment
    assert len(first.commitment) == 66


def test_a_bundle_survives_saving(tmp_path: Path) -> None:
    bundle = draft().build()
    again = delta.Bundle.load(bundle.save(tmp_path / "sums.delta"))
    assert again.manifest == bundle.manifest
    assert again.initial("total").tolist() == [1.0, 2.0]
    assert again.commitment == bundle.commitment


def test_what_is_written_follows_the_schema() -> None:
    task = draft()
    jsonschema.validate(task.build().manifest, SCHEMA)
    task.strategy = Strategy(
        threshold=3, neighbours=4, dropout=0.1, mask_generator="chacha20", ring="z32", retries=1, reproducible=True
    )
    jsonschema.validate(task.build().manifest, SCHEMA)
    task.strategy = Strategy(ring="auto", bound=2.5, rounding="stochastic", transport="f16")
    jsonschema.validate(task.build().manifest, SCHEMA)


def test_the_description_says_what_leaves() -> None:
    text = draft().build().describe()
    for line in (
        "Task sums (horizontal), at most 2 rounds of 2 to 3 members.",
        "Each member's dataset t.csv is needed: a table with the columns a, b.",
        "Rounds 1 to 2:",
        "  reads t.csv: columns a, b",
        "  leaves the node, masked: sum, f64 [2], 2 numbers",
        "  in all, each member sends 16 bytes a round",
        "the coordinator sees sums over at least 2 members, not who contributed what.",
    ):
        assert line in text


def test_drafts_refuse_what_no_node_takes() -> None:
    task = draft()
    with pytest.raises(ValueError, match="declared twice"):
        task.variable("total", "server")
    with pytest.raises(ValueError, match="a name is a letter"):
        task.variable("2b", "server")
    with pytest.raises(ValueError, match="no complex128"):
        task.variable("z", "server", np.zeros(2, complex))
    with pytest.raises(ValueError, match="computes nothing"):
        m.Draft("empty", Strategy()).build()


def test_graphs_with_the_same_bytes_are_kept_once() -> None:
    task = draft()
    assert task.graph("again", b"not looked into") == "graphs/sum.onnx"
    with pytest.raises(ValueError, match="taken"):
        task.graph("sum", b"another")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_clients": 1}, "min_clients=1: must be at least 2"),
        ({"min_clients": 3, "max_clients": 2}, "max_clients=2: must be at least min_clients"),
        ({"precision": 16}, "precision=16"),
        ({"wait_timeout": 0}, "wait_timeout=0"),
        ({"dropout": 0.6}, "dropout=0.6: must be a fraction from 0 to 0.5"),
        ({"curve": "curve25519"}, "curve='curve25519'"),
    ],
)
def test_strategies_name_the_argument(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Strategy(**arguments)  # type: ignore[arg-type]


def test_analytics_keeps_its_members() -> None:
    assert AnalyticsStrategy().json()["selection"] == "same"
    assert AnalyticsStrategy(select_strategy=RandomSelectStrategy).json()["selection"] == "random"


def test_garbage_is_no_bundle() -> None:
    with pytest.raises(ValueError, match="not a task bundle"):
        delta.Bundle(b"PK\x03\x04 or so")
