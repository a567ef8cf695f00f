"""What a task takes from a node and what leaves it, in plain words.

The node says the same of every task that reaches it (``delta-node task inspect``); authors see it before they submit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any


def describe(manifest: Mapping[str, Any], size: int, commitment: str) -> str:
    """Describe a manifest; ``size`` is the bundle's, in bytes."""
    strategy, rounds = manifest["strategy"], sum(r.get("repeat", 1) for r in manifest["rounds"])
    low, high = strategy["min_clients"], strategy["max_clients"]
    members = f"{low} members" if low == high else f"{low} to {high} members"
    lines = [f"Task {manifest['name']} ({manifest['type']}), at most {_count(rounds, 'round')} of {members}."]
    for name, spec in manifest["datasets"].items():
        lines.append(f"Each member's dataset {name} is needed: {_dataset(spec)}.")
    first = 1
    for spec in manifest["rounds"]:
        last = first + spec.get("repeat", 1) - 1
        lines.append(f"Round {first}:" if first == last else f"Rounds {first} to {last}:")
        lines += [f"  {line}" for line in _round(spec, manifest)]
        first = last + 1
    lines.append(
        f"What leaves a node is masked; the coordinator sees sums over at least {low} members, not who contributed what. "
        "That protects each member's numbers, not the question: what the graphs put into a number is in the sum."
    )
    lines += _class(manifest)
    lines.append(f"The result: {_names(manifest['outputs'])}.")
    lines.append(f"Bundle: {size:,} bytes, commitment {commitment}.")
    return "\n".join(lines)


def _class(manifest: Mapping[str, Any]) -> Iterable[str]:
    """Which class owners' nodes can put the task in, and why: theirs is the word, and the proof."""
    why = _beside_records(manifest)
    if why:
        yield f"Class: free, because {why}. Every owner is asked, unless the task is submitted to the owner's own node."
        return
    steps = [s["driver"] for r in manifest["rounds"] for s in r["map"]["steps"] if _driver(s) == "records"]
    if not steps:
        yield "Class: free; it reads no data."
        return
    noised = sum("noise" in s for s in steps)
    kind = "private" if noised == len(steps) else "controlled"
    yield (
        f"Class: {kind} where a node proves that the graphs keep records apart and its owner's rules say what the columns are, "
        "none of them an identifier; free, and asked about, elsewhere."
    )
    if kind == "private":
        yield "  It runs unasked where the rules say approval: private and the budget lasts."
        if asked := manifest.get("options", {}).get("privacy"):
            yield (
                f"  By its author's account, {_count(asked['rounds'], 'round')} cost epsilon {asked['epsilon']:.4g} at delta "
                f"{asked['delta']:g} together; nodes make their own."
            )
        return
    if noised:
        yield "  Some sums have noise and some have none, so none counts as private; nodes refuse rounds in which both leave."
    yield (
        "  It runs unasked where the rules say approval: controlled; a node whose sums are of too few records, or mostly one "
        "record's, contributes zeros and is counted among those that could not compute."
    )


def _beside_records(manifest: Mapping[str, Any]) -> str:
    """Why a task is no sum of records that are kept apart; empty when nothing here speaks against it."""
    for number, spec in enumerate(manifest["rounds"], 1):
        round_ = f"round {number}" if len(manifest["rounds"]) > 1 else "its round"
        if spec["map"].get("assign"):
            return f"{round_} keeps values on the node"
        summed = set()
        for step in spec["map"]["steps"]:
            if _driver(step) == "records":
                summed |= {t["name"] for t in step["outputs"].values()}
            elif "dataset" in step.get("driver", {}) or any(s["from"] == "data" for s in step["inputs"].values()):
                return f"a graph of {round_} sees many records at once and may compute anything of them"
        if any(c["name"] not in summed for c in spec["map"]["contribute"]):
            return f"what leaves in {round_} is not the sum that the node makes over its records"
    return ""


def _record_by_record(driver: Mapping[str, Any]) -> str:
    """How the records of a step are bounded and summed."""
    clip, noise = driver.get("clip"), driver.get("noise")
    each = f"all records with the same {driver['unit']['key']}" if "unit" in driver else "each record"
    text = f"sums {driver['dataset']}, record by record: one vector for {each}"
    if clip:
        text += f", of length {clip['l2']:g} at most"
        text += f", no number of it above {clip['linf']:g}" if "linf" in clip else ""
    return text + (
        f", with noise of {noise['multiplier']} times that length at delta {noise['delta']:g}" if noise else ""
    )


def _driver(step: Mapping[str, Any]) -> str:
    return str(step.get("driver", {}).get("kind", "once"))


def _round(spec: Mapping[str, Any], manifest: Mapping[str, Any]) -> Iterable[str]:
    reads: dict[str, set[str]] = {}
    server: set[str] = set()
    for step in spec["map"]["steps"]:
        if "dataset" in step.get("driver", {}):
            reads.setdefault(step["driver"]["dataset"], set())
        for source in step["inputs"].values():
            if source["from"] == "data":
                reads.setdefault(source["dataset"], set()).add(_field(source["field"]))
            elif source["from"] == "variable" and manifest["variables"][source["name"]]["location"] == "server":
                server.add(source["name"])
    for driver in (s["driver"] for s in spec["map"]["steps"] if _driver(s) == "records"):
        if "unit" in driver:
            reads[driver["dataset"]].add(f"column {driver['unit']['key']}")
    for dataset, fields in reads.items():
        yield f"reads {dataset}: {'; '.join(sorted(fields)) or 'the number of its rows'}"
    yield from (_record_by_record(s["driver"]) for s in spec["map"]["steps"] if _driver(s) == "records")
    if server:
        yield f"downloads from the coordinator: {_names(sorted(server))}"
    if spec["map"].get("assign"):
        yield f"keeps on the node for later rounds: {_names(spec['map']['assign'])}"
    width = 4 if manifest["strategy"].get("ring") == "z32" else 8
    total = 0
    for item in spec["map"]["contribute"]:
        numbers = math.prod(item["shape"])
        total += numbers * width
        yield f"leaves the node, masked: {item['name']}, {item['dtype']} {item['shape']}, {_count(numbers, 'number')}"
    yield f"in all, each member sends {_count(total, 'byte')} a round"


def _field(field: Any) -> str:
    if isinstance(field, str):
        return {"x": "the values", "y": "the class labels"}[field]
    ((kind, names),) = field.items()
    return f"column {names}" if kind == "column_i64" else f"columns {_names(names)}"


def _dataset(spec: Mapping[str, Any]) -> str:
    if spec["kind"] == "table":
        return f"a table with the columns {_names(spec['columns'])}"
    if spec["kind"] == "samples":
        labels = f" in the classes {_names(spec['classes'])}" if spec.get("classes") else ""
        return f"samples of shape {spec['shape']}{labels}"
    return f"an array of {spec['dtype']} with shape {spec['shape']}"


def _names(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}" + ("" if number == 1 else "s")
