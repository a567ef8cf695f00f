"""Showing how a task gets on: a bar in a terminal or notebook (with ``rich``), plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

LONG = 10.0
"""Seconds of one and the same wait after which it is said: members are waited for in every round, and mostly not for long."""


class Waits:
    """What is waited for, once that is worth a word."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing."""
        self._clock = clock
        self._since, self._what = clock(), ""

    def worth(self, waits_for: str) -> str:
        """Return what is waited for: the connector at once, anybody else after a while; empty otherwise."""
        if waits_for != self._what:
            self._since, self._what = self._clock(), waits_for
        told = waits_for.startswith("the connector") or self._clock() - self._since >= LONG
        return waits_for if told else ""


class Display:
    """Shows nothing; the base of those that do."""

    def __enter__(self) -> Display:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, also when an exception passes."""

    def update(
        self,
        status: str,
        round: int,
        rounds: int,
        waits_for: str,
        metrics: list[dict[str, float]],
        missing: Sequence[str] = (),
    ) -> None:
        """Show where the task is: ``round`` of ``rounds`` are done; ``missing``: who is not in each, in words."""


class Lines(Display):
    """One line a round."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin before the first round."""
        self._shown = 0
        self._waits, self._told = Waits(clock), ""

    def update(
        self,
        status: str,
        round: int,
        rounds: int,
        waits_for: str,
        metrics: list[dict[str, float]],
        missing: Sequence[str] = (),
    ) -> None:
        """Print the rounds that are new."""
        for number, values in enumerate(metrics[self._shown :], self._shown + 1):
            who = missing[number - 1] if number <= len(missing) else ""
            print("  ".join(filter(None, (f"round {number} of {rounds}", shown(values), who))), flush=True)
        self._shown = len(metrics)
        told = self._waits.worth(waits_for)
        if told and told != self._told:
            print(f"waits for {told}", flush=True)
        self._told = told


class Bar(Display):
    """A bar with the last round's metrics, redrawn in place."""

    def __init__(self, console: Any = None) -> None:
        """Make the bar, on rich's own console or another.

        Raises ``ImportError`` when rich is missing.
        """
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[last]}"),
        )
        self._waits = Waits()
        self._progress = Progress(*columns, console=console)
        self._task = self._progress.add_task("task", total=None, last="")

    def __enter__(self) -> Bar:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        """Leave the last state on the screen."""
        self._progress.stop()

    def update(
        self,
        status: str,
        round: int,
        rounds: int,
        waits_for: str,
        metrics: list[dict[str, float]],
        missing: Sequence[str] = (),
    ) -> None:
        """Move the bar."""
        over = status in ("FINISHED", "CONFIRMED")
        # A task that ended early is complete all the same.
        total = max(round, 1) if over else rounds or None
        last = "  ".join(filter(None, (shown(metrics[-1]) if metrics else "", missing[-1] if missing else "")))
        told = self._waits.worth(waits_for) or (waits_for if not metrics else "")
        if told:
            last = f"waiting for {told}"
        self._progress.update(self._task, description=status.lower(), completed=round, total=total, last=last)


def display() -> Display:
    """Return what fits where the program runs."""
    with suppress(ImportError):
        from rich.console import Console

        if Console().is_terminal or "ipykernel" in sys.modules:
            return Bar()
    return Lines()


def shown(metrics: dict[str, float]) -> str:
    """Return metrics on one line."""
    return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
