"""The client, against a stand-in that answers as docs/protocol/http.md says; real nodes come in test_end_to_end.py."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest

import delta

WAGES = Path(__file__).parents[2] / "tests/fixtures/wages-means.delta"


class Node:
    """What the stand-in knows; tests change it."""

    status = "RUNNING"
    reports: list[dict[str, Any]] = []  # noqa: RUF012
    received = b""
    shown: str | None = None
    detail = "task 1 is not finished"

    def answer(self, method: str, path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        def said(content: Any, code: int = 200) -> tuple[int, bytes]:
            return code, json.dumps(content).encode()

        if path == "/v1/task" and method == "POST":
            return said({"task_id": 1})
        if path == "/v1/task/cancel" and json.loads(self.received) == {"task_id": 1}:
            return said({"id": 1, "status": "ERROR"})
        if path == "/v1/task/metadata":
            return said({"id": 1, "status": self.status, "enable_verify": False})
        if path == "/v1/task/progress":
            start = int(query["start"][0])
            page = self.reports[start : start + 1000]
            done = sum(r["error"] is None for r in self.reports)
            head = {
                "status": self.status,
                "round": done,
                "rounds": 3000,
                "waits_for": "ShareKeys of 0x1",
                "error": None,
            }
            return said(head | {"history": page})
        if path == "/v1/task/logs":
            records = [{"id": i, "created_at": 0, "message": f"line {i}", "tx_hash": None} for i in range(1, 251)]
            return said([r for r in records if r["id"] >= int(query["start"][0])][:100])
        if path == "/v1/task/bundle":
            return 200, WAGES.read_bytes()
        if path == "/v1/task/result" and self.status == "FINISHED":
            out = io.BytesIO()
            np.savez(out, mean=np.array([5.0]), rows=np.array([2.0]))
            return 200, out.getvalue()
        return said({"detail": self.detail}, 400)


@pytest.fixture
def world() -> Iterator[tuple[Node, delta.DeltaNode]]:
    node = Node()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            node.shown = self.headers.get("authorization")
            node.received = self.rfile.read(int(self.headers.get("content-length", 0)))
            code, body = node.answer(self.command, url.path, parse_qs(url.query))
            self.send_response(code)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with delta.DeltaNode(f"http://127.0.0.1:{server.server_port}/") as client:
        yield node, client
    server.shutdown()
    server.server_close()


def report(metrics: dict[str, float | None], error: str | None = None) -> dict[str, Any]:
    return {"round": 1, "seconds": 1.0, "members": 3, "dropped": 0, "failed": 0, "error": error, "metrics": metrics}


def test_a_task_is_submitted_as_a_file(world: tuple[Node, delta.DeltaNode]) -> None:
    node, client = world
    assert client.create_task(delta.Bundle.load(WAGES)) == 1
    assert WAGES.read_bytes() in node.received
    assert b'name="file"' in node.received


def test_progress_goes_over_pages_and_leaves_failed_attempts_out(world: tuple[Node, delta.DeltaNode]) -> None:
    node, client = world
    node.reports = [report({"loss": float(i)}) for i in range(1500)] + [report({}, "too few"), report({"loss": None})]
    progress = client.progress(1)
    assert [m["loss"] for m in progress.metrics[:1500]] == list(range(1500))
    assert np.isnan(progress.metrics[1500]["loss"])
    assert (progress.attempts, progress.round) == (1502, 1501)
    assert progress.attempt[-2:] == [1500, 1502] and progress.reasons == ["too few"]
    assert progress.members == [3] * 1501 and progress.failed == [0] * 1501


def test_waiting_ends_with_the_task(world: tuple[Node, delta.DeltaNode], capsys: pytest.CaptureFixture[str]) -> None:
    node, client = world
    node.reports = [report({"loss": 0.5})]
    node.status = "FINISHED"
    assert client.wait(1)
    assert "round 1 of 3000  loss 0.5" in capsys.readouterr().out
    node.status = "ERROR"
    assert not client.wait(1, progress=False)


def test_a_wait_that_is_too_long_says_what_it_waits_for(world: tuple[Node, delta.DeltaNode]) -> None:
    with pytest.raises(
        delta.TaskTimeout, match=r"not over after 0\.1 s: RUNNING, round 0 of 3000, waiting for the keys of 0x1"
    ):
        world[1].wait(1, timeout=0.1, progress=False)


def test_all_log_records_come_in_order(world: tuple[Node, delta.DeltaNode], capsys: pytest.CaptureFixture[str]) -> None:
    node, client = world
    assert [r["id"] for r in client.logs(1)] == list(range(1, 251))
    node.status = "FINISHED"
    assert client.trace(1)
    assert [line.split("  ")[1] for line in capsys.readouterr().out.splitlines()] == [
        f"line {i}" for i in range(1, 251)
    ]


def test_results_of_plain_bundles_are_arrays(world: tuple[Node, delta.DeltaNode]) -> None:
    node, client = world
    node.status = "FINISHED"
    result = client.get_result(1)
    assert result["mean"].tolist() == [5.0]


@pytest.mark.parametrize(("options", "failed"), [({}, 1), ({"privacy": {"epsilon": 1.0}}, None)])
def test_results_say_who_took_part(options: dict[str, Any], failed: int | None) -> None:
    series = {"kind": "series", "value": "mean", "index": ["a", "b"]}
    manifest = {"options": {"result": [series, {"kind": "scalar", "value": "n"}], **options}}
    arrays = {"mean": np.array([1.0, 2.0]), "n": np.array(3.0)}
    made, number = delta.results.build(manifest, arrays, [], [{"members": 3, "failed": 1}])
    assert made.attrs["rounds"] == [{"members": 3, "failed": failed}]
    assert number == 3.0 and ("privacy" in made.attrs) == bool(options)


def test_a_refusal_has_the_nodes_words(world: tuple[Node, delta.DeltaNode]) -> None:
    node, client = world
    with pytest.raises(delta.DeltaNodeError, match=r"task 1 is not finished \(HTTP 400\)"):
        client.get_result(1)
    node.status, node.detail = "ERROR", "task 1 failed: too few members"
    with pytest.raises(delta.TaskFailed, match="too few members"):
        client.get_result(1)


def test_a_task_is_cancelled(world: tuple[Node, delta.DeltaNode]) -> None:
    node, client = world
    client.cancel(1)
    assert json.loads(node.received) == {"task_id": 1}
    with pytest.raises(delta.DeltaNodeError, match="HTTP 400"):
        client.cancel(2)


def test_a_token_is_found_where_it_may_stand(
    world: tuple[Node, delta.DeltaNode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, client = world
    tokens = [f"delta_{digit * 64}" for digit in "abcd"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DELTA_NODE_TOKEN", raising=False)

    def shown(**arguments: Any) -> str | None:
        with delta.DeltaNode(client.url, **arguments) as asking:
            asking.status(1)
        return node.shown

    def private(name: str, token: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{token}\n")
        path.chmod(0o600)
        return path

    assert shown() is None
    own = private("db/node.token", tokens[0])
    assert shown() == f"Bearer {tokens[0]}"
    monkeypatch.setenv("DELTA_NODE_TOKEN", tokens[1])
    assert shown() == f"Bearer {tokens[1]}"
    file = private("file", tokens[2])
    assert shown(token_file=file) == f"Bearer {tokens[2]}"
    assert shown(token_file=file, token=tokens[3]) == f"Bearer {tokens[3]}"
    monkeypatch.delenv("DELTA_NODE_TOKEN")
    own.chmod(0o644)
    assert shown() is None
    file.chmod(0o640)
    with pytest.raises(ValueError, match="chmod 600"):
        delta.DeltaNode(client.url, token_file=file)
    for wrong in ["secret", tokens[0].upper(), tokens[0] + "\nx"]:
        with pytest.raises(ValueError, match="no token") as refused:
            delta.DeltaNode(client.url, token=wrong)
        assert wrong not in str(refused.value)


def test_the_own_token_is_shown_to_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "db").mkdir()
    path = tmp_path / "db/node.token"
    path.write_text("delta_" + "a" * 64)
    path.chmod(0o600)
    for url in ["http://node.example.org:6700", "http://10.0.0.1:6700", "http://localhost.example.org"]:
        seen: list[str | None] = []

        def answer(request: httpx.Request, seen: list[str | None] = seen) -> httpx.Response:
            seen.append(request.headers.get("authorization"))
            return httpx.Response(200, json={"status": "RUNNING"})

        with httpx.Client(transport=httpx.MockTransport(answer)) as transport:
            delta.DeltaNode(url, client=transport).status(1)
        assert seen == [None]


def test_a_node_that_is_not_there_is_named() -> None:
    with pytest.raises(delta.DeltaNodeError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        delta.DeltaNode("http://127.0.0.1:9").status(1)
