"""A node, seen from a task's author: submit, follow, fetch.

Talks to the HTTP API of a running ``delta-node`` (``/openapi.json`` there describes it).
"""

from __future__ import annotations

import io
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TextIO

import httpx
import numpy as np

from . import results
from ._progress import Display, display
from .bundle import Bundle
from .task import HorizontalTask

#: How long one request may take, in seconds; uploads and downloads count from the last byte.
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
ENDED = ("FINISHED", "CONFIRMED", "ERROR")


class DeltaNodeError(Exception):
    """A node could not be reached, or refused a request; the text says which and why."""


class TaskFailed(DeltaNodeError):
    """A task ended in an error; the text has the node's reason."""


class TaskTimeout(DeltaNodeError):
    """A task was not over in the time that the caller gave it. It goes on at the node."""


@dataclass
class Progress:
    """How a task is getting on: ``round`` of at most ``rounds`` are done, and what each of them gave.

    ``waits_for``: what the node waits for, in words. ``error``: why the task failed. ``attempts``: rounds that were begun and
    ended, repeated ones included.
    """

    status: str
    round: int = 0
    rounds: int = 0
    waits_for: str = ""
    error: str = ""
    metrics: list[dict[str, float]] = field(default_factory=list)
    attempts: int = 0


class DeltaNode:
    """One node, at ``url`` (``http://host:port``).

    ``timeout``: seconds for one request. Methods raise :class:`DeltaNodeError` when the node cannot be reached or refuses.
    """

    def __init__(self, url: str, *, timeout: float | None = None) -> None:
        """Remember the node's address; nothing is sent yet."""
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=TIMEOUT if timeout is None else timeout, trust_env=False)

    def create_task(self, task: HorizontalTask | Bundle) -> int:
        """Submit a task and return its id at this node. A task that is not built yet is built first."""
        bundle = task if isinstance(task, Bundle) else task.build()
        files = {"file": (f"{bundle.name}.delta", bundle.data, "application/octet-stream")}
        return int(self._request("POST", "/v1/task", files=files).json()["task_id"])

    def status(self, task_id: int) -> str:
        """Return ``PENDING``, ``RUNNING``, ``FINISHED``, ``CONFIRMED`` or ``ERROR``."""
        return str(self.metadata(task_id)["status"])

    def metadata(self, task_id: int) -> dict[str, Any]:
        """Return what the node knows of a task: id, name, type, creator, status, created_at."""
        return dict(self._request("GET", "/v1/task/metadata", params={"task_id": task_id}).json())

    def progress(self, task_id: int) -> Progress:
        """Return how far a task is."""
        return self._advance(task_id, Progress("PENDING"))

    def logs(self, task_id: int, start: int = 0) -> Iterator[dict[str, Any]]:
        """Yield the task's log records from record id ``start`` on: ``id``, ``created_at`` (ms), ``message``, ``tx_hash``."""
        while True:
            page = self._request(
                "GET", "/v1/task/logs", params={"task_id": task_id, "start": start, "limit": 100}
            ).json()
            yield from page
            if len(page) < 100:
                return
            start = page[-1]["id"] + 1

    def wait(self, task_id: int, timeout: float | None = None, *, progress: bool = True) -> bool:
        """Wait until a task is over; return whether it finished.

        ``timeout``: seconds, ``None`` for as long as it takes. ``progress``: show a bar, in a terminal or a notebook.

        Raises :class:`TaskTimeout`.
        """
        return self._follow(task_id, timeout, display() if progress else Display())

    def trace(self, task_id: int, timeout: float | None = None, *, file: TextIO | None = None) -> bool:
        """Print the task's log until it is over; return whether it finished.

        Raises :class:`TaskTimeout`.
        """
        return self._follow(task_id, timeout, _LogPrinter(self, task_id, file or sys.stdout))

    def get_result(self, task_id: int) -> Any:
        """Return a finished task's result in the form that the task declares: numbers, Series, DataFrames, a model.

        Raises :class:`TaskFailed` when the task ended in an error, :class:`DeltaNodeError` when it is not over.
        """
        try:
            npz = self._request("GET", "/v1/task/result", params={"task_id": task_id}).content
        except DeltaNodeError as error:
            if self.status(task_id) == "ERROR":
                raise TaskFailed(str(error)) from None
            raise
        bundle = self.get_task(task_id)
        with np.load(io.BytesIO(npz), allow_pickle=False) as arrays:
            return results.build(bundle.manifest, dict(arrays), self.progress(task_id).metrics)

    def get_task(self, task_id: int) -> Bundle:
        """Return the bundle that was submitted."""
        return Bundle(self._request("GET", "/v1/task/bundle", params={"task_id": task_id}).content)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> DeltaNode:
        """Use the node in a ``with`` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def _follow(self, task_id: int, timeout: float | None, shown: Display) -> bool:
        end = None if timeout is None else time.monotonic() + timeout
        pause, now = 0.05, Progress("PENDING")
        with shown:
            while True:
                now = self._advance(task_id, now)
                shown.update(now.status, now.round, now.rounds, now.waits_for, now.metrics)
                if now.status in ENDED:
                    return now.status != "ERROR"
                if end is not None and time.monotonic() >= end:
                    raise TaskTimeout(
                        f"task {task_id} is not over after {timeout:g} s: {now.status}, round {now.round} of {now.rounds}"
                        + (f", waiting for {now.waits_for}" if now.waits_for else "")
                    )
                # Quick for short tasks, one request a second for long ones.
                time.sleep(pause)
                pause = min(pause * 1.3, 1.0)

    def _advance(self, task_id: int, known: Progress) -> Progress:
        """Ask for what is new since ``known``."""
        attempts, metrics = known.attempts, list(known.metrics)
        while True:
            answer = self._request("GET", "/v1/task/progress", params={"task_id": task_id, "start": attempts}).json()
            for report in answer["history"]:
                attempts += 1
                if report["error"] is None:
                    metrics.append({k: math.nan if v is None else float(v) for k, v in report["metrics"].items()})
            if len(answer["history"]) < 1000:
                break
        waits_for, error = answer["waits_for"] or "", answer["error"] or ""
        return Progress(answer["status"], answer["round"], answer["rounds"], waits_for, error, metrics, attempts)

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise DeltaNodeError(f"{self.url} cannot be reached: {error or type(error).__name__}") from error
        if answer.is_success:
            return answer
        try:
            detail = answer.json()["detail"]
            detail = detail if isinstance(detail, str) else "; ".join(str(d.get("msg", d)) for d in detail)
        except (ValueError, KeyError, TypeError, AttributeError):
            detail = answer.text[:500] or answer.reason_phrase
        raise DeltaNodeError(f"{self.url}{path}: {detail} (HTTP {answer.status_code})")


class _LogPrinter(Display):
    """Prints new log records at each update."""

    def __init__(self, node: DeltaNode, task_id: int, file: TextIO) -> None:
        self._node, self._task_id, self._file, self._start = node, task_id, file, 0

    def update(self, status: str, round: int, rounds: int, waits_for: str, metrics: list[dict[str, float]]) -> None:
        for record in self._node.logs(self._task_id, self._start):
            self._start = record["id"] + 1
            when = datetime.fromtimestamp(record["created_at"] / 1000).strftime("%Y-%m-%d %H:%M:%S")
            transaction = f"  (tx {record['tx_hash']})" if record["tx_hash"] else ""
            print(f"{when}  {record['message']}{transaction}", file=self._file, flush=True)
