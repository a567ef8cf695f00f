"""Writes products.json: sums of records whose numbers are partly products of two vectors.

    PYTHONPATH=python/src python tests/vectors/records/generate.py

The sums are those of the Python package (python/src/delta/_local/products.py); the node's own must be the same integers.
"""

from __future__ import annotations

import json
import math
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np

from delta._local.products import Sums

ODD = [
    0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, -1e-310, 1e-150, -1e-8, 1e4, 1e7, 1e150, 1.7976931348623157e308,
    2.2250738585072014e-308, 0.5, 4503599627370495.0,
]  # fmt: skip
# Precision, bound, numbers beside products, lengths of vectors, kind of numbers, records.
FORMS: list[tuple[int, float, int, list[tuple[int, int]], str, int]] = [
    (8, 1.0, 1, [(3, 4)], "double", 7),
    (8, 1.0, 0, [(2, 2), (1, 5)], "single", 9),
    (8, 5000.0, 2, [(4, 3)], "single", 70),
    (8, 100.0, 1, [(3, 3)], "odd", 40),
    (2, 0.5, 1, [(4, 4)], "double", 6),
    (0, 4503599627370495.0, 1, [(2, 3)], "odd", 130),
    (3, 1000000.0, 3, [(1, 1), (2, 1), (5, 6)], "double", 20),
    (12, 0.25, 1, [(6, 2)], "single", 30),
]


def bits(x: float) -> str:
    return f"{struct.unpack('<Q', struct.pack('<d', x))[0]:016x}"


def number(rng: random.Random, kind: str) -> float:
    if kind == "odd" and rng.random() < 0.15:
        return rng.choice(ODD)
    x = rng.uniform(-1, 1) * 2.0 ** rng.randint(-6, 6)
    return float(np.float32(x)) if kind == "single" else x


def case(rng: random.Random, form: tuple[int, float, int, list[tuple[int, int]], str, int]) -> dict[str, Any]:
    precision, l2, plain, shapes, kind, count = form

    def vector(n: int, size: float) -> list[float]:
        return [number(rng, kind) * size for _ in range(n)]

    sizes = [2.0 ** rng.choice([0, 0, 0, 5, 20, -9]) for _ in range(count)]
    records = [(vector(plain, s), [(vector(p, s), vector(q, 1.0)) for p, q in shapes]) for s in sizes]
    targets = {"v": {"to": "sum", "name": "v"}} if plain else {}
    outputs = {"v": np.array([r[0] for r in records])} if plain else {}
    for i in range(len(shapes)):
        for side, to in enumerate(("left", "right")):
            targets[f"{to}{i}"] = {"to": to, "name": f"p{i}"}
            outputs[f"{to}{i}"] = np.array([r[1][i][side] for r in records])
    sums = Sums(targets, {"clip": {"l2": l2}}, precision)
    sums.add(outputs)
    made = sums.finish()

    def steps(name: str) -> list[int]:
        return [round(x) for x in (made[name].ravel() * sums.scale).tolist()]

    return {
        "precision": precision,
        "l2": sums.l2,
        "shapes": shapes,
        "records": [
            {"plain": [bits(x) for x in v], "products": [[[bits(x) for x in side] for side in p] for p in products]}
            for v, products in records
        ],
        "plain": steps("v") if plain else [],
        "products": [steps(f"p{i}") for i in range(len(shapes))],
    }


def main() -> None:
    rng = random.Random(20261129)
    about = (
        "Sums of records with products of two vectors, in steps of the precision (src/domain/records/product.rs). Numbers of "
        "records are the bits of doubles. Made by generate.py beside it, with the Python package's own sums."
    )
    made = {"meta": about, "cases": [case(rng, form) for form in FORMS]}
    Path(__file__).with_name("products.json").write_text(json.dumps(made, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
