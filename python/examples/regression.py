"""Who passes the course? Logistic regression over three nodes, with the numbers that statsmodels gives on all rows.

    delta-node demo --keep                    # in another terminal: three nodes on this machine
    python examples/regression.py             # or: --local, without nodes

Spector and Mazzeo (1980): grade point average, a test score, and whether a new teaching method was used.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import delta
from delta.pandas import DataFrame, Series
from delta.statsmodel import LogitTask, add_constant


class SpectorLogit(LogitTask):
    def __init__(self) -> None:
        super().__init__("spector-logit", min_clients=2, max_clients=3, description="Does the teaching method help?")

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"data": delta.dataset.DataFrame("spector.csv", columns=["GPA", "TUCE", "PSI", "GRADE"])}

    def preprocess(self, data: DataFrame) -> tuple[DataFrame, Series]:
        names = data.columns
        y = data[names[3]].copy()
        x = data.drop([names[3]], axis=1)
        return add_constant(x), y

    def options(self) -> Mapping[str, Any]:
        return {"maxiter": 35, "method": "newton", "tol": 1e-8, "ridge_factor": 1e-10}


def local() -> Any:
    """Run the task in this process, on rows that three members might have."""
    from statsmodels.datasets import spector

    return delta.debug(SpectorLogit(), data=spector.load_pandas().data, parts=3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", default="http://127.0.0.1:6700", help="url of the node that coordinates")
    parser.add_argument("--local", action="store_true", help="without nodes, in this process")
    parser.add_argument("--save", metavar="FILE", help="write the bundle and stop")
    arguments = parser.parse_args()
    bundle = SpectorLogit().build()
    if arguments.save:
        bundle.save(arguments.save)
        return
    print(bundle.describe(), end="\n\n")
    if arguments.local:
        print(local().summary())
        return
    node = delta.DeltaNode(arguments.node)
    task = node.create_task(bundle)
    node.wait(task)
    print(node.get_result(task).summary())


if __name__ == "__main__":
    main()
