"""What is shown while a task runs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from delta._answers import Progress
from delta._progress import Bar, Lines, display, shown


def test_lines_tell_each_round_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.update("RUNNING", 1, 3, "", [{"loss": 0.5}])
    lines.update("RUNNING", 1, 3, "ShareKeys of 0x1", [{"loss": 0.5}])
    lines.update("FINISHED", 3, 3, "", [{"loss": 0.5}, {"loss": 0.25}, {}])
    assert capsys.readouterr().out.splitlines() == ["round 1 of 3  loss 0.5", "round 2 of 3  loss 0.25", "round 3 of 3"]


def test_the_bar_shows_what_is_waited_for_and_the_last_metrics() -> None:
    screen = io.StringIO()
    with Bar(Console(file=screen, force_terminal=True, width=120)) as bar:
        bar.update("RUNNING", 0, 3, "AdvertiseKeys of 0x1", [])
    assert "waiting for AdvertiseKeys of 0x1" in screen.getvalue()
    screen = io.StringIO()
    with Bar(Console(file=screen, force_terminal=True, width=120)) as bar:
        bar.update("FINISHED", 2, 5, "", [{"accuracy": 0.5}, {"accuracy": 0.875}])
    assert "2/2" in screen.getvalue(), "a task that ended early is complete"
    assert "accuracy 0.875" in screen.getvalue()


def test_files_get_lines() -> None:
    assert isinstance(display(), Lines)


def test_numbers_are_short() -> None:
    assert shown({"loss": 0.123456789, "rows": 3.0}) == "loss 0.1235  rows 3"


def test_lines_say_who_is_not_in_a_round(capsys: pytest.CaptureFixture[str]) -> None:
    told = Progress(
        "FINISHED", 3, 3, metrics=[{}, {"loss": 0.5}, {}], members=[3, 2, 3], failed=[0, 0, 1], dropped=[0, 1, 0]
    )
    with Lines() as lines:
        lines.update(told.status, told.round, told.rounds, told.waits_for, told.metrics, told.missing)
    assert capsys.readouterr().out.splitlines() == [
        "round 1 of 3",
        "round 2 of 3  loss 0.5  2 of 3 members: 1 declined or was lost",
        "round 3 of 3  2 of 3 members: 1 could not compute",
    ]


def test_lines_say_once_what_is_waited_for_long(capsys: pytest.CaptureFixture[str]) -> None:
    clock = [0.0]
    long = "AdvertiseKeys of 0x34, until 08:00:00 UTC on 30 November"
    with Lines(lambda: clock[0]) as lines:
        for clock[0], waits_for in (
            (0.0, "ShareKeys of 0x12"),
            (9.0, "ShareKeys of 0x12"),
            (9.5, long),
            (19.0, long),
            (19.5, long),
            (60.0, long),
            (61.0, ""),
        ):
            lines.update("RUNNING", 0, 3, waits_for, [])
    assert capsys.readouterr().out.splitlines() == [f"waits for {long}"]


def test_lines_say_once_that_the_connector_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines() as lines:
        for waits_for in (
            "ShareKeys of 0x12",
            *["the connector since 03:40 UTC"] * 3,
            "",
            "the connector since 09:00 UTC",
        ):
            lines.update("RUNNING", 0, 3, waits_for, [])
    away = ["waits for the connector since 03:40 UTC", "waits for the connector since 09:00 UTC"]
    assert capsys.readouterr().out.splitlines() == away
