"""Members that are lost, slow or back again, as processes: rounds finish, sums are right, and who returns takes part.

What that costs in time is measured by ``tests/soak/lost.py``, whose network this is.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from conftest import ROOT, program
from sampling import one_in

SOAK = ROOT / "tests/soak"
if str(SOAK) not in sys.path:
    sys.path.append(str(SOAK))

import lost  # noqa: E402
from network import Network, wait_until  # noqa: E402
from work import POLICIES, data  # noqa: E402


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DELTA_NODE_BIN", program())
        with Network(Path(tmp_path_factory.mktemp("lost")), 3, data, config={"datasets": POLICIES}) as network:
            yield network


def sizes(rounds: list[Any]) -> list[int]:
    return [len(r.members) for r in rounds]


@pytest.mark.parametrize(("how", "phase"), one_in(3, itertools.product(lost.LOSSES, lost.PHASES)))
def test_a_task_goes_on_without_who_is_lost(living: Network, how: str, phase: str) -> None:
    task = lost.begin(living, lost.ROUNDS)
    victim = living.nodes[lost.VICTIM]
    first = task.whole()
    task.reaches(first + lost.BEFORE, lost.PHASES[phase])
    lost.LOSSES[how][0](living, victim)
    try:
        rounds = task.ends()
    finally:
        lost.revive(living, victim)
    assert sizes(rounds)[first:][: lost.BEFORE] == [3] * lost.BEFORE
    assert rounds[-1].members == (0, 1)


def test_who_comes_back_takes_part_again(living: Network) -> None:
    task = lost.begin(living, 60)
    victim = living.nodes[lost.VICTIM]
    last = task.whole() + lost.BEFORE
    task.reaches(last, "MaskedInput")
    victim.kill()
    task.reaches(last + 2)
    victim.start()
    wait_until("it to be ready", victim.is_ready)
    who = sizes(task.ends())
    assert 2 in who[last:] and who[-1] == 3, who


def test_who_is_slow_is_waited_for(living: Network) -> None:
    task = lost.begin(living, lost.ROUNDS)
    first = task.whole()
    task.reaches(first + lost.BEFORE, "MaskedInput")
    # The others have sent what they have; the silence of this one's worker is no loss.
    stopped = wait_until("the round to wait for one member alone", lambda: is_held_up(task))
    lost.thaw(stopped)
    assert sizes(task.ends())[first:] == [3] * (lost.ROUNDS - first)


def is_held_up(task: lost.Task) -> list[int]:
    """The victim's workers, stopped, once a round waits for nobody else.

    A worker that had just answered when it was stopped is ended by its node; the next one is stopped then.
    """
    stopped = lost.freeze_workers(task.network.nodes[lost.VICTIM])
    return stopped if waits_for_the_victim(task) else []


def waits_for_the_victim(task: lost.Task) -> bool:
    told = task.told()
    victim = task.network.nodes[lost.VICTIM]
    return told["phase"] == "MaskedInput" and str(told["waits_for"]) == f"MaskedInput of {victim.address}"


def test_an_author_waits_through_the_death_of_the_coordinator(
    living: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = lost.begin(living, lost.ROUNDS)
    coordinator, kept = task.node, tmp_path / "model.npz"
    last, seen = task.whole() + lost.BEFORE, list[int]()
    starting: list[Timer] = []

    def told(number: int, _: dict[str, Any]) -> None:
        seen.append(number)
        if number == last:
            coordinator.kill()
            starting.append(Timer(1.5, coordinator.start))
            starting[0].start()

    assert coordinator.client.wait(task.number, 300, on_round=told, checkpoint=kept)
    starting[0].join()
    said = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("no answer since") for line in said) == 1, said
    assert sum("answers again, after" in line for line in said) == 1, said
    made = coordinator.client.get_result(task.number)
    assert seen == list(range(1, len(made.history) + 1)), "each round once, also those of before"
    saved = type(made).load(kept)
    assert saved.rounds_done == made.rounds_done
    assert all((saved.parameters[k] == v).all() for k, v in made.parameters.items())
    assert len(task.ends()) == len(seen)
