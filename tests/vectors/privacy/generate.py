"""Writes rdp.json: what dp-accounting says about 1,000 random plans, and some divergences by numerical integration.

    python -m venv venv && venv/bin/pip install dp-accounting==0.6.0 mpmath numpy && venv/bin/python generate.py

The orders are those of src/domain/privacy/rdp.rs. Random choices come from a fixed seed: the file is the same every time.
Not part of any test: src/domain/privacy/rdp/tests.rs reads the file.
"""

import json
import math
import pathlib
import random

import mpmath
import numpy as np
from dp_accounting import dp_event, rdp

ORDERS = [1.25, *(n / 10 for n in range(13, 110)), *range(11, 64), 64, 80, 96, 128, 160, 192, 256, 320, 384, 448, 512]
HERE = pathlib.Path(__file__).parent


def rounded(value: float) -> float:
    """Four significant digits: the plan is what is written, not what was drawn."""
    return float(f"{value:.4g}")


def mechanism(source: random.Random) -> list:
    multiplier = rounded(math.exp(source.uniform(math.log(0.5), math.log(30))))
    steps = source.choice([1, 1, 2, 10, 100, 1000, 10_000])
    if source.random() < 0.3:
        return [1, rounded(multiplier * math.sqrt(steps)), steps]
    rate = rounded(math.exp(source.uniform(math.log(1e-5), math.log(0.5))))
    return [rate, multiplier, steps]


def epsilon(mechanisms: list, delta: float) -> float:
    """Infinite also where a series of dp-accounting did not converge: it leaves such orders out and says too much."""
    accountant = rdp.RdpAccountant(ORDERS)
    for rate, multiplier, steps in mechanisms:
        event = dp_event.GaussianDpEvent(multiplier)
        if rate < 1:
            event = dp_event.PoissonSampledDpEvent(rate, event)
        accountant.compose(event, steps)
    return float(accountant.get_epsilon(delta)) if np.isfinite(accountant.rdp).all() else math.inf


def plans(count: int) -> list:
    source = random.Random(12)
    found = []
    while len(found) < count:
        mechanisms = [mechanism(source) for _ in range(source.choice([1, 1, 2, 3]))]
        delta = rounded(10 ** source.uniform(-10, -3))
        result = epsilon(mechanisms, delta)
        if result < 1000:  # beyond, nobody looks at digits
            found.append([mechanisms, delta, float(f"{result:.10g}")])
    return found


def divergence(rate: float, multiplier: float, order: float) -> float:
    """Renyi divergence of the sampled Gaussian mechanism, by its definition."""
    mpmath.mp.dps = 40
    q, z, a = mpmath.mpf(str(rate)), mpmath.mpf(str(multiplier)), mpmath.mpf(str(order))

    def integrand(x):
        ratio = 1 - q + q * mpmath.exp((2 * x - 1) / (2 * z * z))
        return mpmath.npdf(x, 0, z) * ratio**a

    # Narrow pieces around both hills, at 0 and at the order.
    ends = [-40 * z + k * z for k in range(int(80 + order / z) + 1)]
    return float(mpmath.log(mpmath.quad(integrand, ends)) / (a - 1))


def divergences() -> list:
    found = []
    for rate, multiplier in [(0.01, 1.0), (0.004, 0.7), (0.2, 2.0), (1e-4, 4.0), (0.5, 10.0)]:
        for order in [1.25, 1.3, 1.9, 2, 2.5, 3.7, 5, 8.1, 10.9, 17, 32]:
            found.append([rate, multiplier, order, divergence(rate, multiplier, order)])
    return found


def lines(rows: list) -> str:
    return "[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]"


meta = {
    "from": "dp-accounting 0.6.0 and mpmath, by generate.py beside this file",
    "plans": "[[rate, noise multiplier, steps], ...], delta, epsilon: Gaussian mechanisms, Poisson-sampled where the rate is below 1",
    "divergences": "rate, noise multiplier, order, Renyi divergence of one step by numerical integration",
}
text = f'{{"meta":{json.dumps(meta)},\n"plans":{lines(plans(1000))},\n"divergences":{lines(divergences())}}}\n'
(HERE / "rdp.json").write_text(text)
