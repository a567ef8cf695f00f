"""What a run in CI leaves out: of many alike cases some are tried, all of them where ``DELTA_TESTS=whole`` is set.

Every kind of case is in the short form; what is left out are more samples of a kind.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

T = TypeVar("T")
WHOLE = os.environ.get("DELTA_TESTS") == "whole"


def some(cases: Iterable[T], kind: Callable[[T], Hashable], each: int = 1) -> list[T]:
    """All cases, or the first ``each`` of every kind."""
    counted: dict[Hashable, int] = {}
    out = []
    for case in cases:
        counted[kind(case)] = counted.get(kind(case), 0) + 1
        if WHOLE or counted[kind(case)] <= each:
            out.append(case)
    return out
