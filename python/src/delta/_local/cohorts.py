"""Who is in the sum of each round: parts that are away, and rounds that must sum the members of the one before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

Json = Mapping[str, Any]
Absent = Mapping[int, Iterable[int]]
"""By round, from 1, the parts that take no part in it, from 0."""


class Cohorts:
    """The members of one round after the other, as a coordinator selects them."""

    def __init__(self, manifest: Json, parts: int, absent: Absent | None = None, seed: int | None = None) -> None:
        """Note who is away when; ``seed``: of whom is taken where more are there than a round takes.

        Raises ``ValueError`` for a round or a part that there is not, ``RuntimeError`` for fewer parts than any round needs, as
        nodes say it.
        """
        rounds, strategy = sum(r.get("repeat", 1) for r in manifest["rounds"]), manifest["strategy"]
        self._parts, self._least, self._most = parts, strategy["min_clients"], strategy["max_clients"]
        if parts < self._least:
            raise RuntimeError(
                f"the task wants at least {self._least} members, the network has {parts} nodes: give delta.debug "
                f"parts={self._least} or more, or a list with data for as many, or lower min_clients of the strategy"
            )
        self._stay = strategy.get("selection") == "same"
        self._rng = np.random.default_rng(0 if seed is None else seed)
        self._absent = {number: frozenset(away) for number, away in (absent or {}).items()}
        for number, away in self._absent.items():
            if number not in range(1, rounds + 1):
                raise ValueError(f"absent: there is no round {number!r}; rounds are numbered from 1 to {rounds}")
            if unknown := sorted(p for p in away if p not in range(parts)):
                raise ValueError(f"absent: there is no part {unknown[0]!r}; parts are numbered from 0 to {parts - 1}")
        self.members: list[int] = []
        """Of the round that was begun last."""
        self.failed: frozenset[int] = frozenset()
        """Those of them that contribute zeros whatever they could compute: they did so in the round before."""
        self.told: list[dict[str, Any]] = []
        """For each round that is over how many ``members`` its sum has, how many of them ``failed`` to compute, and ``who`` they
        are where more parts are there than a round takes."""

    def begin(self, spec: Json) -> None:
        """Select the members of the next round.

        Raises ``RuntimeError`` when a member of the round before must be in the sum and is away, or too few are there: as nodes
        say it.
        """
        number, bound = len(self.told) + 1, spec.get("cohort") == "same"
        away = self._absent.get(number, frozenset())
        if bound and (missing := [p for p in self.members if p in away]):
            are = "is" if len(missing) == 1 else "are"
            raise RuntimeError(
                f"round {number} must sum the members of round {number - 1}, and {_parts(missing)} {are} away"
            )
        if not bound:
            there = [p for p in range(self._parts) if p not in away]
            if len(there) < self._least:
                raise RuntimeError(self._too_few(number, there, away))
            self.members, self.failed = self._selected(there), frozenset()

    def _too_few(self, number: int, there: Collection[int], away: Collection[int]) -> str:
        """Why a round has too few members, as nodes say it."""
        gone = f"; away: {_parts(away)}" if away else ""
        return f"round {number} had too few members: {len(there)} of at least {self._least} members joined{gone}"

    def _selected(self, there: Sequence[int]) -> list[int]:
        """Those that a round takes of some: by chance; with ``SameSelectStrategy`` those of the round before come first."""
        if len(there) <= self._most:
            return list(there)
        shuffled = self._rng.permutation(there).tolist()
        if self._stay:
            shuffled.sort(key=lambda part: part not in self.members)
        return sorted(shuffled[: self._most])

    def end(self, spec: Json, failed: Iterable[int], counted: bool) -> None:
        """Note who could not compute; ``counted``: whether nodes would say so, as they do without noise.

        Raises ``RuntimeError`` when a round that must sum the members of the one before lacks more of them.
        """
        now, number = frozenset(failed), len(self.told) + 1
        if spec.get("cohort") == "same" and counted and (more := len(now) - len(self.failed)) > 0:
            raise RuntimeError(
                f"round {number} must sum the members of round {number - 1}, and {more} more of them could not compute"
            )
        self.failed = now
        told: dict[str, Any] = {"members": len(self.members), "failed": len(now), "dropped": 0}
        self.told.append(told | ({"who": [f"part-{p}" for p in self.members]} if self._parts > self._most else {}))


def _parts(some: Collection[int]) -> str:
    return f"part{'' if len(some) == 1 else 's'} {', '.join(map(str, sorted(some)))}"
