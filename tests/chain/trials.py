"""The standard tasks on real connectors and a real chain: how they end, and what they cost in blocks and transactions.

    python tests/chain/trials.py --ganache ... --solc ... --contracts ... --connector ...
    python tests/chain/trials.py ... --blocks 5 --tasks wages --together 5
    python tests/chain/trials.py ... --blocks 1 --away member,connector,link --seconds 5,75

README.md in this folder says how to get what it needs. What it prints is Markdown.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from away import AWAY, PHASES, Trouble
from chain import Contract, compiled
from ground import enter
from network import descriptors, wait_until
from outcome import HEAD, Begin, Outcome, ended, is_right, on_chain
from tasks import Work, make
from world import World


@contextmanager
def world(asked: argparse.Namespace, contracts: dict[str, Contract], block_time: float) -> Iterator[World]:
    """A network on a new chain; its folder is kept when that is asked for."""
    with tempfile.TemporaryDirectory(prefix="delta-chain-") as temporary:
        kept = asked.keep and asked.keep / time.strftime("%H%M%S")
        there = World(kept or Path(temporary), asked.ganache, asked.connector, block_time)
        try:
            there.begin(contracts)
            yield there
        finally:
            there.end()


def code(file: Path | None, sources: Path, solc: Path) -> dict[str, Contract]:
    """The compiled contracts, from a file if they are there."""
    if file and file.exists():
        return {name: Contract(**found) for name, found in json.loads(file.read_text()).items()}
    contracts = compiled(sources, solc)
    if file:
        file.write_text(json.dumps({name: asdict(found) for name, found in contracts.items()}))
    return contracts


def undisturbed(there: World, works: list[Work], patience: float) -> list[Outcome]:
    """Submit tasks at once to the first node, and wait for all of them."""
    begin = Begin.now(there)
    numbers = [there.nodes[0].client.create_task(w.bundle) for w in works]
    outcomes = [ended(there, w, n, begin, patience) for w, n in zip(works, numbers, strict=True)]
    return [on_chain(there, outcome, begin) for outcome in outcomes]


def disturbed(there: World, work: Work, trouble: Trouble, patience: float) -> Outcome:
    """Submit a task, do something to its network in a phase, and wait for its end."""
    for node in there.nodes:
        wait_until(f"{node.name} to be ready", node.is_ready, patience)
    begin = Begin.now(there)
    try:
        number = trouble.meet(there, work)
    except (LookupError, TimeoutError) as error:
        return Outcome(work.name, there.chain.block_time, str(error), trouble=str(trouble))
    trouble.happen(there)
    outcome = ended(there, work, number, begin, patience + trouble.seconds)
    return replace(on_chain(there, outcome, begin), trouble=str(trouble))


def show(outcome: Outcome) -> Outcome:
    """Print a row."""
    print(outcome.row(), flush=True)
    return outcome


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("ganache", "solc", "contracts", "connector"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="a folder; see README.md")
    parser.add_argument("--code", type=Path, help="keep the compiled contracts in this file, and take them from it")
    parser.add_argument("--blocks", default="0,1,5,12", help="block times in seconds; 0: a block for each transaction")
    parser.add_argument("--tasks", default="wages,spector,digits:3", help="wages, spector, digits:ROUNDS")
    parser.add_argument("--together", type=int, default=1, help="so many of each task at once")
    parser.add_argument("--away", help=f"who goes away: {', '.join(AWAY)}")
    parser.add_argument("--phases", default=",".join(PHASES), help="of the second round of the first of the tasks")
    parser.add_argument("--seconds", default="5,75", help="for how long")
    parser.add_argument("--patience", type=float, default=600, help="seconds that a task may take")
    parser.add_argument("--keep", type=Path, help="keep logs, data and configurations in this folder")
    asked = parser.parse_args()
    descriptors()
    contracts = code(asked.code, asked.contracts, asked.solc)
    works = [make(name) for name in asked.tasks.split(",")]
    rows: list[Outcome] = []
    print("\n".join(HEAD), flush=True)
    for block_time in map(float, asked.blocks.split(",")):
        with world(asked, contracts, block_time) as there:
            if not asked.away:
                for work in works:
                    rows += map(show, undisturbed(there, [work] * asked.together, asked.patience))
                continue
            for who in asked.away.split(","):
                for seconds in map(float, asked.seconds.split(",")):
                    for phase in asked.phases.split(","):
                        rows.append(show(disturbed(there, works[0], Trouble(who, phase, seconds), asked.patience)))
    wrong = sum(not is_right(r) for r in rows)
    if wrong:
        raise SystemExit(f"{wrong} of {len(rows)} tasks did not end right with everybody in their sums")


if __name__ == "__main__":
    enter()
    main()
