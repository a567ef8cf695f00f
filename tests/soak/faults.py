"""What goes wrong while tasks run: drawn from a seed, done to real processes, and remembered."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from network import Network, Node, Program

STEPS = (-43_200, -3_600, -30, 30, 3_600, 43_200)
"""Of the wall clock, in seconds."""


@dataclass
class Fault:
    """Something that went wrong, from when to when (seconds of the monotonic clock)."""

    kind: str
    target: str
    begun: float
    ended: float = float("inf")

    def touches(self, begin: float, end: float) -> bool:
        """Whether it was there at some time between."""
        return self.begun <= end and self.ended >= begin


Act = Callable[["Faults", Program, float], None]


@dataclass
class Faults:
    """Faults of one network. One thread draws them, each has a thread of its own while it lasts."""

    network: Network
    seed: int
    seconds: float
    kinds: list[str]
    happened: list[Fault] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Nobody is hurt yet."""
        self._rng = random.Random(self.seed)
        self._hurt: set[str] = set()
        self._lock = threading.Lock()
        self._running: list[threading.Thread] = []
        self._begun = time.monotonic()
        self._thread = threading.Thread(target=self._draw, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """No more of them; those that are there are over when this returns."""
        self.over.set()
        self._thread.join()
        for each in self._running:
            each.join()

    def during(self, begin: float, end: float) -> list[Fault]:
        """What there was between two times."""
        return [f for f in list(self.happened) if f.touches(begin, end)]

    def _draw(self) -> None:
        while not self.over.wait(self._rng.uniform(0.5, 5)):
            kind = self._rng.choice(self.kinds)
            target = self._target(kind)
            length = self._rng.choice((1, 3, 3, 8, 8, 15, 25, 45))
            if target is None or not self._take(target):
                continue
            thread = threading.Thread(target=self._do, args=(kind, target, length), daemon=True)
            self._running.append(thread)
            thread.start()

    def _target(self, kind: str) -> Program | None:
        """Whom it may befall. The first two nodes live all the time, the connector from a third on: their growth shows."""
        nodes = self.network.nodes
        if kind == "connector killed":
            early = time.monotonic() - self._begun < self.seconds / 3
            return self.network.connector if early else None
        if kind == "connector stopped":
            return self.network.connector
        able = {
            "killed": nodes[2:],
            "disk full": [n for n in nodes if n.disk],
            "clock set": [n for n in nodes if n.clock],
        }.get(kind, nodes)
        return self._rng.choice(able) if able else None

    def _take(self, target: Program) -> bool:
        """At most two are hurt at a time, and nobody twice."""
        with self._lock:
            if target.name in self._hurt or len(self._hurt) >= 2:
                return False
            self._hurt.add(target.name)
            return True

    def _do(self, kind: str, target: Program, length: float) -> None:
        fault = Fault(kind, target.name, time.monotonic())
        self.happened.append(fault)
        try:
            ACTS[kind](self, target, length)
        finally:
            fault.ended = time.monotonic()
            with self._lock:
                self._hurt.discard(target.name)

    def last(self, seconds: float) -> None:
        """Let a fault last; in the end none does."""
        self.over.wait(seconds)


def killed(faults: Faults, target: Program, length: float) -> None:
    """The process ends and is started again."""
    target.kill()
    faults.last(length)
    target.start()


def stopped(faults: Faults, target: Program, length: float) -> None:
    """The machine stands still."""
    target.freeze()
    faults.last(length)
    with suppress(ProcessLookupError):
        target.thaw()


def cut(faults: Faults, target: Program, length: float) -> None:
    """All connections of a node are reset and refused."""
    assert isinstance(target, Node)
    faults.network.turn(target, "cut")
    faults.last(length)
    faults.network.turn(target, "open")


def silent(faults: Faults, target: Program, length: float) -> None:
    """No packet of a node arrives anywhere."""
    assert isinstance(target, Node)
    faults.network.turn(target, "silent")
    faults.last(length)
    faults.network.turn(target, "open")


def slow(faults: Faults, target: Program, length: float) -> None:
    """What a node sends and hears takes a tenth of a second longer."""
    assert isinstance(target, Node)
    faults.network.turn(target, "open", delay=0.1)
    faults.last(length)
    faults.network.turn(target, "open")


def full(faults: Faults, target: Program, length: float) -> None:
    """There is no room left on a node's disk."""
    assert isinstance(target, Node) and target.disk is not None
    target.disk.fill(target.pid)
    faults.last(length)
    target.disk.free(target.pid if target.is_alive() else None)


def clock(faults: Faults, target: Program, length: float) -> None:
    """A node's wall clock is set; a node that is started meanwhile begins with that time. Afterwards the clock is right again."""
    assert isinstance(target, Node) and target.clock is not None
    target.clock.set(STEPS[len(faults.happened) % len(STEPS)])
    faults.last(length / 2)
    target.kill()
    target.start()
    faults.last(length / 2)
    target.clock.set(0)


ACTS: dict[str, Act] = {
    "killed": killed,
    "stopped": stopped,
    "cut": cut,
    "silent": silent,
    "slow": slow,
    "disk full": full,
    "clock set": clock,
    "connector killed": killed,
    "connector stopped": stopped,
}
