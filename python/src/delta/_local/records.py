"""The driver ``records``: each record rounded, each unit bounded, all summed, noise added where the task asks for it.

The integers are those of nodes (``src/domain/records/``), and so is the noise: each member's share of a discrete Gaussian.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from . import discrete
from .exact import BEYOND, on_scale, step_sums
from .products import Sums

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]
Json = Mapping[str, Any]
Run = Callable[[npt.NDArray[np.int64]], dict[str, Array]]
"""Runs the graph on some rows; its outputs by name."""
See = Callable[[Integers, list[str]], None]
"""Is shown the vectors of all units, as they are summed, and which output each number belongs to."""

LIMIT = 2**52
"""Every integer, and every sum, stays below."""
LARGEST = 2**50
"""What a sum under noise is cut to."""
KEYS = 2.0**53
"""From here on two keys may be read as one number."""
BATCH = 4096


def run(
    rows: npt.NDArray[np.int64],
    driver: Json,
    precision: int,
    graph: Run,
    keys: Array | None,
    see: See | None = None,
    exact: Collection[str] = (),
) -> dict[str, Array]:
    """Return the sum over all records of each output, as ``f64``; of those named in ``exact`` without rounding.

    ``keys``: for each of ``rows`` whose record it is; ``None`` where each is on its own. ``see`` is called before
    anything is summed.

    Raises ``ValueError`` for records that no node would sum; under noise they are left out instead, as nodes do.
    """
    lenient = "noise" in driver
    vectors: list[Integers] = []
    doubles: list[Array] = []
    kept: list[Integers] = []
    shapes: dict[str, tuple[int, ...]] = {}
    for start in range(0, len(rows), BATCH):
        for part, made in _batch(rows[start : start + BATCH], graph, lenient):
            blocks = [_block(name, array, len(part), shapes) for name, array in sorted(made.items())]
            numbers = np.concatenate(blocks, axis=1)
            places = _places(shapes, exact)
            _finite(numbers[:, places], [n for n in _labels(shapes) if n in exact])
            doubles.append(numbers[:, places])
            numbers = np.where(places, 0.0, numbers)
            good = _good(numbers, precision, shapes, lenient)
            vectors.append(np.rint(numbers[good] * 10.0**precision).astype(np.int64))
            kept.append(part[good])
    width = sum(math.prod(s) for s in shapes.values())
    all_vectors = np.concatenate(vectors) if vectors else np.zeros((0, width), np.int64)
    places = _places(shapes, exact)
    wide = np.concatenate(doubles) if doubles else np.zeros((0, int(places.sum())))
    seen = wide
    if keys is not None:
        place = {row: i for i, row in enumerate(rows.tolist())}
        owners = keys[[place[r] for r in np.concatenate(kept).tolist()]] if kept else keys[:0]
        all_vectors = _by_person(all_vectors, owners, lenient)
        if exact:
            seen = np.zeros((len(all_vectors), wide.shape[1]))
            np.add.at(seen, np.unique(owners + 0.0, return_inverse=True)[1], wide)
    if "clip" in driver:
        all_vectors = clipped(all_vectors, driver["clip"], precision)
    stepped: Iterator[float] = iter(())
    if exact:
        all_vectors[:, places], steps = on_scale(seen)
        stepped = iter(step_sums(all_vectors[:, places], steps).tolist())
    if see:
        see(all_vectors, _labels(shapes))
    # Sums of int64 could wrap: Python's integers cannot.
    sums = [sum(column) for column in all_vectors.T.tolist()] if len(all_vectors) else [0] * width
    if lenient:
        # That a sum is too large would be an answer without noise.
        sums = [max(-LARGEST, min(LARGEST, s)) for s in sums]
    out, at = {}, 0
    for name, shape in shapes.items():
        size = math.prod(shape)
        if name in exact:
            out[name] = np.array([next(stepped) for _ in range(size)], np.float64).reshape(shape)
            at += size
            continue
        _bounded(name, sums[at : at + size], precision)
        out[name] = np.array(sums[at : at + size], np.float64).reshape(shape) / 10.0**precision
        at += size
    return out


def run_products(
    rows: npt.NDArray[np.int64], driver: Json, precision: int, graph: Run, targets: Mapping[str, Json]
) -> dict[str, Array]:
    """Return each sum of a step by its name, some of which are products of two outputs; ``targets`` by output.

    Records that are no numbers, or too large, are left out, as nodes do.
    """
    sums = Sums(targets, driver, precision)
    shapes: dict[str, tuple[int, ...]] = {}
    for start in range(0, len(rows), BATCH):
        for part, made in _batch(rows[start : start + BATCH], graph, lenient=True):
            for name, array in made.items():
                _block(name, array, len(part), shapes)
            sums.add(made)
    return sums.finish()


def noise(shape: Sequence[int], driver: Json, precision: int, honest: int, rng: random.Random) -> Integers:
    """Draw one member's share of the noise of a sum, in whole steps of the precision.

    ``honest``: members whose shares are sure to be in it; together these have the standard deviation that the task asks for.
    """
    # Rounded up, as nodes do, so that the noise is never too small for what is clipped to.
    bound = math.ceil(driver["clip"]["l2"] * 10.0**precision)
    variance = (Fraction(driver["noise"]["multiplier"]) * bound) ** 2 / honest
    return discrete.draw(math.prod(shape), variance, rng).reshape(tuple(shape))


def honest(strategy: Json, members: int) -> int:
    """Return of how many equal shares all members take the noise of a round to be made (``Strategy::noise_shares``)."""
    assumed = 0 if members <= 3 else 1 if members <= 6 else members // 3
    colluders: int = min(strategy.get("colluders", assumed), members)
    wanted = strategy.get("threshold", min(strategy["min_clients"], members))
    threshold = max(wanted, min((members + colluders) // 2 + 1, members))
    # Where each member has only a few neighbours, a threshold says nothing of the sum.
    smallest: int = max(strategy["min_clients"], 0 if "neighbours" in strategy else threshold)
    return max(min(smallest, members) - colluders, 1)


def bound_member(values: Sequence[Array], asked: Json, precision: int) -> list[Array]:
    """Bring all numbers of a member within the bound of its noise together, in whole steps of the precision, as nodes do."""
    scale = 10.0**precision
    most = 2.0**49 / scale
    cut = [np.nan_to_num(np.asarray(v, np.float64), nan=0.0, posinf=most, neginf=-most) for v in values]
    flat = np.concatenate([np.clip(v, -most, most).ravel() for v in cut]) if cut else np.zeros(0)
    whole = clipped(np.rint(flat * scale).astype(np.int64)[None, :], {"l2": asked["l2"]}, precision)[0]
    ends = np.cumsum([v.size for v in cut])[:-1]
    return [part.reshape(v.shape) / scale for part, v in zip(np.split(whole, ends), cut, strict=True)]


def clipped(vectors: Integers, clip: Json, precision: int) -> Integers:
    """Bring each number within ``linf``, then each vector within ``l2``, by one factor, in integers and towards zero."""
    bounds = {k: math.floor(v * 10.0**precision) for k, v in clip.items()}
    for name, bound in bounds.items():
        if not 1 <= bound < LIMIT:
            raise ValueError(
                f"clip.{name}: {clip[name]} is {bound} steps of 10^-{precision}; it must be from 1 to 2^52 - 1 of them"
            )
    out: Integers = vectors.copy()
    if "linf" in bounds:
        out = np.clip(out, -bounds["linf"], bounds["linf"])
    bound = bounds["l2"]
    # A first look in floats, generous; what may be too long is looked at exactly.
    long = np.flatnonzero(np.sqrt((out.astype(np.float64) ** 2).sum(1)) > bound * (1 - 1e-9))
    for i in long:
        row = out[i].tolist()
        norm = sum(x * x for x in row)
        if norm > bound * bound:
            root = math.isqrt(norm - 1) + 1
            out[i] = [(abs(x) * bound // root) * (1 if x >= 0 else -1) for x in row]
    return out


def _batch(
    rows: npt.NDArray[np.int64], graph: Run, lenient: bool
) -> list[tuple[npt.NDArray[np.int64], dict[str, Array]]]:
    """Run rows; where the run ends early, each half by itself, down to the record that is to blame."""
    try:
        return [(rows, graph(rows))]
    except Exception:  # onnxruntime has no class of its own for what a graph does at run time
        if len(rows) > 1:
            half = len(rows) // 2
            return [*_batch(rows[:half], graph, lenient), *_batch(rows[half:], graph, lenient)]
        if not lenient:
            raise
        return []


def _block(name: str, array: Array, rows: int, shapes: dict[str, tuple[int, ...]]) -> npt.NDArray[np.float64]:
    if array.ndim == 0 or len(array) != rows:
        raise ValueError(f"output {name}: shape {list(array.shape)} for {rows} records; its first axis must count them")
    shapes.setdefault(name, array.shape[1:])
    return np.asarray(array, np.float64).reshape(rows, -1)


def _good(
    numbers: Array, precision: int, shapes: Mapping[str, tuple[int, ...]], lenient: bool
) -> npt.NDArray[np.bool_]:
    """Which rows have numbers only, none of them too large."""
    with np.errstate(invalid="ignore", over="ignore"):
        fits: npt.NDArray[np.bool_] = np.asarray(np.abs(np.rint(numbers * 10.0**precision)) < LIMIT, np.bool_)
    good: npt.NDArray[np.bool_] = np.asarray(fits.all(1), np.bool_)
    if good.all() or lenient:
        return good
    row, column = np.argwhere(~fits)[0]
    name = _labels(shapes)[column]
    if not np.isfinite(numbers[row, column]):
        raise ValueError(f"contribution {name}: a record has NaN or infinity, which no node sums")
    raise ValueError(
        f"contribution {name}: a record has a number above {LIMIT / 10.0**precision:.3g}; lower strategy.precision"
    )


def _places(shapes: Mapping[str, tuple[int, ...]], names: Collection[str]) -> npt.NDArray[np.bool_]:
    """Which numbers of a record belong to these outputs."""
    return np.array([name in names for name in _labels(shapes)], np.bool_)


def _finite(numbers: Array, labels: Sequence[str]) -> None:
    if not np.isfinite(numbers).all():
        column = np.argwhere(~np.isfinite(numbers))[0][1]
        raise ValueError(f"contribution {labels[column]}: a record has NaN or infinity, which no node sums")
    if (np.abs(numbers) >= BEYOND).any():
        column = np.argwhere(np.abs(numbers) >= BEYOND)[0][1]
        raise ValueError(f"contribution {labels[column]}: a number is 2^175 or more, beyond what is summed exactly")


def _labels(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Which output each number of a record belongs to."""
    return [name for name, shape in shapes.items() for _ in range(math.prod(shape))]


def _bounded(name: str, sums: Sequence[int], precision: int) -> None:
    if any(abs(s) >= LIMIT for s in sums):
        raise ValueError(
            f"contribution {name}: a member's sum is above {LIMIT / 10.0**precision:.3g}, the largest that is exact; "
            "lower strategy.precision"
        )


def _by_person(vectors: Integers, keys: Array, lenient: bool) -> Integers:
    """Add up the vectors of each key. Under noise records without one are left out, and sums that are too large are cut."""
    somebody = np.abs(keys) < KEYS
    if not somebody.all() and not lenient:
        raise ValueError("a record has no person: its key is empty, or not below 2^53")
    _, units = np.unique(keys[somebody] + 0.0, return_inverse=True)
    out = np.zeros((int(units.max(initial=-1)) + 1, vectors.shape[1]), np.int64)
    for unit, vector in zip(units.tolist(), vectors[somebody], strict=True):
        out[unit] += vector
        if lenient:
            out[unit] = np.clip(out[unit], 1 - LIMIT, LIMIT - 1)
    if (np.abs(out) >= LIMIT).any():
        raise ValueError("the records of one person add up to 2^52 or more")
    return out
