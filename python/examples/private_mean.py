"""The mean wage of three employers' staff, under noise: what it says, what it costs, and how far off it may be.

    python examples/private_nodes.py                  # in another terminal: three nodes that allow it, within a budget
    python examples/private_mean.py --node URL        # or: --local, without nodes

A wage between 3,000 and 8,000 becomes a number from -1 to 1; beside it stands a 1, which counts the person. So one person's
numbers have a Euclidean norm of sqrt(2) at most, nothing is clipped, and the noise is sized for that.
"""

from __future__ import annotations

import argparse
import math
from statistics import NormalDist
from typing import Any

import delta
from delta.pandas import DataFrame
from delta.task import HorizontalAnalytics

MIDDLE, HALF = 5500.0, 2500.0
CLIP = 1.4143  # a little above sqrt(2)
MEMBERS = 3
CONFIDENCE = 1 - 1e-6


class MeanWage(HorizontalAnalytics):
    def __init__(self) -> None:
        super().__init__(
            "mean-wage",
            min_clients=MEMBERS,
            max_clients=MEMBERS,
            description="The mean wage over all staff, with noise for each person.",
            privacy=delta.Privacy(epsilon=0.6, delta=1e-6, clip=CLIP),
        )

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"staff": delta.dataset.DataFrame("staff.csv", columns=["wage"])}

    def execute(self, staff: DataFrame) -> Any:
        scaled = (staff["wage"] - MIDDLE) / HALF
        return scaled.mean() * HALF + MIDDLE, scaled.count()


def margin(mean: float, count: float, privacy: dict[str, Any], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the standard error that the noise adds to a mean wage, and the margin that it stays within at ``confidence``.

    The mean is a ratio S / N of two noisy sums, each with noise of standard deviation s = z clip sqrt(n / h): z is the
    multiplier, n how many members added their share, h for how many the shares are sized. Here all three are needed, and none is
    taken to collude (``docs/privacy.md``), so n = h. With the true ratio m and the noises e and f, S / N - m is exactly
    (e - m f) / N: a normal of standard deviation s sqrt(1 + m^2), over the N that is known. For the margin m is at most 1, as
    wages are bounded.
    """
    s = float(privacy["multiplier"]) * float(privacy["clip"])
    k = NormalDist().inv_cdf((1 + confidence) / 2)
    ratio = (mean - MIDDLE) / HALF
    return HALF * s * math.hypot(1, ratio) / count, HALF * k * s * math.sqrt(2) / count


def tell(mean: float, count: float, privacy: dict[str, Any]) -> None:
    """Print a result with what must be known of it."""
    error, most = margin(mean, count, privacy)
    print(f"mean wage          {mean:,.2f}")
    print(f"people             {count:,}, with noise")
    print(f"standard error     {error:.2f}, of the noise alone")
    print(f"99.9999 % margin   {most:.2f}: the mean of all rows is within, but for one chance in a million")
    print(f"members            {MEMBERS}")
    print(f"cost               epsilon {privacy['epsilon']:.4f} at delta {privacy['delta']:g}, for each person")


def local() -> Any:
    """Run the task in this process, on the rows that the three nodes have."""
    from private_nodes import NODES, STAFF, tables

    return delta.debug(MeanWage(), staff=[tables(i)[STAFF] for i in range(NODES)], parts=NODES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", default="http://127.0.0.1:6700", help="url of the node that coordinates")
    parser.add_argument("--local", action="store_true", help="without nodes, in this process")
    parser.add_argument("--save", metavar="FILE", help="write the bundle and stop")
    arguments = parser.parse_args()
    bundle = MeanWage().build()
    if arguments.save:
        bundle.save(arguments.save)
        return
    print(bundle.describe(), end="\n\n")
    assert bundle.privacy is not None
    if arguments.local:
        mean, count = local()
    else:
        node = delta.DeltaNode(arguments.node)
        task = node.create_task(bundle)
        node.wait(task)
        mean, count = node.get_result(task)
    tell(mean, count, bundle.privacy)


if __name__ == "__main__":
    main()
