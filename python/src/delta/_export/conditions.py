"""What hangs on the number of a batch while a step is traced: both ways are recorded, and the number decides which is kept.

The number is counted in the graph, from 0 in every round. What may change under a condition is parameters, buffers, the state
of optimizers and gradients; these then go from batch to batch, and from round to round, as torch keeps them. Whether there is
a gradient at all is a number beside them: torch takes no step with one that is not there.

A graph does not know which batch is the last of its round. ``if (i + 1) % 4 == 0 or i + 1 == len(dataloader)`` does in the
loop what its first part says; what only the second part asks for is done once more after the loop (:meth:`Conditions.leap`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .branches import Branches
from .counting import Length, Number, Truth, truth
from .errors import ExportError, author_frame
from .schedules import Again

GRADIENT, THERE, BATCHES = "accumulated.", "accumulated", "batches.over"
"""The accumulated gradient of an entry, whether it is there, and how many batches of the round are over."""


class Conditional(Again):
    """The loop over the batches has conditions on their number: it is to be traced again with them rewritten."""

    def __init__(self, branches: Branches) -> None:
        """``branches``: the rewritten function."""
        super().__init__(branches)
        self.branches = branches


class Probed(Again):
    """A pass that was only to find which parameters have gradients is over."""


@dataclass
class Conditions:
    """The conditions of one loop. ``names``: the entries whose gradients go from batch to batch; ``None`` until it is known."""

    branches: Branches
    names: list[str] | None = None
    seen: dict[str, None] = field(default_factory=dict)
    """The entries that have a gradient at some time."""
    lasting: bool = False
    """Whether something is done after the last batch only."""
    _maybe: dict[str, tuple[int, int, Tensor]] = field(default_factory=dict)
    """Gradients that may be there: which tensor, in which version, and whether."""
    _kept: list[Any] = field(default_factory=list)
    """What is known by its identity must live."""

    # ---- a pass
    def slots(self, entries: Mapping[str, Any]) -> dict[str, Tensor]:
        """The state that a pass needs for them."""
        made = {BATCHES: torch.zeros((), dtype=torch.float64)}
        if self.names:
            made[THERE] = torch.zeros((), dtype=torch.float64)
            made |= {GRADIENT + n: torch.zeros_like(entries[n].tensor.detach(), device="cpu") for n in self.names}
        return made

    def begin(
        self,
        place: Mapping[str, Tensor],
        state: Mapping[str, Tensor],
        trained: list[str],
        modules: Mapping[str, nn.Module],
    ) -> None:
        """Begin a pass: ``place`` has the parameters and buffers, ``state`` everything else, ``modules`` hold them."""
        self._place, self._state, self._trained, self._modules = place, state, trained, modules
        self._changing = {**state, **place}
        self._maybe, self._merged = {}, dict[tuple[int, ...], Tensor]()
        self.lasting, self._last, self._leapt, self._after = False, False, False, dict[str, Any]()
        self._leap: Callable[[], None] | None = None
        self._within = 0
        self._kept.clear()
        self.put()

    def put(self) -> None:
        """Take the gradients from the state."""
        for name in self.names or ():
            self._place[name].grad = kept = self._state[GRADIENT + name]
            self._maybe[name] = id(kept), kept._version, self._state[THERE]

    def settle(self, *, batch: bool = False) -> None:
        """Put the gradients into the state; ``batch``: one more is over."""
        with torch.no_grad():
            there: list[bool | Tensor] = []
            for name in self._trained if self.names is None else ():
                self._there(name)
            for name in self.names or ():
                gradient, kept = self._place[name].grad, self._state[GRADIENT + name]
                there.append(self._there(name))
                if gradient is None:
                    kept.zero_()
                elif gradient is not kept:
                    kept.copy_(gradient)
            if there:
                if any(t is not there[0] for t in there):
                    raise _apart()
                known = there[0]
                if known is not self._state[THERE]:
                    self._state[THERE].copy_(
                        known if isinstance(known, Tensor) else torch.full_like(self._state[THERE], known)
                    )
            self.put()
            if batch:
                self._state[BATCHES].add_(1.0)

    def _there(self, name: str) -> bool | Tensor:
        """Whether a parameter has a gradient, as a number where it is not known."""
        gradient = self._place[name].grad
        if gradient is None:
            return False
        self.seen[name] = None
        known = self._maybe.get(name)
        return known[2] if known is not None and known[:2] == (id(gradient), gradient._version) else True

    # ---- what the rewritten code asks
    def number(self, start: int = 0) -> Number:
        """The number of the batch."""
        return Number(lambda count: count + float(start) if start else count, start)

    def length(self, of: Any) -> Any:
        """How many batches a round has, and the length of anything else."""
        return Length() if of is self.loader else len(of)

    def no(self, of: Any) -> Any:
        """``not``."""
        made = truth(of)
        return made.inverted() if made is not None else not of

    def sure(self, of: Any, way: bool) -> bool:
        """Whether a plain value decides ``and`` (``way`` is false) or ``or``."""
        return truth(of) is None and bool(of) is way

    def either(self, one: Any, other: Any) -> Any:
        """``or``."""
        return self._joined(one, other, torch.logical_or, lambda a, b: a or b)

    def both(self, one: Any, other: Any) -> Any:
        """``and``."""
        return self._joined(one, other, torch.logical_and, lambda a, b: a and b)

    def _joined(self, one: Any, other: Any, tensors: Any, plain: Any) -> Any:
        a, b = truth(one), truth(other)
        if a is None:
            # It has not decided.
            return other
        if b is None:
            b = Truth.plain(bool(other))
        return a.joined(b, tensors, plain)

    def enters(self, of: Any) -> bool:
        """Whether the body runs: where it hangs on the number, always."""
        return truth(of) is not None or bool(of)

    def leaves(self, of: Any) -> bool:
        """Whether the other way runs."""
        return truth(of) is not None or not of

    @contextmanager
    def given(self, of: Any) -> Iterator[None]:
        """Keep what changes meanwhile where the condition holds, else what was there before."""
        made = truth(of)
        if made is None:
            yield
            return
        if not made.hangs_on_the_end:
            with self.only(made.usual(self._count)):
                yield
            return
        usual = made.usual(self._count)
        # What is done before must be what would have been done in the last batch, too.
        if self._within or not (usual is False or made.holds_at_the_end):
            raise _else_at_the_end()
        self.lasting = True
        if not self._last:
            with self.only(usual):
                yield
            return
        # After the last batch: what was not done in the loop.
        self._look()
        if not self._leapt:
            assert self._leap is not None
            self._leapt = True
            self._leap()
        number = self._state[BATCHES] - 1.0
        with self.only(made.at_the_end(number) if usual is False else made.inverted().usual(number)):
            yield
        self._note()

    @contextmanager
    def otherwise(self, of: Any) -> Iterator[None]:
        """The other way."""
        made = truth(of)
        with self.given(of if made is None else made.inverted()):
            yield

    @property
    def leapt(self) -> bool:
        """Whether something was done after the last batch."""
        return self._leapt

    @property
    def _count(self) -> Tensor:
        """The number of the batch; after the loop that of the last one."""
        count = self._state[BATCHES]
        return count - 1.0 if self._ended else count

    @contextmanager
    def only(self, flag: bool | Tensor) -> Iterator[None]:
        """Keep what changes meanwhile where ``flag`` is so."""
        before = {n: (t, t._version, t.detach().clone()) for n, t in self._changing.items()}
        gradients = {n: self._place[n].grad for n in self._trained}
        there = {n: self._there(n) for n in self._trained}
        copies = {n: (g._version, g.detach().clone()) for n, g in gradients.items() if g is not None}
        modes = self._modes()
        self._within += 1
        yield
        self._within -= 1
        if flag is not True and (other := [n for n, mode in self._modes().items() if mode != modes.get(n, mode)]):
            raise _mode(other[0])
        if flag is True:
            for name in self._trained:
                self._there(name)
            return
        flag = torch.zeros((), dtype=torch.bool) if flag is False else flag
        with torch.no_grad():
            for tensor, version, old in before.values():
                if tensor._version != version:
                    tensor.copy_(torch.where(flag, tensor.detach(), old))
            for name in self._trained:
                old_there, new_there, new = there[name], self._there(name), self._place[name].grad
                same = new is gradients[name]
                if (new is None and gradients[name] is None) or (
                    same and new is not None and new._version == copies[name][0]
                ):
                    continue
                zero = torch.zeros_like(self._place[name].detach())
                kept = copies[name][1] if name in copies else zero
                self._place[name].grad = made = torch.where(flag, zero if new is None else new.detach(), kept)
                known = self._chosen(flag, new_there, old_there)
                if isinstance(known, Tensor):
                    self._maybe[name] = id(made), made._version, known
                elif not known:
                    self._place[name].grad = None

    def _modes(self) -> dict[str, bool]:
        """Whether each module is in training mode, and whether each parameter is trained."""
        parts = {f"{n}.training": p.training for k, m in self._modules.items() for n, p in m.named_modules(prefix=k)}
        return parts | {f"{n}.requires_grad": self._place[n].requires_grad for n in self._trained}

    def _chosen(self, flag: Tensor, new: bool | Tensor, old: bool | Tensor) -> bool | Tensor:
        """Whether a gradient is there after a condition; the same tensor for all parameters of which the same is known."""
        if new is old:
            return new
        key = id(flag), id(new), id(old)
        if key not in self._merged:
            a, b = (t if isinstance(t, Tensor) else torch.full((), float(t), dtype=torch.float64) for t in (new, old))
            self._merged[key] = torch.where(flag, a, b)
            self._kept.append((flag, new, old))
        return self._merged[key]

    # ---- optimizers
    def guard(self, twin: Any) -> None:
        """Let an optimizer take its step where gradients are there."""
        step = twin.step
        names = {id(leaf): name for name, leaf in self._place.items()}

        def guarded(closure: object = None) -> object:
            given = [p for group in twin.param_groups for p in group["params"] if p.grad is not None]
            there = [self._there(names[id(p)]) for p in given]
            if not there or all(t is True for t in there):
                return step(closure)
            if any(t is not there[0] for t in there):
                raise _apart()
            with self.only(there[0] > 0.5):
                return step(closure)

        twin.step = guarded

    # ---- the loop
    def at(self, loader: Any) -> None:
        """The loader that is gone through."""
        self.loader, self._ended = loader, False

    def last(self, leap: Callable[[], None]) -> None:
        """One more batch, of which only what is done after the last one counts; ``leap()`` is called where that begins."""
        self._last, self._leap = True, leap

    def over(self) -> None:
        """The loop is over."""
        if self._last:
            self._look()
        self._last, self._ended = False, True

    def _note(self) -> None:
        self._after = {n: t._version for n, t in self._changing.items()}
        for name in self._trained:
            gradient = self._place[name].grad
            self._after[name + ".grad"] = None if gradient is None else (id(gradient), gradient._version)

    def _look(self) -> None:
        """Refuse that something changes behind what is done after the last batch."""
        noted = self._after
        self._note()
        if noted and self._after != noted:
            raise ExportError(
                "len(dataloader)", "what is done in the last batch only is not the last thing that changes something in it",
                instead="move the condition to the end of the loop, or do the rest of it after the loop",
                location=author_frame(sys._getframe(1)),
            )  # fmt: skip


def _mode(name: str) -> ExportError:
    return ExportError(
        f"self.{name}", "it changes in some batches only, and a recording has one mode for each line",
        instead="set it before the loop, or in every batch; gradients of single batches can be set to None under a condition",
        location=author_frame(sys._getframe(1)),
    )  # fmt: skip


def _apart() -> ExportError:
    return ExportError(
        "a gradient", "it is there in some batches and not in others, unlike that of other parameters",
        instead="call loss.backward() in every batch, and zero_grad() for all parameters at once",
        location=author_frame(sys._getframe(1)),
    )  # fmt: skip


def _else_at_the_end() -> ExportError:
    return ExportError(
        "len(dataloader)", "something is done in all batches but the last, and nodes do not know which that is",
        instead="only behind or, under no other condition: if (i + 1) % k == 0 or i + 1 == len(dataloader):",
        location=author_frame(sys._getframe(1)),
    )  # fmt: skip
