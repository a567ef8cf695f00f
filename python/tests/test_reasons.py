"""What becomes of the texts of nodes: nodes are counted and not listed, each reason stands once, with its word."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from conftest import ROOT
from delta import Progress, _answers, _reasons

A, B, C = (f"0xde17a1d0{digit * 32}" for digit in "abc")
NO_DATA = "has no data under a name that the task asks for"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            f"the task cannot run: 3 of the 3 nodes of the network take no part, and 3 members are needed: {A}: {NO_DATA}; "
            f"{B}: {NO_DATA}; {C}: asks its owner first",
            "the task cannot run: 3 of the 3 nodes of the network take no part, and 3 members are needed: each of 2 nodes "
            f"{NO_DATA} (no_such_data); 1 node asks its owner first (asks_owner)",
        ),
        (
            f"step 1 failed 4 times, last: 1 of at least 2 members joined before the deadline ({A}); away: {B}; declined: {C}: "
            "is not allowed to by its owner",
            "in round 1, after 4 attempts: 1 of at least 2 members joined before the deadline; away: 1 node; declined: "
            "1 node is not allowed to by its owner (not_allowed)",
        ),
        (
            "step 1 failed 1 times, last: 0 of at least 2 members joined before the deadline (nobody)",
            "in round 1: 0 of at least 2 members joined before the deadline",
        ),
        (
            f"step 2 failed 4 times, last: u3 has 1 of at least 3 members; silent: {A}, {B}",
            "in round 2, after 4 attempts: the sum has 1 of at least 3 members; silent: 2 nodes",
        ),
        (
            f"u2 has 1 of at least 2 members; silent: {', '.join([A] * 20)}, ... (35 in all)",
            "the round has 1 of at least 2 members; silent: 35 nodes",
        ),
        (
            f"too few shares to unmask ({A} has 1 of 2, {B} has 1 of 2); silent: nobody; excluded: {B}: something odd",
            "too few shares to unmask (a node has 1 of 2); excluded: 1 node: something odd",
        ),
        (
            "phase ShareKeys could not be put on record before its deadline",
            "that members agree on keys could not be put on record before its deadline",
        ),
        ("step 3 failed: 3 of 3 members could not compute", "in round 3: 3 of 3 members could not compute"),
        ("value 0xff is of type u8 and not in phase", "value 0xff is of type u8 and not in phase"),
        ("", ""),
    ],
)
def test_errors_are_for_authors(told: str, said: str) -> None:
    assert _reasons.final(told) == said


def test_what_is_waited_for_is_named_shortly() -> None:
    assert (
        _reasons.waits(f"MaskedInput of {A}, {B} and 5 more") == "the part of 0xde17…aaaaaa, 0xde17…bbbbbb and 5 more"
    )
    assert _reasons.waits(f"the owners of {A}") == "the word of the owner of 0xde17…aaaaaa"
    assert _reasons.waits("the connector since 03:40 UTC") == "the connector since 03:40 UTC"


def test_the_words_are_those_of_the_node() -> None:
    source = (ROOT / "src/domain/round/decline.rs").read_text()
    names = dict(re.findall(r'Self::(\w+) => "([a-z_]+)",', source))
    meanings = dict(re.findall(r'Self::(\w+) => \{?\s*"([^"]*[ ][^"]*)"', source))
    assert {meanings[variant]: name for variant, name in names.items()} == _reasons.CODES
    logged = (ROOT / "src/app/coordinator/inbound.rs").read_text()
    assert 'format!("task {task} round {number} {sender} declines{claimed}: it {reason}")' in logged
    phases = (ROOT / "src/domain/round/coordinator/phase.rs").read_text()
    assert all(f'"{name}"' in phases for name in _reasons.PHASES)
    errors = (ROOT / "src/app/coordinator/run.rs").read_text()
    assert all(
        t in errors
        for t in ("step {} failed {} times, last: {reason}", "step {} failed: {reason}", "the task cannot run: ")
    )


def attempt(error: str | None = None, seconds: float = 1.5) -> dict[str, object]:
    who = {"who": [A, B], "lost": [C]} if error is None else {"who": [], "lost": []}
    numbers = {"members": 2, "dropped": 1, "failed": 0} if error is None else {"members": 0, "dropped": 0, "failed": 0}
    return {"round": 1, "seconds": seconds, "error": error, "metrics": {}, **numbers, **who}


def test_rounds_say_who_took_part_who_declined_and_what_it_took() -> None:
    reason = f"1 of at least 2 members joined before the deadline ({A}); declined: {B}: has no room for the task now"
    history = [attempt(reason), attempt(), attempt()]
    told = {"status": "FINISHED", "round": 2, "rounds": 2, "phase": "Done", "waits_for": None, "error": None}
    answer = httpx.Response(200, content=json.dumps({**told, "history": history}))
    known = _answers.advanced(Progress("PENDING"), answer)
    assert known.attempt == [2, 3]
    # A node of an earlier version says less.
    assert known.phase == "" and known.seconds == [1.5, 1.5]
    log = [
        {"message": f"task 0x12 round 2 {C} declines: it {NO_DATA}"},
        {"message": f"task 0x12 round 3 {C} declines, unproven: it asks its owner first"},
        {"message": f"task 0x12 round 3 {C} declines: it {NO_DATA} <script>"},
        {"message": "task 0x12 round 2 finished with 2 members"},
    ]
    first, second = _answers.rounds(known, [32, 32], log)
    assert first["declined"] == {B: "busy", C: "no_such_data"}
    assert second["declined"] == {C: "asks_owner (unproven)"}
    assert (first["who"], first["lost"], first["members"], first["dropped"]) == ([A, B], [C], 2, 1)
    assert (first["seconds"], first["bytes"]) == (1.5, 32)
