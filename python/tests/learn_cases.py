"""Rows for :mod:`delta.learn` over three members, and comparing fitted estimators with scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from pooled import run

EXACT = {"rtol": 1e-8, "atol": 1e-10}
SPLIT = (60, 120)
NUMBERS = ["a", "b", "c"]
COUNTS = ["m0", "m1", "m2"]
CATEGORIES = ["c0", "c1"]


def rows(n: int = 180, seed: int = 0) -> pd.DataFrame:
    """Numbers of several scales, counts, categories, a class ``k`` of three, one ``t`` of two, a number ``y``, weights ``w``."""
    rng = np.random.default_rng(seed)
    k = rng.integers(0, 3, n)
    x = rng.normal(size=(n, 3)) * [1, 10, 3] + [0, 1000, -20] + np.outer(k, [1, 4, 0])
    frame = pd.DataFrame(x, columns=NUMBERS).assign(k=k.astype(float), t=(k > 0).astype(float))
    frame["y"] = x @ [1.0, 0.2, -0.5] + rng.normal(size=n)
    frame["w"] = rng.uniform(0.2, 3, n)
    for i, column in enumerate(COUNTS):
        frame[column] = rng.poisson(2 + i * k).astype(float)
    for column in CATEGORIES:
        frame[column] = np.minimum(rng.integers(0, 4, n), k + 1).astype(float)
    return frame


ROWS = rows()


def ours(execute: Callable[[Any], Any], frame: pd.DataFrame = ROWS, **options: Any) -> Any:
    return run(execute, frame, split=SPLIT, **options)


def alike(mine: Any, theirs: Any, skip: tuple[str, ...] = (), **tolerance: float) -> None:
    """Fail unless all that scikit-learn's estimator has learnt is ours."""
    learnt = [n for n in vars(theirs) if n.endswith("_") and not n.startswith("_") and n not in skip]
    assert learnt
    for name in learnt:
        a, b = getattr(mine, name), getattr(theirs, name)
        if name == "feature_names_in_":
            assert list(a) == list(b)
        elif isinstance(b, list):
            assert len(a) == len(b)
            for one, other in zip(a, b, strict=True):
                np.testing.assert_allclose(one, other, err_msg=name, **(tolerance or EXACT))
        else:
            np.testing.assert_allclose(a, b, err_msg=name, **(tolerance or EXACT))
