"""What nodes publish about their data, as values of Python."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from . import _html

Json = Mapping[str, Any]

STATES = {
    "published": "publishes",
    "nothing": "it publishes nothing",
    "away": "it cannot be asked",
    "doubted": "it is not believed",
}


@dataclass(frozen=True)
class Column:
    """A column of a published table, as far as its owners say what it is.

    Parameters
    ----------
    name : str
        As tasks name it.
    type : str, optional
        ``integer``, ``float``, ``boolean``, ``category``, ``string`` or ``date``; None where nobody says it, or not all the
        same.
    unit : str, optional
        In which unit its numbers are.
    role : str, optional
        ``identifier``, ``quasi`` or ``value``: what it is for the owners' rules.
    levels : tuple of str
        Of a category.
    range : tuple of str, optional
        The smallest and the largest value that can be: numbers, or days as YYYY-MM-DD.
    missing : float
        About which share of its cells has no value.
    description : str, optional
        What it is, in words.
    lacking : tuple of str
        Nodes that publish the table without this column.
    """

    name: str
    type: str | None = None
    unit: str | None = None
    role: str | None = None
    levels: tuple[str, ...] = ()
    range: tuple[str, str] | None = None
    missing: float = 0.0
    description: str | None = None
    lacking: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say what it is in one line."""
        said = [self.type or "of an untold type"]
        said += [f"in {self.unit}"] if self.unit else []
        said += [f"{self.range[0]} to {self.range[1]}"] if self.range else []
        said += ["one of " + ", ".join(self.levels)] if self.levels else []
        said += [f"{self.missing:.0%} missing"] if self.missing else []
        said += [self.role] if self.role else []
        said += [self.description] if self.description else []
        said += ["not at " + ", ".join(self.lacking)] if self.lacking else []
        return clean(f"{self.name}: " + "; ".join(said))


@dataclass(frozen=True)
class Listing:
    """What a node publishes about one dataset.

    Parameters
    ----------
    name : str
        The name by which tasks ask for it.
    description : str, optional
        What it is, in words.
    rows : str, optional
        About how many rows, in words.
    columns : dict of str to Column, optional
        All columns that tasks may read; None where that is not said, or where it is no table.
    shape : tuple of int, optional
        Of one sample, where it has samples.
    classes : tuple of str
        Of the samples, in the order of the labels.
    range : tuple of str, optional
        The smallest and the largest number of a sample.
    terms : dict, optional
        The owner's rules, where they are shown: ``approval``, and ``kinds``, ``members``, ``colluders`` and ``until`` where
        there are such limits.
    """

    name: str
    description: str | None = None
    rows: str | None = None
    columns: dict[str, Column] | None = None
    shape: tuple[int, ...] | None = None
    classes: tuple[str, ...] = ()
    range: tuple[str, str] | None = None
    terms: dict[str, Any] | None = None


@dataclass(frozen=True)
class Node:
    """A node of the network, and what it publishes.

    Parameters
    ----------
    address : str
        On the connector's record.
    name, url : str
        What the record says.
    organisation : str, optional
        Who runs it: what the roster says where ``vouched``, else what it says itself.
    vouched : bool
        Whether the roster or a pin of the asked node vouches for it.
    own : bool
        Whether it is the node that was asked.
    state : str
        ``published``; ``nothing``: it publishes nothing; ``away``: it cannot be asked; ``doubted``: what it shows is not
        believed.
    detail : str
        Why it is ``away`` or ``doubted``.
    drivers : tuple of str
        What its version can run.
    datasets : dict of str to Listing
        What it publishes.
    """

    address: str
    name: str
    url: str
    organisation: str | None
    vouched: bool
    own: bool
    state: str
    detail: str = ""
    drivers: tuple[str, ...] = ()
    datasets: dict[str, Listing] = field(default_factory=dict)

    def __str__(self) -> str:
        """Name it, with who runs it, or says to: without brackets nobody vouches for the name."""
        name = _told(self.name)
        if not self.organisation:
            return name
        return f"{name} ({_told(self.organisation)})" if self.vouched else f"{name} (says {_told(self.organisation)})"


class Nodes(list[Node]):
    """The nodes of a network, as the answer lists them; ``print`` shows them.

    Parameters
    ----------
    nodes : iterable of Node
        Those that were asked.
    unasked : int
        How many more are on the connector's record, which the asked node asks only 256 of.
    """

    def __init__(self, nodes: Iterable[Node] = (), unasked: int = 0) -> None:
        super().__init__(nodes)
        self.unasked = unasked

    def __str__(self) -> str:
        """Say what each publishes, a line a node."""
        lines = []
        for node, shown in zip(self, labels(self).values(), strict=True):
            what = ", ".join(map(clean, node.datasets)) if node.state == "published" else node.detail
            lines.append(f"{shown}: {STATES.get(node.state, node.state)}" + (f": {what}" if what else ""))
        return "\n".join(lines + unasked(self.unasked)) or "there are no nodes"

    def _repr_html_(self) -> str:
        return _html.pre(str(self))


@dataclass(frozen=True)
class Published:
    """A dataset of the network: what all nodes that publish it say of it.

    Parameters
    ----------
    name : str
        Its name.
    listings : dict of str to Listing
        What each node says, by the nodes' addresses: names are what nodes call themselves. Those first that the roster vouches
        for, the asked node before all.
    nodes : dict of str to Node
        The nodes, by their addresses.
    shown : dict of str to str
        What is printed for each address: the node's name, with the address where others are called so.
    """

    name: str
    listings: dict[str, Listing]
    nodes: dict[str, Node] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, Column]:
        """All columns that some node has; empty where nobody says which there are."""
        return _merged({self.shown.get(n, n): s.columns for n, s in self.listings.items() if s.columns is not None})

    def __str__(self) -> str:
        """Say what it is, a line a column."""
        said = [s.description for s in self.listings.values() if s.description]
        lines = [self.name + (f": {said[0]}" if said else "")]
        for address, listing in self.listings.items():
            words = [w for w in (listing.rows, _approval(listing.terms)) if w]
            lines.append(f"  at {self.shown.get(address, address)}" + (": " + ", ".join(words) if words else ""))
        lines += [f"    {column}" for column in self.columns.values()]
        for shape, classes in {(s.shape, s.classes) for s in self.listings.values() if s.shape is not None}:
            lines.append(
                f"    samples of shape {list(shape or ())}" + (f" in {len(classes)} classes" if classes else "")
            )
        return "\n".join(map(clean, lines))

    def _repr_html_(self) -> str:
        return _html.pre(str(self))


class Datasets(dict[str, Published]):
    """The datasets of a network by their names; ``print`` shows them.

    Parameters
    ----------
    found : mapping of str to Published
        The datasets.
    unasked : int
        As of :class:`Nodes`.
    """

    def __init__(self, found: Mapping[str, Published], unasked: int = 0) -> None:
        super().__init__(found)
        self.unasked = unasked

    def __str__(self) -> str:
        """Say what there is."""
        return "\n".join([*map(str, self.values()), *unasked(self.unasked)]) or "no node publishes anything"

    def _repr_html_(self) -> str:
        return _html.pre(str(self))


def unasked(count: int) -> list[str]:
    """Say how many nodes were not asked, where there are any."""
    return [f"{count} more {'node is' if count == 1 else 'nodes are'} on record and not asked"] if count else []


def nodes(answer: httpx.Response) -> Nodes:
    """Read the answer to ``GET /v1/network/datasets``; what one node publishes does not hide the others."""
    told = answer.json()
    return Nodes(map(_node, told["nodes"]), int(told.get("unasked", 0)))


def datasets(found: Nodes) -> Datasets:
    """Gather by dataset what nodes publish."""
    shown, by_address = labels(found), {node.address: node for node in found}
    out: dict[str, dict[str, Listing]] = {}
    for node in sorted(found, key=lambda node: (not node.own, not node.vouched)):
        for name, listing in node.datasets.items():
            out.setdefault(name, {})[node.address] = listing
    gathered = {name: Published(name, listings, by_address, shown) for name, listings in sorted(out.items())}
    return Datasets(gathered, found.unasked)


def labels(found: Sequence[Node]) -> dict[str, str]:
    """What is printed for each address. Nobody is printed as another: nodes choose their names."""
    called = Counter(str(node).casefold() for node in found)
    called.update(node.address.casefold() for node in found if node.address.casefold() != str(node).casefold())
    # Brackets of a name's own stand in quotes.
    return {n.address: str(n) + (f" [{clean(n.address)}]" if called[str(n).casefold()] > 1 else "") for n in found}


def _node(told: Json) -> Node:
    try:
        found = {str(d["name"]): _listing(d) for d in told["datasets"]}
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        told = {**told, "state": "doubted", "detail": f"what it publishes cannot be read ({error!r})"}
        found = {}
    return Node(
        address=str(told["address"]),
        name=clean(told["name"]) or str(told["address"]),
        url=clean(told["url"]),
        organisation=clean(told["organisation"]) if told["organisation"] else None,
        vouched=bool(told["vouched"]),
        own=bool(told["own"]),
        state=str(told["state"]),
        detail=clean(told["detail"] or ""),
        drivers=tuple(map(str, told["drivers"])),
        datasets=found,
    )


def clean(text: str) -> str:
    """Leave out what would change a terminal: other nodes choose their names."""
    return "".join(c for c in str(text) if c.isprintable())


def _told(name: str) -> str:
    """A name that a node gives itself, in quotes where it could be read as more than one."""
    return name if re.fullmatch(r"[\w.-]+(?: [\w.-]+)*", name) else json.dumps(clean(name), ensure_ascii=False)


def _listing(told: Json) -> Listing:
    columns, samples, terms = told.get("columns"), told.get("samples") or {}, told.get("terms")
    return Listing(
        name=str(told["name"]),
        description=_text(told.get("description")),
        rows=_rows(told.get("rows")),
        columns=None if columns is None else {str(c["name"]): _column(c) for c in columns},
        shape=tuple(int(n) for n in samples["shape"]) if samples else None,
        classes=tuple(map(str, samples.get("classes", ()))),
        range=_range(samples.get("range")),
        terms=None if terms is None else dict(terms),
    )


def _column(told: Json) -> Column:
    return Column(
        name=str(told["name"]),
        type=_text(told.get("type")),
        unit=_text(told.get("unit")),
        role=_text(told.get("role")),
        levels=tuple(map(str, told.get("levels", ()))),
        range=_range(told.get("range")),
        missing=float(told.get("missing", 0)),
        description=_text(told.get("description")),
    )


def _text(told: Any) -> str | None:
    return None if told is None else str(told)


def _range(told: Any) -> tuple[str, str] | None:
    return None if told is None else (str(told[0]), str(told[1]))


def _rows(told: Json | None) -> str | None:
    if told is None:
        return None
    return f"about {told['about']:,} rows" if "about" in told else f"fewer than {told['fewer_than']} rows"


def _approval(terms: Json | None) -> str | None:
    words = {
        "ask": "its owner is asked about every task",
        "private": "tasks under noise run unasked within a budget",
        "controlled": "controlled tasks run unasked",
        "never": "no task may read it",
    }
    return None if terms is None else words.get(str(terms.get("approval")))


def _merged(tables: dict[str, dict[str, Column]]) -> dict[str, Column]:
    """All columns of all nodes, each with what the nodes say alike of it."""
    names = list(dict.fromkeys(name for columns in tables.values() for name in columns))
    out = {}
    for name in names:
        said = [columns[name] for columns in tables.values() if name in columns]
        first = said[0]
        out[name] = replace(
            first,
            type=_type({c.type for c in said}),
            unit=first.unit if len({c.unit for c in said}) == 1 else None,
            role=first.role if len({c.role for c in said}) == 1 else None,
            levels=tuple(dict.fromkeys(level for c in said for level in c.levels)),
            range=_hull([c.range for c in said]),
            missing=max(c.missing for c in said),
            lacking=tuple(node for node, columns in tables.items() if name not in columns),
        )
    return out


def _type(types: set[str | None]) -> str | None:
    if types == {"integer", "float"}:
        return "float"
    return types.pop() if len(types) == 1 else None


def _hull(ranges: list[tuple[str, str] | None]) -> tuple[str, str] | None:
    """The range that covers all; none where one node does not say it."""
    said = [r for r in ranges if r is not None]
    if len(said) < len(ranges):
        return None

    def order(end: str) -> tuple[float, str]:
        try:
            return float(end), ""
        except ValueError:
            return 0.0, end

    return min((r[0] for r in said), key=order), max((r[1] for r in said), key=order)
