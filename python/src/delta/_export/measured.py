"""One trace of an author's ``validate(self, dataloader)`` over some symbolic batches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from .._metrics import MOST, is_entry
from .chance import refused
from .checks import check
from .errors import ExportError, author_frame, author_of
from .idioms import Seeds, idioms
from .loader import DRAWS, Loader
from .lower import GraphInput
from .model import Holdings, stand_in
from .reach import Reach
from .source import Loop, plain_values
from .step import ROWS, Batch
from .sums import Sums
from .trace import functional, record

Number = int | float
_METHODS = ("validate", "preprocess")


class Recorded:
    """One trace over ``count`` batches."""

    def __init__(self, owner: Any, run: Callable[[Any, Any], object], batch: Batch, held: Holdings, count: int) -> None:
        self.count, self.constants = count, dict[str, Number]()
        entries = {n: e.travelling for n, e in held.entries.items()}
        inputs, groups, which = (
            [GraphInput(n, t) for n, t in entries.items()],
            [0] * len(entries),
            [None] * len(entries),
        )
        owners: list[int | None] = list(which)
        for number in range(count):
            fields = batch.inputs(f".{number}")
            inputs += fields
            groups += [number] * len(fields)
            owners += [number] * len(fields)
        inputs.append(GraphInput(ROWS, torch.ones((), dtype=torch.float64)))
        groups, owners = [*groups, 0], [*owners, None]

        def step(named: dict[str, Tensor]) -> dict[str, Any]:
            place = {n: e.back(named[n].clone()) for n, e in held.entries.items()}
            loader = Batches(lambda k: batch.make(named, f".{k}"), count)
            with held.replaced(place), torch.no_grad():
                for module in held.modules.values():
                    module.eval()
                twin = stand_in(owner, {})
                reach = Reach(twin, _METHODS)
                with refused(reach.spaces.values()), idioms(Seeds()):
                    made = run(twin, loader)
                reach.unchanged(twin, _METHODS)
            loader.ended()
            return self._numbers(made)

        recorded = record(step, inputs, number=_as_number, batches=groups)
        check(recorded, batch.classes)
        for node in recorded.graph.graph.nodes:
            if node.target in DRAWS:
                raise ExportError(
                    "validate()", "it draws random numbers", location=author_of(node.meta.get("stack_trace")),
                    instead="draw only where self.training is true, or once in __init__: a buffer of fixed numbers",
                )  # fmt: skip
        self.traced = functional(recorded)
        self.sums = Sums(self.traced, owners)

    def _numbers(self, made: object) -> dict[str, Any]:
        if not isinstance(made, Mapping) or not made:
            raise ExportError(
                "validate()", f"it returns {type(made).__name__}", instead='return {"loss": total_loss / count}'
            )
        out: dict[str, Any] = {}
        count = 0
        for name, value in _flat(made):
            if is_entry(name):
                raise ExportError(
                    f"validate()[{name!r}]",
                    "numbers of an array are called so",
                    instead="another name, without [0] at its end",
                )
            if name in out or name in self.constants:
                raise ExportError(f"validate()[{name!r}]", "two metrics have this name", instead="rename one")
            if isinstance(value, bool | int | float):
                self.constants[name] = value
            elif isinstance(value, Tensor) and not all(isinstance(s, int) for s in value.shape):
                raise ExportError(
                    f"validate()[{name!r}]", f"it has shape {list(value.shape)}, with the rows of a batch in it",
                    instead="add up over the rows, .sum(0), before +=",
                )  # fmt: skip
            elif isinstance(value, Tensor | torch.SymInt | torch.SymFloat):
                out[name] = value
                count += value.numel() if isinstance(value, Tensor) else 1
                if count > MOST or (isinstance(value, Tensor) and value.numel() == 0):
                    raise ExportError(
                        f"validate()[{name!r}]", f"metrics have {count} numbers in all, and a round shows from 1 to {MOST}",
                        instead="return sums over classes, or fewer of them",
                    )  # fmt: skip
            else:
                raise ExportError(
                    f"validate()[{name!r}]",
                    f"it is a {type(value).__name__}",
                    instead="return numbers, tensors, or dicts of these",
                )
        return out


class Batches(Loader):
    """The dataloader of a traced ``validate``: some symbolic batches, each with sizes of its own."""

    def __init__(self, make: Callable[[int], Any], count: int) -> None:
        """``make(k)``: the k-th of ``count`` batches."""
        super().__init__(lambda: None, lambda moment: {})
        self._nth, self._count, self._seen = make, count, -1

    def __iter__(self) -> Iterator[Any]:
        """Yield each batch once."""
        frame = sys._getframe(1)
        if self._seen >= 0:
            raise ExportError(
                "a second loop over dataloader", "validate() goes once over the batches", instead="add everything up in one loop",
                location=author_frame(frame),
            )  # fmt: skip
        self._seen = 0
        return self._each(frame)

    def _each(self, frame: FrameType) -> Iterator[Any]:
        loop = Loop.around(frame, alone=False)
        loop.refuse_ends("it measures on all rows, batch after batch; which rows these are is validate_frac")
        values = []
        for number in range(self._count):
            self._seen = number
            yield self._nth(number)
            values.append(plain_values(loop.frame))
        self._seen = self._count
        # Sizes of batches are texts, and a difference of these is none.
        differ = {n for n, v in values[-1].items() if isinstance(v, int | float) and v != values[0].get(n)}
        loop.refuse_tests(differ)

    def ended(self) -> None:
        """Check that the loop went through."""
        if self._seen != self._count:
            raise ExportError(
                "validate()", "it does not go through the dataloader to its end", instead="for x, y in dataloader: ..."
            )


def _flat(made: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The metrics; those of dicts in it by the names of both, ``recall.cat``."""
    for name, value in made.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _as_number(value: Tensor) -> Tensor:
    made = value.detach().to(torch.float64)
    return made.reshape(()) if made.numel() == 1 else made
