"""A node, seen from a task's author: submit, follow, fetch.

Talks to the HTTP API of a running ``delta-node`` (``/openapi.json`` there describes it).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TextIO

from . import _answers, _catalogue, _check, _describe, _reasons, _release, results
from ._answers import Progress
from ._connection import UNREADABLE, Connection
from ._errors import DeltaNodeError, TaskFailed, TaskTimeout
from ._follow import Followed, LogPrinter
from ._handle import TaskHandle, attach
from ._progress import Display, display
from .bundle import Bundle
from .certificate import Certificate
from .task import HorizontalTask

__all__ = ["DeltaNode", "DeltaNodeError", "Progress", "TaskFailed", "TaskHandle", "TaskTimeout", "attach"]

#: From how many bytes on a node is asked whether it takes a bundle, before it is sent.
ASKED_FIRST = 16 << 20
#: How many attempts at rounds a node may tell of: one that never comes to the end of its history is not believed.
MOST_ATTEMPTS = 1_000_000


class DeltaNode(Connection):
    """One node: give it tasks, follow them, fetch their results. Nothing is sent before the first method is called.

    Parameters
    ----------
    url : str
        Where the node is, ``http://host:port``.
    timeout : float, optional
        Seconds that a request may take to connect, and then between two pieces of what is sent or received. By default
        10 to connect and 30 for the rest, or what ``client`` says.
    client : httpx.Client, optional
        Makes the requests in place of a client of the node's own: for proxies, certificates and credentials, and for tests
        over ``httpx.MockTransport``. Whoever made it closes it.
    token : str, optional
        What the node's owner made with ``delta-node token create``. By default what stands in ``token_file``, else in the
        environment variable ``DELTA_NODE_TOKEN``, else, for a node on this machine, in ``db/node.token``, where a node keeps its
        own. None is needed where the node trusts the address that the request comes from.
    token_file : path, optional
        File with the token, which nobody but its owner may be able to read.

    Raises
    ------
    DeltaNodeError
        From every method that asks the node: it cannot be reached, it refuses, or its answer cannot be read.
    httpx.InvalidURL
        ``url`` is none.
    OSError
        ``token_file`` cannot be read.
    ValueError
        What was found is no token, or others can read ``token_file``.

    Examples
    --------
    >>> with DeltaNode("http://127.0.0.1:6700") as node:  # doctest: +SKIP
    ...     task_id = node.create_task(task)
    ...     if node.wait(task_id, timeout=300):
    ...         print(node.get_result(task_id))
    """

    def create_task(self, task: HorizontalTask | Bundle, *, check: bool = True) -> int:
        """Submit a task. One that is not built yet is built first.

        Parameters
        ----------
        task : HorizontalTask or Bundle
            What to run.
        check : bool
            Whether to warn beforehand when too few nodes can run it, by what they publish.

        Returns
        -------
        int
            The task's id at this node.

        Warns
        -----
        CatalogueWarning
            By what nodes publish, too few of them can run the task. It is submitted all the same.
        """
        bundle = task if isinstance(task, Bundle) else task.build()
        if check:
            _check.warn_of_few(bundle.manifest, self.network)
        if len(bundle.data) >= ASKED_FIRST:
            self._fits(len(bundle.data))
        files = {"file": (f"{bundle.name}.delta", bundle.data, "application/octet-stream")}
        return self._ask(lambda answer: int(answer.json()["task_id"]), "POST", "/v1/task", files=files)

    def network(self) -> _catalogue.Nodes:
        """Ask what the nodes of the network publish; :class:`delta.Network` makes more of it.

        Returns
        -------
        delta.network.Nodes
            A list of one for each node on the record, of the first 256; ``unasked`` is how many more there are.
        """
        return self._ask(_catalogue.nodes, "GET", "/v1/network/datasets")

    def status(self, task_id: int) -> str:
        """Ask how a task stands.

        Parameters
        ----------
        task_id : int
            As :meth:`create_task` returned it.

        Returns
        -------
        str
            ``PENDING``, ``RUNNING``, ``FINISHED``, ``CONFIRMED`` or ``ERROR``.
        """
        return self._about(lambda answer: str(answer.json()["status"]), "metadata", task_id)

    def metadata(self, task_id: int) -> dict[str, Any]:
        """Ask what the node knows of a task.

        Parameters
        ----------
        task_id : int
            As :meth:`create_task` returned it.

        Returns
        -------
        dict
            ``id``, ``name``, ``type``, ``creator``, ``status``, ``created_at`` (unix milliseconds) and more.
        """
        return self._about(lambda answer: dict(answer.json()), "metadata", task_id)

    def progress(self, task_id: int) -> Progress:
        """Ask how far a task is.

        Parameters
        ----------
        task_id : int
            As :meth:`create_task` returned it.

        Returns
        -------
        Progress
            With the metrics of all rounds so far.
        """
        known, whole = Progress("PENDING"), False
        while not whole:
            known, whole = self._advance(task_id, known)
        return known

    def logs(self, task_id: int, start: int = 0) -> Iterator[dict[str, Any]]:
        """Read a task's log, in order; records that come later are not waited for.

        Parameters
        ----------
        task_id : int
            As :meth:`create_task` returned it.
        start : int
            The first record's id, to go on where an earlier call ended.

        Returns
        -------
        iterator of dict
            ``id``, ``created_at`` (unix milliseconds), ``message``, and ``tx_hash``, a transaction of the network or None.
        """
        return self._pages(task_id, start, 100)

    def attach(self, task_id: int) -> TaskHandle:
        """Take up a task that was submitted before; :func:`delta.attach` does the same in another program. Nobody is asked yet.

        Parameters
        ----------
        task_id : int
            As :meth:`create_task` returned it.

        Returns
        -------
        TaskHandle
            With ``wait()``, ``result()``, ``progress()``, ``logs()`` and ``cancel()`` of that task.
        """
        return TaskHandle(self, task_id)

    def wait(
        self,
        task_id: int,
        timeout: float | None = None,
        *,
        progress: bool = True,
        on_round: Callable[[int, dict[str, Any]], object] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> bool:
        """Wait until a task is over.

        While a node that has answered before cannot be reached, it is asked again until ``timeout``: once that is said with the
        time, and once when it is back. Ctrl-C ends the waiting and not the task; the ``KeyboardInterrupt`` says how to come back
        (:meth:`attach`) and how to end the task (:meth:`cancel`).

        Parameters
        ----------
        task_id : int
            As :meth:`create_task` returned it.
        timeout : float, optional
            Seconds; by default as long as it takes.
        progress : bool
            Show a bar in a terminal or notebook, and a line a round elsewhere; in the end, why the task failed.
        on_round : callable, optional
            ``on_round(round, metrics)`` is called once for each finished round, from 1, also for those that had finished before
            the waiting began. What it raises ends the waiting.
        checkpoint : path, optional
            A file that :meth:`checkpoint` is saved into whenever rounds have finished, the last one over the one before.

        Returns
        -------
        bool
            Whether the task finished; otherwise it ended in an error, which ``progress(task_id).error`` tells.

        Raises
        ------
        TaskTimeout
            It was not over in time.
        """
        save = None if checkpoint is None else lambda: self.checkpoint(task_id).save(checkpoint)
        return self._follow(task_id, timeout, display() if progress else Display(), on_round, save)

    def trace(
        self,
        task_id: int,
        timeout: float | None = None,
        *,
        file: TextIO | None = None,
        on_round: Callable[[int, dict[str, Any]], object] | None = None,
    ) -> bool:
        """Print a task's log until the task is over; otherwise as :meth:`wait`.

        Parameters
        ----------
        task_id : int
            As :meth:`create_task` returned it.
        timeout : float, optional
            Seconds; by default as long as it takes.
        file : text file, optional
            Where to print; by default the standard output.
        on_round : callable, optional
            ``on_round(round, metrics)`` is called once for each finished round.

        Returns
        -------
        bool
            Whether the task finished.

        Raises
        ------
        TaskTimeout
            It was not over in time.
        """
        return self._follow(task_id, timeout, LogPrinter(partial(self.logs, task_id), file), on_round)

    def get_result(self, task_id: int) -> Any:
        """Fetch a finished task's result.

        Parameters
        ----------
        task_id : int
            As :meth:`create_task` returned it.

        Returns
        -------
        number, Series, DataFrame, LearningResult, RegressionResult, or a tuple of these
            What the task declares. A bundle that declares nothing gives a dict of arrays by the names of its outputs. Who took
            part is in ``attrs["rounds"]`` of pandas, and in ``rounds`` of a model: for each finished round how many ``members``
            its sum has, how many of them ``failed`` to compute (None under noise, where nobody says so), how many began it and
            were ``dropped``, and by their addresses ``who`` is in the sum, who was ``lost``, and who ``declined`` by which word
            (``no_such_data``, ``not_allowed``, ...; from the first 10,000 records of the log); the ``seconds`` that it took and
            the ``bytes`` that each member sent. Analytics and regressions have the same members in all rounds, and are of the
            rows of those that did not fail; of learning each round may have others.

        Raises
        ------
        TaskFailed
            The task ended in an error.
        DeltaNodeError
            The task is not over.
        ValueError
            The result is of a kind that this version does not know, or it is one that says that nothing was estimated.
        """
        try:
            made = self._about(_answers.arrays, "result", task_id)
        except DeltaNodeError as error:
            if self.status(task_id) == "ERROR":
                raise TaskFailed._of(f"task {task_id} failed: {self._why_failed(error, task_id)}", error.code) from None
            raise
        known, bundle = self.progress(task_id), self.get_task(task_id)
        try:
            sent = _describe.sent(bundle.manifest)
        except UNREADABLE:
            sent = []
        rounds = _answers.rounds(known, sent, self._beginning_of_log(task_id))
        result = results.build(bundle.manifest, made, known.metrics, rounds)
        if _release.certified(bundle.manifest):
            result.certificate, result.uncertified = self._certificate(task_id)
        return result

    def _certificate(self, task_id: int) -> tuple[Certificate | None, str]:
        """Fetch a task's certificate, or why it has none."""
        try:
            return self._about(lambda answer: Certificate.read(answer.content), "certificate", task_id), ""
        except DeltaNodeError as error:
            if error.passing:
                raise
            return None, str(error)

    def checkpoint(self, task_id: int) -> Any:
        """Fetch what a learning task has come to: while it runs, and after it has finished, failed or was cancelled.

        Parameters
        ----------
        task_id : int
            As :meth:`create_task` returned it.

        Returns
        -------
        LearningResult
            With the parameters after the last finished round, and what the coordinator keeps of the strategy: for
            ``resume_from=`` of a task, ``load_into()`` of a model, and ``save()``. Its metrics and rounds are those so far.

        Raises
        ------
        DeltaNodeError
            No round has finished, the task is no learning task, or the node is of a version that has no checkpoints.
        """
        steps, arrays = self._about_twice(_answers.checkpoint, "checkpoint", task_id)
        if task_id not in self._manifests:
            self._manifests[task_id] = self.get_task(task_id).manifest
        manifest, known = self._manifests[task_id], self.progress(task_id)
        specs = manifest.get("options", {}).get("result") or [{}]
        if [spec.get("kind") for spec in specs] != ["model"]:
            raise DeltaNodeError(f"task {task_id} is no learning task: before its end it has nothing that can be read")
        try:
            sent = _describe.sent(manifest)
        except UNREADABLE:
            sent = []
        return results.build(manifest, arrays, known.metrics[:steps], _answers.rounds(known, sent, [])[:steps])

    def get_task(self, task_id: int) -> Bundle:
        """Fetch the bundle that was submitted.

        Parameters
        ----------
        task_id : int
            As :meth:`create_task` returned it.

        Returns
        -------
        Bundle
            The same bytes.
        """
        return self._about(lambda answer: Bundle(answer.content), "bundle", task_id)

    def cancel(self, task_id: int) -> None:
        """Cancel a task that is not over. Its status is ``ERROR`` then, and nobody computes for it any more.

        Parameters
        ----------
        task_id : int
            As :meth:`create_task` returned it.

        Raises
        ------
        DeltaNodeError
            The task is over, or there is none with this id.
        """
        self._ask(lambda answer: answer.json()["status"], "POST", "/v1/task/cancel", json={"task_id": task_id})

    def _follow(
        self,
        task_id: int,
        timeout: float | None,
        shown: Display,
        on_round: Callable[[int, dict[str, Any]], object] | None,
        save: Callable[[], object] | None = None,
    ) -> bool:
        followed = Followed(self.url, task_id, partial(self._advance, task_id), lambda: self._reached, save)
        return followed.to_its_end(timeout, shown, on_round)

    def _advance(self, task_id: int, known: Progress) -> tuple[Progress, bool]:
        """Ask for what is new since ``known``: a page of it, and whether that is all."""
        now = self._about(partial(_answers.advanced, known), "progress", task_id, start=known.attempts)
        if now.attempts > MOST_ATTEMPTS:
            raise DeltaNodeError(
                f"{self._place}: task {task_id} has more than {MOST_ATTEMPTS:,} attempts at its rounds"
            )
        new = now.attempts - known.attempts
        return now, not new or (new < 1000 and len(now.metrics) >= now.round)

    def _why_failed(self, error: DeltaNodeError, task_id: int) -> str:
        """A failed task's reason; of a regression's equations with the names of its columns."""
        reason = self._why(error)
        if not _reasons.is_singular(reason):
            return reason
        try:
            return _reasons.columns(reason, self.get_task(task_id).manifest)
        except DeltaNodeError:
            return reason
