"""Whether processes grow while they live."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from network import Program

EVERY = 2.0
"""Seconds between two looks."""
WARM = 0.25
"""The share of a life in which caches fill."""
MOST_MIB, MOST_SHARE, MOST_DESCRIPTORS = 16.0, 0.2, 16
"""What a process may grow from the second to the last quarter of a life: the larger of the first two."""
QUIET = 10
"""Descriptors come and go with tasks: the percentile of a quarter that stands for few of them."""


@dataclass(frozen=True)
class Growth:
    """How one life went: memory in MiB, descriptors, both at first and last, and a slope an hour."""

    name: str
    minutes: float
    memory: tuple[float, float]
    slope: float
    descriptors: tuple[float, float]
    slope_descriptors: float

    def fault(self) -> str | None:
        """Whether it is more than it may be."""
        (first, last), (few, many) = self.memory, self.descriptors
        if last - first > max(MOST_MIB, MOST_SHARE * first):
            return f"{self.name} grew from {first:.0f} to {last:.0f} MiB"
        if many - few > MOST_DESCRIPTORS:
            return f"{self.name} held {few:.0f} descriptors, then {many:.0f}"
        return None

    def row(self) -> str:
        """A row of the table."""
        return (
            f"| {self.name} | {self.minutes:.1f} | {self.memory[0]:.1f} | {self.memory[1]:.1f} | {self.slope:+.1f} "
            f"| {self.descriptors[0]:.0f} | {self.descriptors[1]:.0f} | {self.slope_descriptors:+.1f} |"
        )


HEAD = [
    "| process | lived, min | MiB, 2nd quarter | last quarter | an hour | descriptors, 2nd quarter | last quarter | an hour |",
    "|---|---|---|---|---|---|---|---|",
]


class Watch:
    """Looks at processes now and then."""

    def __init__(self, programs: list[Program]) -> None:
        self._programs = programs
        self._seen: dict[tuple[str, int], list[tuple[float, float, int]]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(EVERY):
            for each in self._programs:
                # It may end at any moment.
                with suppress(AssertionError, OSError, KeyError):
                    memory, held, _ = each.usage()
                    self._seen.setdefault((each.name, each.lives), []).append((time.monotonic(), memory, held))

    def lives(self, least: float) -> list[Growth]:
        """How every life of at least so many seconds went."""
        found = []
        for (name, _), seen in self._seen.items():
            if seen[-1][0] - seen[0][0] >= least:
                found.append(_growth(name, np.array(seen)))
        return found


def _growth(name: str, seen: np.ndarray) -> Growth:
    time_, lived = seen[:, 0], seen[-1, 0] - seen[0, 0]
    warm = seen[time_ >= time_[0] + WARM * lived]
    early, late = (
        seen[(time_ >= time_[0] + a * lived) & (time_ <= time_[0] + b * lived)] for a, b in ((WARM, 0.5), (0.75, 1))
    )
    slopes = np.polyfit(warm[:, 0] / 3600, warm[:, 1:], 1)[0]
    m0, m1 = np.median(early[:, 1]), np.median(late[:, 1])
    d0, d1 = np.percentile(early[:, 2], QUIET), np.percentile(late[:, 2], QUIET)
    return Growth(name, lived / 60, (m0, m1), slopes[0], (d0, d1), slopes[1])
