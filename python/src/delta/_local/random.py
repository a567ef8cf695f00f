"""The node's orders and noise, number for number (``src/adapters/onnx/drivers/random.rs``).

Streams are ChaCha20 keyed by a SHA-256 of purpose, seed, number and name. Nothing here is secret: the seed stands in the task.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

SUBSET, SHUFFLE, NOISE = b"delta/subset/1", b"delta/shuffle/1", b"delta/noise/1"
Ints = npt.NDArray[np.int64]
# The rows of the state whose columns are mixed, turned so that diagonals are columns, and back.
_TURNS, _BACK = ([1, 2, 3, 0], [2, 3, 0, 1], [3, 0, 1, 2]), ([3, 0, 1, 2], [2, 3, 0, 1], [1, 2, 3, 0])


class Stream:
    """The words of one ChaCha20 stream, in order (RFC 8439 block function, 64-bit counter)."""

    def __init__(self, purpose: bytes, seed: int, number: int, name: str = "") -> None:
        """Key the stream as the node does."""
        key = hashlib.sha256(purpose + b"\0" + struct.pack("<QQ", seed, number) + name.encode()).digest()
        self._key = np.frombuffer(key, "<u4")
        self._counter = 0
        self._rest = np.empty(0, np.uint32)

    def words(self, count: int) -> npt.NDArray[np.uint32]:
        """Return the next ``count`` 32-bit words."""
        missing = count - len(self._rest)
        if missing > 0:
            self._rest = np.concatenate([self._rest, self._blocks(-(-missing // 16))])
        out, self._rest = self._rest[:count], self._rest[count:]
        return out

    def longs(self, count: int) -> npt.NDArray[np.uint64]:
        """Return the next ``count`` 64-bit numbers, low word first."""
        words = self.words(2 * count).astype(np.uint64)
        longs: npt.NDArray[np.uint64] = words[0::2] | (words[1::2] << np.uint64(32))
        return longs

    def _blocks(self, count: int) -> npt.NDArray[np.uint32]:
        state = np.zeros((16, count), np.uint32)
        state[:4] = np.frombuffer(b"expand 32-byte k", "<u4")[:, None]
        state[4:12] = self._key[:, None]
        counter = np.arange(self._counter, self._counter + count, dtype=np.uint64)
        state[12], state[13] = counter & np.uint64(0xFFFFFFFF), counter >> np.uint64(32)
        self._counter += count
        a, b, c, d = state.copy().reshape(4, 4, count)
        for turns in (_TURNS, _BACK) * 10:
            # All four columns at once.
            for p, q, r, shift in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                p += q
                r ^= p
                high = r << np.uint32(shift)
                r >>= np.uint32(32 - shift)
                r |= high
            b, c, d = (part[turn] for part, turn in zip((b, c, d), turns, strict=True))
        words: npt.NDArray[np.uint32] = (np.concatenate([a, b, c, d]) + state).T.ravel()
        return words


@lru_cache(maxsize=256)
def permutation(length: int, purpose: bytes, seed: int, number: int) -> Ints:
    """Return a uniformly drawn order of ``0..length`` (Fisher and Yates); not to be changed, as others are given the same."""
    draws = _draws(Stream(purpose, seed, number), length)
    order = list(range(length))
    for last in range(length - 1, 0, -1):
        span = last + 1
        zone = 2**64 - 1 - 2**64 % span
        draw = next(draws)
        while draw > zone:
            draw = next(draws)
        other = draw % span
        order[last], order[other] = order[other], order[last]
    made = np.array(order, np.int64)
    made.flags.writeable = False
    return made


def _draws(stream: Stream, expected: int) -> Iterator[int]:
    while True:
        yield from stream.longs(max(expected, 8)).tolist()


def noise(kind: str, rows: int, shape: list[int], seed: int, batch: int, name: str) -> npt.NDArray[np.float32]:
    """Return one block of ``shape`` for each row, ``float32``: uniform on [0, 1) or standard normal."""
    full = (rows, *shape)
    count = int(np.prod(full))
    stream = Stream(NOISE, seed, batch, name)
    if kind == "uniform":
        uniform: npt.NDArray[np.float32] = (stream.words(count) >> np.uint32(8)).astype(np.float32) / np.float32(2**24)
        return uniform.reshape(full)
    pairs = stream.longs(2 * -(-count // 2)) >> np.uint64(11)
    u, v = (pairs[0::2] + np.uint64(1)).astype(np.float64) / 2.0**53, pairs[1::2].astype(np.float64) / 2.0**53
    radius, angle = np.sqrt(-2.0 * np.log(u)), 2.0 * np.pi * v
    out = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:count]
    return out.astype(np.float32).reshape(full)


def subset_rows(total: int, subset: dict[str, object]) -> Ints:
    """Return the rows of a subset, in the dataset's order when its seed is 0 and in one drawn from it otherwise."""
    seed, start, end = (
        int(str(subset.get("seed", 0))),
        float(str(subset.get("from", 0.0))),
        float(str(subset.get("to", 1.0))),
    )
    order = np.arange(total) if seed == 0 else permutation(total, SUBSET, seed, 0)

    def cut(fraction: float) -> int:
        return min(int(np.floor(total * fraction + 1e-9)), total)

    return order[cut(start) : cut(end)]
