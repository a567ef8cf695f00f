"""Sixty tasks as people write them who know pandas, statsmodels, scikit-learn and torch, over three real nodes.

About a third of them here; all with ``DELTA_TESTS=whole``, and as a table with ``python tests/sixty/table.py``.
"""

from __future__ import annotations

import pytest
import sixty_frames
import sixty_learning
import sixty_statistics
from sixty_cases import CASES, Case, chosen, solve, write

from conftest import Network
from short import WHOLE

__all__ = ["sixty_frames", "sixty_learning", "sixty_statistics"]
RUN = chosen(WHOLE, CASES)


@pytest.fixture(scope="module")
def stocked(network: Network) -> Network:
    write(network.folders)
    return network


def test_there_are_sixty() -> None:
    assert len(CASES) == len({c.name for c in CASES}) == 60
    assert {c.group for c in RUN} == {c.group for c in CASES}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", RUN, ids=lambda c: c.name)
def test_a_task_is_what_its_library_gives_on_all_rows(case: Case, stocked: Network) -> None:
    assert solve(case, stocked.node, stocked.folders) <= case.within
