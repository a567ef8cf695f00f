"""Which cases of a long list every change is tried on; the others are marked as long, and run with ``--long``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def one_in(of: int, cases: Iterable[Any], part: int = 0) -> list[Any]:
    """Return all cases as parameters, all but those at ``part``, ``part + of``, ... marked as long.

    Tests that take the same list with different parts try each case between them.
    """
    rare = pytest.mark.long
    every = [c if isinstance(c, tuple) else (c,) for c in cases]
    return [pytest.param(*c, marks=() if i % of == part else rare) for i, c in enumerate(every)]
