"""What a node answers, as values of Python. Each function reads one answer and raises whatever comes of one that is none."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import httpx
import numpy as np


@dataclass
class Progress:
    """How a task is getting on.

    Parameters
    ----------
    status : str
        ``PENDING``, ``RUNNING``, ``FINISHED``, ``CONFIRMED`` or ``ERROR``.
    round : int
        Rounds that are done.
    rounds : int
        Rounds that there are at most.
    waits_for : str
        What the node waits for, in words, and until when; empty when it waits for nothing.
    error : str
        Why the task failed; empty when it did not.
    metrics : list of dict of str to float
        What each finished round gave, by name; NaN where a round had no number.
    attempts : int
        Rounds that were begun and ended, repeated ones included.
    failed : list of int
        In each finished round, how many members could not compute their part and have contributed zeros. Which ones, and why,
        only their owners can know. Under noise nobody says so, and all are 0.
    members : list of int
        In each finished round, how many members are in its sum. They are the same ones in rounds that say so of themselves
        (``cohort`` in the manifest), as all of analytics and regressions do.
    dropped : list of int
        In each finished round, how many members began it and are not in its sum: they declined, were lost, or too slow.
    who : list of list of str
        In each finished round, the members in its sum, by their addresses on the connector's record; empty of older nodes.
    lost : list of list of str
        In each finished round, the members that began it and are not in its sum.
    """

    status: str
    round: int = 0
    rounds: int = 0
    waits_for: str = ""
    error: str = ""
    metrics: list[dict[str, float]] = field(default_factory=list)
    attempts: int = 0
    failed: list[int] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    who: list[list[str]] = field(default_factory=list)
    lost: list[list[str]] = field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        """For each finished round who is not in its sum, in words; empty where everybody is."""
        return [_missing(*round) for round in zip(self.members, self.dropped, self.failed, strict=True)]


def _missing(members: int, dropped: int, failed: int) -> str:
    parts = [f"{dropped} declined or {'was' if dropped == 1 else 'were'} lost"] if dropped else []
    parts += [f"{failed} could not compute"] if failed else []
    return f"{members - failed} of {members + dropped} members: {', '.join(parts)}" if parts else ""


def _waits(waits_for: str, until: int | None) -> str:
    """Return what is waited for, with the end in milliseconds since 1970 in words; the connector has none."""
    if not waits_for or until is None:
        return waits_for
    return f"{waits_for}, until {datetime.fromtimestamp(until / 1000, timezone.utc):%H:%M:%S UTC on %d %B}"


def advanced(known: Progress, answer: httpx.Response) -> Progress:
    """What is known after an answer with the attempts that follow."""
    told, attempts, metrics = answer.json(), known.attempts, list(known.metrics)
    failed, members, dropped = list(known.failed), list(known.members), list(known.dropped)
    who, lost = list(known.who), list(known.lost)
    for report in told["history"]:
        attempts += 1
        if report["error"] is None:
            metrics.append({k: math.nan if v is None else float(v) for k, v in report["metrics"].items()})
            # Absent from the answers of older nodes.
            failed.append(report.get("failed", 0))
            members.append(report["members"])
            dropped.append(report["dropped"])
            who.append(report.get("who", []))
            lost.append(report.get("lost", []))
    waits_for, error = _waits(told["waits_for"] or "", told.get("until")), told["error"] or ""
    members_told = (failed, members, dropped, who, lost)
    return Progress(told["status"], told["round"], told["rounds"], waits_for, error, metrics, attempts, *members_told)


def records(answer: httpx.Response) -> tuple[list[dict[str, Any]], int]:
    """A page of the log, and the id at which the next one begins."""
    page = [dict(record) for record in answer.json()]
    return page, int(page[-1]["id"]) + 1 if page else 0


def arrays(answer: httpx.Response) -> dict[str, Any]:
    """The arrays of a result, by the names of the task's outputs."""
    with np.load(io.BytesIO(answer.content), allow_pickle=False) as npz:
        return dict(npz)
