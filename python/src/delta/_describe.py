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
    lines.append(f"The result: {_names(manifest['outputs'])}.")
    lines.append(f"Bundle: {size:,} bytes, commitment {commitment}.")
    return "\n".join(lines)


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
    for dataset, fields in reads.items():
        yield f"reads {dataset}: {'; '.join(sorted(fields)) or 'the number of its rows'}"
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
