"""What a traced training step is: the batch that it takes, and its graphs with what they read and change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from .lower import GraphInput
from .model import Entry
from .trace import Draw

ROWS = "rows"
START, BEFORE, NEXT, END, AFTER = ".start", ".before", ".next", ".end", ".after"
"""Behind the name of state: at the start of the round, where the loop begins, after a batch, where the loop ends, and at last."""
Preprocess = Callable[..., Any]
"""From the stored batch to what the loader yields; runs inside the graph."""


@dataclass
class Batch:
    """What a node hands to a graph for each batch: named examples whose first dimension is the batch."""

    fields: Mapping[str, Tensor]
    prepare: Preprocess
    classes: int | None = None
    """How many the labels have, when they are class numbers."""

    def inputs(self, suffix: str = "") -> list[GraphInput]:
        """The graph's inputs."""
        return [GraphInput(name + suffix, example, (0,)) for name, example in self.fields.items()]

    def make(self, named: Mapping[str, Tensor], suffix: str = "") -> Any:
        """What the author's loop sees; his preprocessing may write into it."""
        return self.prepare(*(named[name + suffix].clone() for name in self.fields))


@dataclass
class Aside:
    """What happens once a round, before the loop over the batches or after it.

    ``inputs``: the state that it reads, by name: ``<name>.start`` is that at the start of the round, ``<name>.end`` that at
    the end of the loop. ``changed``: the state that it changes; the graph's outputs are ``<name>.before`` or ``<name>.after``.
    """

    graph: bytes
    inputs: list[str]
    changed: list[str]


@dataclass
class TrainingStep:
    """One step of training as a graph.

    ``graph`` and ``graph_onnxruntime``: ONNX; the second is there when it differs. ``state``: what the graph takes and
    gives back as ``<name>.next``, by input name: the initial value. ``entries``: the part of it that belongs to modules.
    ``fixed``: inputs that never change (frozen parameters). ``draws``: noise inputs. ``rounds``: inputs that count rounds.
    ``starts``: of which state the graph also reads ``<name>.start``, which stays the same over a round's batches.
    ``looped``: the state that the loop changes. ``inputs``: all that the graph reads. ``before``, ``after``: what happens once
    a round.
    ``controlled``: the entries whose gradients are corrected by control variates (:mod:`.variates`).
    The number of rows is the input ``rows`` and the output ``rows.next``.
    """

    graph: bytes
    graph_onnxruntime: bytes | None
    state: dict[str, Tensor]
    entries: dict[str, Entry]
    fixed: dict[str, Tensor]
    draws: list[Draw]
    rounds: dict[str, Tensor] = field(default_factory=dict)
    batch_inputs: list[str] = field(default_factory=list)
    optimizer_state: frozenset[str] = frozenset()
    starts: list[str] = field(default_factory=list)
    looped: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    before: Aside | None = None
    after: Aside | None = None
    controlled: list[str] = field(default_factory=list)
