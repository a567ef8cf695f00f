"""Which nodes can run a task, by what they publish: before anything is submitted, and without a look at data.

What nodes publish is what their owners say. A node that can run a task by its catalogue may still decline it, or find its
data unfit; one that cannot by its catalogue will not.
"""

from __future__ import annotations

import difflib
import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import _html, _release
from ._catalogue import STATES, Column, Listing, Node, Nodes, clean, labels, unasked
from ._mock import levels

Json = Mapping[str, Any]
# Names that a message lists.
_MOST = 12


class CatalogueWarning(UserWarning):
    """By what nodes publish, too few of them can run a task that is submitted; the text says what each lacks."""


@dataclass(frozen=True)
class Verdict:
    """Whether a node can run a task, by what it publishes.

    Parameters
    ----------
    node : Node
        The node.
    can : bool or None
        None: it does not say.
    reasons : tuple of str
        Why it cannot, or what it does not say.
    asks : bool
        Whether it would ask its owner first, as far as it shows its rules.
    """

    node: Node
    can: bool | None
    reasons: tuple[str, ...] = ()
    asks: bool = False

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.node} {self.words()}"

    def words(self) -> str:
        """Say it without the node's name.

        Returns
        -------
        str
            On one line.
        """
        words = {True: "can run", False: "cannot", None: "does not say"}[self.can]
        if self.can:
            words += ", once its owner has agreed" if self.asks else ""
        return clean(words + (": " + "; ".join(self.reasons) if self.reasons else ""))


@dataclass(frozen=True)
class Check:
    """Which nodes can run a task; true when enough can.

    Parameters
    ----------
    task : str
        The task's name.
    needs : int
        The fewest members of a round.
    verdicts : list of Verdict
        One for each node that was asked.
    unasked : int
        How many more nodes there are, which may be able to run it.
    """

    task: str
    needs: int
    verdicts: list[Verdict]
    unasked: int = 0

    @property
    def able(self) -> list[Node]:
        """The nodes that can run it."""
        return [v.node for v in self.verdicts if v.can]

    @property
    def enough(self) -> bool:
        """Whether as many can run it as a round needs."""
        return len(self.able) >= self.needs

    @property
    def too_few(self) -> bool:
        """Whether too few would be left even if all could that do not say, or were not asked."""
        return sum(v.can is not False for v in self.verdicts) + self.unasked < self.needs

    def __bool__(self) -> bool:
        """Whether enough nodes can run the task."""
        return self.enough

    def __str__(self) -> str:
        """Say what each node can, a line a node."""
        count = {answer: sum(v.can is answer for v in self.verdicts) for answer in (True, False, None)}
        able, unable, silent = count[True], count[False], count[None] + self.unasked
        head = f"task {self.task!r} needs {self.needs} members; by what nodes publish {able} can run it, "
        head += f"{unable} cannot, {silent} {'does' if silent == 1 else 'do'} not say"
        shown = labels([verdict.node for verdict in self.verdicts])
        lines = [f"{shown[verdict.node.address]} {verdict.words()}" for verdict in self.verdicts]
        return "\n".join([head, *(f"  {line}" for line in [*lines, *unasked(self.unasked)])])

    def _repr_html_(self) -> str:
        return _html.pre(str(self))


def check(manifest: Json, nodes: Nodes) -> Check:
    """Compare what a task declares with what each node publishes."""
    strategy = manifest.get("strategy", {})
    verdicts = [_of_node(manifest, node) for node in nodes]
    return Check(str(manifest.get("name", "")), int(strategy.get("min_clients", 2)), verdicts, nodes.unasked)


def _of_node(manifest: Json, node: Node) -> Verdict:
    try:
        return _verdict(manifest, node)
    except Exception as error:
        # Others write it: whatever it is, it is that node's, and the others can be told of.
        return Verdict(node, None, (f"what it publishes cannot be compared ({error!r})",))


def _verdict(manifest: Json, node: Node) -> Verdict:
    if node.state != "published":
        why = STATES.get(node.state, node.state) + (f": {node.detail}" if node.detail else "")
        return Verdict(node, None, (why,))
    cannot, unsaid, asks = list(_of_version(manifest, node)), [], False
    for name, spec in manifest.get("datasets", {}).items():
        listing = node.datasets.get(name)
        if listing is None:
            close = [known for known in node.datasets if known.rsplit(".", 1)[0] == name]
            if close:
                cannot.append(f"the task asks for {name}, and the dataset is called {close[0]}")
            else:
                unsaid.append(f"it does not publish {name}")
            continue
        found, silent = _of_dataset(manifest, listing, spec)
        cannot, unsaid = cannot + found, unsaid + silent
        asks = asks or _asks(manifest, listing.terms)
    if cannot:
        return Verdict(node, False, tuple(cannot))
    return Verdict(node, None, tuple(unsaid)) if unsaid else Verdict(node, True, asks=asks)


def _of_version(manifest: Json, node: Node) -> Iterator[str]:
    needed = {step.get("driver", {}).get("kind", "once") for step in _steps(manifest, "map", "reduce")}
    for driver in sorted(needed - {*node.drivers}):
        yield f"its version does not know the driver {driver}"


def _of_dataset(manifest: Json, listing: Listing, spec: Json) -> tuple[list[str], list[str]]:
    cannot, unsaid = list(_of_terms(manifest, listing)), []
    if spec.get("kind") == "table":
        if listing.shape is not None:
            cannot.append(f"{listing.name} has samples, and is no table")
        elif listing.columns is None:
            unsaid.append(f"it does not say which columns {listing.name} has")
        else:
            cannot += _of_columns(manifest, listing, listing.columns, spec)
    elif spec.get("kind") == "samples":
        if listing.columns is not None:
            cannot.append(f"{listing.name} is a table, and has no samples")
        elif listing.shape is None:
            unsaid.append(f"it does not say of which shape {listing.name} is")
        else:
            cannot += _of_samples(listing, spec)
    else:
        unsaid.append(f"it does not say what {listing.name} is")
    return cannot, unsaid


def _of_columns(manifest: Json, listing: Listing, columns: Mapping[str, Column], spec: Json) -> Iterator[str]:
    whole = {str(f["column_i64"]) for f in _fields(manifest, listing.name) if "column_i64" in f}
    read = [str(c) for f in _fields(manifest, listing.name) for c in f.get("columns", f.get("columns_f32", ()))]
    types: Mapping[str, Json] = spec.get("types", {})
    joined = {c for join in spec.get("joins", ()) for c in join["columns"]}
    wanted = dict.fromkeys([*map(str, spec.get("columns", ())), *read, *sorted(whole)])
    for key in dict.fromkeys(_keys(manifest, listing.name)):
        if key.strip() not in columns:
            yield f"column {_quoted(key)}, by which the task joins, is not in {listing.name} (it has: {_listed(columns, key)})"
    for name in (name for name in wanted if name not in joined):
        column = columns.get(name.strip())
        if column is not None and name in types:
            if (why := _mistyped(column, str(types[name].get("type")), types[name].get("levels", ()))) is not None:
                yield f"column {_quoted(name)} of {listing.name} has {why}"
            continue
        if column is None:
            yield f"column {_quoted(name)} is not in {listing.name} (it has: {_listed(columns, name)})"
        elif column.type in ("string", "date") or (column.levels and levels(column) is None):
            what = "days" if column.type == "date" else "texts"
            declare = "dates=" if column.type == "date" else "levels="
            yield f"column {_quoted(name)} of {listing.name} has {what}, and the task reads numbers: declare it under {declare}"
        elif name in whole and column.type == "float":
            yield f"column {_quoted(name)} of {listing.name} has fractions, and the task reads it as whole numbers"


def _keys(manifest: Json, dataset: str) -> Iterator[str]:
    """The columns of a dataset by which its rows find others, or are found."""
    for name, spec in manifest.get("datasets", {}).items():
        for join in spec.get("joins", ()):
            if name == dataset:
                yield str(join["key"])
            if join["dataset"] == dataset:
                yield str(join.get("right_key", join["key"]))


def _mistyped(column: Column, declared: str, levels: Iterable[str] = ()) -> str | None:
    """What a column has, where that is not what the task declares it to have."""
    if declared == "category":
        wanted = list(levels)
        if column.levels and wanted and not {*map(str, column.levels)} & {*wanted}:
            return f"the levels {_listed(map(str, column.levels), '')}, and none that the task declares"
        return "days, and the task reads levels" if column.type == "date" else None
    if column.type in ("integer", "float", "boolean", "category"):
        return f"no {declared}s, but is of type {column.type}"
    return None


def _of_samples(listing: Listing, spec: Json) -> Iterator[str]:
    shape, classes = list(spec.get("shape", ())), list(spec.get("classes", ()))
    if list(listing.shape or ()) != shape:
        yield f"samples of {listing.name} have shape {list(listing.shape or ())}, the task says {shape}"
    if classes and not listing.classes:
        yield f"samples of {listing.name} have no labels"
    elif classes and len(listing.classes) != len(classes):
        yield f"samples of {listing.name} have {len(listing.classes)} classes, the task says {len(classes)}"


def _of_terms(manifest: Json, listing: Listing) -> Iterator[str]:
    terms = listing.terms or {}
    kinds, kind = terms.get("kinds"), _kind(manifest)
    if terms.get("approval") == "never":
        yield f"no task may read {listing.name}"
    if kinds is not None and kind not in kinds:
        yield f"{listing.name} is for {', '.join(kinds)}, and the task is of kind {kind}"
    members, most = terms.get("members"), manifest.get("strategy", {}).get("max_clients")
    if members is not None and most is not None and most < members:
        yield f"{listing.name} wants {members} members in a sum, and the task has at most {most}"
    if terms.get("until") is not None and terms["until"] <= time.time() * 1000:
        yield f"nothing is allowed on {listing.name} any more"


def _asks(manifest: Json, terms: Mapping[str, Any] | None) -> bool:
    """Whether the owner is asked, as far as the manifest tells; a node follows the graphs as well."""
    return terms is not None and terms.get("approval") != _release.class_of(manifest)


def _kind(manifest: Json) -> str:
    """The kind of a task by its form, as nodes see it (``src/domain/policy/question.rs``)."""
    targets = [target for step in _steps(manifest, "map") for target in step.get("outputs", {}).values()]
    if any(target.get("to") == "carry" for target in targets):
        return "learning"
    solves = any(step.get("driver", {}).get("kind") == "solve" for step in _steps(manifest, "reduce"))
    if solves or manifest.get("type") == "hlr":
        return "regression"
    return "learning" if any(r.get("repeat", 1) > 1 for r in manifest.get("rounds", ())) else "statistics"


def _steps(manifest: Json, *parts: str) -> Iterator[Json]:
    for spec in manifest.get("rounds", ()):
        for part in parts:
            yield from spec.get(part, {}).get("steps", ())


def _fields(manifest: Json, dataset: str) -> Iterator[Json]:
    """The fields of a table that steps read."""
    for step in _steps(manifest, "map"):
        unit = step.get("driver", {}).get("unit")
        if isinstance(unit, Mapping) and "key" in unit and step["driver"].get("dataset") == dataset:
            yield {"columns": [unit["key"]]}
        for source in step.get("inputs", {}).values():
            if source.get("dataset") == dataset and isinstance(source.get("field"), Mapping):
                yield source["field"]


def _listed(columns: Iterable[str], wanted: str) -> str:
    """Names, the most similar first where they are too many."""
    names = list(columns)
    if len(names) > _MOST:
        near = difflib.get_close_matches(wanted, names, _MOST, 0.0)
        return ", ".join(near) + f" and {len(names) - len(near)} more"
    return ", ".join(names) or "none"


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def warn_of_few(manifest: Json, ask: Callable[[], Nodes]) -> None:
    """Say that too few can run a task, where nodes say so. What is not known stops nobody."""
    if not manifest.get("datasets"):
        return
    try:
        found = check(manifest, ask())
        said = str(found) if found.too_few else None
    except Exception:
        # An older node, a token without the scope, or whatever others write into their catalogues.
        return
    if said is not None:
        warnings.warn(said, CatalogueWarning, stacklevel=3)
