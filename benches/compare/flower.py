"""Member and coordinator cost of this node and of Flower's SecAgg+, side by side, on this machine.

    python3 -m venv /tmp/flower && /tmp/flower/bin/pip install flwr
    /tmp/flower/bin/python benches/compare/flower.py [the built bench, when there is one]

Both sides: complete graph, a tenth of the members dropped after sharing, 32-bit ring, CPU seconds.

- Ours is a whole round of the node's own state machines (``cargo bench --bench secagg -- compare``).
- Flower's member is its client module, called stage by stage, once.
- Flower's coordinator is its unmasking: the cost of one combined secret, one key agreement, one mask and its addition,
  measured with its own functions, times how often its workflow calls them (a whole run takes minutes at n = 100).
"""

from __future__ import annotations

import importlib.metadata
import os
import sys

import numpy as np
from common import LENGTHS, both_sides, cells, cpu, heading, ours
from flwr.client.mod.secure_aggregation.secaggplus_mod import (
    SecAggPlusState,
    _collect_masked_vectors,
    _setup,
    _share_keys,
    _unmask,
)
from flwr.common import ndarrays_to_parameters
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import encrypt, generate_shared_key
from flwr.common.secure_aggregation.ndarrays_arithmetic import parameters_addition
from flwr.common.secure_aggregation.secaggplus_constants import Key
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen, share_keys_plaintext_concat
from flwr.supercore.primitives.asymmetric import (
    bytes_to_private_key,
    bytes_to_public_key,
    generate_key_pairs,
    private_key_to_bytes,
    public_key_to_bytes,
)

MOD_RANGE = 1 << 32
SIZES = (10, 30, 100)
MASKS = """\
What the masks are made of. Ours: AES-128 in counter mode under a key derived by HKDF-SHA256, 128 bits of strength.
Flower's: numpy's RandomState, a Mersenne Twister and no cipher, seeded with 32 bits: the words of the key XORed
together; of a pairwise key, which is base64 text, at most 28 of them vary. Such a mask is found by trying all seeds.
The ratios set a mask of full strength against that one. Ours also signs, and checks, every neighbour's view of the
round; Flower's does not."""


def client(n: int, d: int) -> float:
    """CPU seconds of one Flower member with n - 1 neighbours and a vector of d numbers."""
    state = SecAggPlusState()
    state.nid = 1
    setup = {
        Key.SAMPLE_NUMBER: n,
        Key.SHARE_NUMBER: n,
        Key.THRESHOLD: n // 2 + 1,
        Key.CLIPPING_RANGE: 8.0,
        Key.TARGET_RANGE: 1 << 16,
        Key.MOD_RANGE: MOD_RANGE,
        Key.MAX_WEIGHT: 1000.0,
    }
    mine: dict[str, bytes] = {}
    total = cpu(lambda: mine.update(_setup(state, setup)))
    keys = {"1": (mine[Key.PUBLIC_KEY_1], mine[Key.PUBLIC_KEY_2])}
    others = {}
    for nid in range(2, n + 1):
        pairs = [generate_key_pairs() for _ in range(2)]
        keys[str(nid)] = tuple(public_key_to_bytes(public) for _, public in pairs)
        others[nid] = pairs[1][0]
    total += cpu(lambda: _share_keys(state, keys))
    length = len(state.rd_seed_share_dict[1]), len(state.sk1_share_dict[1])
    ciphertexts = []
    for nid, private in others.items():
        shared = generate_shared_key(private, bytes_to_public_key(mine[Key.PUBLIC_KEY_2]))
        plain = share_keys_plaintext_concat(nid, 1, os.urandom(length[0]), os.urandom(length[1]))
        ciphertexts.append(encrypt(shared, plain))
    received = {Key.CIPHERTEXT_LIST: ciphertexts, Key.SOURCE_LIST: list(others)}
    parameters = ndarrays_to_parameters([np.linspace(-1, 1, d, dtype=np.float32)])
    total += cpu(lambda: _collect_masked_vectors(state, received, 1, parameters))
    unmask = {Key.ACTIVE_NODE_ID_LIST: list(range(1, n)), Key.DEAD_NODE_ID_LIST: [n]}
    return total + cpu(lambda: _unmask(state, unmask))


def coordinator(n: int, d: int) -> float:
    """CPU seconds of Flower's unmasking of n members, a tenth dropped: calls counted, units measured."""
    dropped = n // 10
    private, _ = generate_key_pairs()
    _, public = generate_key_pairs()
    secret, public_bytes = private_key_to_bytes(private), public_key_to_bytes(public)
    parts = [create_shares(value, n // 2 + 1, n)[: n - dropped] for value in (os.urandom(32), secret)]
    seed, key = (cpu(lambda shares=shares: combine_shares(shares)) for shares in parts)
    agree = cpu(lambda: generate_shared_key(bytes_to_private_key(secret), bytes_to_public_key(public_bytes)), 20)
    vector = [np.zeros(d, dtype=np.int64)]
    mask = cpu(lambda: parameters_addition(vector, pseudo_rand_gen(os.urandom(32), MOD_RANGE, [(d,)])), 3)
    add = cpu(lambda: parameters_addition(vector, vector), 3)
    # A seed and a self mask for each that is left; a key and a mask with everybody, dropped or not, for each dropped.
    return dropped * (key + (n - 1) * (agree + mask)) + (n - dropped) * (seed + mask + add)


def main() -> int:
    """Prints the table as markdown."""
    node = ours(sys.argv[1:])
    versions = f"Flower {importlib.metadata.version('flwr')}, Python {sys.version.split()[0]}"
    heading(versions, both_sides("Flower"))
    for n in SIZES:
        for d in LENGTHS:
            theirs = client(n, d), coordinator(n, d)
            both = " | ".join(cells([a], [b]) for a, b in zip(theirs, node[n, d], strict=True))
            print(f"| {n} | {d:,} | {both} |", flush=True)
    print(f"\n{MASKS}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
