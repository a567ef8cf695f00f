"""Cost of one masked vector of xaynet beside a whole member of this node, on this machine.

    python3 benches/compare/xaynet.py [our built bench, when there is one]

Needs only Python and cargo: ``benches/compare/xaynet`` is a crate of its own, with xaynet-core 0.2.0, that prints xaynet's
figures; it is built here, in release mode. CPU seconds of one thread.

- xaynet's member turns its f32 numbers into its own fractions, adds one mask and writes the bytes that it sends. Its keys,
  the sealed seed and the signature of its messages are left out.
- Ours is the whole member of a complete graph of n, with everything: n masks, key agreements, shares and signatures
  (``cargo bench --bench secagg -- compare``).

Both are measured three times, in turn: medians.
"""

from __future__ import annotations

import sys

from common import LENGTHS, cells, heading, json_lines, ours

SIZES = (10, 30, 100)
RUNS = 3
MASKS = """\
What the masks are made of. Ours: AES-128 in counter mode under a key derived by HKDF-SHA256, added modulo 2^32. xaynet's:
ChaCha20 under a random seed of 256 bits, added modulo a prime of 45 bits: a cipher, no weaker than ours. Its time goes into
integers and fractions of any length, each on the heap, and into 14 drawings of 48 bits until one is below the prime. Its trust
is another: every sum participant can open the seeds of all, so one of them and the coordinator can unmask every member."""


def main() -> int:
    """Prints the table as markdown."""
    manifest = "benches/compare/xaynet/Cargo.toml"
    command = ["cargo", "run", "--quiet", "--release", "--locked", "--manifest-path", manifest]
    heading("xaynet-core 0.2.0, Prime F32 B0 M3", ["our members", "numbers", "xaynet, ms", "ours", "ratio"])
    rounds = [(ours(sys.argv[1:]), {int(row["d"]): row["member"] for row in json_lines(command)}) for _ in range(RUNS)]
    for n in SIZES:
        for d in LENGTHS:
            print(f"| {n} | {d:,} | {cells([t[d] for _, t in rounds], [o[n, d][0] for o, _ in rounds])} |")
    print(f"\n{MASKS}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
