"""Tasks of all kinds over five nodes and a connector, while everything that can go wrong does.

    python tests/soak/soak.py                                       # two hours, 500 tasks
    python tests/soak/soak.py --minutes 10 --tasks 80 --seed 7      # what every change is tried with
    python tests/soak/soak.py --minutes 1 --tasks 12

At the end every task must be right, over the members that its coordinator names, or have ended with a reason that is true: one of
REASONS, while something was wrong that makes it so. No process may have ended by itself, panicked, or grown.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import delta
import httpx

from faults import ACTS, Fault, Faults
from ground import WallClock, enter, may_mount
from growth import HEAD, Watch
from network import Network, Node, descriptors
from work import KINDS, POLICIES, Work, data, make, took_part

T = TypeVar("T")
NODES = 5
ASKED = {"min_clients": 3, "max_clients": 5, "connection_timeout": 20, "wait_timeout": 20}
AT_ONCE = 6
"""Tasks that run at the same time."""
PATIENCE = 300.0
"""Seconds that a task may take, beyond what went wrong meanwhile."""
ANY = {"killed", "stopped", "cut", "silent", "slow", "disk full", "clock set", "connector killed", "connector stopped"}
REASONS: dict[str, tuple[str, set[str]]] = {
    "members of combined rounds stayed away": (r"members of the round before", ANY),
    "too few members joined": (r"members joined before the deadline", ANY),
    "the coordinator's disk was full": (r"disk of the database is full", {"disk full"}),
    "too few were left": (r"(left|remain|shares|contributions?)", ANY),
}
"""Reasons with which a task may end: what they say, and what must then have been wrong while the task ran."""


@dataclass(frozen=True)
class Ended:
    """A task that is over."""

    work: Work
    seconds: float
    attempts: int
    members: str
    reason: str = ""
    """Why it ended without a result: one of REASONS."""
    fault: str = ""
    """What is wrong with it."""


def true_reason(error: str, faults: list[Fault], nodes: list[Node]) -> str | None:
    """Which of the reasons this is, if it is one and true."""
    for name, (words, causes) in REASONS.items():
        if not re.search(words, error):
            continue
        hurt = {f.target for f in faults if f.kind in causes}
        named = [n.name for n in nodes if n.address in error]
        if hurt and (
            name != "members of combined rounds stayed away" or (named and set(named) <= hurt | {"connector"})
        ):
            return name
    return None


def node_says(node: Node, number: int) -> str:
    """Why a task ended, in the node's own words; it may be away for a while."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{node.port}", trust_env=False, timeout=10) as http:
                answer = http.get("/v1/task/progress", params={"task_id": number}).raise_for_status()
                return str(answer.json()["error"])
        except httpx.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


class Soak:
    """One run."""

    def __init__(self, network: Network, faults: Faults, seed: int) -> None:
        self.network, self.faults, self.rng = network, faults, random.Random(seed)
        self.ended: list[Ended] = []
        self._lock = threading.Lock()

    def run(self, tasks: int, seconds: float) -> None:
        """Submit tasks evenly over the time, and follow each to its end."""
        kinds = [KINDS[i % len(KINDS)] for i in range(tasks)]
        self.rng.shuffle(kinds)
        begun = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for number, kind in enumerate(kinds):
                work, node = make(kind, number, **ASKED), self.rng.choice(self.network.nodes)
                pool.submit(self._guarded, work, node)
                pause = begun + seconds * (number + 1) / tasks - time.monotonic()
                time.sleep(max(0.0, pause))
            self.faults.stop()

    def _guarded(self, work: Work, node: Node) -> None:
        begun = time.monotonic()
        try:
            ended = self._follow(work, node, begun)
        except Exception as error:
            ended = Ended(work, time.monotonic() - begun, 0, "", fault=f"{type(error).__name__}: {error}")
        with self._lock:
            self.ended.append(ended)
        if ended.fault:
            print(f"{ended.work.kind} {ended.work.number} at {node.name}: {ended.fault}", flush=True)

    def _follow(self, work: Work, node: Node, begun: float) -> Ended:
        number = self._patiently(node, begun, lambda: node.client.create_task(work.bundle))
        while True:
            told = self._patiently(node, begun, lambda: node.client.progress(number))
            if told.status in ("FINISHED", "ERROR"):
                break
            self._late(begun, f"{told.status}, round {told.round}, waits for {told.waits_for}")
            time.sleep(0.2)
        over = time.monotonic()
        if told.status == "ERROR":
            # As the node says it: what authors read has no addresses.
            error = node_says(node, number)
            reason = true_reason(error, self.faults.during(begun, over), self.network.nodes)
            fault = "" if reason else f"no true reason: {error}"
            return Ended(work, over - begun, told.attempts, "", reason or "", fault)
        rounds = self._patiently(node, begun, lambda: took_part(self.network, node, number))
        result = self._patiently(node, begun, lambda: node.client.get_result(number))
        wrong = work.wrong(result, rounds)
        members = str([r.members for r in rounds])
        return Ended(work, over - begun, told.attempts, members, fault=f"{wrong}, {members}" if wrong else "")

    def _patiently(self, node: Node, begun: float, ask: Callable[[], T]) -> T:
        """Ask a node that may be away."""
        while True:
            try:
                return ask()
            except delta.DeltaNodeError as error:
                if isinstance(error, delta.TaskFailed):
                    raise
                self._late(begun, str(error))
                time.sleep(0.3)

    def _late(self, begun: float, what: str) -> None:
        now = time.monotonic()
        lost = sum(min(f.ended, now) - max(f.begun, begun) for f in self.faults.during(begun, now))
        if now - begun > PATIENCE + lost:
            raise TimeoutError(f"not over after {now - begun:.0f} s: {what}")


def report(soak: Soak, watch: Watch, seconds: float) -> list[str]:
    """What there is to say."""
    by_kind: dict[str, list[Ended]] = {}
    for each in soak.ended:
        by_kind.setdefault(each.work.kind, []).append(each)
    lines = ["| kind | tasks | right | ended with a true reason | rounds repeated | median s | longest s |"]
    lines.append("|---|---|---|---|---|---|---|")
    for kind, all_ in sorted(by_kind.items()):
        took = sorted(e.seconds for e in all_)
        right = sum(not e.reason and not e.fault for e in all_)
        repeated = sum(max(0, e.attempts - e.members.count("(")) for e in all_ if e.members)
        lines.append(
            f"| {kind} | {len(all_)} | {right} | {sum(bool(e.reason) for e in all_)} | {repeated} "
            f"| {took[len(took) // 2]:.1f} | {took[-1]:.1f} |"
        )
    reasons = Counter(e.reason for e in soak.ended if e.reason)
    kinds = Counter(f.kind for f in soak.faults.happened)
    lines += ["", "Reasons: " + (", ".join(f"{k} {n}" for k, n in reasons.items()) or "none") + "."]
    lines += ["Faults: " + ", ".join(f"{k} {n}" for k, n in sorted(kinds.items())) + ".", ""]
    return lines + HEAD + [g.row() for g in watch.lives(seconds / 3)]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Tasks of all kinds, while everything goes wrong.")
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", default=",".join(ACTS), help="what goes wrong")
    parser.add_argument("--keep", type=Path, help="keep what the processes said in this folder")
    asked = parser.parse_args()
    descriptors()
    seconds = asked.minutes * 60
    if not may_mount():
        print("no namespace of its own: full disks are limits on the size of files")
    if WallClock.library() is None:
        print("no libfaketime: clocks are not set")
    with tempfile.TemporaryDirectory(prefix="delta-soak-", ignore_cleanup_errors=True) as folder:
        clocks = (4,) if WallClock.library() else ()
        network = Network(Path(folder), NODES, data, config={"datasets": POLICIES}, disks=(3,), clocks=clocks)
        with network:
            watch = Watch(network.programs)
            faults = Faults(network, asked.seed, seconds, asked.faults.split(","))
            soak = Soak(network, faults, asked.seed)
            faults.start()
            try:
                soak.run(asked.tasks, seconds)
                # What the last tasks held is let go.
                time.sleep(10)
            finally:
                faults.stop()
                watch.stop()
            lines = report(soak, watch, seconds)
            wrong = [e.fault for e in soak.ended if e.fault]
            wrong += [w for g in watch.lives(seconds / 3) if (w := g.fault())]
            wrong += [f"{p.name} has ended by itself" for p in network.programs if p.fell or not p.is_alive()]
            wrong += [f"{p.name} panicked" for p in network.programs if "panicked" in p.said()]
            if asked.keep:
                asked.keep.mkdir(parents=True, exist_ok=True)
                for each in network.programs:
                    with suppress(OSError):
                        (asked.keep / f"{each.name}.log").write_text(each.said())
    print(f"{asked.minutes:g} minutes, seed {asked.seed}, {len(soak.ended)} tasks")
    print("\n".join(lines))
    if wrong or len(soak.ended) != asked.tasks:
        raise SystemExit("\n".join(["", f"{len(wrong)} things are wrong:", *wrong]))


if __name__ == "__main__":
    enter()
    main()
