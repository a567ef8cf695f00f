"""What real nodes remember of controlled releases: no two of rows that differ by few, none of the same numbers with others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import delta
from conftest import program
from delta.task import HorizontalAnalytics
from test_private_examples import example

STAFF = "staff.csv"
RULES = {STAFF: {"columns": {"person": "identifier", "wage": "value"}, "approval": "controlled"}}


class Wages(HorizontalAnalytics):
    """Some statistic of the wages."""

    def __init__(self, what: Callable[[Any], Any], members: int, most: int) -> None:
        super().__init__("wages", min_clients=members, max_clients=most, connection_timeout=3, wait_timeout=10)
        self.strategy.retries = 0
        self.what = what

    def dataset(self) -> dict[str, delta.dataset.DataFrame]:
        return {"staff": delta.dataset.DataFrame(STAFF, columns=["wage"])}

    def execute(self, staff: Any) -> Any:
        return self.what(staff["wage"])


def wages(nodes: int) -> list[Any]:
    return [np.sort(example("private_nodes").tables(i)[STAFF]["wage"]) for i in range(nodes)]


def run(node: Any, what: Callable[[Any], Any], members: int, most: int) -> tuple[Any, str]:
    """The result of a task, or the author's word for why there is none."""
    with delta.DeltaNode(node.url) as client:
        number = client.create_task(Wages(what, members, most))
        if client.wait(number, timeout=60, progress=False):
            return client.get_result(number), ""
        return None, str(client.progress(number).error)


def log_of(node: Any) -> str:
    return "".join(file.read_text() for file in (Path(node.config).parent / "log").iterdir())


@pytest.fixture
def start(tmp_path: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DELTA_NODE_BIN", program())
        yield lambda count: example("private_nodes").network(tmp_path, RULES, count)


def test_a_sum_over_all_but_a_few_is_not_released_after_that_over_all(start: Any) -> None:
    tables = wages(3)
    # So many wages that every node has 1 to 9 above it.
    cut = int(max(table[-9] for table in tables))
    above = [int((table > cut).sum()) for table in tables]
    assert all(0 < n < 10 for n in above), above
    pooled = pd.Series(np.concatenate(tables))
    with start(3) as nodes:
        mean, why = run(nodes[0], lambda w: w.mean(), 3, 3)
        assert not why and mean == pytest.approx(pooled.mean())
        again, why = run(nodes[0], lambda w: w.mean() + w.std(), 3, 3)
        assert not why and again == pytest.approx(pooled.mean() + pooled.std())
        none, why = run(nodes[0], lambda w: w[w <= cut].mean(), 3, 3)
        assert none is None and why
        # The author is told no rule and no number; the owner is.
        assert "overlap" not in why and not any(str(n) in why.split() for n in above)
        assert all("records.overlap" in log_of(node) for node in nodes)
        half, why = run(nodes[0], lambda w: w[w <= 5000].mean(), 3, 3)
        assert not why and half == pytest.approx(pooled[pooled <= 5000].mean())


def test_the_same_numbers_go_to_one_cohort(start: Any) -> None:
    with start(4) as nodes:
        four, why = run(nodes[0], lambda w: w.mean(), 3, 4)
        assert not why and four == pytest.approx(np.concatenate(wages(4)).mean())
        nodes[3].process.terminate()
        nodes[3].process.wait(30)
        nodes[3].process = None
        none, why = run(nodes[0], lambda w: w.mean(), 3, 4)
        assert none is None and why
        assert any("records.cohort" in log_of(node) for node in nodes[:3])
        # Another question was not asked before.
        three, why = run(nodes[0], lambda w: (w / 2).mean(), 3, 4)
        assert not why and three == pytest.approx(np.concatenate(wages(3)).mean() / 2)
