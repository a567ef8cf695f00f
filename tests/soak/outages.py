"""Who is away, in which phase, for how long, and what becomes of the task: it must end right in every case.

    python tests/soak/outages.py                          # all of it, about half an hour
    python tests/soak/outages.py --seconds 5 --away member,silence
    python tests/soak/outages.py --write docs/outages.md

Every phase has a network of its own, a connector and three nodes, and the six run beside one another. A task of two rounds over
the same members is submitted; in its second round (between rounds: after its first), when the phase has begun, somebody goes
away. Slow links make the phases long enough to be met.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import delta

from ground import enter
from network import Network, Node, descriptors, wait_until
from work import POLICIES, Work, data, make, took_part

ASKED = {"min_clients": 2, "max_clients": 3}
DELAY = 0.03
"""Of each piece on each link, each way, in seconds."""
MEMBER, COORDINATOR = 2, 0
PHASES = ("before joining", "sharing keys", "computing", "uploading", "revealing", "between rounds")


@dataclass(frozen=True)
class View:
    """Where a task stands."""

    phase: str
    rounds: int
    uploads: int


def met(phase: str, view: View) -> bool:
    """Whether a task of two rounds is in a phase of its second round."""
    second = view.rounds == 1
    return {
        "before joining": second and view.phase == "AdvertiseKeys",
        "sharing keys": second and view.phase == "ShareKeys",
        "computing": second and view.phase == "MaskedInput" and view.uploads <= 3,
        "uploading": second and view.phase == "MaskedInput" and view.uploads > 3,
        "revealing": second and view.phase == "Unmasking",
        "between rounds": second,
    }[phase]


def look(node: Node, task: int) -> View:
    """Ask the coordinator where a task stands."""
    told = node.ask("/v1/task/progress", task_id=task)
    if told["status"] in ("FINISHED", "ERROR"):
        raise LookupError(f"the task was over: {told['status']} {told['error']}")
    uploads = 0
    if told["phase"] == "MaskedInput":
        log = node.ask("/v1/task/logs", task_id=task, start=0, limit=1000)
        uploads = sum(record["message"].endswith("upload result") for record in log)
    return View(told["phase"], len(told["history"]), uploads)


Break = Callable[[Network, float], None]


def connector(network: Network, seconds: float) -> None:
    """The connector's process is killed, and started again."""
    network.connector.kill()
    time.sleep(seconds)
    network.connector.start()


def member(network: Network, seconds: float) -> None:
    """A member's process is killed, and started again."""
    network.nodes[MEMBER].kill()
    time.sleep(seconds)
    network.nodes[MEMBER].start()


def coordinator(network: Network, seconds: float) -> None:
    """The coordinator's process is killed, and started again."""
    network.nodes[COORDINATOR].kill()
    time.sleep(seconds)
    network.nodes[COORDINATOR].start()


def stop(network: Network, seconds: float) -> None:
    """A member's machine stands still (SIGSTOP), and goes on."""
    network.nodes[MEMBER].freeze()
    time.sleep(seconds)
    network.nodes[MEMBER].thaw()


def cut(network: Network, seconds: float) -> None:
    """All links between all processes are reset and refused."""
    for node in network.nodes:
        network.turn(node, "cut")
    time.sleep(seconds)
    for node in network.nodes:
        network.turn(node, "open", delay=DELAY)


def silence(network: Network, seconds: float) -> None:
    """Nothing passes on any link, and nobody is told."""
    for node in network.nodes:
        network.turn(node, "silent")
    time.sleep(seconds)
    for node in network.nodes:
        network.turn(node, "open", delay=DELAY)


AWAY: dict[str, Break] = {
    "connector": connector,
    "member": member,
    "member stopped": stop,
    "coordinator": coordinator,
    "network cut": cut,
    "network silent": silence,
}


@dataclass(frozen=True)
class Outcome:
    """What became of a task."""

    fault: str | None
    over: float = 0.0
    """When the task was over."""
    attempts: int = 0
    members: str = ""
    back: float = 0.0
    """When the outage was."""
    rounds: int = 2

    def cell(self) -> str:
        """A cell of the table: seconds from the end of the outage to the end of the task."""
        if self.fault:
            return f"**{self.fault}**"
        extra = self.attempts - self.rounds
        repeated = f", {extra} repeated" if extra > 0 else ""
        after = self.over - self.back
        return f"{after:.1f} s{repeated}" if after >= 0 else f"before{repeated}"


def submit(network: Network, phase: str, work: Work, tries: int = 5) -> int:
    """Submit tasks until one is met in a phase."""
    for _ in range(tries):
        task = network.nodes[COORDINATOR].client.create_task(work.bundle)
        try:
            wait_until(phase, lambda task=task: met(phase, look(network.nodes[COORDINATOR], task)))  # type: ignore[misc]
            return task
        except LookupError:
            continue
    raise LookupError(f"no task was met {phase}")


def end(network: Network, task: int, work: Work, patience: float) -> Outcome:
    """Wait for the end of a task, and judge it."""
    client = network.nodes[COORDINATOR].client

    def status() -> str | None:
        try:
            now = client.progress(task).status
        except delta.DeltaNodeError:
            # It is away, or has only begun.
            return None
        return now if now in ("FINISHED", "ERROR") else None

    try:
        ended = wait_until(f"the end of task {task}", status, patience)
    except TimeoutError:
        return Outcome(f"not over: {client.progress(task).waits_for}")
    over, told = time.monotonic(), client.progress(task)
    if ended == "ERROR":
        return Outcome(told.error, over, told.attempts)
    rounds = took_part(network, network.nodes[COORDINATOR], task)
    wrong = work.wrong(client.get_result(task), rounds)
    return Outcome(wrong, over, told.attempts, str([len(r.members) for r in rounds]))


def cell(network: Network, phase: str, away: str, seconds: float, gate: threading.Barrier) -> Outcome:
    """One outage in one phase of one task."""
    work = make("spread", 0, **ASKED)
    for node in (network.nodes[COORDINATOR], network.nodes[MEMBER]):
        wait_until(f"{node.name} to be ready", node.is_ready, 120)
    gate.wait(900)
    try:
        task = submit(network, phase, work)
    except LookupError as error:
        return Outcome(str(error))
    back: list[float] = []

    def happen() -> None:
        AWAY[away](network, seconds)
        back.append(time.monotonic())

    running = threading.Thread(target=happen)
    running.start()
    outcome = end(network, task, work, seconds + 400)
    running.join()
    return replace(outcome, back=back[0])


def world(folder: Path, name: str) -> Network:
    """A network with slow links."""
    network = Network(folder / name.replace(" ", "-"), 3, data, config={"datasets": POLICIES})
    for node in network.nodes:
        network.turn(node, "open", delay=DELAY)
    return network


def six_at_once(network: Network, away: str, seconds: float) -> list[Outcome]:
    """Six tasks that were begun one after the other, and one outage for all of them."""
    work = [make("median", i, **ASKED) for i in range(len(PHASES))]
    tasks: list[int] = []
    for each in work:
        tasks.append(network.nodes[COORDINATOR].client.create_task(each.bundle))
        time.sleep(0.4)
    AWAY[away](network, seconds)
    back = time.monotonic()
    outcomes = [end(network, t, w, 400) for t, w in zip(tasks, work, strict=True)]
    return [replace(o, back=back, rounds=work[0].bundle.rounds) for o in outcomes]


def table(phases: list[str], rows: dict[tuple[str, float], list[Outcome]]) -> list[str]:
    """The outcomes as Markdown."""
    lines = [f"| away | seconds | {' | '.join(phases)} |", f"|---|---|{'---|' * len(phases)}"]
    for (away, seconds), outcomes in rows.items():
        lines.append(f"| {away} | {seconds:g} | {' | '.join(o.cell() for o in outcomes)} |")
    return lines


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Who is away, in which phase, for how long.")
    parser.add_argument("--seconds", default="5,75")
    parser.add_argument("--away", default=",".join(AWAY))
    parser.add_argument("--phases", default=",".join(PHASES))
    parser.add_argument("--write", type=Path, help="put the table between the marks in this file")
    asked = parser.parse_args()
    descriptors()
    phases = asked.phases.split(",")
    rows: dict[tuple[str, float], list[Outcome]] = {}
    together: dict[str, list[Outcome]] = {}
    with tempfile.TemporaryDirectory(prefix="delta-outages-") as folder, ExitStack() as stack:
        networks = {p: stack.enter_context(world(Path(folder), p)) for p in phases}
        pool = stack.enter_context(ThreadPoolExecutor(len(phases)))
        for away in asked.away.split(","):
            for seconds in map(float, asked.seconds.split(",")):
                gate = threading.Barrier(len(phases))
                cells = [pool.submit(cell, networks[p], p, away, seconds, gate) for p in phases]
                rows[away, seconds] = [c.result() for c in cells]
                for phase, outcome in zip(phases, rows[away, seconds], strict=True):
                    print(f"{away}, {phase}, {seconds:g} s: {outcome.cell()} {outcome.members}", flush=True)
        longest = max(map(float, asked.seconds.split(",")))
        for away in asked.away.split(","):
            together[away] = six_at_once(networks[phases[0]], away, longest)
            cells_ = ", ".join(o.cell() for o in together[away])
            print(f"{away}, six tasks at once, {longest:g} s: {cells_}", flush=True)
    lines = table(phases, rows)
    right = {away: sum(o.fault is None for o in outcomes) for away, outcomes in together.items()}
    said = ", ".join(f"{away} {n}" for away, n in right.items())
    lines += ["", f"Of six tasks at once, with an outage of {longest:g} s, finished with the right answer: {said}."]
    print("\n".join(lines))
    if asked.write:
        put(asked.write, lines)
    everything = [o for outcomes in (*rows.values(), *together.values()) for o in outcomes]
    wrong = [o for o in everything if o.fault]
    if wrong:
        raise SystemExit(f"{len(wrong)} of {len(everything)} tasks did not end right")


def put(file: Path, lines: list[str]) -> None:
    """Replace what stands between the marks."""
    begin, finish = "<!-- outages.py -->", "<!-- end -->"
    before, _, rest = file.read_text().partition(begin)
    _, _, behind = rest.partition(finish)
    file.write_text("\n".join([before + begin, *lines, finish + behind]))


if __name__ == "__main__":
    enter()
    main()
