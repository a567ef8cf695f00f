"""Who passes the course, proven: a logistic regression over three nodes whose answer comes with a certificate.

    delta-node demo --keep                    # in another terminal: three nodes on this machine, built with --features prover
    python examples/certified.py
    delta-node verify spector.certificate     # from the file alone, on any machine

Before the first round each node commits to its rows. At the end each proves what the answer leaves open on them, under masks that
cancel: the certificate shows that the answer is right for exactly these tables, and nobody's table or gradient. Experimental.
"""

from __future__ import annotations

import argparse
import sys

import delta
from delta.pandas import DataFrame, Series
from delta.statsmodel import LogitTask, add_constant


class CertifiedSpector(LogitTask):
    def __init__(self) -> None:
        super().__init__(
            "spector-certified",
            min_clients=3,
            max_clients=3,
            description="Does the teaching method help? With a certificate.",
            enable_verify=True,
            # A node with a cell outside takes no part: nothing is clipped.
            bounds={"GPA": (0, 4), "TUCE": (0, 40), "PSI": (0, 1)},
            verify_tolerance=1e-4,
        )

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"data": delta.dataset.DataFrame("spector.csv", columns=["GPA", "TUCE", "PSI", "GRADE"])}

    def preprocess(self, data: DataFrame) -> tuple[DataFrame, Series]:
        return add_constant(data.drop(columns="GRADE")), data["GRADE"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", default="http://127.0.0.1:6700", help="url of the node that coordinates")
    parser.add_argument("--save", metavar="FILE", help="write the bundle and stop")
    arguments = parser.parse_args()
    bundle = CertifiedSpector().build()
    if arguments.save:
        bundle.save(arguments.save)
        return
    node = delta.DeltaNode(arguments.node)
    task = node.create_task(bundle)
    node.wait(task)
    result = node.get_result(task)
    print(result.summary(), end="\n\n")
    if result.certificate is None:
        sys.exit(f"not certified: {result.uncertified}")
    print(result.certificate)
    result.certificate.save("spector.certificate")


if __name__ == "__main__":
    main()
