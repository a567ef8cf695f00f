"""Statistics of flowers and wages that lie on three nodes, written as if they were one pandas DataFrame.

    delta-node demo --keep                    # in another terminal: three nodes on this machine
    python examples/analytics.py              # or: --local, without nodes

Means, spreads and quantiles of Fisher's iris data, by species too; and the mean wage of the original's example.
"""

from __future__ import annotations

import argparse
from typing import Any

import delta
from delta.pandas import DataFrame
from delta.task import HorizontalAnalytics

SEPAL, PETAL = "sepal length (cm)", "petal length (cm)"


class WageAvg(HorizontalAnalytics):
    def __init__(self) -> None:
        super().__init__("wage_avg", min_clients=2, max_clients=3, description="The mean wage over all rows.")

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"wages": delta.dataset.DataFrame("wages.csv", columns=["wage"])}

    def execute(self, wages: DataFrame) -> Any:
        return wages["wage"].mean()


class Flowers(HorizontalAnalytics):
    def __init__(self) -> None:
        super().__init__("flowers", min_clients=2, max_clients=3, description="How do the species of iris differ?")

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"iris": delta.dataset.DataFrame("iris.csv", columns=[SEPAL, PETAL, "target"])}

    def execute(self, iris: DataFrame) -> Any:
        lengths = iris[[SEPAL, PETAL]]
        long = iris[iris[PETAL] > iris[PETAL].mean()]  # the mean of all members' rows: one round more
        return (
            lengths.describe(),
            lengths.corr(),
            iris.groupby("target", categories=[0, 1, 2]).agg(["mean", "std"]),
            long["target"].value_counts(categories=[0, 1, 2]),
        )


TASKS: dict[str, type[HorizontalAnalytics]] = {"wages": WageAvg, "flowers": Flowers}
TITLES = {
    "wages": ["Mean wage"],
    "flowers": ["All flowers", "Correlation", "By species", "Species of flowers with petals longer than the mean"],
}


def local(name: str) -> Any:
    """Run a task in this process, on rows that three members might have."""
    if name == "wages":
        return delta.debug(WageAvg(), wages={"wage": [3120.0, 5480.0, 7990.0]}, parts=3)
    from sklearn.datasets import load_iris

    return delta.debug(Flowers(), iris=load_iris(as_frame=True).frame.sample(frac=1, random_state=1), parts=3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="?", choices=TASKS, default="flowers")
    parser.add_argument("--node", default="http://127.0.0.1:6700", help="url of the node that coordinates")
    parser.add_argument("--local", action="store_true", help="without nodes, in this process")
    parser.add_argument("--save", metavar="FILE", help="write the bundle and stop")
    arguments = parser.parse_args()
    bundle = TASKS[arguments.task]().build()
    if arguments.save:
        bundle.save(arguments.save)
        return
    print(bundle.describe(), end="\n\n")
    if arguments.local:
        result = local(arguments.task)
    else:
        node = delta.DeltaNode(arguments.node)
        task = node.create_task(bundle)
        node.wait(task)
        result = node.get_result(task)
    for title, value in zip(TITLES[arguments.task], result if isinstance(result, tuple) else (result,), strict=True):
        print(f"{title}\n{value}\n")


if __name__ == "__main__":
    main()
