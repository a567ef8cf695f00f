"""Who is in the sum of each round: parts that are away, and rounds that must sum the members of the one before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Json = Mapping[str, Any]
Absent = Mapping[int, Iterable[int]]
"""By round, from 1, the parts that take no part in it, from 0."""


class Cohorts:
    """The members of one round after the other, as a coordinator selects them."""

    def __init__(self, manifest: Json, parts: int, absent: Absent | None = None) -> None:
        """Note who is away when.

        Raises ``ValueError`` for a round or a part that there is not.
        """
        rounds = sum(r.get("repeat", 1) for r in manifest["rounds"])
        self._parts, self._least = parts, manifest["strategy"]["min_clients"]
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
        self.told: list[dict[str, int]] = []
        """For each round that is over how many ``members`` its sum has, and how many of them ``failed`` to compute."""

    def begin(self, spec: Json) -> None:
        """Select the members of the next round.

        Raises ``RuntimeError`` when a member of the round before must be in the sum and is away, or too few are there.
        """
        number, bound = len(self.told) + 1, spec.get("cohort") == "same"
        away = self._absent.get(number, frozenset())
        if bound and (missing := [p for p in self.members if p in away]):
            who = f"part {missing[0]} is" if len(missing) == 1 else f"parts {', '.join(map(str, missing))} are"
            raise RuntimeError(f"round {number} must sum the members of round {number - 1}, and {who} away")
        if not bound:
            self.members, self.failed = [p for p in range(self._parts) if p not in away], frozenset()
        if away and len(self.members) < self._least:
            raise RuntimeError(f"round {number} needs {self._least} members, and {len(self.members)} are there")

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
        self.told.append({"members": len(self.members), "failed": len(now), "dropped": 0})
