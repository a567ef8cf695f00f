"""How rows are given to the clients of a simulation. Users know these names as those of ``delta.simulation``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rows = list[npt.NDArray[np.int64]]


class Split:
    """How rows are given to clients; :func:`iid`, :func:`dirichlet` and :func:`by` make them.

    Attributes
    ----------
    column : str, array or None
        What the rows are split by: a column's name, or a value for each row.
    """

    column: Any = None

    def rows(self, count: int, labels: Any, clients: int | None, rng: np.random.Generator) -> Rows:
        """Say which rows each client has.

        Parameters
        ----------
        count : int
            How many rows there are.
        labels : array of shape [count], or None
            What each row has in :attr:`column`, or its label; None where nothing is known.
        clients : int, optional
            How many clients are asked for.
        rng : numpy.random.Generator
            Where chance comes from.

        Returns
        -------
        list of array of int
            Row numbers for each client, in ascending order; each row stands once.

        Raises
        ------
        ValueError
            The rows cannot be split so.
        """
        return self._rows(count, labels, clients, rng)

    def _rows(self, count: int, labels: Any, clients: int | None, rng: np.random.Generator) -> Rows:
        raise NotImplementedError


@dataclass(frozen=True)
class IID(Split):
    """Rows drawn alike for all clients, who have the same number of them, give or take one."""

    def _rows(self, count: int, labels: Any, clients: int | None, rng: np.random.Generator) -> Rows:
        number = _enough(count, clients)
        return [np.sort(part) for part in np.array_split(rng.permutation(count), number)]


@dataclass(frozen=True)
class Dirichlet(Split):
    """Each label's rows in shares that are drawn from a Dirichlet distribution.

    Parameters
    ----------
    alpha : float
        Small ones give each client few labels; large ones make clients alike.
    column : str, array or None
        What the rows are split by.
    least : int
        Rows that each client has at least.

    Raises
    ------
    ValueError
        ``alpha`` or ``least`` cannot be.
    """

    alpha: float
    column: Any = None
    least: int = 10

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 < self.alpha < np.inf:
            raise ValueError(f"alpha={self.alpha!r}: must be a number above 0")
        if self.least < 1:
            raise ValueError(f"least={self.least!r}: must be at least 1 row")

    def _rows(self, count: int, labels: Any, clients: int | None, rng: np.random.Generator) -> Rows:
        number = _enough(count, clients)
        if labels is None:
            raise ValueError(
                "dirichlet splits by labels, and the data has none: name a column, or give a value for each row, column=..."
            )
        kinds, codes = np.unique(_comparable(labels), return_inverse=True)
        if len(kinds) * 2 > count:
            raise ValueError(
                f"dirichlet splits by classes, and there are {len(kinds)} different labels in {count} rows: name a column "
                "with few values, column=..."
            )
        owner = np.empty(count, np.int64)
        for kind in range(len(kinds)):
            here = rng.permutation(np.flatnonzero(codes == kind))
            edges = np.rint(np.cumsum(rng.dirichlet(np.full(number, self.alpha))) * len(here)).astype(int)[:-1]
            owner[here] = np.repeat(np.arange(number), np.diff([0, *np.minimum(edges, len(here)), len(here)]))
        self._feed(owner, number, rng)
        return [np.flatnonzero(owner == client) for client in range(number)]

    def _feed(self, owner: npt.NDArray[np.int64], clients: int, rng: np.random.Generator) -> None:
        """Give rows of the largest clients to those that have too few."""
        least = min(self.least, len(owner) // clients)
        sizes = np.bincount(owner, minlength=clients)
        for client in np.flatnonzero(sizes < least):
            while sizes[client] < least:
                rich = int(sizes.argmax())
                owner[rng.choice(np.flatnonzero(owner == rich))] = client
                sizes[rich] -= 1
                sizes[client] += 1


@dataclass(frozen=True)
class By(Split):
    """A client for each value of a column.

    Parameters
    ----------
    column : str or array
        A column's name, or a value for each row.
    """

    column: Any

    def _rows(self, count: int, labels: Any, clients: int | None, rng: np.random.Generator) -> Rows:
        kinds, codes = np.unique(_comparable(labels), return_inverse=True)
        if clients is not None and clients != len(kinds):
            raise ValueError(f"clients={clients}: the column has {len(kinds)} different values, a client each")
        return [np.flatnonzero(codes == kind) for kind in range(len(kinds))]


def iid() -> IID:
    """Split rows at random and evenly.

    Returns
    -------
    IID
        For ``split=``.
    """
    return IID()


def dirichlet(alpha: float, column: Any = None, *, least: int = 10) -> Dirichlet:
    """Split each label's rows in shares drawn from a Dirichlet distribution, so that clients differ.

    Parameters
    ----------
    alpha : float
        Above 0. With 0.1 most clients have one or two labels, with 100 all are nearly alike.
    column : str or array, optional
        A column of the table, or a value for each row. By default the labels that the task reads.
    least : int
        Rows that each client has at least: who has been given fewer gets some of the largest client, drawn at random. Where
        there are not so many rows, an equal share.

    Returns
    -------
    Dirichlet
        For ``split=``.

    Raises
    ------
    ValueError
        ``alpha`` or ``least`` cannot be.
    """
    return Dirichlet(alpha, column, least)


def by(column: Any) -> By:
    """Make a client of each value of a column, such as a hospital or a writer.

    Parameters
    ----------
    column : str or array
        A column of the table, which the task need not read, or a value for each row.

    Returns
    -------
    By
        For ``split=``.
    """
    return By(column)


def _comparable(labels: Any) -> Array:
    values = np.asarray(labels)
    return values.astype(str) if values.dtype.kind == "O" else values


def _enough(count: int, clients: int | None) -> int:
    number = 100 if clients is None else clients
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 1 <= number <= count:
        raise ValueError(f"clients={number!r}: must be a whole number from 1 to {count}, the number of rows")
    return int(number)
