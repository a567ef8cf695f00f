"""Member and coordinator cost of this node and of the original delta-node in Python, side by side, on this machine.

    git clone https://github.com/delta-mpc/delta-node /tmp/original  # its last release is 0.8.3
    python3 -m venv /tmp/t-original && /tmp/t-original/bin/pip install numpy cryptography==3.4.7 cloudpickle gmpy2
    /tmp/t-original/bin/python benches/compare/original.py /tmp/original [our built bench, when there is one]

Both sides: complete graph, threshold a majority, a tenth of the members dropped after sharing, one vector, CPU seconds.

- Ours is a whole round of the node's own state machines (``cargo bench --bench secagg -- compare``), 32-bit ring.
- The original's functions are called as often, in the same order and on as much data as by its ``runner/horizontal/agg.py``
  and ``coord/horizontal/agg.py``; nothing is estimated. Left out are its database, network and connector, and the texts for
  the log that it makes even when nobody logs. ``cryptography`` is the version that its ``setup.py`` asks for.

Both are measured three times, in turn: medians.

As published no round of it survives a dropout. What is worked around here:

- Its member keeps the hash of a share of a key where the share belongs, and reveals that. Here it keeps the share.
- Its coordinator wants the dropped members' answers too, and the seeds of all: no answer passes, and the round fails. Here it
  asks those that are left for the seeds of those that are left, and agrees on keys only between them and the dropped.
- A seed that begins with a zero byte comes back shorter and makes another mask: a wrong sum, for one member in 256 and so for
  every third round of a hundred, without any dropout. Here no seed begins with a zero byte.

With that its sum is right: a small round is run and compared first.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import secrets
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from common import LENGTHS, both_sides, cells, cpu, heading, ours

SIZES = (30, 100)
RUNS = 3
PRECISION = 8
MASKS = """\
What the masks are made of. Ours: AES-128 in counter mode under a key derived by HKDF-SHA256, 128 bits of strength, added
modulo 2^32: a masked number says nothing about the plain one. The original's: numpy's default generator, PCG64, from a pool
of 128 bits: no cipher, and its seed has been computed from its output (Bouillaguet, Martinez and Sauvage, 2020). Its numbers
have 47 bits and are added without wrapping, so a masked number near the ends of its range tells something about the plain one.
Ours also signs, and checks, every neighbour's view of the round; the original does not."""


@dataclass(eq=False)
class Member:
    """Keys of one member and the shares that it hands out, in the order of the members."""

    address: str
    private: tuple[bytes, bytes]
    public: tuple[bytes, bytes]
    seed: bytes
    seed_shares: list[bytes]
    key_shares: list[bytes]


class Original:
    """Its functions, in the order in which its runner and its coordinator call them."""

    def __init__(self, checkout: Path) -> None:
        """Imports them from a checkout; the SDK, of which they need the names of two types, wants torch and is not loaded."""
        task = ModuleType("delta.core.task")
        vars(task).update(AggValueType=Any, AggResultType=Any)
        for module in (ModuleType("delta"), ModuleType("delta.core"), task):
            sys.modules[module.__name__] = module
        sys.path.insert(0, str(checkout.resolve()))
        names = ("crypto.aes", "crypto.ecdhe", "crypto.shamir", "serialize.agg", "utils")
        self.aes, self.ecdhe, self.shamir, self.agg, self.utils = (
            importlib.import_module(f"delta_node.{name}") for name in names
        )
        self.curve = self.ecdhe.CURVES["secp256k1"]

    def join(self, i: int, n: int) -> Member:
        """Two pairs of keys, and shares of the seed and of the second key."""
        pairs = [self.ecdhe.generate_key_pair(curve=self.curve) for _ in range(2)]
        seed = bytes([1]) + secrets.token_bytes(31)
        sharing = self.shamir.SecretShare(n // 2 + 1)
        (first, first_public), (second, second_public) = pairs
        shares = sharing.make_shares(seed, n), sharing.make_shares(second, n)
        return Member(f"0x{i:040x}", (first, second), (first_public, second_public), seed, *shares)

    def share(self, me: Member, members: list[Member]) -> list[tuple[bytes, bytes]]:
        """Agrees on a key with all, itself too, commits to the shares, seals them, opens and checks as many."""
        keys = [self.ecdhe.generate_shared_key(me.private[0], m.public[0], curve=self.curve) for m in members]
        shares = list(zip(me.seed_shares, me.key_shares, strict=True))
        commitments = [tuple(self.utils.calc_commitment(s) for s in pair) for pair in shares]
        sealed = [tuple(self.aes.encrypt(key, s) for s in pair) for key, pair in zip(keys, shares, strict=True)]
        # What the others sealed for this one is as long: its own serve.
        opened = [tuple(self.aes.decrypt(key, s) for s in pair) for key, pair in zip(keys, sealed, strict=True)]
        assert [tuple(self.utils.calc_commitment(s) for s in pair) for pair in opened] == commitments
        return opened

    def mask(self, me: Member, members: list[Member], values: np.ndarray) -> np.ndarray:
        """The masked vector: its own mask, and one with every other."""
        own = self.utils.make_mask(me.seed, values.shape)
        pairwise = np.zeros(values.shape, np.int64)
        for other in members:
            if other.address != me.address:
                key = self.ecdhe.generate_shared_key(me.private[1], other.public[1], self.curve)
                mask = self.utils.make_mask(key, values.shape)
                if me.address < other.address:
                    pairwise -= mask
                else:
                    pairwise += mask
        masked: np.ndarray = self.utils.fix_precision(values, PRECISION) + own + pairwise
        return masked

    def upload(self, masked: np.ndarray, path: Path) -> None:
        """Writes the masked vector as its runner does, and commits to the file."""
        with path.open("w+b") as file:
            self.agg.dump_agg_result(file, {"x": {"y": masked}})
            file.seek(0)
            self.utils.calc_commitment(file)

    def add(self, paths: list[Path]) -> np.ndarray:
        """Checks the commitment of every file and adds the vectors."""
        for path in paths:
            with path.open("rb") as file:
                self.utils.calc_commitment(file)
        total: np.ndarray = self.agg.load_agg_result(str(paths[0]))["x"]["y"]
        for path in paths[1:]:
            total += self.agg.load_agg_result(str(path))["x"]["y"]
        return total

    def unmask(self, members: list[Member], dropped: list[Member], total: np.ndarray) -> np.ndarray:
        """Checks and combines what is revealed, and takes the masks off."""
        alive = [i for i, m in enumerate(members) if m not in dropped]
        sharing = self.shamir.SecretShare(len(members) // 2 + 1)

        def combine(shares: list[bytes]) -> bytes:
            revealed = [shares[i] for i in alive]
            for share in revealed:
                self.utils.calc_commitment(share)
            secret: bytes = sharing.resolve_shares(revealed)
            return secret

        keys = {m.address: combine(m.key_shares) for m in dropped}
        seeds = [combine(members[i].seed_shares) for i in alive]
        agreed = {
            (u, members[i].address): self.ecdhe.generate_shared_key(key, members[i].public[1], self.curve)
            for u, key in keys.items()
            for i in alive
        }
        for seed in seeds:
            total -= self.utils.make_mask(seed, total.shape)
        for (u, v), key in agreed.items():
            mask = self.utils.make_mask(key, total.shape)
            if u < v:
                total -= mask
            else:
                total += mask
        plain: np.ndarray = self.utils.unfix_precision(total, PRECISION)
        return plain


def check(original: Original, folder: Path) -> None:
    """A small round whose sum must be right, so that what is measured is the whole work."""
    members = [original.join(i, 10) for i in range(10)]
    dropped = [members[4]]
    values = {m.address: np.random.default_rng(i).normal(size=100) for i, m in enumerate(members)}
    living = [m for m in members if m not in dropped]
    paths = [folder / m.address for m in living]
    for member, path in zip(living, paths, strict=True):
        original.upload(original.mask(member, members, values[member.address]), path)
    answer = original.unmask(members, dropped, original.add(paths))
    assert np.allclose(answer, sum(values[m.address] for m in living), atol=1e-6), "the sum is wrong"


def measure(original: Original, n: int, d: int, folder: Path) -> tuple[float, float]:
    """CPU seconds of one member and of the coordinator; the coordinator reads one member's file for each."""
    members = [original.join(i, n) for i in range(n)]
    values, path = np.linspace(-1, 1, d, dtype=np.float32), folder / "result"
    me = members[n // 2]

    def member() -> None:
        original.join(n // 2, n)
        original.share(me, members)
        original.upload(original.mask(me, members, values), path)

    def coordinator() -> None:
        original.unmask(members, members[::10], original.add([path] * (n - n // 10)))

    return cpu(member), cpu(coordinator)


def main() -> int:
    """Prints the table as markdown."""
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    original = Original(Path(sys.argv[1]))
    packages = [f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "cryptography")]
    heading(f"The original with {', '.join(packages)}, Python {sys.version.split()[0]}", both_sides("original"))
    rows = [(n, d) for n in SIZES for d in LENGTHS]
    with tempfile.TemporaryDirectory() as folder:
        check(original, Path(folder))
        rounds = [
            (ours(sys.argv[2:]), {row: measure(original, *row, Path(folder)) for row in rows}) for _ in range(RUNS)
        ]
    for n, d in rows:
        sides = [([t[n, d][side] for _, t in rounds], [o[n, d][side] for o, _ in rounds]) for side in (0, 1)]
        print(f"| {n} | {d:,} | {' | '.join(cells(*side) for side in sides)} |")
    print(f"\n{MASKS}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
