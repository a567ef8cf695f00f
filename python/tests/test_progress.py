"""What is shown while a task runs."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from delta import Progress
from delta._progress import Bar, Lines, Page, display, shown


def running(waits_for: str = "", metrics: list[dict[str, float]] | None = None, **more: Any) -> Progress:
    metrics = metrics or []
    return Progress("RUNNING", len(metrics), 3, waits_for, metrics=metrics, **more)


def test_lines_tell_each_round_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.update(running(metrics=[{"loss": 0.5}]))
    lines.update(running("the keys of 0x1", [{"loss": 0.5}]))
    lines.update(Progress("FINISHED", 3, 3, metrics=[{"loss": 0.5}, {"loss": 0.25}, {}]))
    assert capsys.readouterr().out.splitlines() == ["round 1 of 3  loss 0.5", "round 2 of 3  loss 0.25", "round 3 of 3"]


def drawn(*updates: Progress) -> str:
    screen = io.StringIO()
    with Bar(Console(file=screen, force_terminal=True, color_system=None, width=160)) as bar:
        for now in updates:
            bar.update(now)
    return screen.getvalue()


def test_the_bar_shows_the_phase_what_is_waited_for_and_the_last_metrics() -> None:
    seen = drawn(running("0x1 to join, until 08:00:00 UTC on 30 November", phase="nodes join"))
    assert "nodes join" in seen and "waiting for 0x1 to join, until 08:00:00 UTC on 30 November" in seen
    seen = drawn(Progress("FINISHED", 2, 5, metrics=[{"accuracy": 0.5}, {"accuracy": 0.875}]))
    assert "2/2" in seen, "a task that ended early is complete"
    assert "accuracy 0.875" in seen


def test_the_bar_takes_nothing_for_markup() -> None:
    last = [{"[red]loss": 0.5}]
    seen = drawn(running("[bold]the owner[/x]", last), Progress("ERROR", error="[/x] is not there", metrics=last))
    assert "[red]loss 0.5" in seen and "failed: [/x] is not there" in seen


def test_each_reason_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    few, many = "too few members", "too many members"
    failed = Progress("ERROR", reasons=[few, few, many, few], error=f"in round 1, after 4 attempts: {few}")
    for seen in (lambda: capsys.readouterr().out, None):
        updates = [running(reasons=[few]), running(reasons=[few, few]), failed, failed]
        if seen is None:
            text = drawn(*updates)
        else:
            lines = Lines()
            for now in updates:
                lines.update(now)
            text = seen()
        assert text.count(few) == 1 and text.count("in round 1, after 4 attempts") == 1
    Lines().update(failed)
    assert capsys.readouterr().out.splitlines() == [f"failed: in round 1, after 4 attempts: {few}"]


class Notebook:
    """What IPython.display has, and the outputs of one cell."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outputs: list[str] = []
        self.redrawn = 0
        monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())  # type: ignore[arg-type]
        made = SimpleNamespace(HTML=str, display=self.display)
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=made))  # type: ignore[arg-type]
        monkeypatch.setitem(sys.modules, "IPython.display", made)  # type: ignore[arg-type]

    def display(self, page: str, display_id: bool) -> Any:
        assert display_id
        self.outputs.append(page)
        place = len(self.outputs) - 1

        def update(page: str) -> None:
            self.redrawn += 1
            self.outputs[place] = page

        return SimpleNamespace(update=update)


def test_a_notebook_has_one_output_that_is_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook(monkeypatch)
    page = display()
    assert isinstance(page, Page)
    with page:
        page.update(
            running("the part of 0x1", [{"loss": 0.5}], phase="members compute", members=[3], dropped=[0], failed=[0])
        )
        page.update(
            running("the part of 0x1", [{"loss": 0.5}], phase="members compute", members=[3], dropped=[0], failed=[0])
        )
        assert notebook.redrawn == 0, "nothing is new"
        page.note("no answer since <now>")
    (output,) = notebook.outputs
    assert "loss 0.5" in output and "the part of 0x1" in output and "members compute" in output and "1 of 3" in output
    assert "no answer since &lt;now&gt;" in output
    page.update(Progress("ERROR", error="<script>alert(1)</script>"))
    (output,) = notebook.outputs
    assert "<script" not in output and "&lt;script&gt;" in output


def test_files_get_lines() -> None:
    assert isinstance(display(), Lines)


def test_numbers_are_short() -> None:
    assert shown({"loss": 0.123456789, "rows": 3.0}) == "loss 0.1235  rows 3"


def test_lines_say_who_is_not_in_a_round(capsys: pytest.CaptureFixture[str]) -> None:
    told = Progress(
        "FINISHED", 3, 3, metrics=[{}, {"loss": 0.5}, {}], members=[3, 2, 3], failed=[0, 0, 1], dropped=[0, 1, 0]
    )
    with Lines() as lines:
        lines.update(told)
    assert capsys.readouterr().out.splitlines() == [
        "round 1 of 3",
        "round 2 of 3  loss 0.5  2 of 3 members: 1 declined or was lost",
        "round 3 of 3  2 of 3 members: 1 could not compute",
    ]


def test_lines_say_once_what_is_waited_for_long(capsys: pytest.CaptureFixture[str]) -> None:
    clock = [0.0]
    long = "0x34 to join, until 08:00:00 UTC on 30 November"
    with Lines(lambda: clock[0]) as lines:
        for clock[0], waits_for in (
            (0.0, "the keys of 0x12"),
            (9.0, "the keys of 0x12"),
            (9.5, long),
            (19.0, long),
            (19.5, long),
            (60.0, long),
            (61.0, ""),
        ):
            lines.update(running(waits_for))
    assert capsys.readouterr().out.splitlines() == [f"waits for {long}"]


def test_lines_say_once_that_the_connector_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines() as lines:
        for waits_for in (
            "the keys of 0x12",
            *["the connector since 03:40 UTC"] * 3,
            "",
            "the connector since 09:00 UTC",
        ):
            lines.update(running(waits_for))
    away = ["waits for the connector since 03:40 UTC", "waits for the connector since 09:00 UTC"]
    assert capsys.readouterr().out.splitlines() == away
