"""Random programs, each run on symbols over three members and on pandas over the pooled rows."""

from __future__ import annotations

import operator
import random
from typing import Any

import numpy as np
import pytest

from pooled import agrees, sample

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod]
COMPARISON = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
LOGIC = [operator.and_, operator.or_, operator.xor]
NUMBERS = [-2, 3, 0.5, 2.0, -1.25]
AGGREGATES = ["sum", "mean", "count", "std", "var", "any", "all", "sem"]


class Program:
    """A program drawn from a seed; the same one for symbols and for pandas."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, df: Any) -> Any:
        r = random.Random(self.seed)
        if r.random() < 0.5:
            df = df[self.mask(r, df, 1)]
        if r.random() < 0.5:
            df = df.copy()
            df["e"] = self.series(r, df, 2)
        results = []
        for _ in range(4):
            x = self.frame(r, df) if r.random() < 0.4 else self.series(r, df, 3)
            if r.random() < 0.3:
                x = x[self.mask(r, df, 1)]
            options = {"skipna": False} if r.random() < 0.2 else {}
            name = r.choice(AGGREGATES)
            results.append(getattr(x, name)(**({} if name == "count" else options)))
        return tuple(results)

    def column(self, r: random.Random, df: Any) -> Any:
        return df[r.choice(list(df.columns))]

    def series(self, r: random.Random, df: Any, depth: int) -> Any:
        """A float series of moderate size."""
        if depth == 0:
            return self.column(r, df)
        kind = r.randrange(9)
        a = self.series(r, df, depth - 1).clip(-500, 500)
        if kind == 0:
            return r.choice(ARITHMETIC)(a, self.series(r, df, depth - 1).clip(-500, 500))
        if kind == 1:
            return r.choice(ARITHMETIC)(a, r.choice(NUMBERS))
        if kind == 2:
            return r.choice(ARITHMETIC)(r.choice(NUMBERS), a)
        if kind == 3:
            return a.where(self.mask(r, df, depth - 1), self.series(r, df, depth - 1))
        if kind == 4:
            return a.fillna(r.choice(NUMBERS))
        if kind == 5:
            return self.mask(r, df, depth - 1).astype(r.choice([int, float])) * a
        if kind == 6:
            name = r.choice(["add", "rsub", "mul", "truediv"])
            return getattr(a, name)(self.series(r, df, depth - 1), fill_value=r.choice(NUMBERS))
        if kind == 7:
            return np.sqrt(abs(a)) if r.random() < 0.5 else np.floor(a).abs()
        return a - a.mean()

    def mask(self, r: random.Random, df: Any, depth: int) -> Any:
        if depth > 0 and r.random() < 0.5:
            return r.choice(LOGIC)(self.mask(r, df, depth - 1), self.mask(r, df, depth - 1))
        kind = r.randrange(4)
        if kind == 0:
            return self.column(r, df).isna()
        if kind == 1:
            return ~self.column(r, df).isin([0, 1, 2])
        if kind == 2:
            return r.choice(COMPARISON)(self.column(r, df), self.column(r, df))
        return r.choice(COMPARISON)(self.column(r, df), r.choice(NUMBERS))

    def frame(self, r: random.Random, df: Any) -> Any:
        names = r.sample(list(df.columns), 3)
        x = df[names]
        kind = r.randrange(5)
        if kind == 0:
            return r.choice(ARITHMETIC)(x, r.choice(NUMBERS))
        if kind == 1:
            return r.choice(ARITHMETIC)(x, x.fillna(1).mean() + 0.1)
        if kind == 2:
            return x.sub(self.series(r, df, 1), axis="index")
        if kind == 3:
            return x.mask(x > r.choice(NUMBERS), r.choice(NUMBERS))
        return x > r.choice(NUMBERS)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("seed", range(60))
def test_random_programs_agree_with_pandas(seed: int) -> None:
    agrees(Program(seed), sample(seed=seed), rtol=2e-6)
