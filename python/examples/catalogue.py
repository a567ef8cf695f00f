"""From what nodes publish to a result: look, make mock rows, debug on them, check who can run the task, submit it.

    python examples/catalogue.py              # starts three nodes of its own, and ends them

Three hospitals have a part each of a trial. Their owners publish what is in it, and let controlled tasks run unasked; no row
of theirs is seen here. With ``--node URL`` it asks a network whose nodes have such a trial.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from private_nodes import NODES, TRIAL, network

import delta
from delta.pandas import DataFrame
from delta.task import HorizontalAnalytics

# What owners write (docs/data.md, The catalogue): their word, but for the count of rows, which is the file's in one digit.
POLICIES: dict[str, Any] = {
    TRIAL: {
        "columns": {"patient": "identifier", "age": "quasi", "treated": "value", "recovered": "value"},
        "members": NODES,
        "approval": "controlled",
        "catalogue": {
            "description": "Patients of a trial, one row each",
            "columns": {
                "patient": {"type": "integer", "description": "their number at the hospital"},
                "age": {"type": "integer", "unit": "years", "range": [18, 99]},
                "treated": {"type": "category", "levels": [0, 1], "description": "1: had the new treatment"},
                "recovered": {"type": "category", "levels": [0, 1], "description": "1: within a month"},
            },
            "rows": "rounded",
            "rules": "shown",
        },
    }
}


class Recovery(HorizontalAnalytics):
    """Which share of the patients recovered, with and without the treatment."""

    def __init__(self, outcome: str) -> None:
        super().__init__("recovery", min_clients=NODES, max_clients=NODES, description="Does the treatment help?")
        self.outcome = outcome

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"trial": delta.dataset.DataFrame(TRIAL, columns=["treated", self.outcome])}

    def execute(self, trial: DataFrame) -> Any:
        return trial.groupby("treated", categories=[0, 1]).mean()


def whole(url: str) -> None:
    """Go the whole way over the network of the node at ``url``."""
    here = delta.Network(url)
    print(here.datasets(), end="\n\n")

    rows = here.mock(TRIAL, rows=300)
    print("Mock rows, of nobody:")
    print(rows.frame().head(3).to_string(index=False), end="\n\n")

    # A slip, found before anything is submitted.
    begun = time.monotonic()
    print(Recovery("recoverd").check(here))
    print(f"told in {time.monotonic() - begun:.2f} s", end="\n\n")

    task = Recovery("recovered")
    rehearsed = delta.debug(task, trial=rows)
    print(f"On mock rows, which mean nothing:\n{rehearsed}\n")

    found = task.check(here)
    print(found, end="\n\n")
    if not found:
        raise SystemExit("too few nodes can run it")
    with delta.DeltaNode(url) as node, warnings.catch_warnings():
        # What was checked is warned of no more.
        warnings.simplefilter("error", delta.CatalogueWarning)
        number = node.create_task(task)
        if not node.wait(number, timeout=300):
            raise SystemExit(node.progress(number).error)
        print(f"At the hospitals:\n{node.get_result(number)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", help="url of a node; without it three nodes are started")
    arguments = parser.parse_args()
    if arguments.node:
        whole(arguments.node)
        return
    with tempfile.TemporaryDirectory(prefix="delta-catalogue-") as folder, network(Path(folder), POLICIES) as nodes:
        whole(nodes[0].url)


if __name__ == "__main__":
    main()
