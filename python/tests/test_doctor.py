"""What ``python -m delta`` says of an installation and of a node."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from email.utils import formatdate
from time import time
from typing import Any

import httpx
import pytest

import delta
from conftest import ROOT
from delta import _doctor
from delta.__main__ import main

Answer = Callable[[httpx.Request], httpx.Response]
tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has none")
PROJECT = tomllib.loads((ROOT / "python/pyproject.toml").read_text())["project"]
VECTOR = json.loads((ROOT / "tests/vectors/identity/identity.json").read_text())


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    there = {w.package: w.least for w in (*_doctor.NEEDED, *_doctor.EXTRAS)} | versions
    monkeypatch.setattr(_doctor, "_version", there.get)


def test_the_version_is_the_packages() -> None:
    told = subprocess.run([sys.executable, "-m", "delta", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout == f"delta {delta.__version__}\n" and delta.__version__ == PROJECT["version"]


def test_an_old_python_is_told_so() -> None:
    code = "import sys; sys.version_info = (3, 9, 18); import delta"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.returncode == 1
    assert told.stderr.endswith("ImportError: delta needs Python 3.10 or newer, and this is 3.9.18\n")


def test_the_program_is_not_the_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    assert PROJECT["scripts"] == {"delta": "delta.__main__:main"}
    assert main([]) == 2
    assert "doctor" in capsys.readouterr().out


def test_what_is_wanted_is_what_the_project_asks_for() -> None:
    asked = {w.range() for w in _doctor.NEEDED}
    assert asked == set(PROJECT["dependencies"])
    extras = PROJECT["optional-dependencies"]
    assert all(extras[w.extra] == [w.range()] for w in _doctor.EXTRAS)
    assert {w.extra for w in _doctor.EXTRAS} == set(extras) - {"all", "docs", "examples", "notebooks", "test"}


def test_a_whole_installation_is_fine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    installed(monkeypatch)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "pip install" not in said
    assert all(f"{w.package:<13}{w.least}\n" in said for w in (*_doctor.NEEDED, *_doctor.EXTRAS))


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_missing_extra_has_its_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], platform: str
) -> None:
    installed(monkeypatch, torch=None, pandas=None, onnxruntime="1.4.9")
    monkeypatch.setattr(_doctor.sys, "platform", platform)
    assert main(["doctor"]) == 0, "extras are nobody's duty"
    said = capsys.readouterr().out
    assert "pip install torch --index-url https://download.pytorch.org/whl/cpu" in said
    assert "pip install 'torch>=2.6'" in said and ("3 GB of CUDA" in said) == (platform == "linux")
    assert "pip install 'pandas>=2.0'" in said and "pip install 'rich" not in said
    assert "1.4.9  not onnxruntime>=1.20,<2" in said and "pip install 'onnxruntime>=1.20,<2'" in said


@pytest.mark.parametrize("version", [None, "1.15.0", "2.0.0"])
def test_what_the_package_cannot_do_without_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: str | None
) -> None:
    installed(monkeypatch, onnx=version)
    assert main(["doctor"]) == 1
    assert "pip install 'onnx>=1.16,<2'" in capsys.readouterr().out


def test_versions_compare_as_numbers() -> None:
    torch = _doctor.Wanted("torch", "2.6")
    assert [torch.fits(v) for v in ("2.15.0+cu132", "2.6.0", "2.6", "2.5.9", "1.13", "odd")] == [True] * 3 + [False] * 3


def node(date: float | None = None, **paths: Any) -> httpx.Client:
    card = {"name": "node-1\x1b[31m", "organisation": "Clinic A", "key": VECTOR["key"]}
    whole: dict[str, Any] = {
        "/healthz": {"status": "ok"},
        "/readyz": {"status": "ready", "checks": [{"name": "disk", "ok": True, "detail": "there is room"}]},
        "/openapi.json": {"info": {"version": "1"}},
        "/v1/identity": {"card": card, "address": {"address": VECTOR["address"]}},
    } | paths
    headers = {"date": formatdate(time() if date is None else date, usegmt=True)}

    def answer(request: httpx.Request) -> httpx.Response:
        told = whole[request.url.path]
        if isinstance(told, httpx.Response):
            return told
        return httpx.Response(200, json=told, headers=headers)

    return httpx.Client(transport=httpx.MockTransport(answer))


def asked(
    client: httpx.Client, capsys: pytest.CaptureFixture[str], url: str = "http://me:secret@node:6700/", **more: Any
) -> tuple[int, str]:
    code = _doctor.doctor(url, client=client, **more)
    said = capsys.readouterr().out
    return code, said[said.index("\nnode ") :]


def test_a_node_says_who_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = asked(node(), capsys)
    assert code == 0
    assert "ready" in said and "HTTP API 1" in said and "delta-node --version" in said
    assert "node-1[31m of Clinic A, as it says itself" in said and "\x1b" not in said and "secret" not in said
    assert VECTOR["fingerprint"] in said and VECTOR["address"] in said
    assert "as here, to 2 s" in said
    _, said = asked(node(**{"/healthz": {"status": "ok", "version": "0.9.1"}}), capsys)
    assert "version      0.9.1; HTTP API 1" in said


@pytest.mark.parametrize(("seconds", "said"), [(-90, "90 s ahead of the node"), (3600, "3600 s behind the node")])
def test_clocks_that_differ_are_named(capsys: pytest.CaptureFixture[str], seconds: float, said: str) -> None:
    _, told = asked(node(time() + seconds), capsys)
    clock = next(line for line in told.splitlines() if line.startswith("clock"))
    assert abs(int(clock.split()[4]) - abs(seconds)) <= 1 and said.split(" s ")[1] in clock


def test_a_node_that_is_not_well_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    checks = [{"name": "connector", "ok": False, "detail": "cannot be reached"}, {"name": "disk", "ok": True}]
    code, said = asked(node(**{"/readyz": {"status": "not ready", "checks": checks}}), capsys)
    assert code == 1 and "not ready" in said and "connector: cannot be reached" in said and "disk" not in said


def test_what_is_no_node_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    for told in (httpx.Response(200, text="<html>"), httpx.Response(404, json={}), httpx.Response(200, json=[1])):
        code, said = asked(node(**{"/healthz": told}), capsys)
        assert code == 1 and f"no delta-node (HTTP {told.status_code})" in said
    odd = dict.fromkeys(["/readyz", "/openapi.json", "/v1/identity"], httpx.Response(200, json=["x"]))
    code, said = asked(node(**odd), capsys)
    assert code == 1 and "identity     not told" in said


def test_a_node_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    def nobody(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[Errno 111] Connection refused")

    code, said = asked(httpx.Client(transport=httpx.MockTransport(nobody)), capsys)
    assert code == 1 and "does not answer: [Errno 111] Connection refused" in said
    assert main(["doctor", "--node", "http://node:67x0"]) == 1
    assert "cannot be asked" in capsys.readouterr().out


def test_the_token_is_shown_and_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str | None] = []
    token = "delta_" + "a" * 64

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return httpx.Response(200, json={"status": "ok"})

    _, said = asked(httpx.Client(transport=httpx.MockTransport(answer)), capsys, "http://node", token=token)
    assert set(seen) == {f"Bearer {token}"} and token not in said
