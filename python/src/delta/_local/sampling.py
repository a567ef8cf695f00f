"""Who is in each round of a simulation: clients drawn by chance, some of whom are lost on the way."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .cohorts import Cohorts

Json = Mapping[str, Any]
RETRIES = 3
"""How often a round is attempted again that has too few members, where the task does not say."""


class Sampled(Cohorts):
    """Draws ``size`` clients for each round, without replacement; each of them is lost with the probability ``drop``.

    Rounds that must sum the members of the round before have these, and lose nobody.
    """

    def __init__(self, manifest: Json, clients: int, size: int, drop: float, rng: np.random.Generator) -> None:
        """Begin before the first round."""
        super().__init__(manifest, clients)
        self._size, self._drop, self._rng = size, drop, rng
        self._attempts = 1 + manifest["strategy"].get("retries", RETRIES)
        self._lost: list[int] = []
        self._begun = 0.0

    def begin(self, spec: Json) -> None:
        """Draw the members of the next round.

        Raises ``RuntimeError`` when too few are left in every attempt.
        """
        self._begun = time.monotonic()
        if spec.get("cohort") == "same":
            self._lost = []
            return
        self.failed = frozenset()
        for _ in range(self._attempts):
            chosen = np.sort(self._rng.choice(self._parts, self._size, replace=False))
            # One draw for each, also where nobody is lost: who is drawn next does not depend on it.
            gone = self._rng.random(self._size) < self._drop
            self.members, self._lost = chosen[~gone].tolist(), chosen[gone].tolist()
            if len(self.members) >= self._least:
                return
        raise RuntimeError(
            f"round {len(self.told) + 1} needs {self._least} members (min_clients), and in {self._attempts} attempts at most "
            f"{len(self.members)} of {self._size} sampled clients were left: raise sample, or lower drop or min_clients"
        )

    def end(self, spec: Json, failed: Iterable[int], counted: bool) -> None:
        """Note who could not compute, and who was in the round.

        Raises ``RuntimeError`` when too few could.
        """
        failed = list(failed)
        super().end(spec, failed, counted)
        if counted and (could := len(self.members) - len(failed)) < self._least:
            raise RuntimeError(
                f"round {len(self.told)}: {len(failed)} of {len(self.members)} members could not compute, as they have too few "
                f"rows, and {could} are fewer than min_clients={self._least}: give each client more rows"
            )
        who: dict[str, Any] = {"who": [named(c) for c in self.members], "lost": [named(c) for c in self._lost]}
        seconds: Any = time.monotonic() - self._begun
        self.told[-1] |= {"dropped": len(self._lost)} | who | {"seconds": seconds}


def named(client: int) -> str:
    """A client's name in who was in a round."""
    return f"client-{client}"


def size_of(sample: float, clients: int, least: int) -> int:
    """How many clients a round has.

    Raises ``ValueError`` for a share or number that cannot be.
    """
    if isinstance(sample, bool) or not isinstance(sample, int | float | np.integer | np.floating):
        raise ValueError(f"sample={sample!r}: must be a share such as 0.1, or a number of clients")
    whole = isinstance(sample, int | np.integer)
    if not (1 <= sample <= clients if whole else 0.0 < sample <= 1.0):
        rule = f"a number of clients is from 1 to {clients}" if whole else "a share is above 0 and at most 1"
        raise ValueError(f"sample={sample!r}: {rule}")
    size = int(sample) if whole else max(1, round(float(sample) * clients))
    if size < least:
        raise ValueError(
            f"sample={sample!r} of {clients} clients is {size}, and a round of this task needs {least} (min_clients)"
            + ("; sample=1.0 is all clients" if whole and sample == 1 else "")
        )
    return size
