"""The rules of controlled releases in ``delta.debug``: ACRO's decisions, what a look at each number misses, and what is told."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import delta
from conftest import ROOT
from delta._local import leverage as leverages
from delta._local.leverage import leverage
from delta._local.limits import AUDITED, Limits, audit
from pooled import sample, task

CASES = json.loads((ROOT / "tests/fixtures/acro.json").read_text())["cases"]
Integers = npt.NDArray[np.int64]


def rows(case: dict[str, Any]) -> Integers:
    """One row for each record, as a graph of the ``records`` driver would make it; as in ``judge/tests.rs``."""
    if case["kind"] == "ols":
        return np.array(case["cells"], np.int64).T
    cells = len(case["cells"])
    made = np.zeros((sum(map(len, case["cells"])), 2 * cells), np.int64)
    at = 0
    for i, cell in enumerate(case["cells"]):
        made[at : at + len(cell), i] = 1
        made[at : at + len(cell), cells + i] = cell
        at += len(cell)
    return made if case["kind"] == "sum" else made[:, :cells]


def broken(vectors: Any, limits: Limits | None = None) -> list[str]:
    return [f.rule for f in audit(np.asarray(vectors, np.int64), limits=limits)]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_decisions_are_those_of_acro(case: dict[str, Any]) -> None:
    found, failed = set(broken(rows(case))), set(case["broken"])
    if case["kind"] == "ols":
        assert ("freedom" in found) == ("MinimumDoFCheck" in failed)
        return
    assert bool(found & {"cells", "rows"}) == ("MinimumThresholdCheck" in failed)
    assert ("dominance" in found) == bool(failed & {"NKCheck", "PPercentCheck"})


def values(n: int) -> list[int]:
    return [20 + i * i % 11 for i in range(n)]


@pytest.mark.parametrize(
    ("vectors", "expected"),
    # Those of each_rule_speaks_for_itself in judge/tests.rs.
    [
        ([[1]] * 9, ["rows", "cells", "freedom"]),
        ([[v] * 7 for v in values(20)], ["outputs"]),
        ([[int(i < 9)] for i in range(100)], ["cells"]),
        ([[0]] * 100, []),
        ([[1_000_000 if i == 4 else v] for i, v in enumerate(values(100))], ["dominance", "leverage"]),
        ([[1_000_000 + 31 * (i == 4)] for i in range(100)], ["leverage"]),
        ([[1] * (AUDITED + 1)] * 1000, ["leverage"]),
        ([[1, i % 2, 20 + i % 11, (20 + i % 11) * (i % 2), 0] for i in range(200)], []),
    ],
)
def test_each_rule_speaks_for_itself(vectors: list[list[int]], expected: list[str]) -> None:
    assert broken(vectors) == expected


def test_limits_can_be_tighter() -> None:
    table = [[int(i < 15)] for i in range(100)]
    assert broken(table) == [] and broken(table, Limits(threshold=16)) == ["cells"]


def test_the_leverage_is_that_of_a_decomposition() -> None:
    rng = np.random.default_rng(0)
    for n, d, size in [(40, 3, 50), (300, 12, 10**6), (100, 4, 10**11)]:
        v = rng.integers(-size, size, (n, d))
        v[:, -1] = v[:, 0] - 2 * v[:, 1]
        w = np.concatenate([np.ones((n, 1)), v[:, :-1]], axis=1)
        expected = (np.linalg.qr(w)[0] ** 2).sum(1).max()
        rank, found = leverage(v)
        assert rank == d and found is not None and expected - 1e-9 <= found <= expected + 1e-3


@pytest.mark.parametrize("kind", ["cells", "sums", "products", "close"])
def test_the_leverage_is_the_same_in_doubles_and_in_whole_numbers(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whole numbers each sum of many rounds took a second: doubles do, unless columns are close to each other."""
    rng = np.random.default_rng(3)
    cells = (rng.integers(0, 30, 200)[:, None] == np.arange(30)).astype(np.int64)
    numbers = rng.integers(-(2**50), 2**50, (200, 12))
    age = rng.integers(20, 90, 200)[:, None]
    made = {
        "cells": cells * np.where(rng.random(200) < 0.8, 2**49, 2**48)[:, None],
        "sums": np.concatenate([cells, numbers, np.zeros_like(numbers), numbers[:, ::-1]], axis=1),
        "products": age * np.concatenate([age, cells], axis=1),
        "close": 2**50 + numbers % 5,
    }[kind]
    whole = np.concatenate([np.ones((200, 1), np.int64), made], axis=1)
    kept = [leverages._independent_modulo(whole, p) for p in leverages._PRIMES]
    ranks = {"cells": 31, "sums": 42, "products": 32, "close": 13}
    assert kept[1:] == kept[:-1] and len(kept[0]) == ranks[kind]
    products = leverages.gram(whole)
    for p in leverages._PRIMES:
        assert (leverages._gram_modulo(whole, p) == (products % p).astype(np.int64)).all()
    asked: list[int] = []
    exactly = leverages._exactly
    monkeypatch.setattr(leverages, "_exactly", lambda w: asked.append(1) or exactly(w))
    rank, found = leverage(made)
    expected = exactly(whole[:, kept[0]])
    assert (
        rank == len(kept[0])
        and found is not None
        and expected is not None
        and found == pytest.approx(expected, abs=1e-5)
    )
    assert asked == ([1] if kind == "close" else [])


def test_one_unit_in_the_last_place_of_large_numbers_is_found() -> None:
    offset = 2**51 + np.arange(100) % 7
    hidden = np.stack([offset, offset + (np.arange(100) == 4)], axis=1)
    assert leverage(hidden) == (3, 1.0)
    assert broken(hidden) == ["leverage"]


# ------------------------------------------------ what debug says
def mean(**options: Any) -> delta.Bundle:
    return task(lambda df: df["a"].mean(), ["a"], **options).build()


def test_a_rule_that_a_member_breaks_is_named_once() -> None:
    frame = sample(90)[["a"]].fillna(0.0)
    pieces = [frame.iloc[:40], frame.iloc[40:85], frame.iloc[85:]]
    with pytest.warns(delta.ReleaseWarning) as told:
        found = delta.debug(mean(), data=pieces)
    assert found == pytest.approx(frame["a"].mean())
    (text,) = (str(w.message) for w in told)
    assert text.startswith("task test, round 1, rounds[0].map.steps[0]: member 3 of 3 would contribute zeros")
    assert "records.rows: 5 units, and at least 10 are needed" in text
    assert "(count" in text or "(sum" in text, "which number"
    with pytest.raises(ValueError, match=r"member 3 of 3 .* records\.rows: 5 units"):
        delta.debug(mean(), data=pieces, strict=True)


def test_what_would_leave_passes_without_a_word() -> None:
    frame = sample(150)[["a"]].fillna(0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert delta.debug(mean(), data=frame, strict=True) == pytest.approx(frame["a"].mean())
        # Under noise there is nothing to judge: what one record adds is bounded.
        delta.debug(mean(privacy=delta.Privacy(multiplier=0.1, clip=10.0)), data=frame.iloc[:9], strict=True)


def test_a_member_without_rows_is_told() -> None:
    frame = sample(60)[["a"]].fillna(0.0)
    with pytest.warns(delta.ReleaseWarning, match=r"member 2 of 3 .* records\.rows: no units at all"):
        delta.debug(mean(), data=[frame, frame.iloc[:0], frame])


def test_a_free_task_says_that_owners_are_asked() -> None:
    bundle = task(lambda df: df["a"].median(), ["a"]).build()
    expected = r"task test is free: every owner is asked .* rounds\[0\]\.map\.steps\[0\] \(records\.reads_beside\)"
    with pytest.warns(delta.ReleaseWarning, match=expected):
        delta.debug(bundle, data=sample(90)[["a"]])
