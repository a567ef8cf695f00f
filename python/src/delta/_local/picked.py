"""Some rows of a dataset as one member's: nothing is copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .data import Rows
from .joins import Found

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


class Picked:
    """Those rows of ``all`` that ``index`` names, in its order."""

    def __init__(self, all_rows: Rows, index: Ints) -> None:
        """Look at rows of others."""
        self._all, self._index = all_rows, index

    @property
    def found(self) -> Sequence[Found]:
        """What all the rows have looked up in other tables."""
        return self._all.found

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._index)

    def read(self, field: Any, rows: Ints) -> Array:
        """Return a field of some rows."""
        return self._all.read(field, self._index[rows])

    def there(self, rows: Ints) -> Ints:
        """Return those of some rows that find one in each inner join."""
        if not self._all.found:
            return rows
        chosen = self._index[rows]
        return rows[np.isin(chosen, self._all.there(chosen))]
