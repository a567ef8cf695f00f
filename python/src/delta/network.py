"""What the nodes of a network publish about their data: look, make mock rows, and see who can run a task.

What is published is what the owners of data wrote, or said may be told; nobody's data is looked at.
"""

from __future__ import annotations

import os
from typing import Any

import httpx

from . import _catalogue, _check, _mock
from ._catalogue import Column, Datasets, Listing, Node, Nodes, Published
from ._check import Check, Verdict
from ._mock import Mock
from .bundle import Bundle
from .delta_node import DeltaNode
from .task import HorizontalTask

__all__ = ["Check", "Column", "Datasets", "Listing", "Mock", "Network", "Node", "Nodes", "Published", "Verdict"]


class Network:
    """The nodes of a network, as the node sees them that is asked. That node asks the others, and believes only what they signed.

    Parameters
    ----------
    url : str
        Where the node is, ``http://host:port``.
    timeout : float, optional
        As of :class:`delta.DeltaNode`.
    client : httpx.Client, optional
        As of :class:`delta.DeltaNode`.
    token : str, optional
        As of :class:`delta.DeltaNode`; its scope is ``read``.
    token_file : path, optional
        As of :class:`delta.DeltaNode`.

    Raises
    ------
    DeltaNodeError
        From every method: the node cannot be reached, it refuses, or its answer cannot be read.

    Examples
    --------
    >>> network = delta.Network("http://127.0.0.1:6700")  # doctest: +SKIP
    >>> print(network.datasets())  # doctest: +SKIP
    >>> delta.debug(task, patients=network.mock("patients.csv", rows=200))  # doctest: +SKIP
    >>> print(task.check(network))  # doctest: +SKIP
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float | None = None,
        client: httpx.Client | None = None,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
    ) -> None:
        self._node = DeltaNode(url, timeout=timeout, client=client, token=token, token_file=token_file)

    def nodes(self) -> Nodes:
        """Ask which nodes there are, and what each publishes.

        Returns
        -------
        Nodes
            A list of :class:`Node`, of those that publish nothing, are away or are not believed, too; ``unasked`` is how many
            more there are. ``print`` shows it.
        """
        return self._node.network()

    def datasets(self) -> Datasets:
        """Ask which datasets there are.

        Returns
        -------
        Datasets
            A dict by the names of datasets; ``print`` shows it.
        """
        return _catalogue.datasets(self.nodes())

    def columns(self, dataset: str) -> dict[str, Column]:
        """Ask for the columns of a table.

        Parameters
        ----------
        dataset : str
            Its name, such as ``patients.csv``.

        Returns
        -------
        dict of str to Column
            All that some node has, each with what the nodes say alike of it, and with those that lack it.

        Raises
        ------
        ValueError
            No node publishes it, or none says which columns it has.
        """
        columns = self._published(dataset).columns
        if not columns:
            raise ValueError(f"{dataset}: no node says which columns it has")
        return columns

    def mock(self, dataset: str, rows: int = 200, *, seed: int = 0) -> Any:
        """Make up rows that look as nodes say: for writing and debugging a task, never for results.

        They are drawn from types, levels and ranges alone, each column by itself: numbers from 0 to 100 where no range is
        published. The same seed gives the same rows. Samples have the shape that the asked node publishes, else one that the
        roster vouches for, else the first of the others.

        Parameters
        ----------
        dataset : str
            Its name, such as ``patients.csv``.
        rows : int
            How many.
        seed : int
            Of chance.

        Returns
        -------
        Mock, ndarray, or pair of ndarray
            Of a table a dict of columns, which :func:`delta.debug` takes; ``.frame()`` is a DataFrame. Of samples ``x``, or
            ``(x, y)`` where they have classes.

        Raises
        ------
        ValueError
            No node publishes it, or none says what it has; ``rows`` is not above 0; what is made up would have more than 2 GiB,
            or more dimensions than an array has.
        """
        if rows < 1:
            raise ValueError(f"rows={rows}: must be above 0")
        published = self._published(dataset)
        # The asked node's own first, and those that are vouched for before those that only say who they are.
        for address, listing in published.listings.items():
            if listing.shape is not None:
                return _mock.samples(listing, rows, seed, f"{published.shown[address]}: {dataset}")
        if not published.columns:
            raise ValueError(f"{dataset}: no node says what it has, so no rows can be made up")
        return _mock.table(published.columns, rows, seed)

    def check(self, task: HorizontalTask | Bundle) -> Check:
        """See which nodes can run a task, by what they publish; nothing is submitted, and no data is looked at.

        Parameters
        ----------
        task : HorizontalTask or Bundle
            What to look at; one that is not built yet is built first.

        Returns
        -------
        Check
            True when enough can; ``print`` says of each node what it lacks.
        """
        bundle = task if isinstance(task, Bundle) else task.build()
        return _check.check(bundle.manifest, self.nodes())

    def close(self) -> None:
        """Close the connections; those of a ``client`` that was given stay open."""
        self._node.close()

    def __enter__(self) -> Network:
        """Use the network in a ``with`` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def _published(self, dataset: str) -> Published:
        found = self.datasets()
        if dataset not in found:
            raise ValueError(f"no node publishes {dataset}; published: {', '.join(found) or 'nothing'}")
        return found[dataset]
