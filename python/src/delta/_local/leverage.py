"""The largest share that one unit can have of any combination of released numbers: the largest leverage of a row of W = [1, V].

The node's way (``src/domain/records/gram.rs``, ``factor.rs``, ``leverage.rs``): floats would miss a record that is hidden in the
last place of large numbers, so the Gram matrix is exact and its factor is made of whole numbers of as many digits as it takes.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Objects = npt.NDArray[Any]

# Columns that depend do so modulo every prime; one that does not hardly ever looks so modulo all. Nodes draw theirs, since data
# could be made for known ones. Products of two remainders are int64.
_PRIMES = (2**31 - 1, 2**31 - 19, 2**31 - 61, 2**31 - 69)
_FIRST_BITS, _MARGIN = 256, 48
# As nodes have it: beyond this much work a release is not audited, and does not leave.
_WORK = 8_000_000_000
# Columns of length 1 are far apart where no combination of them is shorter than that.
_APART = 2.0**-20
# How far a number may be off where doubles are used, and the digits where they do not do.
_ENOUGH, _FRACTION = 2.0**-18, 100


def leverage(vectors: Integers) -> tuple[int, float | None]:
    """Return the rank of W and an upper bound on the largest leverage, within 1e-3; ``None``: too much work to tell.

    ``vectors``: ``[units, numbers]``, below ``2**52`` in magnitude.
    """
    if len(vectors) == 0:
        return 0, 0.0
    w = np.concatenate([np.ones((len(vectors), 1), np.int64), vectors], axis=1)
    kept = _independent_modulo(w, _PRIMES[0])
    # Columns that doubles tell apart by far are independent, and need no more digits.
    bound = _in_doubles(w[:, kept])
    if bound is not None:
        return len(kept), bound
    kept = max((_independent_modulo(w, p) for p in _PRIMES), key=len)
    return len(kept), _exactly(w[:, kept])


def _in_doubles(w: Integers) -> float | None:
    """Return the bound by an orthogonal basis, where that is certain; W has full rank but for chance."""
    floats = w.astype(float)
    floats /= np.sqrt(np.square(floats).sum(0))
    basis, upper = np.linalg.qr(floats)
    sizes = np.linalg.svd(upper, compute_uv=False)
    if len(upper) < w.shape[1] or not sizes[-1] > sizes[0] * _APART:
        return None
    # What rounding turns the basis by, generously.
    off = len(sizes) * math.sqrt(sum(w.shape)) * float(sizes[0] / sizes[-1]) / 2.0**52
    return None if off > _ENOUGH else _bound(float(np.square(basis).sum(1).max()), len(sizes), off)


def _exactly(w: Integers) -> float | None:
    """Return the bound by whole numbers of as many digits as it takes; ``None``: too much work."""
    factor = _factor(gram(w))
    if factor is None:
        return None
    rows, bits, scales = factor
    r, magnitudes = len(rows), np.abs(w).max(0).astype(float)
    doubles = np.zeros((r, r))
    for j, row in enumerate(rows):
        doubles[j, : j + 1] = [t / (1 << (bits + s)) for t, s in zip(row, scales, strict=False)]
    off = float((np.abs(doubles) @ magnitudes).max()) * (r + 4) / 2.0**52
    if off <= _ENOUGH:
        top = float(((w.astype(float) @ doubles.T) ** 2).sum(1).max())
    else:
        whole = np.zeros((r, r), object)
        for j, row in enumerate(rows):
            whole[j, : j + 1] = [t >> (bits + s - _FRACTION) for t, s in zip(row, scales, strict=False)]
        exact = (w.astype(object) @ whole.T).astype(object)
        top = max(math.fsum((x / (1 << _FRACTION)) ** 2 for x in row) for row in exact.tolist())
        off = float(magnitudes.sum()) / 2.0**_FRACTION
    return _bound(top, r, off)


def _bound(top: float, r: int, off: float) -> float:
    """Return what a share is at most, whose ``r`` parts may each be off by so much."""
    return min(top + 2 * math.sqrt(r) * off + r * off * off, 1.0)


def gram(w: Integers) -> Objects:
    """Return W'W in Python's integers, exactly.

    In pieces of 18 bits, whose products are doubles without rounding as long as no more than 2^16 rows are summed.
    """
    out = np.zeros((w.shape[1], w.shape[1]), object)
    for start in range(0, len(w), 2**16):
        part = w[start : start + 2**16]
        pieces = [(part & (2**18 - 1)), (part >> 18) & (2**18 - 1), part >> 36]
        floats = [piece.astype(float) for piece in pieces]
        for i, a in enumerate(floats):
            for j, b in enumerate(floats):
                out += (a.T @ b).astype(np.int64).astype(object) << (18 * (i + j))
    return out


def _gram_modulo(w: Integers, p: int) -> Integers:
    """Return what W'W leaves when divided by a prime below 2^31, in pieces of 16 bits as :func:`gram` does."""
    out = np.zeros((w.shape[1], w.shape[1]), np.int64)
    for start in range(0, len(w), 2**20):
        part = w[start : start + 2**20] % p
        low, high = (part & (2**16 - 1)).astype(float), (part >> 16).astype(float)
        both, cross = ((a.T @ b).astype(np.int64) % p for a, b in ((high, high), (high, low)))
        out += (both * (2**32 % p) + (cross + cross.T) % p * 2**16 + (low.T @ low).astype(np.int64)) % p
    return out % p


def _independent_modulo(w: Integers, p: int) -> list[int]:
    """Return the columns that are no combination, modulo a prime, of those before them; their number is the rank."""
    rest, kept = _gram_modulo(w, p), []
    for k in range(len(rest)):
        pivot = int(rest[k, k])
        if pivot == 0:
            continue
        kept.append(k)
        row = rest[k, k + 1 :]
        factors = row * pow(pivot, -1, p) % p
        rest[k + 1 :, k + 1 :] = (rest[k + 1 :, k + 1 :] - np.outer(factors, row)) % p
    return kept


def _factor(products: Objects) -> tuple[list[list[int]], int, list[int]] | None:
    """Invert the Cholesky factor, in whole numbers of ``bits`` bits behind the point; column k is divided by 2^``scales[k]``."""
    entries = products.tolist()
    scales = [-(-entries[k][k].bit_length() // 2) for k in range(len(entries))]
    bits = _FIRST_BITS
    while len(entries) ** 3 * (bits // 64) ** 2 <= _WORK:
        if (rows := _attempt(entries, scales, bits)) is not None:
            return rows, bits, scales
        bits *= 2
    return None


def _attempt(entries: list[list[int]], scales: list[int], p: int) -> list[list[int]] | None:
    """Return the inverse with ``p`` bits behind the point, if those are enough."""
    lower: list[list[int]] = []
    inverse: list[list[int]] = []
    digits = len(entries).bit_length()
    for j in range(len(entries)):
        row: list[int] = []
        for k in range(j):
            rest = (entries[j][k] << (2 * p - scales[j] - scales[k])) - sum(map(operator.mul, row, lower[k]))
            row.append((rest >> p) * inverse[k][k] >> p)
        pivot = (entries[j][j] << (2 * p - 2 * scales[j])) - sum(x * x for x in row)
        # What is below is noise of the rounding.
        if pivot <= 0 or pivot.bit_length() < p + _MARGIN:
            return None
        root = math.isqrt(pivot)
        reciprocal = (1 << 2 * p) // root
        made = [(-sum(row[i] * inverse[i][k] for i in range(k, j)) >> p) * reciprocal >> p for k in range(j)]
        made.append(reciprocal)
        largest = max(x.bit_length() for x in made)
        if p < 2 * max(largest - p, 0) + 4 * digits + _MARGIN:
            return None
        lower.append([*row, root])
        inverse.append(made)
    return inverse
