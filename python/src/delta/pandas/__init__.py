"""``DataFrame`` and ``Series`` with pandas' names, arguments and treatment of missing values, computed at the nodes.

Nothing is computed while a task is written: frames are expressions. In ``delta.task.HorizontalAnalytics.execute`` one comes
for each dataset; its rows are those of all members, whose tables stay where they are. An aggregate (``df.mean()``) is a
secure sum over the members and gives a result with labels, which can be computed with further, also together with rows
(``(df - df.mean()) / df.std()``); every such dependency costs a round.

What there is: selection of columns and, by conditions, of rows; arithmetic, comparison and logic with ``fill_value`` and
``axis``; missing values; ``where mask clip round isin between astype`` and numpy's functions; ``all any count sum mean``
(one round), ``std var sem cov corr`` (two), ``min max median quantile describe`` (four, or fewer with ``bounds``);
``groupby value_counts nunique`` over declared categories; ``histogram``. Where pandas is not matched:

- every column of a table is float64; ``astype(int)`` leaves missing values missing instead of raising an error;
- order statistics have a precision, see :meth:`DataFrame.quantile`; other aggregates are made of exact sums, whatever the scale
  of a column, see :meth:`DataFrame.sum`;
- categories are declared, because which values occur is nobody's to see; they stand in the order declared;
- operands must have the same rows or labels; pandas would align them and fill the gaps with NaN;
- a result with several dtypes comes back with their common one.

Anything else raises an error while the task is written, at the author's line.

For kinds of tasks that make rounds and graphs out of frames: :mod:`delta.pandas.symbolic`.
"""

from . import symbolic
from ._base import Labels
from ._emit import Emitted, emit, reads
from ._frame import DataFrame, table
from ._group import GroupBy
from ._series import Scalar, Series

__all__ = [
    "DataFrame",
    "Emitted",
    "GroupBy",
    "Labels",
    "Scalar",
    "Series",
    "emit",
    "reads",
    "symbolic",
    "table",
]
