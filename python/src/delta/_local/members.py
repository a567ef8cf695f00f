"""A make-believe member's part of a round, and how the members of one process do theirs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .._widths import ring_bits, whole
from . import records
from .data import Rows
from .exact import exact_sums, exactly
from .steps import CannotCompute, Position, Scope, Sessions, TooFewRows, run_step

Array = npt.NDArray[Any]
Json = Mapping[str, Any]
NUMPY = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64, "u8": np.uint8, "bool": np.bool_}


@dataclass(frozen=True)
class Task:
    """What members must know of a task. ``entropy``: what chance is drawn from; ``lenient``: as of :meth:`Member.contribute`."""

    manifest: Json
    graphs: Mapping[str, bytes]
    threads: int
    entropy: int
    lenient: bool


@dataclass(frozen=True)
class Round:
    """What members are told of a round: which of the manifest's, its number from 1, what they download, how many they are."""

    spec: int
    number: int
    server: Mapping[str, Array]
    cohort: int


def generator(entropy: int, *place: int) -> np.random.Generator:
    """A stream of random numbers of its own for each place, such as a round and a member: it is the same in any process."""
    seed = np.random.SeedSequence(entropy, spawn_key=place)
    return np.random.Generator(np.random.PCG64(seed))


class Members(Protocol):
    """All members of a task."""

    sessions: Sessions
    """For the reduces."""

    def contribute(self, now: Round, who: Sequence[int], judge: Any) -> Iterator[list[Array] | None]:
        """Return what each of some members sends, in their order; ``judge`` takes the member's number, from 1, first."""
        ...


@dataclass
class Member:
    """A make-believe member: its data, and what it keeps from round to round."""

    data: dict[str, Rows]
    variables: dict[str, Array]
    positions: dict[int, Position] = field(default_factory=dict)

    def contribute(
        self,
        sessions: Sessions,
        manifest: Json,
        spec: Json,
        server: Mapping[str, Array],
        cohort: int,
        judge: Any,
        chance: np.random.Generator,
        lenient: bool = False,
    ) -> list[Array] | None:
        """Run the map of a round; return what leaves, in whole steps of the precision where it is not exact, or None where it
        cannot compute.

        Then everything that the member keeps is as before. ``lenient``: who has too few rows for a batch cannot compute, as on
        nodes; otherwise that is an error.
        """
        precision, map = manifest["strategy"]["precision"], spec["map"]
        known = {**server, **self.variables}
        scope = Scope(known, data=self.data, precision=precision, judge=judge, exact=exactly(map["contribute"]))
        positions = dict(self.positions)
        try:
            for i, step in enumerate(map["steps"]):
                positions[i] = run_step(sessions, step, scope, positions.get(i, Position()))
        except CannotCompute:
            return None
        except TooFewRows:
            if lenient:
                return None
            raise
        made = [scope.values[c["name"]] for c in map["contribute"]]
        if "noise" in map:
            made = records.bound_member(made, map["noise"], precision)
        sent = [quantised(v, c, manifest, cohort, chance) for v, c in zip(made, map["contribute"], strict=True)]
        assign = map.get("assign", {}).items()
        self.variables |= {v: fitted(scope.values[n], manifest["variables"][v], v) for v, n in assign}
        self.positions = positions
        return sent


class Here:
    """Members that compute one after the other in this process."""

    def __init__(self, task: Task, members: Mapping[int, Member]) -> None:
        """Take members by number, from 0."""
        self.sessions = Sessions(task.graphs, task.threads)
        self._task, self._members = task, members

    def contribute(self, now: Round, who: Sequence[int], judge: Any = None) -> Iterator[list[Array] | None]:
        """Return what each of some members sends, in their order."""
        task = self._task
        for number in who:
            yield self._members[number].contribute(
                self.sessions,
                task.manifest,
                task.manifest["rounds"][now.spec],
                now.server,
                now.cohort,
                None if judge is None else partial(judge, number + 1),
                generator(task.entropy, now.number, number),
                task.lenient,
            )


def quantised(
    value: Array,
    spec: Mapping[str, Any],
    manifest: Mapping[str, Any],
    cohort: int,
    chance: np.random.Generator | None = None,
) -> Array:
    """Round a contribution to the task's precision, as members do before they mask it; exact numbers stay as they are.

    Raises ``ValueError`` for what a node refuses: another shape, NaN or infinity, a sum that could wrap around, a number
    above the task's bound.
    """
    name = spec["name"]
    if list(value.shape) != list(spec["shape"]):
        raise ValueError(f"contribution {name}: shape {list(value.shape)}, the task says {spec['shape']}")
    if not np.isfinite(value).all():
        raise ValueError(f"contribution {name}: has NaN or infinity, which no node sends")
    if spec.get("written") == "exact":
        return exact_sums(np.asarray(value, np.float64).reshape(1, -1), name).reshape(value.shape)
    strategy = manifest["strategy"]
    bits = ring_bits(strategy) - 1
    scaled = np.asarray(value, np.float64) * 10.0 ** strategy["precision"]
    if (np.abs(scaled) * cohort >= 2.0**bits).any():
        limit = 2.0**bits / 10.0 ** strategy["precision"] / cohort
        raise ValueError(
            f"contribution {name}: above {limit:.3g}, the largest number whose sum fits; lower strategy.precision"
        )
    bound = strategy.get("bound")
    if bound is not None and (np.abs(scaled) > math.ceil(bound * 10.0 ** strategy["precision"])).any():
        raise ValueError(f"contribution {name}: above {bound:g}, the bound that the strategy promises")
    return whole(scaled, strategy.get("rounding", "nearest"), chance or np.random.default_rng())


def fitted(value: Array, spec: Mapping[str, Any], name: str) -> Array:
    """Return a value as a variable holds it.

    Raises ``ValueError`` for one of another shape.
    """
    if list(value.shape) != list(spec["shape"]):
        raise ValueError(f"variable {name}: shape {list(value.shape)}, the task says {spec['shape']}")
    return np.asarray(value, NUMPY[spec["dtype"]])
