"""What became of a task on a chain: from its coordinator, from its result, and from the blocks."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace

import delta

from chain import Transaction
from network import wait_until
from tasks import MEMBERS, Work
from world import World

HEAD = [
    "| task | block, s | disturbance | ended | seconds | members in the sums | rounds (begun) | blocks a round"
    " | sent | mined | reverted |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
]
SETTLE = 3
"""Blocks after the end of a task in which its farewells are mined."""


@dataclass(frozen=True)
class Outcome:
    """A row of the table."""

    task: str
    block_time: float
    fault: str = ""
    """Empty when it ended with the right answer."""
    seconds: float = 0.0
    members: str = ""
    rounds: str = ""
    blocks: str = ""
    sent: int = 0
    mined: int = 0
    reverted: str = ""
    trouble: str = ""

    def row(self) -> str:
        """It as Markdown."""
        ended = f"**{' '.join(self.fault.split())[:200]}**" if self.fault else "right"
        first = f"| {self.task} | {self.block_time:g} | {self.trouble} | {ended} | {self.seconds:.1f} | {self.members} "
        return first + f"| {self.rounds} | {self.blocks} | {self.sent} | {self.mined} | {self.reverted} |"


@dataclass(frozen=True)
class Begin:
    """When something began: on the clock, and on the chain."""

    time: float
    height: int
    sent: int

    @staticmethod
    def now(there: World) -> Begin:
        """Of what begins at this moment."""
        return Begin(time.monotonic(), there.chain.height(), there.chain.sent())


def ended(there: World, work: Work, number: int, begin: Begin, patience: float) -> Outcome:
    """Wait for the end of a task, and judge it."""
    client = there.nodes[0].client

    def over() -> delta.Progress | None:
        try:
            told = client.progress(number)
        except delta.DeltaNodeError:
            # It is away, or has only begun.
            return None
        return told if told.status in ("FINISHED", "ERROR") else None

    block_time = there.chain.block_time
    try:
        told = wait_until("the end of the task", over, max(1.0, begin.time + patience - time.monotonic()))
    except TimeoutError:
        return Outcome(work.name, block_time, f"not over: {client.progress(number).waits_for}", patience)
    outcome = Outcome(work.name, block_time, told.error, time.monotonic() - begin.time)
    outcome = replace(outcome, members=_short(told.members), rounds=f"{told.round} ({told.attempts})")
    if told.status == "ERROR":
        return outcome
    cohorts = [tuple(sorted(there.place(a) for a in who)) for who in told.who]
    try:
        wrong = work.wrong(client.get_result(number), cohorts)
    except ValueError as error:
        wrong = str(error)
    return replace(outcome, fault=wrong or "")


def on_chain(there: World, outcome: Outcome, begin: Begin) -> Outcome:
    """Add what the chain tells of the time since then: of all tasks, if there were several."""
    time.sleep(1 + SETTLE * there.chain.block_time)
    mined = there.chain.mined(begin.height)
    there.chain.write(there.chain.folder / "transactions")
    failed = Counter(t.function for t in mined if not t.ok)
    which = ", ".join(f"{n} {function}" for function, n in failed.items())
    return replace(
        outcome,
        blocks=_short(blocks(mined)) if there.chain.block_time else "",
        sent=there.chain.sent() - begin.sent,
        mined=len(mined),
        reverted=f"{failed.total()}: {which}" if failed else "0",
    )


def blocks(mined: list[Transaction]) -> list[int]:
    """For each round that was ended on the chain, its blocks from its start to its end, both counted."""
    begun = {(t.task, t.round): t.block for t in mined if t.ok and t.function == "startRound"}
    over = {(t.task, t.round): t.block for t in mined if t.ok and t.function == "endRound"}
    return [over[key] - block + 1 for key, block in begun.items() if key in over]


def is_right(outcome: Outcome) -> bool:
    """Whether a task ended right with all nodes in all sums; one that was killed itself may be missing."""
    everybody = set(outcome.members.split(", ")) == {str(MEMBERS)}
    return not outcome.fault and (everybody or outcome.trouble.startswith("member away"))


def _short(numbers: list[int]) -> str:
    """Numbers in words: each once when they are all the same."""
    same = len(set(numbers)) == 1
    return str(numbers[0]) if same else ", ".join(map(str, numbers))
