"""Records whose numbers are partly products of two vectors: the integers of nodes (``src/domain/records/product.rs``).

The products of a record are never written out. Their length follows from the vectors', and the sum over records is one product
of matrices of doubles in which every number is whole and small enough to be exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._products import least_product_bound, product_rounding

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Json = Mapping[str, Any]

LIMIT = 2**52
LARGEST = 2**50
FINE = 16
"""Most bits behind a step of the precision."""
BITS = 47
"""Bits of the bound on a record in such fine steps."""
EXPONENT = 52
"""A product that could have a number of 2^52 steps is none that could be summed."""


class Sums:
    """Sums over records, batch by batch, of the outputs of a step; ``targets`` says what each becomes."""

    def __init__(self, targets: Mapping[str, Json], driver: Json, precision: int) -> None:
        """Take the form of the records."""
        self.scale = 10.0**precision
        self.l2 = math.floor(driver["clip"]["l2"] * self.scale)
        names = {
            t: {o: d["name"] for o, d in sorted(targets.items()) if d["to"] == t} for t in ("sum", "left", "right")
        }
        self.plain = names["sum"]
        right = {name: output for output, name in names["right"].items()}
        self.products = [(left, right[name], name) for left, name in names["left"].items()]
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.totals: dict[str, Any] = {}

    def add(self, outputs: Mapping[str, Array]) -> None:
        """Add some records: for each output the blocks of all of them."""
        if not self.shapes:
            self._begin(outputs)
        plain = [np.asarray(outputs[o], np.float64).reshape(len(outputs[o]), -1) * self.scale for o in self.plain]
        records = len(next(iter(outputs.values())))
        with np.errstate(invalid="ignore", over="ignore"):
            whole = [np.rint(p) for p in plain]
            good = np.all([(np.abs(w) < LIMIT).all(1) for w in whole] or [np.ones(records, np.bool_)], 0)
            pairs = [self._pair(outputs[left], outputs[right]) for left, right, _ in self.products]
        for _, _, fits in pairs:
            good &= fits
        kept = [w[good] for w in whole]
        sides = [(a[good], b[good]) for a, b, _ in pairs]
        self._bound(kept, sides)
        for (output, name), numbers in zip(self.plain.items(), kept, strict=True):
            # Python's integers cannot wrap.
            sums = [sum(int(x) for x in column) for column in numbers.T.tolist()]
            self.totals[name] = [t + s for t, s in zip(self.totals[name], sums, strict=True)]
            assert len(sums) == math.prod(self.shapes[output])
        most = 2**53 // self.bound
        for (_, _, name), (a, b) in zip(self.products, sides, strict=True):
            for start in range(0, len(a), most):
                self.totals[name] += (a[start : start + most].T @ b[start : start + most]).astype(np.int64)

    def finish(self) -> dict[str, Array]:
        """Return each sum by its name, as ``f64``."""
        out: dict[str, Array] = {}
        for output, name in self.plain.items():
            cut = [max(-LARGEST, min(LARGEST, t)) for t in self.totals[name]]
            out[name] = np.array(cut, np.float64).reshape(self.shapes[output]) / self.scale
        for _, _, name in self.products:
            steps = (self.totals[name] + ((1 << self.fine) >> 1)) >> self.fine
            out[name] = np.clip(steps, -LARGEST, LARGEST).astype(np.float64) / self.scale
        return out

    def _begin(self, outputs: Mapping[str, Array]) -> None:
        self.shapes = {o: tuple(outputs[o].shape[1:]) for o in outputs}
        numbers = 0
        for left, right, name in self.products:
            if len(self.shapes[left]) != 1 or len(self.shapes[right]) != 1:
                raise ValueError(f"product {name}: each side must be one vector for each record, [records, length]")
            shape = self.shapes[left] + self.shapes[right]
            numbers += math.prod(shape)
            self.totals[name] = np.zeros(shape, np.int64)
        for output, name in self.plain.items():
            self.totals[name] = [0] * math.prod(self.shapes[output])
        if not least_product_bound(numbers) <= self.l2 < LIMIT:
            raise ValueError(
                f"clip.l2: products of {numbers} numbers need at least {least_product_bound(numbers)} steps of the precision, "
                "and below 2^52"
            )
        self.fine = min(FINE, max(0, BITS - self.l2.bit_length()))
        self.bound = (self.l2 - product_rounding(numbers)) << self.fine

    def _pair(self, left: Array, right: Array) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
        """Both vectors of each record in whole numbers, and whether they are any."""
        a, b = np.asarray(left, np.float64), np.asarray(right, np.float64) * self.scale
        most = [np.abs(v).max(1, initial=0.0) for v in (a, b)]
        fits = np.isfinite(a).all(1) & np.isfinite(b).all(1)
        large = [np.frexp(np.where(np.isfinite(m), m, 0.0))[1].astype(np.int64) for m in most]
        zero = (most[0] == 0) | (most[1] == 0)
        fits &= zero | (large[0] + large[1] <= EXPONENT)
        up = (large[1] + self.fine - large[0]) // 2
        nothing = (zero | ~fits)[:, None]
        made = [np.ldexp(v, n[:, None].astype(np.int32)) for v, n in ((a, up), (b, self.fine - up))]
        whole = [np.where(nothing, 0.0, np.rint(m)) for m in made]
        return whole[0], whole[1], fits

    def _bound(self, plain: Sequence[Floats], sides: Sequence[tuple[Floats, Floats]]) -> None:
        """Scale each record down in place where it is too long, in integers and towards zero."""
        records = len(plain[0]) if plain else len(sides[0][0])
        squares = np.zeros(records)
        for numbers in plain:
            squares += (numbers**2).sum(1) * 4.0**self.fine
        for a, b in sides:
            squares += (a**2).sum(1) * (b**2).sum(1)
        # A first look in floats, generous; what may be too long is looked at exactly.
        for i in np.flatnonzero(np.sqrt(squares) > self.bound * (1 - 1e-9)):
            square = sum(int(x) ** 2 for numbers in plain for x in numbers[i].tolist()) << (2 * self.fine)
            square += sum(_square(a[i]) * _square(b[i]) for a, b in sides)
            if square <= self.bound**2:
                continue
            factor = (self.bound << 63) // _root(square)
            for numbers in plain:
                numbers[i] = _shrunk(numbers[i], factor)
            half = math.isqrt(factor << 63)
            for a, b in sides:
                a[i], b[i] = _shrunk(a[i], half), _shrunk(b[i], half)


def _root(square: int) -> int:
    """The root, rounded up as nodes do: by one more beyond 128 bits."""
    floor = math.isqrt(square)
    return floor + 1 if square >= 2**128 or floor * floor < square else floor


def _square(vector: Floats) -> int:
    return sum(int(x) ** 2 for x in vector.tolist())


def _shrunk(vector: Floats, factor: int) -> list[float]:
    return [math.copysign(float((abs(int(x)) * factor) >> 63), x) for x in vector.tolist()]
