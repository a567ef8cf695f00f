"""Who goes away while a task runs on a chain, in which phase of its second round, and how it comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import delta

from connectors import Connector
from network import Node, Program, wait_until
from outages import PHASES, look, met
from tasks import Work
from world import World

MEMBER, COORDINATOR = 2, 0
GIVES_UP = 7.0
"""Seconds without the chain after which a connector never tries to reach it again: its owner has to start it again."""


def killed(programs: Iterable[Program], seconds: float) -> None:
    """Processes end at once, and are started again."""
    programs = list(programs)
    for program in programs:
        program.kill()
    time.sleep(seconds)
    for program in programs:
        program.start()


def cut(there: World, connectors: list[Connector], seconds: float) -> None:
    """Links to the chain are reset and refused; those of connectors that have given up are started again when it is over."""
    for connector in connectors:
        there.turn(connector, "cut")
    time.sleep(seconds)
    for connector in connectors:
        there.turn(connector, "open")
        if seconds > GIVES_UP or not connector.is_alive():
            connector.kill()
            connector.start()


def stopped(there: World, seconds: float) -> None:
    """The chain stands still: nobody is told, nothing is mined."""
    there.chain.freeze(True)
    time.sleep(seconds)
    there.chain.freeze(False)


AWAY: dict[str, Callable[[World, float], None]] = {
    "member": lambda there, seconds: killed([there.nodes[MEMBER]], seconds),
    "coordinator": lambda there, seconds: killed([there.nodes[COORDINATOR]], seconds),
    "member's connector": lambda there, seconds: killed([there.connectors[MEMBER]], seconds),
    "coordinator's connector": lambda there, seconds: killed([there.connectors[COORDINATOR]], seconds),
    "all connectors": lambda there, seconds: killed(there.connectors, seconds),
    "member's link": lambda there, seconds: cut(there, [there.connectors[MEMBER]], seconds),
    "coordinator's link": lambda there, seconds: cut(there, [there.connectors[COORDINATOR]], seconds),
    "all links": lambda there, seconds: cut(there, there.connectors, seconds),
    "chain": stopped,
}


def submitted(node: Node, work: Work) -> int | None:
    """The number of a task, or none: the node may still be coming back."""
    with suppress(delta.DeltaNodeError):
        return node.client.create_task(work.bundle)
    return None


@dataclass(frozen=True)
class Trouble:
    """Who is away, in which phase, for how many seconds."""

    who: str
    phase: str
    seconds: float

    def meet(self, there: World, work: Work, tries: int = 3) -> int:
        """Submit tasks until one is met in the phase, and give its number."""
        node = there.nodes[COORDINATOR]
        for _ in range(tries):
            task = wait_until("the task to be taken", lambda: submitted(node, work))
            try:
                patience = 120 + 60 * there.chain.block_time
                wait_until(self.phase, lambda task=task: met(self.phase, look(node, task)), patience)  # type: ignore[misc]
                return task
            except LookupError:
                continue
        raise LookupError(f"no task was met {self.phase}")

    def happen(self, there: World) -> None:
        """Do it; everybody is back when this returns, or coming."""
        AWAY[self.who](there, self.seconds)

    def __str__(self) -> str:
        """For the table."""
        return f"{self.who} away for {self.seconds:g} s, {self.phase}"


__all__ = ["AWAY", "PHASES", "Trouble"]
