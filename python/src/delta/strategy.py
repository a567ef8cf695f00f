"""How a task wants its rounds run: how many members, how long to wait, which cryptography.

Names and defaults are those of delta-task's ``delta.core.strategy``.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

__all__ = [
    "CURVE_TYPE",
    "AnalyticsStrategy",
    "CurveType",
    "RandomSelectStrategy",
    "SameSelectStrategy",
    "SelectStrategy",
    "Strategy",
]

CurveType = Literal["secp256k1", "secp256r1", "secp384r1"]
"""Curves that nodes offer for the members' keys."""
CURVE_TYPE = CurveType
"""The name of :data:`CurveType` in delta-task."""


class SelectStrategy:
    """How the coordinator picks a round's members among those who joined."""

    selection: Literal["random", "same"] = "random"


class RandomSelectStrategy(SelectStrategy):
    """A new random choice in every round."""


class SameSelectStrategy(SelectStrategy):
    """The members of the round before, filled up at random."""

    selection = "same"


# Every argument of a strategy, and of the tasks that make their own, is written here and only here. A dataclass has the fields
# of its bases, those of the last base first: the bases spell a signature from right to left. So tasks and strategies put the
# same arguments in the different orders that delta-task gave them; tests/test_strategy.py has these orders.
@dataclass
class Members:
    """How many members a round has."""

    min_clients: int = 2
    max_clients: int = 2


@dataclass
class Waits:
    """How long is waited for members."""

    wait_timeout: float = 60
    connection_timeout: float = 60


@dataclass
class ProofWaits(Waits):
    """And for the proof of a result."""

    verify_timeout: float = 300


@dataclass
class Numbers:
    """How numbers are summed."""

    precision: int = 8
    curve: CurveType = "secp256k1"


@dataclass
class Selection:
    """Who is in a round."""

    select_strategy: type[SelectStrategy] = RandomSelectStrategy


@dataclass
class Strategy(ProofWaits, Selection, Numbers, Waits, Members):
    """What all strategies have. Give arguments by name.

    Parameters
    ----------
    min_clients, max_clients : int
        The least and largest number of members of a round.
    wait_timeout, connection_timeout, verify_timeout : float
        Deadlines in seconds, 0.1 to 604800 (7 days): of joining (``connection_timeout``), of every other phase
        (``wait_timeout``), of a proof (``verify_timeout``). A phase ends as soon as everybody has answered.
    precision : int
        Decimal digits kept of every number that is summed, 0 to 15. A sum must stay below ``2**63 / 10**precision``.
    curve : {"secp256k1", "secp256r1", "secp384r1"}
        The curve of the members' keys.
    select_strategy : type of SelectStrategy
        How members are picked among those who joined.
    name : str
        What the strategy is called; nodes do not see it.
    threshold, colluders, neighbours, dropout, mask_generator, ring, retries, reproducible : optional
        See ``docs/task-format.md``: shares needed to rebuild a secret; members that may collude with coordinator and connector;
        members with whom each exchanges keys; share of
        members that may be lost, 0 to 0.5; ``"aes128-ctr"`` or ``"chacha20"``; ``"z32"``, ``"z64"`` or ``"auto"``; how often a
        failed round is started again; whether noise in the graphs (dropout and the like) follows from the task alone, so that
        the same rounds give the same result, instead of a seed that each node keeps to itself. Left out, the node chooses.
    bound : float, optional
        No number that a member contributes is larger, whatever its sign; a member that finds one cannot contribute. With
        ``ring="auto"`` masked vectors are half as long where the bound leaves room for a sum over ``max_clients`` members.
    rounding : {"nearest", "stochastic"}
        ``"stochastic"`` rounds what is contributed up or down at random, right on average: for few digits of ``precision``.
    transport : {"full", "f16"}
        ``"f16"`` sends float32 variables to members in half precision, rounded at random; the coordinator keeps what it has.

    Raises
    ------
    ValueError
        A value cannot work; the text names the argument.
    """

    _: KW_ONLY
    name: str = "strategy"
    threshold: int | None = None
    colluders: int | None = None
    neighbours: int | None = None
    dropout: float | None = None
    mask_generator: Literal["aes128-ctr", "chacha20"] | None = None
    ring: Literal["z32", "z64", "auto"] | None = None
    retries: int | None = None
    reproducible: bool = False
    bound: float | None = None
    rounding: Literal["nearest", "stochastic"] = "nearest"
    transport: Literal["full", "f16"] = "full"

    @property
    def exact(self) -> bool:
        """Whether sums can be exact, whatever their scale: in 64 bits, without bound and chance."""
        return self.ring in (None, "z64") and self.bound is None and self.rounding == "nearest"

    def __post_init__(self) -> None:
        """Check what a node would refuse."""
        need = [
            (self.min_clients >= 2, "min_clients", "at least 2: the sum over one member is that member's own data"),
            (self.max_clients >= self.min_clients, "max_clients", "at least min_clients"),
            (0 <= self.precision <= 15, "precision", "0 to 15 decimal digits"),
            (self.dropout is None or 0 <= self.dropout <= 0.5, "dropout", "a fraction from 0 to 0.5"),
            (self.bound is None or 0 < self.bound < math.inf, "bound", "a number above 0"),
            (self.ring != "auto" or self.bound is not None, "ring", "z32 or z64 where no bound is given"),
            (self.rounding in ("nearest", "stochastic"), "rounding", "nearest or stochastic"),
            (self.transport in ("full", "f16"), "transport", "full or f16"),
            (
                self.rounding == "nearest" or not self.reproducible,
                "rounding",
                "nearest in a task that is reproducible: each node draws from a seed of its own",
            ),
            (self.curve in ("secp256k1", "secp256r1", "secp384r1"), "curve", "secp256k1, secp256r1 or secp384r1"),
        ]
        need += [
            (0.1 <= getattr(self, t) <= 604_800, t, "0.1 seconds to 7 days")
            for t in ("wait_timeout", "connection_timeout", "verify_timeout")
        ]
        for ok, argument, rule in need:
            if not ok:
                raise ValueError(f"{argument}={getattr(self, argument)!r}: must be {rule}")

    def json(self) -> dict[str, Any]:
        """Return the strategy as it stands in ``task.json``.

        Returns
        -------
        dict
            Optional fields only where they are given.
        """
        out: dict[str, Any] = {
            "min_clients": self.min_clients,
            "max_clients": self.max_clients,
            "selection": self.select_strategy.selection,
            "connection_timeout": float(self.connection_timeout),
            "wait_timeout": float(self.wait_timeout),
            "verify_timeout": float(self.verify_timeout),
            "precision": self.precision,
            "curve": self.curve,
        }
        optional = ("threshold", "colluders", "neighbours", "dropout", "mask_generator", "ring", "retries")
        out |= {k: getattr(self, k) for k in optional if getattr(self, k) is not None}
        if self.bound is not None:
            out["bound"] = float(self.bound)
        chosen = {"rounding": self.rounding, "transport": self.transport}
        out |= {k: v for k, v in chosen.items() if v not in ("nearest", "full")}
        return out | ({"reproducible": True} if self.reproducible else {})


@dataclass(kw_only=True)
class AnalyticsStrategy(Strategy):
    """The strategy of analytics and regressions: the same members in every round, which the rounds themselves ask for, too.

    Parameters
    ----------
    min_clients, max_clients, wait_timeout, connection_timeout, verify_timeout, precision, curve, select_strategy, name
        As in :class:`Strategy`, except that members stay the same by default.
    threshold, colluders, neighbours, dropout, mask_generator, ring, retries, reproducible : optional
        As in :class:`Strategy`.
    bound, rounding, transport : optional
        As in :class:`Strategy`.
    """

    name: str = "analytics"
    select_strategy: type[SelectStrategy] = SameSelectStrategy
