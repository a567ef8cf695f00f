"""A task that goes on with what another one ended with, or had come to."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .._errors import ResumeWarning
from .._export.conditions import THERE
from .._export.model import Entry
from ..privacy import Plan as Noise
from ._result import LearningResult

Array = npt.NDArray[Any]
Source = LearningResult | str | os.PathLike[str]


@dataclass
class Resumed:
    """What a task begins with.

    ``variables``: the coordinator's, by name. ``done``: rounds of training before. ``walked``: how far members have gone through
    their rows in these, as ``length`` of a driver.
    """

    variables: Mapping[str, Array]
    done: int
    walked: Mapping[str, int]

    def value(self, name: str, like: Tensor) -> Array:
        """A variable of the coordinator.

        Raises ``ValueError`` where there is none, or one of another shape.
        """
        if name not in self.variables:
            has = ", ".join(sorted(self.variables)[:6]) or "nothing"
            raise ValueError(
                f"resume_from: it has no {name!r}, which this task's coordinator keeps (it has {has}): the model or the "
                "strategy is another one"
            )
        given = self.variables[name]
        if list(given.shape) != list(like.shape):
            raise ValueError(
                f"resume_from: {name!r} has shape {list(given.shape)}, in this task {list(like.shape)}: the model is another one"
            )
        return np.array(given, _numpy(like.dtype), order="C")

    def after(self, length: Mapping[str, int]) -> dict[str, Any]:
        """What a driver says of it, whose rounds have this length.

        Raises ``ValueError`` where rounds were counted otherwise.
        """
        if not self.walked:
            return {}
        if set(self.walked) != set(length):
            (was,), (now,) = self.walked, length
            raise ValueError(f"resume_from: its rounds were counted in {was}, and this task's are in {now}")
        return {"after": dict(self.walked)}


def resumed(given: Source | None, max_rounds: int, noise: Noise | None) -> Resumed | None:
    """Read what a task goes on with.

    Raises ``ValueError`` where nothing is left to do, or the noise was other noise.
    """
    if given is None:
        return None
    result = given if isinstance(given, LearningResult) else LearningResult.load(given)
    done = result.rounds_done
    if done >= max_rounds:
        raise ValueError(
            f"max_rounds={max_rounds}: resume_from has {done} rounds behind it, and max_rounds counts these, too: ask for more"
        )
    if not result.variables:
        raise ValueError(
            "resume_from: it does not say what the coordinator kept; a result of an earlier version cannot be resumed"
        )
    if noise is not None:
        before = None if result.privacy is None else float(result.privacy["multiplier"])
        if before is None or abs(before - float(noise.multiplier)) > 1e-9 * before:
            was = "none" if before is None else f"{before:g}"
            raise ValueError(
                f"resume_from: its rounds had a noise multiplier of {was}, and this task's have {float(noise.multiplier):g}: "
                "epsilon of both together would not be what it says; give the same privacy= and max_rounds="
            )
    return Resumed(result.variables, done, result.walked)


def warn_of_lost(names: Iterable[str], entries: Mapping[str, Entry], optimizer_state: Collection[str]) -> None:
    """Say what members have kept that does not come back: it never left them."""
    lost = list(names)
    if not lost:
        return
    state = [n for n in lost if n in optimizer_state]
    own = [n for n in lost if n in entries]
    gradients = [n for n in lost if n.startswith(THERE)]
    rest = [n for n in lost if n not in state and n not in own and n not in gradients]
    kinds = {
        "state of optimizers": state,
        "personal parameters": own,
        "accumulated gradients": gradients,
        "places in schedules": rest,
    }
    what = [f"{k} ({', '.join(some[:3])}{', ...' if len(some) > 3 else ''})" for k, some in kinds.items() if some]
    warnings.warn(
        f"resume_from: {' and '.join(what)} never left the members and begin anew, so that the task is not exactly what an "
        "uninterrupted one would have been"
        + ("; optimizer_state='reset' makes both alike" if state and not own and not gradients and not rest else ""),
        ResumeWarning,
        stacklevel=4,
    )


def _numpy(dtype: torch.dtype) -> Any:
    return torch.empty(0, dtype=dtype).numpy().dtype
