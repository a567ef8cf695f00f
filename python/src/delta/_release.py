"""Which class a task has, by the words of nodes: what its manifest alone says (``src/domain/records/proof.rs``, ``class.rs``).

A node knows more: it follows the graphs (``records.rows_mixed``), and its owner's rules say which columns point at one person
(``records.identifier``). Either makes a task free that is not free here. Nothing makes one better that is free here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Json = Mapping[str, Any]
Class = Literal["free", "controlled", "private"]

JUDGED = ("rows", "outputs", "cells", "dominance", "freedom", "leverage", "overlap", "cohort")
"""Rules that a node holds the sums of a controlled task against, each after ``records.``."""
NOTHING = "nothing of it runs under the driver records"
MIXED = "its steps count persons by different columns, or some records and some persons"
HALF = "some of its sums have noise and some have none"
PROVEN = (
    "members prove something of their tables, and who takes part tells whether all cells lie within the author's bounds"
)
_SHOWN = 60


class ReleaseWarning(UserWarning):
    """A task that :func:`delta.debug` runs would not leave nodes unasked; the text names the rule."""


@dataclass(frozen=True)
class Reason:
    """One thing that makes a task free.

    Parameters
    ----------
    rule : str
        The node's name for it, such as ``records.reads_beside``.
    place : str
        Where in the manifest.
    why : str
        What is there, and what would help.
    """

    rule: str
    place: str
    why: str

    def __str__(self) -> str:
        """Say it as nodes do."""
        return f"{self.place} ({self.rule}): {self.why}"


def class_of(manifest: Json) -> Class:
    """Return the best class that nodes can put a task in."""
    if certified(manifest):
        return "free"
    if of_members(manifest):
        return "private"
    noised = ["noise" in step["driver"] for step in records_steps(manifest)]
    if not noised or reasons(manifest) or _mixed(manifest):
        return "free"
    return "private" if all(noised) else "controlled"


def certified(manifest: Json) -> bool:
    """Whether members prove the answer; not of what no node would take."""
    return any(isinstance(r, Mapping) and r.get("certify") for r in manifest.get("rounds") or ())


def of_members(manifest: Json) -> bool:
    """Whether every round has noise for whole members: then it does not matter what the graphs are."""
    return all("noise" in r["map"] for r in manifest["rounds"])


def reasons(manifest: Json) -> list[Reason]:
    """Return what makes a task free, in the node's order; nothing where nothing in the manifest does."""
    return [r for number, spec in enumerate(manifest["rounds"]) for r in _of_round(manifest, number, spec["map"])]


def why_free(manifest: Json) -> list[str]:
    """Return why a free task is, in the node's words and order; at least one reason."""
    if certified(manifest):
        return [PROVEN]
    return [str(r) for r in reasons(manifest)] or _mixed(manifest) or [NOTHING]


def _mixed(manifest: Json) -> list[str]:
    """Why steps that are fine by themselves protect nobody in particular together."""
    if len({"noise" in step["driver"] for step in records_steps(manifest)}) > 1:
        return [HALF]
    return [MIXED] if len(_units(manifest)) > 1 else []


def asked(manifest: Json) -> str:
    """Say that a task is free, and what that means."""
    first, *more = why_free(manifest)
    rest = f" (and {len(more)} more; describe() lists them)" if more else ""
    return f"task {manifest['name']} is free: every owner is asked before it runs on his data, because {first}{rest}"


def records_steps(manifest: Json) -> list[Json]:
    """Return the steps under the driver ``records``, of all rounds."""
    return [s for r in manifest["rounds"] for s in r["map"]["steps"] if kind(s) == "records"]


def unit(manifest: Json) -> str | None:
    """Return the column by which the noise of a private task protects persons; ``None`` where it protects records."""
    keys = _units(manifest)
    return next(iter(keys)) or None if len(keys) == 1 else None


def _units(manifest: Json) -> set[str]:
    """The columns by which steps count persons; empty where one counts records."""
    return {str(step["driver"].get("unit", {}).get("key", "")).strip() for step in records_steps(manifest)}


def kind(step: Json) -> str:
    """Return the name of a step's driver."""
    return str(step.get("driver", {}).get("kind", "once"))


def _of_round(manifest: Json, number: int, spec: Json) -> Iterator[Reason]:
    place, summed = f"rounds[{number}].map", set()
    for index, step in enumerate(spec["steps"]):
        at = f"{place}.steps[{index}]"
        yield from _kept_inputs(manifest, step, at)
        if kind(step) == "records":
            summed |= {t["name"] for t in step["outputs"].values() if t["to"] in ("sum", "left")}
        elif reads_data(step):
            yield Reason("records.reads_beside", at, "the step reads data past the driver records; read them under it")
    for variable in sorted(spec.get("assign", {})):
        yield Reason(
            "records.keeps_state",
            f"{place}.assign.{variable}",
            "a value is kept on each node for later rounds, where it could stand for the data; keep it at the server",
        )
    for index, c in enumerate(spec["contribute"]):
        if c["name"] not in summed:
            yield Reason(
                "records.not_summed",
                f"{place}.contribute[{index}]",
                f"{c['name']} is not the direct sum of a records step",
            )


def _kept_inputs(manifest: Json, step: Json, at: str) -> Iterable[Reason]:
    for name, source in sorted(step["inputs"].items()):
        if source["from"] == "variable" and manifest["variables"][source["name"]]["location"] != "server":
            yield Reason(
                "records.keeps_state",
                f"{at}.inputs.{''.join(c if c.isprintable() else ' ' for c in name[:_SHOWN])}",
                f"variable {source['name']} is kept on each node from round to round, and what it holds of the data is "
                "not known",
            )


def reads_data(step: Json) -> bool:
    """Whether a step sees anything of a dataset, were it only the number of its rows."""
    return "dataset" in step.get("driver", {}) or any(s["from"] == "data" for s in step["inputs"].values())
