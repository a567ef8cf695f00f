"""What the client says when a node is away, refuses, or is none; over transports in place of a network."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

import delta
from delta.statsmodel import LogitTask
from regression_cases import task

URL = "http://node:6700"
Answer = Callable[[httpx.Request], httpx.Response]


def node(answer: Answer, **arguments: Any) -> delta.DeltaNode:
    return delta.DeltaNode(URL, client=httpx.Client(transport=httpx.MockTransport(answer)), **arguments)


def says(code: int, content: Any) -> Answer:
    """Answers every request alike: bytes and texts as they are, all else as JSON."""
    if isinstance(content, (bytes, str)):
        return lambda _: httpx.Response(code, content=content)
    return lambda _: httpx.Response(code, json=content)


def bundle() -> delta.Bundle:
    task = {"format": "delta-task/1", "name": "sum", "variables": {}, "rounds": [], "outputs": []}
    return delta.Bundle.pack(task, {}, {})


def fails(error: Exception) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return answer


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), "[Errno 111] Connection refused"),
        (httpx.ReadTimeout("timed out"), "timed out"),
        (httpx.RemoteProtocolError("Server disconnected"), "Server disconnected"),
        (httpx.ConnectTimeout(""), "ConnectTimeout"),
    ],
)
def test_a_node_that_cannot_be_reached_is_named_with_the_reason(error: httpx.HTTPError, said: str) -> None:
    with pytest.raises(delta.DeltaNodeError) as raised:
        node(fails(error)).status(1)
    assert str(raised.value) == f"{URL} cannot be reached: {said}"
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    ("code", "content", "said"),
    [
        (400, {"detail": "task 1 is not finished"}, "task 1 is not finished"),
        (404, {"detail": "there is no task 1"}, "there is no task 1"),
        (422, {"detail": [{"msg": "not a number", "loc": ["query"]}, {"msg": "too long"}]}, "not a number; too long"),
        (422, {"detail": [{"loc": ["query", "start"]}]}, "{'loc': ['query', 'start']}"),
        (413, {"error": "too large"}, '{"error":"too large"}'),
        (502, "<html>bad gateway</html>", "<html>bad gateway</html>"),
        (500, {"detail": "internal error"}, "internal error"),
        (503, b"", "Service Unavailable"),
        (500, b"x" * 2000, "x" * 500),
        (500, {"detail": 5}, '{"detail":5}'),
        (500, [1, 2], "[1,2]"),
    ],
)
def test_a_refusal_gives_the_nodes_words_path_and_code(code: int, content: Any, said: str) -> None:
    with pytest.raises(delta.DeltaNodeError) as raised:
        node(says(code, content)).status(1)
    assert str(raised.value).replace(", ", ",") == f"{URL}/v1/task/metadata: {said} (HTTP {code})".replace(", ", ",")


ASKED: list[tuple[str, Callable[[delta.DeltaNode], Any]]] = [
    ("/v1/task", lambda n: n.create_task(bundle())),
    ("/v1/task/metadata", lambda n: n.status(1)),
    ("/v1/task/metadata", lambda n: n.metadata(1)),
    ("/v1/task/progress", lambda n: n.progress(1)),
    ("/v1/task/progress", lambda n: n.wait(1, progress=False)),
    ("/v1/task/logs", lambda n: list(n.logs(1))),
    ("/v1/task/bundle", lambda n: n.get_task(1)),
]


@pytest.mark.parametrize("content", [b"<html>welcome</html>", b"", b"\x89PNG\r\n", b"7", b'["word"]', b"null"])
@pytest.mark.parametrize(("path", "ask"), ASKED, ids=[f"{i} {path}" for i, (path, _) in enumerate(ASKED)])
def test_an_answer_that_is_none_of_a_node_is_an_error_of_the_node(
    path: str, ask: Callable[[delta.DeltaNode], Any], content: bytes
) -> None:
    with pytest.raises(delta.DeltaNodeError) as raised:
        ask(node(says(200, content)))
    assert str(raised.value).startswith(f"{URL}{path}: not an answer of a delta-node (")
    assert str(raised.value).endswith(repr(content[:80]))


@pytest.mark.parametrize("path", ["result", "bundle", "progress"])
def test_a_result_that_cannot_be_read_is_an_error_of_the_node(path: str) -> None:
    npz = io.BytesIO()
    np.savez(npz, total=np.array([3.0]))
    progress = {"status": "FINISHED", "round": 1, "rounds": 1, "waits_for": None, "error": None, "history": []}
    whole = {
        "/v1/task/result": npz.getvalue(),
        "/v1/task/bundle": bundle().data,
        "/v1/task/progress": json.dumps(progress).encode(),
        "/v1/task/metadata": b'{"status": "FINISHED"}',
        "/v1/task/logs": b"[]",
    }
    good = node(lambda request: httpx.Response(200, content=whole[request.url.path]))
    assert good.get_result(1)["total"].tolist() == [3.0]
    whole[f"/v1/task/{path}"] = whole[f"/v1/task/{path}"][:-30]
    with pytest.raises(delta.DeltaNodeError, match=rf"/v1/task/{path}: not an answer of a delta-node"):
        good.get_result(1)


def test_a_failed_task_has_the_nodes_reason() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/task/metadata":
            return httpx.Response(200, json={"status": "ERROR"})
        return httpx.Response(400, json={"detail": "task 1 failed: too few members"})

    with pytest.raises(delta.TaskFailed) as raised:
        node(answer).get_result(1)
    assert (str(raised.value), raised.value.code) == ("task 1 failed: too few members", 400)


def test_a_failed_regression_names_the_column_that_depends_on_others() -> None:
    bundle = task(LogitTask, ["a", "b", "y"], "y").build()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/task/metadata":
            return httpx.Response(200, json={"status": "ERROR"})
        if request.url.path == "/v1/task/bundle":
            return httpx.Response(200, content=bundle.data)
        why = "the matrix a is singular: its column 2 (counted from 0) depends on those before it; leave out columns that follow"
        return httpx.Response(
            400, json={"detail": f"task 1 failed: step 1 failed: solve: {why} from others, or raise ridge"}
        )

    with pytest.raises(
        delta.TaskFailed, match="in round 1: solve: column 'b' follows from 'const', 'a', or is 0 in every"
    ):
        node(answer).get_result(1)


def test_a_task_is_uploaded_as_one_file_under_its_name() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        seen.append(request)
        return httpx.Response(200, json={"task_id": 7})

    assert node(answer).create_task(bundle()) == 7
    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", f"{URL}/v1/task")
    assert b'name="file"; filename="sum.delta"' in request.content
    assert bundle().data in request.content


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [({}, {3.0}), ({"timeout": 1.5}, {1.5})],
)
def test_the_given_clients_timeouts_hold_unless_others_are_asked_for(
    arguments: dict[str, float], seconds: set[float]
) -> None:
    seen: list[dict[str, float]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        return httpx.Response(200, json={"status": "RUNNING"})

    client = httpx.Client(transport=httpx.MockTransport(answer), timeout=3.0)
    assert delta.DeltaNode(URL, client=client, **arguments).status(1) == "RUNNING"
    assert set(seen[0].values()) == seconds


def test_a_given_client_stays_open_and_its_own_address_is_not_used() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, json={"status": "RUNNING"})

    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://elsewhere")
    with delta.DeltaNode("http://gate/nodes/1/", client=client) as behind_a_gate:
        behind_a_gate.status(5)
    assert seen == ["http://gate/nodes/1/v1/task/metadata?task_id=5"]
    assert not client.is_closed


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(httpx.InvalidURL):
        delta.DeltaNode("http://node:67x0")
