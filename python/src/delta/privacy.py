"""Differential privacy of analytics, regressions and learning: what is asked of the nodes, and what it costs.

Nodes bound each record's numbers and add noise to their sum; they also account for it, and an owner's budget decides. The
epsilon here is for the author, by the same formulas (``docs/privacy.md``): the Gaussian's Renyi divergence, added up over rounds
and converted as in Canonne, Kamath and Steinke 2020, proposition 12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .manifest import member_noise

__all__ = ["Plan", "Privacy", "epsilon_of", "multiplier_of"]

# Those of nodes, and what they add for rounding (src/domain/privacy/rdp.rs): with others a task could cost a little more than its
# author was told, and its last round fail at a budget of just that.
_ORDERS: list[float] = [
    1.25,
    *(i / 10 for i in range(13, 110)),
    *range(11, 64),
    64,
    80,
    96,
    128,
    160,
    192,
    256,
    320,
    384,
    448,
    512,
]
_MARGIN = 1e-9
_LARGEST = 1000.0


@dataclass(frozen=True)
class Privacy:
    """Ask for noise in every sum of a task.

    Give ``epsilon``, or the noise itself as ``multiplier``, not both.

    Parameters
    ----------
    epsilon : float, optional
        What all rounds of the task may cost together, at ``delta``; the noise follows from it.
    delta : float
        Well below one over the number of records.
    clip : float
        The largest Euclidean norm of all numbers that one record adds to a round's sums; larger vectors are scaled down. The
        noise in each sum has ``multiplier`` times this as its standard deviation. At most ``2**39 / 10**precision`` (5497 for
        the default precision).
    multiplier : float, optional
        The standard deviation of the noise in units of ``clip``; above 0 and below 1000, with up to four decimals.
    unit : str, optional
        A column that tells persons apart: all records with one number in it count as one. By default each record is one.
    linf : float, optional
        The largest magnitude of a single number.
    member : bool
        Protect all that a member has as one unit: ``clip`` then bounds all numbers that it adds to a round together. For a
        model's changes, or few numbers of many members; one member hides among the others. Owners whose budgets are for records
        or persons charge as for half the multiplier, since one record can turn all of a member's numbers around.

    Raises
    ------
    ValueError
        A value cannot work; the text names it.

    Examples
    --------
    >>> Privacy(epsilon=1.0, delta=1e-6, clip=100.0).plan(rounds=2).multiplier
    '6.4077'
    """

    epsilon: float | None = None
    delta: float = 1e-6
    clip: float = 1.0
    multiplier: float | None = None
    unit: str | None = None
    linf: float | None = None
    member: bool = False

    def __post_init__(self) -> None:
        """Check what a node would refuse."""
        if (self.epsilon is None) == (self.multiplier is None):
            raise ValueError("privacy: give epsilon or multiplier, one of them")
        need = [
            (self.epsilon is None or 0 < self.epsilon < math.inf, "epsilon", "a finite number above 0"),
            (self.multiplier is None or 0.0001 <= self.multiplier < _LARGEST, "multiplier", "0.0001 to below 1000"),
            (0 < self.delta < 1, "delta", "a number between 0 and 1"),
            (0 < self.clip < math.inf, "clip", "a finite number above 0"),
            (self.linf is None or 0 < self.linf < math.inf, "linf", "a finite number above 0"),
        ]
        for ok, argument, rule in need:
            if not ok:
                raise ValueError(f"privacy: {argument}={getattr(self, argument)!r} must be {rule}")
        for argument in ("unit", "linf") if self.member else ():
            if (given := getattr(self, argument)) is not None:
                raise ValueError(
                    f"privacy: {argument}={given!r} says something of records; leave it out with member=True"
                )

    def plan(self, rounds: int) -> Plan:
        """Find the noise of each round.

        Parameters
        ----------
        rounds : int
            How many rounds read the data.

        Returns
        -------
        Plan
            The noise and its cost.

        Raises
        ------
        ValueError
            The epsilon asks for more noise than nodes make.
        """
        if self.multiplier is not None:
            z = self.multiplier
        else:
            assert self.epsilon is not None
            z = multiplier_of(self.epsilon, self.delta, rounds)
        # Upwards: what was asked for is a promise.
        whole = math.ceil(round(z * 10_000, 6))
        text = f"{whole / 10_000:.4f}".rstrip("0").rstrip(".")
        return Plan(self, text, epsilon_of(whole / 10_000, self.delta, rounds), rounds)


@dataclass(frozen=True)
class Plan:
    """The noise of a task's rounds, from :meth:`Privacy.plan`.

    Parameters
    ----------
    privacy : Privacy
        What was asked for.
    multiplier : str
        The noise of each round in units of the clip, as it stands in the task.
    epsilon : float
        What all rounds cost together, when nobody who adds noise colludes beyond what the strategy assumes.
    rounds : int
        How many there are.
    """

    privacy: Privacy
    multiplier: str
    epsilon: float
    rounds: int

    @property
    def columns(self) -> Sequence[str]:
        """The columns that the nodes need besides those that graphs read."""
        return [] if self.privacy.unit is None else [self.privacy.unit]

    def driver(self) -> dict[str, Any]:
        """Return what :func:`delta.manifest.records` takes.

        Returns
        -------
        dict
            Its arguments by name; none where whole members are protected, because their noise is the map's.
        """
        p = self.privacy
        if p.member:
            return {}
        return {"unit": p.unit, "clip": p.clip, "linf": p.linf, "multiplier": self.multiplier, "delta": p.delta}

    def of_map(self) -> dict[str, Any] | None:
        """Return the noise of a map.

        Returns
        -------
        dict or None
            As :func:`delta.manifest.member_noise` makes it; nothing where it is the records' driver that asks for noise.
        """
        p = self.privacy
        return member_noise(p.clip, self.multiplier, p.delta) if p.member else None

    def json(self) -> dict[str, Any]:
        """Return what results and descriptions say.

        Returns
        -------
        dict
            Of plain values, with which the bundle carries it.
        """
        p = self.privacy
        return {
            "epsilon": self.epsilon,
            "delta": p.delta,
            "multiplier": float(self.multiplier),
            "clip": float(p.clip),
            "unit": p.unit,
            "rounds": self.rounds,
        } | ({"member": True} if p.member else {})


def epsilon_of(multiplier: float, delta: float, rounds: int = 1) -> float:
    """Return what rounds of noise cost.

    Parameters
    ----------
    multiplier : float
        The noise's standard deviation in units of the clip.
    delta : float
        At which delta.
    rounds : int
        How many releases of the same data.

    Returns
    -------
    float
        Epsilon: the least over many orders ``a`` of ``T a / 2 z^2 + ln(1 - 1/a) - ln(delta a) / (a - 1)``.
    """
    cost = rounds / (2 * multiplier**2) * (1 + _MARGIN)
    found = min(a * cost + math.log1p(-1 / a) - math.log(delta * a) / (a - 1) for a in _ORDERS)
    return max(found + _MARGIN * (1 + abs(found)), 0.0)


def multiplier_of(epsilon: float, delta: float, rounds: int = 1) -> float:
    """Return the least noise with which rounds cost no more than ``epsilon``.

    Parameters
    ----------
    epsilon : float
        What all rounds may cost together.
    delta : float
        At which delta.
    rounds : int
        How many releases of the same data.

    Returns
    -------
    float
        The multiplier.

    Raises
    ------
    ValueError
        It would have to be 1000 or more.
    """
    low, high = 0.0001, _LARGEST - 0.001
    if epsilon_of(high, delta, rounds) > epsilon:
        raise ValueError(
            f"privacy: epsilon={epsilon!r} over {rounds} rounds asks for more noise than nodes make; ask for fewer rounds"
        )
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if epsilon_of(middle, delta, rounds) <= epsilon else (middle, high)
    return high
