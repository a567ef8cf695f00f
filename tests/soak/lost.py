"""What a member that is lost in the middle of a task costs: its round, and those after it.

    python tests/soak/lost.py
    python tests/soak/lost.py --times 5

A model is trained over three nodes. In the middle of a round one of them is killed, stands still, or has its network taken away;
or only its computing stands still, and it must be waited for; or it comes back, and must take part again. Times are the
coordinator's own, of all attempts at a round, beside those of the rounds before in the same task. What they should be is printed,
not asserted; that all sums are right over the members that are named is.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from os import kill
from pathlib import Path
from typing import Any

from ground import enter
from network import Network, Node, descriptors, wait_until
from work import POLICIES, Round, data, make, took_part

COORDINATOR, VICTIM = 0, 2
ASKED = {"min_clients": 2, "max_clients": 3}
ROUNDS, BEFORE = 16, 4
"""Of a task, and over all members before the loss."""
PHASES = {"joining": "AdvertiseKeys", "sharing keys": "ShareKeys", "computing": "MaskedInput", "revealing": "Unmasking"}
Loss = Callable[[Network, Node], None]


def killed(_: Network, node: Node) -> None:
    """Its process ends."""
    node.kill()


def stopped(_: Network, node: Node) -> None:
    """Its machine stands still."""
    node.freeze()


def silenced(network: Network, node: Node) -> None:
    """Its network is gone without a word."""
    network.turn(node, "silent")


LOSSES: dict[str, tuple[Loss, float]] = {"killed": (killed, 1.0), "stopped": (stopped, 3.0), "silent": (silenced, 3.0)}
"""How a member is lost, and what its round may cost beyond the others' work, in seconds."""


def revive(network: Network, node: Node) -> None:
    """Whatever was done to it is undone."""
    network.turn(node, "open")
    if node.process is None:
        node.start()
    else:
        with suppress(ProcessLookupError):
            node.thaw()
    wait_until(f"{node.name} to be ready", node.is_ready, 120)


@dataclass(frozen=True)
class Task:
    """A task that is under way."""

    network: Network
    number: int
    rounds: int

    @property
    def node(self) -> Node:
        """Its coordinator."""
        return self.network.nodes[COORDINATOR]

    def told(self) -> dict[str, Any]:
        """How it stands."""
        answer: dict[str, Any] = self.node.ask("/v1/task/progress", task_id=self.number)
        return answer

    def whole(self) -> int:
        """Wait for a round over all members (owners may be asked first); how many rounds are done then."""

        def there() -> int:
            attempts = [a for a in self.told()["history"] if a["error"] is None]
            return next((a["round"] for a in attempts if a["members"] == 3), 0)

        return wait_until("a round over all members", there, 120)

    def reaches(self, rounds: int, phase: str | None = None) -> None:
        """Return when so many rounds are done, and the next is in a phase."""

        def there() -> bool:
            now = self.told()
            if now["status"] in ("FINISHED", "ERROR"):
                raise LookupError(f"it was over: {now['status']} {now['error']}")
            return now["round"] > rounds or (now["round"] == rounds and phase in (None, now["phase"]))

        wait_until(f"round {rounds + 1}, {phase}", there, 120)

    def ends(self) -> list[Round]:
        """Wait for its end; who took part in which round, once the sums are found to be right."""
        if not self.node.client.wait(self.number, 300, progress=False):
            raise AssertionError(self.node.client.progress(self.number).error)
        rounds = took_part(self.network, self.node, self.number)
        wrong = make("learning", 0, rounds=self.rounds, **ASKED).wrong(self.node.client.get_result(self.number), rounds)
        assert wrong is None, wrong
        return rounds

    def seconds(self) -> list[float]:
        """What each round has taken, all its attempts together."""
        spent: dict[int, float] = {}
        for attempt in self.told()["history"]:
            spent[attempt["round"]] = spent.get(attempt["round"], 0.0) + attempt["seconds"]
        return [spent[number] for number in sorted(spent)]


def begin(network: Network, rounds: int) -> Task:
    """Submit a task."""
    work = make("learning", 0, rounds=rounds, **ASKED)
    return Task(network, network.nodes[COORDINATOR].client.create_task(work.bundle), rounds)


@dataclass(frozen=True)
class Cost:
    """Seconds a round: before a loss, of the loss, after it."""

    before: float
    loss: float
    after: float

    def row(self, what: str, most: float) -> str:
        """A row of the table."""
        extra, ratio = self.loss - self.before, self.after / self.before
        met = extra <= most and (self.after - self.before <= 0.1 or ratio <= 1.2)
        return (
            f"| {what} | {self.before:.2f} | {self.loss:.2f} | {extra:+.2f} ({most:g}) | {self.after:.2f} | {ratio:.2f} (1.2) "
            f"| {'met' if met else 'missed'} |"
        )


HEAD = [
    "| lost | a round before, s | the round, s | beyond (bar) | a round after, s | ratio (bar) | |",
    "|---|---|---|---|---|---|---|",
]


def lose(network: Network, loss: Loss, phase: str) -> Cost:
    """One task with one loss."""
    task = begin(network, ROUNDS)
    victim = network.nodes[VICTIM]
    first = task.whole()
    last = first + BEFORE
    task.reaches(last, PHASES[phase])
    loss(network, victim)
    try:
        rounds = task.ends()
    finally:
        revive(network, victim)
    sizes = [len(r.members) for r in rounds]
    assert sizes[first:last] == [3] * BEFORE and sizes[-1] == 2, sizes
    seconds, without = task.seconds(), sizes.index(2, last)
    # Who was lost after its contribution had arrived is in that round's sum; the round waits for it no less.
    at = max(range(last, without + 1), key=lambda n: seconds[n])
    return Cost(statistics.median(seconds[first:last]), seconds[at], statistics.median(seconds[at + 1 :]))


def slow(network: Network, seconds: float) -> str:
    """A member that lives, and computes for a long time, is waited for."""
    task, victim = begin(network, ROUNDS), network.nodes[VICTIM]
    first = task.whole()
    task.reaches(first + BEFORE, "MaskedInput")
    workers = wait_until("a worker", lambda: freeze_workers(victim), 60)
    time.sleep(seconds)
    thaw(workers)
    sizes = [len(r.members) for r in task.ends()]
    assert sizes[first:] == [3] * (ROUNDS - first), f"a slow member was not waited for: {sizes}"
    return f"slow: a worker stopped for {seconds:g} s; all rounds over 3 members, the longest took {max(task.seconds()):.1f} s"


def freeze_workers(node: Node) -> list[int]:
    """Stop what it computes with; who was stopped, without those that ended meanwhile."""
    return [pid for pid in node.workers() if signalled(pid, signal.SIGSTOP)]


def thaw(workers: list[int]) -> None:
    """Let them go on, those that were not ended while they stood still."""
    for pid in workers:
        signalled(pid, signal.SIGCONT)


def signalled(pid: int, what: signal.Signals) -> bool:
    """Whether there was such a process."""
    with suppress(ProcessLookupError):
        kill(pid, what)
        return True
    return False


def returns(network: Network) -> str:
    """A member that comes back takes part in the next round."""
    task, victim = begin(network, 60), network.nodes[VICTIM]
    last = task.whole() + BEFORE
    task.reaches(last, "MaskedInput")
    victim.kill()
    task.reaches(last + 3)
    victim.start()
    wait_until("it to be ready", victim.is_ready, 120)
    ready = task.told()["round"]
    sizes = [len(r.members) for r in task.ends()]
    assert 2 in sizes[last:] and sizes[-1] == 3, sizes
    again = sizes.index(3, sizes.index(2, last))
    assert sizes[again:].count(2) == 0, sizes
    return f"back: ready during round {ready + 1}, in the sum of round {again + 1} and of all after it"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="What a member that is lost costs.")
    parser.add_argument("--times", type=int, default=1, help="how often each loss is tried")
    parser.add_argument("--lost", default=",".join(LOSSES))
    asked = parser.parse_args()
    descriptors()
    with (
        tempfile.TemporaryDirectory(prefix="delta-lost-") as folder,
        Network(Path(folder), 3, data, config={"datasets": POLICIES}) as network,
    ):
        begin(network, 3).ends()
        print("\n".join(HEAD), flush=True)
        for how in asked.lost.split(","):
            for phase in PHASES:
                for _ in range(asked.times):
                    cost = lose(network, LOSSES[how][0], phase)
                    print(cost.row(f"{how}, {phase}", LOSSES[how][1]), flush=True)
        print(slow(network, 8))
        print(returns(network))


if __name__ == "__main__":
    enter()
    main()
