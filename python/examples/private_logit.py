"""Does a treatment help? A logistic regression over three hospitals' patients, under noise.

    python examples/private_nodes.py                  # in another terminal: three nodes that allow it, within a budget
    python examples/private_logit.py --node URL       # or: --local, without nodes

In each of six rounds a patient adds one vector: score, Hessian, log-likelihood and counts at the parameters so far. As long as
the odds that the model gives are below 20 to 1, its Euclidean norm is below 4: the clip is loose, and no patient's vector is cut.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

import delta
from delta.pandas import DataFrame, Series
from delta.statsmodel import LogitTask, add_constant

CLIP = 4.0
MEMBERS = 3
CONFIDENCE = 1 - 1e-6
Array = npt.NDArray[np.float64]


class Treatment(LogitTask):
    def __init__(self) -> None:
        super().__init__(
            "treatment",
            min_clients=MEMBERS,
            max_clients=MEMBERS,
            description="Does the treatment help, given the patient's age? With noise for each patient.",
            privacy=delta.Privacy(epsilon=2.0, delta=1e-6, clip=CLIP),
        )

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"trial": delta.dataset.DataFrame("trial.csv", columns=["age", "treated", "recovered"])}

    def preprocess(self, trial: DataFrame) -> tuple[DataFrame, Series]:
        x = trial[["age", "treated"]].copy()
        # From -1 to 1: columns of like size make the most of one clip.
        x["age"] = (x["age"] - 50) / 30
        return add_constant(x), trial["recovered"]

    def options(self) -> Mapping[str, Any]:
        return {"maxiter": 5}


def margin(hessian: Array, privacy: dict[str, Any], confidence: float = CONFIDENCE) -> tuple[Array, Array]:
    """Return the standard error that the noise adds to each parameter, and the margin that it stays within at ``confidence``.

    Each released number has noise of standard deviation s = z clip sqrt(n / h) (see ``private_mean.py``; here n = h again). The
    last step ends at b + (H + E)^-1 (g + e), with noise e in the score and E in the Hessian. To first order that is off by
    H^-1 e: a normal whose standard deviations are s times the norms of the rows of H^-1. The margin is the normal's, for all
    parameters together, and adds what the first order leaves out: E changes H^-1 by a share of r = |H^-1| |E| at most, and leaves
    as much of how far the step before was off; |E| and |e| are below s (2 sqrt(d) + k) and s (sqrt(d) + k) at this confidence.
    """
    s = float(privacy["multiplier"]) * float(privacy["clip"])
    inverse = np.linalg.inv(hessian)
    d = len(inverse)
    k = NormalDist().inv_cdf(1 - (1 - confidence) / (2 * d))
    size = float(np.linalg.norm(inverse, 2))
    r = size * s * (2 * math.sqrt(d) + k)
    if r >= 0.5:
        raise ValueError(
            "the noise is as large as what is known of the parameters: ask for more records or a larger epsilon"
        )
    error = s * np.linalg.norm(inverse, axis=1)
    rest = 2 * r / (1 - r) * size * s * (math.sqrt(d) + k)
    return error, k * error + rest


def tell(result: Any) -> None:
    """Print a result with what must be known of it."""
    error, most = margin(-result.hessian, result.privacy)
    print(f"{'':<10}{'estimate':>10}{'sampling error':>16}{'error of noise':>16}{'99.9999 % margin':>18}")
    for row in zip(result.exog_names, result.params, result.bse, error, most, strict=True):
        print("{:<10}{:>10.4f}{:>16.4f}{:>16.4f}{:>18.4f}".format(*row))
    print("The margin is that of the noise: the estimate on all rows is within, but for one chance in a million.")
    print(f"people     {result.nobs:,.0f}, with noise")
    print(f"members    {MEMBERS}")
    privacy = result.privacy
    print(f"cost       epsilon {privacy['epsilon']:.4f} at delta {privacy['delta']:g}, for each person")


def local(seed: int | None = None) -> Any:
    """Run the task in this process, on the rows that the three nodes have."""
    from private_nodes import NODES, TRIAL, tables

    return delta.debug(Treatment(), trial=[tables(i)[TRIAL] for i in range(NODES)], parts=NODES, seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", default="http://127.0.0.1:6700", help="url of the node that coordinates")
    parser.add_argument("--local", action="store_true", help="without nodes, in this process")
    parser.add_argument("--save", metavar="FILE", help="write the bundle and stop")
    arguments = parser.parse_args()
    bundle = Treatment().build()
    if arguments.save:
        bundle.save(arguments.save)
        return
    print(bundle.describe(), end="\n\n")
    if arguments.local:
        tell(local())
        return
    node = delta.DeltaNode(arguments.node)
    task = node.create_task(bundle)
    node.wait(task)
    tell(node.get_result(task))


if __name__ == "__main__":
    main()
