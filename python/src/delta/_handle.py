"""One task at one node, as one thing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import _html
from ._answers import Progress
from ._errors import DeltaNodeError

if TYPE_CHECKING:
    import httpx

    from .bundle import Bundle
    from .delta_node import DeltaNode


class TaskHandle:
    """One task at one node; :meth:`DeltaNode.attach` and :func:`delta.attach` make it. The task goes on without it.

    Parameters
    ----------
    node : DeltaNode
        Where the task is.
    task_id : int
        Its id there.

    Examples
    --------
    >>> task = delta.attach("http://127.0.0.1:6700", 7)  # doctest: +SKIP
    >>> if task.wait():  # doctest: +SKIP
    ...     print(task.result())
    """

    def __init__(self, node: DeltaNode, task_id: int) -> None:
        self.node, self.task_id = node, task_id

    def wait(
        self,
        timeout: float | None = None,
        *,
        progress: bool = True,
        on_round: Callable[[int, dict[str, Any]], object] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> bool:
        """Wait until it is over, as :meth:`DeltaNode.wait` does.

        Parameters
        ----------
        timeout : float, optional
            Seconds; by default as long as it takes.
        progress : bool
            Show a bar in a terminal or notebook, and a line a round elsewhere.
        on_round : callable, optional
            Called once for each finished round with its number, from 1, and its metrics.
        checkpoint : path, optional
            A file that :meth:`checkpoint` is saved into whenever rounds have finished.

        Returns
        -------
        bool
            Whether it finished.
        """
        return self.node.wait(self.task_id, timeout, progress=progress, on_round=on_round, checkpoint=checkpoint)

    def result(self) -> Any:
        """Fetch the result, as :meth:`DeltaNode.get_result` does.

        Returns
        -------
        object
            What the task declares.
        """
        return self.node.get_result(self.task_id)

    def checkpoint(self) -> Any:
        """Fetch what it has come to so far, as :meth:`DeltaNode.checkpoint` does.

        Returns
        -------
        LearningResult
            After the last finished round.
        """
        return self.node.checkpoint(self.task_id)

    def progress(self) -> Progress:
        """Ask how far it is.

        Returns
        -------
        Progress
            With the metrics of all rounds so far.
        """
        return self.node.progress(self.task_id)

    def status(self) -> str:
        """Ask how it stands.

        Returns
        -------
        str
            ``PENDING``, ``RUNNING``, ``FINISHED``, ``CONFIRMED`` or ``ERROR``.
        """
        return self.node.status(self.task_id)

    def logs(self, start: int = 0) -> Iterator[dict[str, Any]]:
        """Read its log, as :meth:`DeltaNode.logs` does.

        Parameters
        ----------
        start : int
            The first record's id, to go on where an earlier call ended.

        Returns
        -------
        iterator of dict
            ``id``, ``created_at``, ``message`` and ``tx_hash`` of each record.
        """
        return self.node.logs(self.task_id, start)

    def bundle(self) -> Bundle:
        """Fetch what was submitted.

        Returns
        -------
        Bundle
            The same bytes.
        """
        return self.node.get_task(self.task_id)

    def cancel(self) -> None:
        """End it. Its status is ``ERROR`` then, and nobody computes for it any more."""
        self.node.cancel(self.task_id)

    def __repr__(self) -> str:
        """Show which task it is; nobody is asked."""
        return f"TaskHandle({_html.place(self.node.url)!r}, {self.task_id})"

    def _repr_html_(self) -> str:
        title = f"Task {self.task_id} at {_html.place(self.node.url)}"
        try:
            return _html.progress(self.progress(), title)
        except DeltaNodeError as error:
            return _html.pairs(title, [("no answer", str(error))])


def attach(
    url: str,
    task_id: int,
    *,
    timeout: float | None = None,
    client: httpx.Client | None = None,
    token: str | None = None,
    token_file: str | os.PathLike[str] | None = None,
) -> TaskHandle:
    """Take up a task that was submitted before, in this program or another. Nobody is asked yet.

    Parameters
    ----------
    url : str
        Where the node is, ``http://host:port``.
    task_id : int
        As :meth:`DeltaNode.create_task` returned it.
    timeout : float, optional
        As of :class:`delta.DeltaNode`.
    client : httpx.Client, optional
        As of :class:`delta.DeltaNode`.
    token : str, optional
        As of :class:`delta.DeltaNode`.
    token_file : path, optional
        As of :class:`delta.DeltaNode`.

    Returns
    -------
    TaskHandle
        With ``wait()``, ``result()``, ``progress()``, ``logs()`` and ``cancel()`` of that task.

    Examples
    --------
    >>> task = delta.attach("http://127.0.0.1:6700", 7)  # doctest: +SKIP
    >>> if task.wait(timeout=300):  # doctest: +SKIP
    ...     print(task.result())
    """
    from .delta_node import DeltaNode

    return DeltaNode(url, timeout=timeout, client=client, token=token, token_file=token_file).attach(task_id)
