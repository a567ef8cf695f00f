"""Records whose numbers are partly products of two vectors: the integers of nodes, and what no node would take."""

from __future__ import annotations

import json
import math
import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from conftest import ROOT
from delta import _products
from delta import manifest as m
from delta._local import products, records

CASES = json.loads((ROOT / "tests/vectors/records/products.json").read_text())["cases"]
TARGETS = {"a": m.left("w"), "b": m.right("w"), "c": m.accumulate("v")}
NOISE = {"multiplier": "1", "delta": 1e-6}


def number(bits: str) -> float:
    return float(struct.unpack("<d", int(bits, 16).to_bytes(8, "little"))[0])


def arrays(case: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The outputs of a step, and what becomes of them."""
    rows = case["records"]
    outputs = {"v": np.array([[number(x) for x in r["plain"]] for r in rows])} if case["plain"] else {}
    targets = {"v": m.accumulate("v")} if case["plain"] else {}
    for i in range(len(case["shapes"])):
        for side, target in enumerate((m.left, m.right)):
            name = f"{target.__name__}{i}"
            outputs[name] = np.array([[number(x) for x in r["products"][i][side]] for r in rows])
            targets[name] = target(f"p{i}")
    return outputs, targets


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['precision']} digits, bound {c['l2']}")
def test_sums_are_those_of_nodes(case: dict[str, Any]) -> None:
    outputs, targets = arrays(case)
    scale = 10.0 ** case["precision"]
    driver = {"clip": {"l2": (case["l2"] + 0.25) / scale}, "noise": NOISE}
    sums = records.run_products(
        np.arange(len(case["records"])),
        driver,
        case["precision"],
        lambda rows: {n: a[rows] for n, a in outputs.items()},
        targets,
    )
    if case["plain"]:
        assert np.rint(sums["v"] * scale).astype(np.int64).ravel().tolist() == case["plain"]
    for i, expected in enumerate(case["products"]):
        assert np.rint(sums[f"p{i}"] * scale).astype(np.int64).ravel().tolist() == expected


def test_one_record_moves_sums_by_the_bound_at_most() -> None:
    rng = np.random.default_rng(7)
    for turn in range(60):
        size = 10.0 ** rng.integers(-4, 4)
        outputs = {k: rng.normal(size=(6, n)) * size**p for k, n, p in (("a", 3, 0.5), ("b", 4, 0.5), ("c", 2, 1.0))}
        driver = {"clip": {"l2": float(rng.integers(1, 50)) / 10}, "noise": NOISE}
        precision = int(rng.integers(2, 9))

        def steps(rows: Any, driver: Any = driver, precision: int = precision, outputs: Any = outputs) -> list[int]:
            made = records.run_products(
                rows, driver, precision, lambda r: {n: a[r] for n, a in outputs.items()}, TARGETS
            )
            return [round(x * 10**precision) for name in ("v", "w") for x in made[name].ravel().tolist()]

        moved = [a - b for a, b in zip(steps(np.arange(6)), steps(np.arange(5)), strict=True)]
        bound = Fraction(driver["clip"]["l2"]) * 10**precision
        assert sum(x * x for x in moved) <= bound * bound, turn


def test_sums_are_those_of_written_out_products() -> None:
    rng = np.random.default_rng(3)
    n = 90
    a, b = rng.normal(size=(n, 7)).astype(np.float32), rng.normal(size=(n, 5)).astype(np.float32)
    outputs = {"a": a, "b": b, "c": rng.normal(size=(n, 2))}
    driver = {"clip": {"l2": 3.0}, "noise": NOISE}
    made = records.run_products(np.arange(n), driver, 8, lambda r: {k: v[r] for k, v in outputs.items()}, TARGETS)

    def written(rows: Any) -> dict[str, Any]:
        out = np.einsum("ni,nj->nij", a[rows].astype(np.float64), b[rows].astype(np.float64))
        return {"v": outputs["c"][rows], "w": out}

    expected = records.run(np.arange(n), driver, 8, written, None)
    for name in ("v", "w"):
        np.testing.assert_allclose(made[name], expected[name], atol=2e-5)


def task(**changes: Any) -> m.Draft:
    """A task with a product of 30 by 40 numbers; ``changes``: of the driver, of the shape and of what becomes of outputs."""
    from delta.strategy import Strategy

    precision = changes.pop("precision", 8)
    shape, outputs = changes.pop("shape", [30, 40]), changes.pop("outputs", {"a": m.left("w"), "b": m.right("w")})
    made = m.Draft("product", Strategy(min_clients=2, max_clients=3, precision=precision))
    made.table("a.csv", ["wage", "id"])
    driver = {"clip": 2.5, "multiplier": "1.3", "delta": 1e-6} | changes
    inputs = {"x": m.data("a.csv", m.columns(["wage"]))}
    step = m.Step(made.graph("map", b"graph"), inputs, outputs, m.records("a.csv", **driver))
    made.variable("w", "server", shape=shape)
    made.round(m.Map([step], [("w", "f64", shape)]), m.Reduce([], {"w": "w"}))
    return made


def test_a_product_is_a_task() -> None:
    step = task().rounds[0]["map"]["steps"][0]
    assert step["outputs"] == {"a": {"to": "left", "name": "w"}, "b": {"to": "right", "name": "w"}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"multiplier": None, "delta": None}, "without noise the node looks at every number"),
        ({"unit": "id"}, "the records of a person are added up before"),
        ({"linf": 1.0}, "linf bounds single numbers"),
        ({"outputs": {"a": m.left("w"), "b": m.left("w")}}, "one output that is left and one that is right"),
        ({"outputs": {"a": m.left("w")}}, "one output that is left and one that is right"),
        ({"shape": [1200]}, "has two axes"),
        ({"precision": 1}, "products of 1200 numbers need clip.l2 of at least 70 steps"),
    ],
)
def test_what_cannot_stay_a_product_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        task(**changes)


def test_bounds_of_products_are_those_of_nodes() -> None:
    assert [_products.least_product_bound(n) for n in (0, 1, 100, 101)] == [0, 2, 20, 22]
    with pytest.raises(ValueError, match="need at least 20 steps"):
        sums = products.Sums({"a": m.left("w"), "b": m.right("w")}, {"clip": {"l2": 19.0}}, 0)
        sums.add({"a": np.ones((1, 10)), "b": np.ones((1, 10))})
    assert math.isclose(products.LIMIT, 2.0**52)
