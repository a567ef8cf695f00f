"""What a task takes from a node and what leaves it, in plain words.

The node says the same of every task that reaches it (``delta-node task inspect``); authors see it before they submit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from . import _html, _release
from ._widths import EXACT_WORDS, ring_bits

# Reasons that are listed.
_MOST = 5
# Rows of one member that can be proven.
MOST_CERTIFIED = 131072
# Contributions of a round that are listed before a run.
_LISTED = 20


class Description(str):
    """Lines that a notebook shows as lines."""

    def _repr_html_(self) -> str:
        return _html.pre(self)


def describe(manifest: Mapping[str, Any], size: int, commitment: str) -> Description:
    """Describe a manifest; ``size`` is the bundle's, in bytes."""
    strategy, rounds = manifest["strategy"], sum(r.get("repeat", 1) for r in manifest["rounds"])
    low, high = strategy["min_clients"], strategy["max_clients"]
    members = f"{low} members" if low == high else f"{low} to {high} members"
    lines = [f"Task {manifest['name']} ({manifest['type']}), at most {_count(rounds, 'round')} of {members}."]
    for name, spec in manifest.get("datasets", {}).items():
        lines.append(f"Each member's dataset {name} is needed: {_dataset(spec)}.")
    for numbers, spec in _numbered(manifest):
        lines.append(f"{numbers}:")
        lines += [f"  {line}" for line in _round(spec, manifest)]
    lines.append(
        f"What leaves a node is masked; the coordinator sees sums over at least {low} members, not who contributed what. "
        "That protects each member's numbers, not the question: what the graphs put into a number is in the sum."
    )
    lines += _class(manifest)
    lines.append(f"The result: {_names(manifest['outputs'])}.")
    if personal := _personal(manifest):
        lines.append(f"Each member keeps its own of these, and the result has none of them: {_names(personal)}.")
    lines.append(f"Bundle: {size:,} bytes, commitment {commitment}.")
    return Description("\n".join(lines))


def leaving(manifest: Mapping[str, Any], parts: int) -> Description:
    """Describe what leaves each of ``parts`` nodes, round by round, and how many of them are in a round."""
    most, rounds = manifest["strategy"]["max_clients"], manifest["rounds"]
    who = f"{_count(parts, 'part')}, all in each round"
    if parts > most:
        bound = rounds[0].get("repeat", 1) == 1 and all(r.get("cohort") == "same" for r in rounds[1:])
        stay = bound or manifest["strategy"].get("selection") == "same"
        who = (
            f"{_count(parts, 'part')}, of which a round takes {most} (max_clients), chosen at random "
            f"{'once' if stay else 'for each'}: rows of the others are in no sum of it"
        )
    lines = [f"Task {manifest['name']}: {who}."]
    for numbers, spec in _numbered({"rounds": list(_alike(rounds))}):
        lines.append(f"{numbers}: leaves each member, masked, to be summed over {min(parts, most)}:")
        items = spec["contribute"]
        lines += [f"  {_contribution(item)}" for item in items[:_LISTED]]
        lines += [f"  and {len(items) - _LISTED} more"] if len(items) > _LISTED else []
        lines.append(f"  in all {_count(sum(_bytes(manifest, item) for item in items), 'byte')} a round")
    return Description("\n".join(lines))


def _alike(rounds: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """What members contribute in rounds; those in a row that contribute the same are one, repeated."""
    before: dict[str, Any] | None = None
    for spec in rounds:
        repeat, items = spec.get("repeat", 1), spec["map"]["contribute"]
        if before is not None and before["contribute"] == items:
            before["repeat"] += repeat
            continue
        if before is not None:
            yield before
        before = {"contribute": items, "repeat": repeat}
    if before is not None:
        yield before


def _numbered(manifest: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Each of the manifest's rounds with the numbers that it has."""
    first = 1
    for spec in manifest["rounds"]:
        last = first + spec.get("repeat", 1) - 1
        yield f"Round {first}" if first == last else f"Rounds {first} to {last}", spec
        first = last + 1


def sent(manifest: Mapping[str, Any]) -> list[int]:
    """How many bytes a member sends in each round, when nothing ends the task early; without what a request has beside them."""
    each = ((sum(_bytes(manifest, c) for c in r["map"]["contribute"]), r.get("repeat", 1)) for r in manifest["rounds"])
    return [total for total, repeat in each for _ in range(repeat)]


def _bytes(manifest: Mapping[str, Any], item: Mapping[str, Any]) -> int:
    """What one contribution takes, masked."""
    words = EXACT_WORDS if item.get("written") == "exact" else 1
    numbers: int = math.prod(item["shape"])
    return numbers * words * ring_bits(manifest["strategy"]) // 8


def _personal(manifest: Mapping[str, Any]) -> list[str]:
    """What a model has at each member, by its author's keys."""
    read = manifest.get("options", {}).get("result")
    models = [m for m in read if isinstance(m, dict)] if isinstance(read, list) else []
    return [str(key) for model in models for key in model.get("personal", ())]


def _class(manifest: Mapping[str, Any]) -> Iterable[str]:
    """Which class owners' nodes can put the task in, by their names for the rules: theirs is the word, and the proof."""
    known = _release.class_of(manifest)
    if known == "free":
        why = _release.why_free(manifest)
        yield "Class: free: anything may leave, because"
        yield from (f"  {reason}" for reason in why[:_MOST])
        if len(why) > _MOST:
            yield f"  and {_count(len(why) - _MOST, 'reason')} more"
        yield "  Every owner is asked, unless the task is submitted to the owner's own node."
        return
    if _release.of_members(manifest):
        yield "Class: private, for whole members, whatever the graphs are."
        yield "  It runs unasked where the rules say approval: private and the budget lasts."
        yield from _account(manifest)
        return
    yield (
        f"Class: {known} where a node proves that the graphs keep records apart (records.rows_mixed is what it says where it "
        "does not) and its owner's rules say what the columns are, none that reaches a sum being an identifier "
        "(records.identifier); free, and asked about, elsewhere."
    )
    if known == "private":
        key = _release.unit(manifest)
        whom = "one record" if key is None else f"one person by {key!r}"
        yield f"  The noise is for {whom}. It runs unasked where the rules say approval: private and the budget lasts."
        yield from _account(manifest)
        return
    yield (
        "  It runs unasked where the rules say approval: controlled. Then the sums are judged on each node, by "
        f"{_names(f'records.{rule}' for rule in _release.JUDGED)}: one that breaks a rule contributes zeros and is counted "
        "among those that could not compute."
    )


def _account(manifest: Mapping[str, Any]) -> Iterable[str]:
    """What the author says that the noise costs."""
    if asked := manifest.get("options", {}).get("privacy"):
        yield (
            f"  By its author's account, {_count(asked['rounds'], 'round')} {'costs' if asked['rounds'] == 1 else 'cost'} "
            f"epsilon {asked['epsilon']:.4g} at delta {_power(asked['delta'])} in all; nodes make their own."
        )


def _record_by_record(step: Mapping[str, Any]) -> str:
    """How the records of a step are bounded and summed."""
    driver = step["driver"]
    products = sum(target["to"] == "left" for target in step["outputs"].values())
    clip, noise = driver.get("clip"), driver.get("noise")
    each = f"all records with the same {driver['unit']['key']}" if "unit" in driver else "each record"
    text = f"sums {driver['dataset']}, record by record: one vector for {each}"
    if clip:
        text += f", of length {_plain(clip['l2'])} at most"
        text += f", no number of it above {_plain(clip['linf'])}" if "linf" in clip else ""
    if noise:
        text += f", with noise of {noise['multiplier']} times that length at delta {_power(noise['delta'])}"
    return text + (f"; {_count(products, 'product')} of two vectors, which the node multiplies" if products else "")


def _plain(number: float) -> str:
    """A number without a power of ten."""
    return np.format_float_positional(number, trim="-")


def _power(number: float) -> str:
    """A number with a power of ten: 1.5e-6."""
    digits, _, power = np.format_float_scientific(number, trim="-").partition("e")
    return f"{digits}e{int(power)}"


def _round(spec: Mapping[str, Any], manifest: Mapping[str, Any]) -> Iterable[str]:
    if spec.get("cohort") == "same":
        yield "sums the same members as the round before"
    reads: dict[str, set[str]] = {}
    server: set[str] = set()
    kept: set[str] = set()
    for step in spec["map"]["steps"]:
        if "dataset" in step.get("driver", {}):
            reads.setdefault(step["driver"]["dataset"], set())
        for source in step["inputs"].values():
            if source["from"] == "data":
                reads.setdefault(source["dataset"], set()).add(_field(source["field"]))
            elif source["from"] == "variable":
                at_server = manifest["variables"][source["name"]]["location"] == "server"
                (server if at_server else kept).add(source["name"])
    for driver in (s["driver"] for s in spec["map"]["steps"] if _release.kind(s) == "records"):
        if "unit" in driver:
            reads[driver["dataset"]].add(f"column {driver['unit']['key']}")
    if not reads:
        yield "reads no dataset"
    for dataset, fields in sorted(reads.items()):
        yield f"reads {dataset}: {'; '.join(sorted(fields)) or 'the number of its rows'}"
    if "certify" not in spec:
        yield from (_record_by_record(s) for s in spec["map"]["steps"] if _release.kind(s) == "records")
    if noise := spec["map"].get("noise"):
        yield (
            f"bounds all numbers that leave to the length {_plain(noise['l2'])} together, with noise of {noise['multiplier']} "
            f"times that at delta {_power(noise['delta'])} in every sum"
        )
    if "certify" in spec:
        yield from _certified(spec["certify"])
        return
    strategy = manifest["strategy"]
    if server:
        narrow = ", in 16 bits" if strategy.get("transport") == "f16" else ""
        yield f"downloads from the coordinator{narrow}: {_names(sorted(server))}"
    if kept:
        yield f"reads values kept on the node: {_names(sorted(kept))}"
    if spec["map"].get("assign"):
        yield f"keeps on the node for later rounds: {_names(sorted(spec['map']['assign']))}"
    total = 0
    for item in spec["map"]["contribute"]:
        total += _bytes(manifest, item)
        yield f"leaves the node, masked: {_contribution(item)}"
    if "bound" in strategy:
        yield f"sends no number above {_plain(strategy['bound'])}"
    if strategy.get("rounding") == "stochastic":
        yield "rounds what it sends up or down at random"
    yield f"in all, each member sends {_count(total, 'byte')} a round"


def _certified(made: Mapping[str, Any]) -> Iterable[str]:
    """What a member shows, and keeps to itself, where the answer is certified."""
    answer, left = made["answer"], _count(len(made["columns"]) + 2, "number")
    yield (
        f"sums nothing: proves that {answer} is the {made['model']} regression on the rows that the graph makes of the members' "
        f"data, within {_plain(made['tolerance'])}"
    )
    bounded = made["columns"] + [made[k] for k in ("label",) if k in made]
    yield "before round 1 a salted fingerprint of these rows is published; other rows cannot be proven afterwards"
    bounds = ", ".join(f"{c['name']} from {_plain(c['low'])} to {_plain(c['high'])}" for c in bounded)
    yield (
        "takes part only where all cells of these rows lie within the author's bounds, and there are at most "
        f"{MOST_CERTIFIED}: {bounds}"
    )
    yield (
        "what a cell is says the graph, not its name: whether the node takes part answers a question that the author was "
        "free to choose"
    )
    yield (
        f"leaves the node, masked: what {answer} leaves open on the rows, {left}, with a proof; the gradient is not published"
    )
    yield "leaves the node: the number of rows that the task counts, rounded up to a power of two"


def _contribution(item: Mapping[str, Any]) -> str:
    """What one contribution is."""
    exact = ", summed exactly" if item.get("written") == "exact" else ""
    return f"{item['name']}, {item['dtype']} {item['shape']}, {_count(math.prod(item['shape']), 'number')}{exact}"


def _field(field: Any) -> str:
    if isinstance(field, str):
        return {"x": "the values", "y": "the class labels"}[field]
    ((kind, names),) = field.items()
    return f"column {names}" if kind == "column_i64" else f"columns {_names(names)}"


def _dataset(spec: Mapping[str, Any]) -> str:
    if spec["kind"] == "table":
        joined = "".join(map(_joined, spec.get("joins", ())))
        return f"a table with the columns {_names(spec['columns'])}{joined}"
    if spec["kind"] == "samples":
        labels = f" in the classes {_names(spec['classes'])}" if spec.get("classes") else ""
        return f"samples of shape {spec['shape']}{labels}"
    return f"an array of {spec['dtype']} with shape {spec['shape']}"


def _joined(join: Mapping[str, Any]) -> str:
    by = join["key"] + (f" as {join['right_key']}" if join.get("right_key", join["key"]) != join["key"] else "")
    rows = ", without rows that find none" if join["how"] == "inner" else ""
    return f"; joined by {by} with each member's dataset {join['dataset']}: {_names(join['columns'])}{rows}"


def _names(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}" + ("" if number == 1 else "s")
