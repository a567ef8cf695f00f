"""``describe()`` beside the node: the same class, the same rules by the same names, the same lines about reading and leaving."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import delta
from conftest import ROOT, program
from delta import _release
from delta import manifest as m
from delta.graph import Graph
from delta.strategy import Strategy
from pooled import task

FIXTURES = ROOT / "tests/fixtures"


def example(file: str, name: str) -> delta.Bundle:
    """Build a task of an example."""
    spec = importlib.util.spec_from_file_location(file, ROOT / f"python/examples/{file}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    built: delta.Bundle = getattr(module, name)().build()
    return built


def kept_on_nodes() -> delta.Bundle:
    """A task that keeps a value at each member and adds it in the next round."""
    g, h, r = Graph(), Graph(), Graph()
    g.output("own", g.input("x", "f64", ["rows", 1]))
    h.output("more", h.input("mine", "f64", [1]) + h.input("base", "f64", [1]))
    r.output("next", r.input("sum", "f64", [1]) * 1.0)
    draft = m.Draft("kept", Strategy())
    draft.table("data.csv", ["a"])
    draft.variable("total", "server", shape=[1])
    draft.variable("mine", "client", shape=[1])
    table = {"x": m.data("data.csv", m.columns(["a"]))}
    steps = [
        m.Step(draft.graph("own", g.bytes()), table, {"own": m.accumulate("own")}, m.records("data.csv")),
        m.Step(
            draft.graph("more", h.bytes()),
            {"mine": m.variable("mine"), "base": m.variable("total")},
            {"more": "more"},
        ),
    ]
    last = m.Step(draft.graph("next", r.bytes()), {"sum": m.total("own")}, {"next": "next"})
    draft.round(
        m.Map(steps, [("own", "f64", [1])], assign={"mine": "more"}), m.Reduce([last], {"total": "next"}), repeat=2
    )
    draft.outputs = ["total"]
    return draft.build()


BUNDLES: dict[str, Callable[[], delta.Bundle]] = {
    **{p.stem: lambda p=p: delta.Bundle.load(p) for p in sorted(FIXTURES.glob("*.delta"))},
    "example wages": lambda: example("analytics", "WageAvg"),
    "example flowers": lambda: example("analytics", "Flowers"),
    "example learning": lambda: example("learning", "Digits"),
    "example regression": lambda: example("regression", "SpectorLogit"),
    "example private mean": lambda: example("private_mean", "MeanWage"),
    "example private logit": lambda: example("private_logit", "Treatment"),
    "mean": lambda: task(lambda df: df.mean(), ["a", "b"]).build(),
    "private, of persons": lambda: task(
        lambda df: df.mean(), ["a"], privacy=delta.Privacy(multiplier=2.5, clip=7.5, delta=2.5e-7, linf=1e6, unit="k")
    ).build(),
    "kept": kept_on_nodes,
}


@cache
def built(name: str) -> delta.Bundle:
    return BUNDLES[name]()


def asked(folder: Path, bundle: delta.Bundle, identifier: str = "", columns: bool = True) -> dict[str, Any]:
    """What a node says of a bundle, whose owner has declared the columns of its datasets."""
    rules: dict[str, Any] = {}
    for name, spec in bundle.manifest.get("datasets", {}).items():
        roles = {c.strip(): "identifier" if c == identifier else "value" for c in spec.get("columns", [])}
        rules[name] = {"columns": roles} if columns else {}
    config = {"chain_connector": {"host": "embedded"}, "data_dir": str(folder), "datasets": rules}
    file = folder / "config.yaml"
    file.write_text(json.dumps(config))
    bundle.save(folder / "task.delta")
    command = [program(), "policy", "test", "--config", file, "--json", folder / "task.delta"]
    answer: dict[str, Any] = json.loads(told(command))
    return answer


def told(command: list[Any]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def paragraph(text: str) -> list[str]:
    """What is said of the class, without the rest of the description."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Class: "))
    end = next(i for i, line in enumerate(lines) if line.startswith("The result: "))
    return lines[start:end]


@pytest.mark.parametrize("name", BUNDLES)
def test_the_class_and_its_reasons_are_the_nodes(name: str, tmp_path: Path) -> None:
    bundle = built(name)
    said = asked(tmp_path, bundle)
    first, *rest = paragraph(bundle.describe())
    assert first.startswith(f"Class: {said['class']}"), said
    if said["class"] != "free":
        return
    known = _release.why_free(bundle.manifest)
    shown = [
        line.strip() for line in rest if line.startswith(("  rounds[", f"  {_release.NOTHING}", f"  {_release.PROVEN}"))
    ]
    assert shown == known[: len(shown)] and len(shown) == min(len(known), 5)
    # The node lists a hundred at most, and has also what it found in graphs.
    there = [r for r in said["unproven"] if "records.rows_mixed" not in r]
    assert there == known[: len(there)] and (len(there) == len(known) or len(said["unproven"]) == 100)


@pytest.mark.parametrize("name", ["mean", "example private mean", "spector-records"])
def test_what_the_owners_rules_decide_is_left_to_them(name: str, tmp_path: Path) -> None:
    bundle = built(name)
    first = paragraph(bundle.describe())[0]
    assert "(records.identifier); free, and asked about, elsewhere" in first
    ((_, spec),) = bundle.manifest["datasets"].items()
    for said in (asked(tmp_path, bundle, identifier=spec["columns"][0]), asked(tmp_path, bundle, columns=False)):
        assert said["class"] == "free"
        assert all(why.endswith("(records.identifier)") for why in said["unproven"])


@pytest.mark.parametrize("name", BUNDLES)
def test_what_is_read_and_what_leaves_is_in_the_nodes_words(name: str, tmp_path: Path) -> None:
    bundle = built(name)
    bundle.save(tmp_path / "task.delta")
    command = [program(), "task", "inspect", tmp_path / "task.delta"]
    node = told(command).splitlines()
    ours = bundle.describe().splitlines()

    def rounds(lines: list[str]) -> list[str]:
        start = next(i for i, line in enumerate(lines) if line.startswith("Round"))
        end = next(i for i, line in enumerate(lines) if line.startswith("What leaves"))
        # Seen from the author, it is every node; and he reads thousands with commas.
        return [line.replace("this node", "the node") for line in lines[start:end]]

    plain = [line.replace(",", "") for line in rounds(ours)]
    assert plain == [line.replace(",", "") for line in rounds(node)]


def test_every_rule_that_is_named_is_one_of_the_nodes() -> None:
    rules = (ROOT / "src/domain/records/rule.rs").read_text()
    assert all(f'"records.{rule}"' in rules for rule in _release.JUDGED)
    proofs = (ROOT / "src/domain/records/proof.rs").read_text()
    named = {r.rule for n in BUNDLES for r in _release.reasons(built(n).manifest)}
    assert named == {"records.keeps_state", "records.reads_beside", "records.not_summed"}
    assert all(f'"{rule}"' in proofs for rule in named)


def test_persons_and_records_are_told_apart() -> None:
    assert "The noise is for one person by 'k'" in built("private, of persons").describe()
    assert "The noise is for one record." in built("example private mean").describe()
    persons, records = ({"driver": {"kind": "records", **d}} for d in ({"unit": {"key": " k"}}, {}))
    for steps, unit in [([persons], "k"), ([persons, records], None), ([records], None)]:
        assert _release.unit({"rounds": [{"map": {"steps": steps}}]}) == unit
