"""Following a task until it is over: through lost connections, and out of it with Ctrl-C."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO

from . import _html
from ._answers import Progress
from ._errors import DeltaNodeError, TaskTimeout
from ._progress import Display

ENDED = ("FINISHED", "CONFIRMED", "ERROR")
OnRound = Callable[[int, dict[str, Any]], object]


@dataclass(frozen=True)
class Followed:
    """A task, and how the node is asked for it."""

    url: str
    task_id: int
    #: What is known after one page more, and whether that is all there is.
    advance: Callable[[Progress], tuple[Progress, bool]]
    #: Whether the node has ever answered: of one that never did, a wrong url is more likely than a lost connection.
    reached: Callable[[], bool]
    #: Keeps what the finished rounds have come to, somewhere else.
    save: Callable[[], object] | None = None

    def to_its_end(self, timeout: float | None, shown: Display, on_round: OnRound | None) -> bool:
        """Wait for the end, and tell whether there is a result."""
        try:
            with shown:
                return self._wait(timeout, shown, on_round)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self.goes_on()) from None

    def goes_on(self) -> str:
        """How to come back to the task, or to end it."""
        back = f"delta.attach({json.dumps(_html.place(self.url))}, {self.task_id})"
        return (
            f"task {self.task_id} goes on at the node. To come back: node.attach({self.task_id}).wait(), or in another program "
            f"{back}.wait(); to end it: {back}.cancel()"
        )

    def _wait(self, timeout: float | None, shown: Display, on_round: OnRound | None) -> bool:
        end = None if timeout is None else time.monotonic() + timeout
        pause, now, told = 0.05, Progress("PENDING"), 0
        lost: tuple[datetime, float, str] | None = None
        whole, saved = False, 0
        while True:
            try:
                now, whole = self.advance(now)
                shown.prepare()
                if self.save is not None and whole and len(now.metrics) > saved:
                    self.save()
                    saved = len(now.metrics)
            except DeltaNodeError as error:
                if not error.passing or not self.reached():
                    raise
                if lost is None:
                    lost = datetime.now(), time.monotonic(), str(error)
                    shown.note(f"no answer since {lost[0]:%H:%M:%S}, asking again: {error}")
            else:
                if lost is not None:
                    shown.note(f"{_html.place(self.url)} answers again, after {time.monotonic() - lost[1]:.0f} s")
                    lost = None
                shown.update(now)
                for number, values in enumerate(now.metrics[told:], told + 1):
                    told = number
                    if on_round is not None:
                        on_round(number, dict(values))
                if whole and now.status in ENDED:
                    return now.status != "ERROR"
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise TaskTimeout(self._late(timeout or 0.0, now, lost))
            if lost is None and not whole:
                continue
            # Quick for short tasks, one request a second for long ones.
            time.sleep(pause if left is None else min(pause, left))
            pause = min(pause * 1.3, 1.0)

    def _late(self, timeout: float, now: Progress, lost: tuple[datetime, float, str] | None) -> str:
        text = f"task {self.task_id} is not over after {timeout:g} s"
        if lost is not None:
            text = (
                f"task {self.task_id} was not over after {timeout:g} s when it was last heard of, at {lost[0]:%H:%M:%S}"
            )
        text += f": {now.status}, round {now.round} of {now.rounds}"
        text += f", waiting for {now.waits_for}" if now.waits_for else ""
        return text + (f"; {lost[2]}" if lost is not None else "")


class LogPrinter(Display):
    """Prints new log records at each update."""

    def __init__(self, logs: Callable[[int], Iterable[dict[str, Any]]], file: TextIO | None) -> None:
        """Begin with the first record; ``logs`` gives those from an id on."""
        self._logs, self._file, self._start = logs, file or sys.stdout, 0
        self._new: list[dict[str, Any]] = []

    def prepare(self) -> None:
        """Fetch what is new."""
        self._new = list(self._logs(self._start))

    def update(self, now: Progress) -> None:
        """Print it."""
        for record in self._new:
            self._start = record["id"] + 1
            when = datetime.fromtimestamp(record["created_at"] / 1000).strftime("%Y-%m-%d %H:%M:%S")
            transaction = f"  (tx {record['tx_hash']})" if record["tx_hash"] else ""
            self.note(f"{when}  {record['message']}{transaction}")

    def note(self, text: str) -> None:
        """Print it among the records."""
        print(text, file=self._file, flush=True)
