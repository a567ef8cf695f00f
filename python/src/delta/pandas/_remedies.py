"""What to write instead of what pandas and numpy have and frames at the nodes have not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_ROWS = "rows stay at the nodes; .mean(), .quantile(), .value_counts() and the like say what is in them"
_ORDER = "rows of several nodes have no order; what there is without one: .quantile(), .histogram(), conditions such as df.x > 3"
_EACH = "nodes run no Python of yours; write it with whole columns: df.x * 2 + 1, np.log(df.x), df.x.where(df.x > 0, 0)"
_WHERE = "conditions: df[df.age > 50], and of one column df[df.age > 50].cost"
_TABLE = "groups: df.groupby(['a', 'b']).mean(), .size(), .agg(...)"

_KINDS: Mapping[str, Sequence[str]] = {
    _WHERE: ("loc", "query", "filter"),
    _ROWS: (
        "iloc", "at", "iat", "head", "tail", "sample", "values", "to_numpy", "to_list", "tolist", "items", "iterrows",
        "itertuples", "to_csv", "to_dict", "to_parquet", "unique", "info", "memory_usage", "set_index", "reset_index", "plot",
        "hist", "boxplot", "drop_duplicates", "duplicated", "explode", "array",
    ),
    _ORDER: (
        "sort_values", "sort_index", "nlargest", "nsmallest", "rank", "cumsum", "cumprod", "cummax", "cummin", "shift", "diff",
        "pct_change", "rolling", "expanding", "ewm", "resample", "ffill", "bfill", "interpolate", "argmax", "argmin", "idxmax",
        "idxmin", "first", "last", "autocorr",
    ),
    _EACH: ("apply", "applymap", "map", "pipe", "transform", "eval", "combine"),
    _TABLE: ("pivot", "pivot_table", "melt", "stack", "unstack", "crosstab"),
}  # fmt: skip
_SINGLE = {
    "shape": "how many rows there are is a result: df.x.count(), or df.groupby(...).size()",
    "size": "how many rows there are is a result: df.x.count(), or df.groupby(...).size()",
    "empty": "how many rows there are is a result: df.x.count(), or df.groupby(...).size()",
    "mode": "count the values: df.x.value_counts(categories=[...])",
    "replace": "write df.x.where(df.x != 1, 2), which puts 2 where x is 1",
    "skew": "write ((df.x - df.x.mean()) ** 3).mean() / df.x.std(ddof=0) ** 3, which is not corrected for few rows",
    "kurt": "write ((df.x - df.x.mean()) ** 4).mean() / df.x.std(ddof=0) ** 4 - 3, which is not corrected for few rows",
    "kurtosis": "write ((df.x - df.x.mean()) ** 4).mean() / df.x.std(ddof=0) ** 4 - 3, which is not corrected for few rows",
    "prod": "write np.exp(np.log(df.x).sum()), for numbers above 0",
    "corrwith": "write df.x.corr(df.y) for each pair, or df.corr()",
    "join": "tables are joined where they are declared, in dataset(): DataFrame(...).join(DataFrame(...), on='key')",
    "append": "all nodes' rows are one table already",
    "concat": "all nodes' rows are one table already",
    "str": "texts have levels that are declared: df.ward == 'A', df.ward.isin(['A', 'B']), df.ward.map({'A': 1, 'B': 2})",
    "dt": "declare the column as one of dates: DataFrame(..., dates=['admitted'])",
    "cat": "texts have levels that are declared: df.ward == 'A', df.ward.isin(['A', 'B']), df.ward.map({'A': 1, 'B': 2})",
    "dtypes": "columns are numbers but for those that dataset() declares otherwise",
}
REMEDIES: Mapping[str, str] = {n: text for text, names in _KINDS.items() for n in names} | _SINGLE

_PLAIN = ("mean", "sum", "std", "var", "min", "max", "median")
_REDUCTIONS = {f"{nan}{n}": n for n in _PLAIN for nan in ("", "nan")} | {"amin": "min", "amax": "max"}
_NUMPY = {
    "where": "write a.where(condition, b), and of two numbers (condition) * (a - b) + b",
    "select": "write a.where(condition, b), and of two numbers (condition) * (a - b) + b",
    "percentile": "write df.x.quantile(q), with q from 0 to 1",
    "quantile": "write df.x.quantile(q)",
    "histogram": "write df.x.histogram(bins)",
    "corrcoef": "write df.x.corr(df.y), or df.corr()",
    "cov": "write df.x.cov(df.y), or df.cov()",
    "clip": "write df.x.clip(lower, upper)",
    "round": "write df.x.round(decimals)",
    "unique": "write df.x.value_counts(categories=[...])",
    "average": "write (df.x * df.w).sum() / df.w.sum()",
    "isin": "write df.x.isin([...])",
    "nan_to_num": "write df.x.fillna(0)",
}


def called_by_numpy(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """``np.mean(series)`` and its like, as pandas answers them.

    Raises ``TypeError`` for what needs values, with what to write instead.
    """
    name, given = function.__name__, args[0] if args else None
    if name in _REDUCTIONS and len(args) == 1 and type(given).__name__ == "Series":
        options = {k: v for k, v in kwargs.items() if v is not None and v is not np._NoValue}
        if name.removeprefix("nan") in ("std", "var"):
            # numpy divides by n, also where it asks pandas.
            options = {"ddof": 0} | options
        if set(options) <= {"ddof"}:
            return getattr(given, _REDUCTIONS[name])(**options)
    own = f"write df.x.{_REDUCTIONS[name]}(), without axis=" if name in _REDUCTIONS else None
    instead = own or _NUMPY.get(
        name, "write it with their methods, and functions of numpy that go number by number, such as np.log"
    )
    raise TypeError(f"np.{name} needs values, and delta frames have none while the task is written: {instead}")
