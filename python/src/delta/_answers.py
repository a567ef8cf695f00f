"""What a node answers, as values of Python. Each function reads one answer and raises whatever comes of one that is none."""

from __future__ import annotations

import io
import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import httpx
import numpy as np

from . import _html, _metrics, _reasons


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
        Why the task failed, with nodes counted and the word for each reason; empty when it did not fail.
    metrics : list of dict of str to float or ndarray
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
    seconds : list of float
        How long each finished round took; attempts that failed before it are not counted.
    attempt : list of int
        Which attempt, from 1, each finished round was.
    phase : str
        What happens in the running round, in words; empty when none runs.
    reasons : list of str
        Why each attempt failed that did, in the form of ``error``.
    declined : list of dict of str to str
        For each finished round, and once more for what came after the last one: who declined an attempt that failed, by
        addresses, and the word for it (``no_such_data``, ``not_allowed``, ...). Who declined one that did not fail is in
        ``declined`` of a result's rounds.
    """

    status: str
    round: int = 0
    rounds: int = 0
    waits_for: str = ""
    error: str = ""
    metrics: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 0
    failed: list[int] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    who: list[list[str]] = field(default_factory=list)
    lost: list[list[str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    attempt: list[int] = field(default_factory=list)
    phase: str = ""
    reasons: list[str] = field(default_factory=list)
    declined: list[dict[str, str]] = field(default_factory=lambda: [{}])

    @property
    def missing(self) -> list[str]:
        """For each finished round who is not in its sum, in words; empty where everybody is."""
        return [_missing(*round) for round in zip(self.members, self.dropped, self.failed, strict=True)]

    @property
    def history(self) -> Any:
        """A pandas DataFrame with a row for each finished round: ``round``, its metrics, ``members`` and ``seconds``.

        Without pandas it is a list of dicts.
        """
        told = [{"members": m, "seconds": s} for m, s in zip(self.members, self.seconds, strict=True)]
        return _metrics.table(self.metrics, told)

    def _repr_html_(self) -> str:
        return _html.progress(self)


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
    told = answer.json()
    now = Progress(told["status"], told["round"], told["rounds"])
    now.waits_for = _waits(_reasons.waits(told["waits_for"] or ""), told.get("until"))
    now.error = _reasons.final(told["error"] or "")
    now.phase = _reasons.PHASES.get(told.get("phase", ""), "")
    now.attempts = known.attempts + len(told["history"])
    for name in ("metrics", "failed", "members", "dropped", "who", "lost", "seconds", "attempt", "reasons", "declined"):
        setattr(now, name, list(getattr(known, name)))
    for number, report in enumerate(told["history"], known.attempts + 1):
        if report["error"] is not None:
            now.reasons.append(_reasons.plain(report["error"]))
            now.declined[-1] = {**now.declined[-1], **_reasons.declines(report["error"])}
            continue
        shown = {k: math.nan if v is None else float(v) for k, v in report["metrics"].items()}
        now.metrics.append(_metrics.folded(shown))
        # Absent from the answers of older nodes.
        now.failed.append(report.get("failed", 0))
        now.members.append(report["members"])
        now.dropped.append(report["dropped"])
        now.who.append(report.get("who", []))
        now.lost.append(report.get("lost", []))
        now.seconds.append(float(report["seconds"]))
        now.attempt.append(number)
        now.declined.append({})
    return now


def rounds(known: Progress, sent: Sequence[int], log: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is to be said of each finished round: who was in it and who not, how long it took, and what each member sent.

    ``sent``: bytes for each round of the task; ``log``: records that may say who declined.
    """
    names = ("members", "failed", "dropped", "who", "lost", "seconds")
    told = [{name: getattr(known, name)[i] for name in names} for i in range(len(known.metrics))]
    declined = [dict(each) for each in known.declined]
    for record in log:
        if (found := _reasons.declined(str(record.get("message", "")))) is not None:
            attempt, address, word = found
            declined[bisect_left(known.attempt, attempt)].setdefault(address, word)
    for i, one in enumerate(told):
        one["declined"] = declined[i]
        if i < len(sent):
            one["bytes"] = sent[i]
    return told


def records(answer: httpx.Response) -> tuple[list[dict[str, Any]], int]:
    """A page of the log, and the id at which the next one begins."""
    page = [dict(record) for record in answer.json()]
    return page, int(page[-1]["id"]) + 1 if page else 0


def checkpoint(answer: httpx.Response) -> tuple[int, dict[str, Any]]:
    """How many rounds are done, and the coordinator's variables as the last one left them."""
    return int(answer.headers["x-delta-steps"]), arrays(answer)


def arrays(answer: httpx.Response) -> dict[str, Any]:
    """The arrays of a result, by the names of the task's outputs."""
    with np.load(io.BytesIO(answer.content), allow_pickle=False) as npz:
        return dict(npz)
