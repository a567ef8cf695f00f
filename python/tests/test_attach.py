"""Waiting for a task: through lost connections, with Ctrl-C, and from another program."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

import delta
from delta import _follow, _html

URL = "http://node:6700"


class Node:
    """Answers as a node does; each request is counted, and ``away`` says which of them find nobody."""

    def __init__(self) -> None:
        self.asked = 0
        self.paths: list[str] = []
        self.away: Callable[[int], Exception | httpx.Response | None] = lambda _: None
        self.ends = 3
        self.error: str | None = None
        self.cancelled = False
        self.metrics: dict[str, float | None] = {"loss": 0.5}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        path = request.url.path
        self.paths.append(path)
        gone = self.away(self.asked)
        if isinstance(gone, Exception):
            raise gone
        if gone is not None:
            return gone
        if path == "/v1/task/progress":
            return httpx.Response(200, content=json.dumps(self.progress(int(request.url.params["start"]))))
        if path == "/v1/task/cancel":
            self.cancelled = True
        if path == "/v1/task/logs":
            records = [{"id": 1, "created_at": 0, "message": "begun", "tx_hash": None}]
            return httpx.Response(200, json=[r for r in records if r["id"] >= int(request.url.params["start"])])
        if path == "/v1/task/bundle":
            manifest = {"format": "delta-task/1", "name": "sum", "variables": {}, "rounds": [], "outputs": []}
            return httpx.Response(200, content=delta.Bundle.pack(manifest, {}, {}).data)
        if path == "/v1/task/result":
            out = io.BytesIO()
            np.savez(out, total=np.array([3.0]))
            return httpx.Response(200, content=out.getvalue())
        return httpx.Response(200, json={"id": 7, "status": "RUNNING"})

    def progress(self, start: int) -> dict[str, Any]:
        done = min(self.asked, self.ends)
        over = done == self.ends
        one = {"seconds": 1.0, "members": 3, "dropped": 0, "failed": 0, "error": None, "metrics": self.metrics}
        status = ("ERROR" if self.error else "FINISHED") if over else "RUNNING"
        return {
            "status": status,
            "round": done,
            "rounds": self.ends,
            "phase": "MaskedInput",
            "waits_for": None,
            "error": self.error if over else None,
            "history": [{"round": n + 1, **one} for n in range(done)][start:],
        }

    @property
    def client(self) -> delta.DeltaNode:
        return delta.DeltaNode(URL, client=self.http)

    @property
    def http(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self))


REFUSED = httpx.ConnectError("[Errno 111] Connection refused")


@pytest.mark.parametrize(
    "lost",
    [
        REFUSED,
        httpx.ReadTimeout("timed out"),
        httpx.RemoteProtocolError("disconnected"),
        httpx.Response(503, text="starting"),
    ],
    ids=["refused", "timeout", "disconnected", "503"],
)
def test_a_lost_connection_is_said_once_and_so_is_its_end(
    lost: Exception | httpx.Response, capsys: pytest.CaptureFixture[str]
) -> None:
    node = Node()
    node.ends = 8
    node.away = lambda asked: lost if 2 <= asked <= 5 else None
    assert node.client.wait(7, timeout=20)
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if not line.startswith("round ")] == [said[1], said[2]]
    assert re.match(rf"no answer since \d\d:\d\d:\d\d, asking again: {URL}", said[1])
    assert said[2] == f"{URL} answers again, after 0 s"
    assert [line.split("  ")[0] for line in said if line.startswith("round ")] == [
        f"round {n} of 8" for n in range(1, 9)
    ]


def test_the_log_is_not_lost_with_the_connection(capsys: pytest.CaptureFixture[str]) -> None:
    node = Node()
    node.ends = 8
    node.away = lambda asked: REFUSED if asked in (2, 3, 5) else None
    assert node.client.trace(7, timeout=20)
    out = capsys.readouterr().out
    assert out.count("begun") == 1 and out.count("no answer since") == out.count("answers again") > 0


def test_waiting_for_a_node_that_stays_away_ends_with_the_timeout() -> None:
    node = Node()
    node.away = lambda asked: REFUSED if asked > 1 else None
    with pytest.raises(delta.TaskTimeout) as raised:
        node.client.wait(7, timeout=0.3, progress=False)
    heard = r"task 7 was not over after 0\.3 s when it was last heard of, at [\d:]+"
    assert re.match(rf"{heard}: RUNNING, round 1 of 3; {URL} cannot be reached", str(raised.value))


@pytest.mark.parametrize(
    "lost", [httpx.ConnectError("no such host"), httpx.UnsupportedProtocol("ftp")], ids=["connect", "protocol"]
)
def test_a_node_that_never_answered_is_not_waited_for(lost: Exception) -> None:
    node = Node()
    node.away = lambda _: lost
    begun = time.monotonic()
    with pytest.raises(delta.DeltaNodeError, match="cannot be reached"):
        node.client.wait(7)
    assert node.asked == 1 and time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(502, text="<html>Bad Gateway</html>"), httpx.Response(503, text=""), httpx.Response(504, json=[])],
    ids=["html", "empty", "list"],
)
def test_a_proxy_alone_is_no_node_that_has_answered(answer: httpx.Response) -> None:
    node = Node()
    node.away = lambda _: answer
    with pytest.raises(delta.DeltaNodeError, match=rf"HTTP {answer.status_code}"):
        node.client.wait(7, timeout=20)
    assert node.asked == 1
    node = Node()
    node.ends = 5
    node.away = lambda asked: answer if asked in (2, 3) else None
    assert node.client.wait(7, timeout=20, progress=False), "one that has answered before is asked again"
    node = Node()
    node.ends = 5
    node.away = lambda asked: httpx.Response(503, json={"detail": "this node is stopping"}) if asked < 3 else None
    assert node.client.wait(7, timeout=20, progress=False), "a node's own word is an answer"


@pytest.mark.parametrize("code", [400, 401, 403, 404, 500])
def test_a_refusal_ends_the_waiting(code: int) -> None:
    node = Node()
    node.away = lambda asked: httpx.Response(code, json={"detail": "no"}) if asked > 1 else None
    with pytest.raises(delta.DeltaNodeError, match="no") as raised:
        node.client.wait(7, timeout=20, progress=False)
    assert raised.value.code == code and not raised.value.passing


@pytest.mark.parametrize("progress", [True, False])
def test_ctrl_c_says_how_to_come_back(monkeypatch: pytest.MonkeyPatch, progress: bool) -> None:
    def pressed(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_follow.time, "sleep", pressed)
    node = Node()
    client = delta.DeltaNode("http://me:secret@node:6700", client=node.http)
    with pytest.raises(KeyboardInterrupt) as raised:
        client.wait(7, progress=progress)
    said = str(raised.value)
    assert (
        "task 7 goes on" in said
        and "node.attach(7).wait()" in said
        and 'delta.attach("http://node:6700", 7).wait()' in said
    )
    assert 'delta.attach("http://node:6700", 7).cancel()' in said and "secret" not in said
    assert "/v1/task/cancel" not in node.paths


def test_a_task_is_taken_up_again() -> None:
    node = Node()
    task = delta.attach(URL, 7, client=node.http)
    assert node.asked == 0 and repr(task) == f"TaskHandle('{URL}', 7)"
    assert task.wait(timeout=20, progress=False)
    assert task.progress().status == "FINISHED" and task.status() == "RUNNING"
    assert task.result()["total"].tolist() == [3.0]
    assert [r["message"] for r in task.logs()] == ["begun"] and list(task.logs(2)) == []
    assert task.bundle().name == "sum"
    task.cancel()
    assert node.cancelled
    same = node.client.attach(7)
    assert isinstance(same, delta.TaskHandle) and same.task_id == 7 and same.wait(timeout=20, progress=False)


def test_each_finished_round_is_told_once() -> None:
    node, rounds = Node(), []
    node.away = lambda asked: REFUSED if asked == 2 else None
    assert node.client.wait(7, timeout=20, progress=False, on_round=lambda n, m: rounds.append((n, m)))
    assert rounds == [(n, {"loss": 0.5}) for n in (1, 2, 3)]
    again: list[int] = []
    assert node.client.attach(7).wait(progress=False, on_round=lambda n, _: again.append(n))
    assert again == [1, 2, 3], "rounds that had finished before are told, too"
    traced: list[int] = []
    assert node.client.trace(7, file=io.StringIO(), on_round=lambda n, _: traced.append(n))
    assert traced == [1, 2, 3]


def test_what_on_round_raises_ends_the_waiting() -> None:
    node = Node()

    def stop(number: int, metrics: dict[str, float]) -> None:
        if number == 2:
            node.client.cancel(7)
            raise StopIteration(metrics["loss"])

    with pytest.raises(StopIteration):
        node.client.wait(7, progress=False, on_round=stop)
    assert node.cancelled


def test_why_a_task_failed_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    node = Node()
    member = f"0x{'ab' * 20}"
    node.error = f"step 1 failed 4 times, last: u3 has 1 of at least 2 members; silent: {member}"
    assert not node.client.wait(7)
    said = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("round ")]
    why = "in round 1, after 4 attempts: the sum has 1 of at least 2 members; silent: 1 node"
    assert said == [f"failed: {why}"]
    assert node.client.progress(7).error == why


def test_a_history_of_many_members_comes_in_short_pages() -> None:
    node = Node()
    node.ends, node.asked = 50, 50

    def page(request: httpx.Request) -> httpx.Response:
        told = node(request).json()
        return httpx.Response(200, json={**told, "history": told["history"][:7]} if "history" in told else told)

    known = delta.DeltaNode(URL, client=httpx.Client(transport=httpx.MockTransport(page))).progress(7)
    assert len(known.metrics) == known.attempts == 50


def endless(request: httpx.Request) -> httpx.Response:
    """A node whose history never ends."""
    one = {"seconds": 0.0, "members": 2, "dropped": 0, "failed": 0, "error": None, "metrics": {}}
    told = {"status": "FINISHED", "round": 10**9, "rounds": 10**9, "waits_for": None, "error": None}
    return httpx.Response(200, json={**told, "history": [one] * 1000})


def test_a_history_without_end_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    client = delta.DeltaNode(URL, client=httpx.Client(transport=httpx.MockTransport(endless)))
    with pytest.raises(delta.TaskTimeout, match=r"not over after 0\.2 s"):
        client.wait(7, timeout=0.2, progress=False)
    monkeypatch.setattr(delta.delta_node, "MOST_ATTEMPTS", 5_000)
    for ask in (client.progress, client.wait):
        with pytest.raises(delta.DeltaNodeError, match="more than 5,000 attempts"):
            ask(7)


def test_a_log_that_does_not_go_on_is_not_read_for_ever() -> None:
    page = [{"id": 5, "created_at": 0, "message": "again", "tx_hash": None}] * 100
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json=page))
    with pytest.raises(delta.DeltaNodeError, match="does not go on after record 6"):
        list(delta.DeltaNode(URL, client=httpx.Client(transport=answer)).logs(7))


def test_no_part_of_a_password_is_shown() -> None:
    assert _html.place("http://u:p@ss@h:1/v1") == "http://h:1/v1"
    assert _html.place("http://h:1/x@y") == "http://h:1/x@y"
