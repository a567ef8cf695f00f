"""How a task wants its rounds run: how many members, how long to wait, which cryptography.

Names and defaults are those of delta-task's ``delta.core.strategy``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

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


@dataclass(kw_only=True)
class Strategy:
    """What all strategies have. Times are in seconds.

    ``min_clients``, ``max_clients``: bounds on the members of a round. ``connection_timeout``: deadline of joining.
    ``wait_timeout``: deadline of every other phase. ``precision``: decimal digits kept of every number that is summed.
    ``threshold``, ``neighbours``, ``dropout``: see docs/task-format.md; left out, the node chooses.
    ``retries``: how often a failed round is started again.

    Raises ``ValueError`` naming the argument when a value cannot work.
    """

    name: str = "strategy"
    min_clients: int = 2
    max_clients: int = 2
    wait_timeout: float = 60
    connection_timeout: float = 60
    verify_timeout: float = 300
    precision: int = 8
    curve: CurveType = "secp256k1"
    select_strategy: type[SelectStrategy] = RandomSelectStrategy
    threshold: int | None = None
    neighbours: int | None = None
    dropout: float | None = None
    mask_generator: Literal["aes128-ctr", "chacha20"] | None = None
    ring: Literal["z32", "z64"] | None = None
    retries: int | None = None

    def __post_init__(self) -> None:
        """Check what a node would refuse."""
        need = [
            (self.min_clients >= 2, "min_clients", "at least 2: the sum over one member is that member's own data"),
            (self.max_clients >= self.min_clients, "max_clients", "at least min_clients"),
            (0 <= self.precision <= 15, "precision", "0 to 15 decimal digits"),
            (self.dropout is None or 0 <= self.dropout <= 0.5, "dropout", "a fraction from 0 to 0.5"),
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
        """Return the strategy as it stands in ``task.json``."""
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
        optional = ("threshold", "neighbours", "dropout", "mask_generator", "ring", "retries")
        return out | {k: getattr(self, k) for k in optional if getattr(self, k) is not None}


@dataclass(kw_only=True)
class AnalyticsStrategy(Strategy):
    """The strategy of analytics and regressions: the same members in every round, so that all rounds see the same rows."""

    name: str = "analytics"
    select_strategy: type[SelectStrategy] = SameSelectStrategy
