"""What of torch's own state stands between steps and rounds: gradients, hooks of parameters, the rate of the moment."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch.fx as fx
from torch import Tensor

from .chance import Shown
from .errors import ExportError, Location, author_of

LEFT = ".left"
"""Behind the name of a parameter: its gradient where a round begins."""


def readers(placeholders: Mapping[str, fx.Node]) -> dict[str, Location | None]:
    """The author's line that reads a gradient of the round before, by input."""
    return {n: _reader(node) for n, node in placeholders.items() if n.endswith(LEFT) and node.users}


def _reader(node: fx.Node) -> Location | None:
    users = list(node.users)
    for user in users:
        if (place := author_of(user.meta.get("stack_trace"))) is not None:
            return place
        # Copies are ours.
        users += [u for u in user.users if u not in users]
    return None


def refuse_left(lines: Mapping[str, Location | None], read: Sequence[str], left: Collection[str]) -> bool:
    """Refuse to read gradients of the round before; return whether they are read, and never there.

    ``lines``: what :func:`readers` found. ``read``: the inputs of the graphs. ``left``: the parameters that have gradients at
    the end of a round.
    """
    used = [n for n in read if n.endswith(LEFT)]
    if any(n.removesuffix(LEFT) in left for n in used):
        raise left_over(next((p for n in used if (p := lines.get(n)) is not None), None))
    return bool(used)


def left_over(place: Location | None) -> ExportError:
    """What is said of gradients that are there when a round begins."""
    return ExportError(
        "loss.backward()", "gradients are left over from one round to the next, and added to those of its first step",
        instead="call self.optimizer.zero_grad() before the first backward() of train(), or after its last step()",
        location=place,
    )  # fmt: skip


def hooked(given: Tensor, leaf: Tensor) -> None:
    """Let what is hooked on a parameter happen to what stands for it."""
    for hook in (getattr(given, "_backward_hooks", None) or {}).values():
        leaf.register_hook(hook)  # type: ignore[no-untyped-call]
    for hook in (getattr(given, "_post_accumulate_grad_hooks", None) or {}).values():
        leaf.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]


class Rate(Shown):
    """A learning rate that a schedule changes: at a node it is another in every round or batch."""

    why = "a schedule changes it, and it would be the first rate for ever"
    instead = "leave it out; nodes take the rate that the schedule gives"
