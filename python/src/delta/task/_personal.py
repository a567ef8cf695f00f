"""Which parameters and buffers stay at each member: not averaged, not in the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn

from .._export.errors import ExportError
from .._export.model import Entry, Holdings
from ._fedavg import LearningStrategy
from ._strategies import FedBN


def refuse_forgotten(held: Holdings, published: Mapping[str, Entry]) -> None:
    """Refuse a ``state_dict()`` that says nothing of parameters that are trained.

    Raises :class:`ExportError` with the names of some.
    """
    known = {e.name for e in published.values()}
    groups = [group for o in held.optimizers.values() for group in o.param_groups]
    entries = [held.entry_of(p) for group in groups for p in group["params"]]
    trained = dict.fromkeys(e.name for e in entries if e.trainable and e.tensor.numel())
    missing = [n for n in trained if n not in known]
    if missing:
        raise ExportError(
            "state_dict()", f"optimizers train what is not in it: {', '.join(missing[:4])}{', ...' if missing[4:] else ''}",
            instead="return all that is trained, or leave state_dict() as it is; name what stays at each member in personal=",
        )  # fmt: skip


def shared(
    held: Holdings, published: Mapping[str, Entry], patterns: Sequence[str], strategy: LearningStrategy
) -> tuple[dict[str, Entry], list[str]]:
    """Split what ``state_dict()`` has into what is averaged, and the keys of what stays at each member.

    Raises ``ValueError`` where a pattern fits nothing, or where nothing would be averaged.
    """
    keys = [k for k in published if any(fnmatchcase(k, p) for p in patterns)]
    for pattern in patterns:
        if not any(fnmatchcase(k, pattern) for k in published):
            some = ", ".join(list(published)[:8])
            raise ValueError(f"personal: {pattern!r} is none of the keys of state_dict(), which are {some}, ...")
    if isinstance(strategy, FedBN):
        keys += [k for k in _norms(held, published) if k not in keys]
    names = {published[k].name for k in keys}
    rest = {k: e for k, e in published.items() if k not in keys}
    for key, entry in rest.items():
        if entry.name in names:
            twin = next(k for k in keys if published[k].name == entry.name)
            raise ValueError(
                f"personal: {twin!r} and {key!r} are one tensor, and only the first would stay at the members"
            )
    if keys and not any(e.trainable for e in rest.values()):
        raise ValueError("personal: every parameter would stay at the members, and there is nothing to average")
    return rest, [k for k in published if k in keys]


def _norms(held: Holdings, published: Mapping[str, Entry]) -> list[str]:
    """The keys of batch norm.

    Raises ``ValueError`` where there is none.
    """
    kind = nn.modules.batchnorm._BatchNorm
    keys = [k for k, e in published.items() if any(isinstance(part, kind) for part, _ in e.places)]
    if not keys:
        raise ValueError(
            "strategy=FedBN: the model has no BatchNorm layer with parameters or buffers in state_dict(); "
            "name what is to stay at the members with personal="
        )
    return keys
