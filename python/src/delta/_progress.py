"""Showing how a task gets on: a bar in a notebook or, with ``rich``, in a terminal; plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any

from . import _html, _metrics
from ._answers import Progress

LONG = 10.0
"""Seconds of one and the same wait after which it is said: members are waited for in every round, and mostly not for long."""


class Display:
    """Shows nothing; the base of those that do."""

    def __enter__(self) -> Display:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, also when an exception passes."""

    def prepare(self) -> None:
        """Ask for what else is to be shown; what this raises, a lost connection too, leaves everything as it was."""

    def update(self, now: Progress) -> None:
        """Show where the task is."""

    def note(self, text: str) -> None:
        """Say something that is not about the task itself, in one line."""


class News:
    """What is to be said of a task, each thing once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing."""
        self._clock = clock
        self._since, self._what, self._told = clock(), "", ""
        self._reasons: list[str] = []
        self._read, self._failed = 0, False

    def waits(self, waits_for: str) -> str:
        """Return what is waited for: the connector at once, anybody else after a while; empty otherwise."""
        if waits_for != self._what:
            self._since, self._what = self._clock(), waits_for
        told = waits_for.startswith("the connector") or self._clock() - self._since >= LONG
        return waits_for if told else ""

    def lines(self, now: Progress) -> list[str]:
        """What is new: attempts that failed and are repeated, waits that are long."""
        said = []
        for reason in now.reasons[self._read :]:
            # That of the last attempt is in the error of the task.
            if reason not in self._reasons and now.status != "ERROR":
                self._reasons.append(reason)
                said.append(f"an attempt failed: {reason}")
        self._read = len(now.reasons)
        told = self.waits(now.waits_for)
        if told and told != self._told:
            said.append(f"waits for {told}")
        self._told = told
        return said

    def end(self, now: Progress) -> list[str]:
        """Why the task failed, once."""
        if now.status != "ERROR" or self._failed:
            return []
        self._failed, text = True, self.error(now)
        return [f"failed: {text}" if text else "failed"]

    def error(self, now: Progress) -> str:
        """Why the task failed, without the reason of its attempts where that was said."""
        text = now.error
        for reason in self._reasons:
            text = "" if text == reason else text.removesuffix(f": {reason}")
        return text


class Lines(Display):
    """One line a round."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin before the first round."""
        self._shown = 0
        self._news = News(clock)

    def update(self, now: Progress) -> None:
        """Print the rounds that are new, and why some failed."""
        missing = now.missing
        for number, values in enumerate(now.metrics[self._shown :], self._shown + 1):
            who = missing[number - 1] if number <= len(missing) else ""
            self.note("  ".join(filter(None, (f"round {number} of {now.rounds}", shown(values), who))))
        self._shown = len(now.metrics)
        for line in self._news.lines(now) + self._news.end(now):
            self.note(line)

    def note(self, text: str) -> None:
        """Print it."""
        print(text, flush=True)


class Bar(Display):
    """A bar with the phase and the last round's metrics, redrawn in place."""

    def __init__(self, console: Any = None) -> None:
        """Make the bar, on rich's own console or another.

        Raises ``ImportError`` when rich is missing.
        """
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        # Texts of others are no markup.
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[last]}", markup=False),
        )
        self._news = News()
        self._progress = Progress(*columns, console=console)
        self._task = self._progress.add_task("task", total=None, last="")

    def __enter__(self) -> Bar:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        """Leave the last state on the screen."""
        self._progress.stop()

    def update(self, now: Progress) -> None:
        """Move the bar."""
        over = now.status in ("FINISHED", "CONFIRMED")
        # A task that ended early is complete all the same.
        total = max(now.round, 1) if over else now.rounds or None
        missing = now.missing[-1:]
        # Before the first round there is nothing else to say.
        told = self._news.waits(now.waits_for) or (now.waits_for if not now.metrics else "")
        last = [shown(now.metrics[-1]) if now.metrics else "", *missing, f"waiting for {told}" if told else ""]
        doing = now.status.lower() if over or now.error else now.phase or now.status.lower()
        fields: dict[str, Any] = {"total": total, "last": "  ".join(filter(None, last))}
        self._progress.update(self._task, description=doing, completed=now.round, **fields)
        for line in self._news.lines(now) + self._news.end(now):
            self.note(line)

    def note(self, text: str) -> None:
        """Print it above the bar."""
        self._progress.console.print(text, markup=False, highlight=False)


class Page(Display):
    """A bar in the output of a notebook's cell, redrawn in place; it needs nothing but the notebook."""

    def __init__(self) -> None:
        """Take the notebook's functions; raises ``ImportError`` where there is none."""
        from IPython.display import HTML, display

        self._html, self._display = HTML, display
        self._news = News()
        self._notes: list[str] = []
        self._now, self._page, self._shown = Progress("PENDING"), "", None

    def update(self, now: Progress) -> None:
        """Draw it again, where something is new."""
        self._notes += self._news.lines(now)
        self._now = replace(now, error=self._news.error(now))
        self._draw()

    def note(self, text: str) -> None:
        """Put it under the bar."""
        self._notes.append(text)
        self._draw()

    def _draw(self) -> None:
        page = _html.progress(self._now) + "".join(f"<div>{_html.text(note)}</div>" for note in self._notes)
        if page == self._page:
            return
        self._page = page
        if self._shown is None:
            self._shown = self._display(self._html(page), display_id=True)
        else:
            self._shown.update(self._html(page))


def display() -> Display:
    """Return what fits where the program runs."""
    if "ipykernel" in sys.modules:
        with suppress(ImportError):
            return Page()
    with suppress(ImportError):
        from rich.console import Console

        if Console().is_terminal:
            return Bar()
    return Lines()


def shown(metrics: dict[str, Any]) -> str:
    """Return metrics on one line."""
    return "  ".join(f"{name} {_metrics.brief(value)}" for name, value in metrics.items())
