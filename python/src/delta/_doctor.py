"""What is installed, what is missing and how to get it, and whether a node answers: ``python -m delta doctor``."""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import re
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib import metadata
from typing import Any

import httpx

from . import _html, _token
from ._catalogue import clean
from ._version import __version__

CPU = "pip install torch --index-url https://download.pytorch.org/whl/cpu"
#: Seconds that clocks may differ; a node says whole seconds.
APART = 2.0
_WIDTH = 13


@dataclass(frozen=True)
class Wanted:
    """A package, from which version to before which, and what it is for."""

    package: str
    least: str
    below: str = ""
    extra: str = ""
    use: str = ""

    def fits(self, version: str) -> bool:
        """Whether a version will do."""
        return _numbers(version) >= _numbers(self.least) and (
            not self.below or _numbers(version) < _numbers(self.below)
        )

    def range(self) -> str:
        """The versions, as pip reads them."""
        return f"{self.package}>={self.least}" + (f",<{self.below}" if self.below else "")


#: As pyproject.toml has them; a test compares.
NEEDED = (Wanted("numpy", "1.26"), Wanted("onnx", "1.16", "2"), Wanted("httpx", "0.25", "1"))
EXTRAS = (
    Wanted("torch", "2.6", "", "torch", "building learning tasks"),
    Wanted("onnxruntime", "1.20", "2", "debug", "delta.debug, which runs a task on this machine"),
    Wanted("pandas", "2.0", "", "pandas", "results as Series and DataFrame"),
    Wanted("rich", "13", "", "progress", "a progress bar in the terminal"),
    Wanted("matplotlib", "3.8", "", "plot", "result.plot()"),
    Wanted("formulaic", "1.1", "", "formula", "regressions of formulas"),
)


def doctor(
    node: str | None = None,
    *,
    token: str | None = None,
    token_file: str | os.PathLike[str] | None = None,
    client: httpx.Client | None = None,
) -> int:
    """Print what was found; 0 where nothing stands in the way, else 1."""
    fine = True
    print(_line("delta", f"{__version__} (delta-node-sdk, {os.path.dirname(os.path.abspath(__file__))})"))
    print(_line("python", f"{platform.python_version()} ({sys.platform}, {platform.machine()}, {sys.executable})"))
    for wanted in NEEDED:
        version = _version(wanted.package)
        good = version is not None and wanted.fits(version)
        fine &= good
        advice = "" if good else f"  too old, too new or missing: pip install '{wanted.range()}'"
        print(_line(wanted.package, (version or "missing") + advice))
    missing = []
    for wanted in EXTRAS:
        version = _version(wanted.package)
        good = version is not None and wanted.fits(version)
        missing += [] if good else [wanted]
        print(
            _line(
                wanted.package,
                "missing" if version is None else version if good else f"{version}  not {wanted.range()}",
            )
        )
    for wanted in missing:
        print(f"\nFor {wanted.use} (extra {wanted.extra}):")
        for line in _advice(wanted):
            print(f"  {line}")
    if node is not None:
        print()
        fine &= _node(node, token, token_file, client)
    return 0 if fine else 1


def _advice(wanted: Wanted) -> Iterator[str]:
    if wanted.package != "torch":
        yield f"pip install '{wanted.range()}'"
        return
    yield f"{CPU}  # the CPU is enough: about 200 MB, 700 MB on disk"
    if sys.platform == "linux":
        yield f"pip install '{wanted.range()}'  # on Linux this brings about 3 GB of CUDA libraries"
    else:
        yield f"pip install '{wanted.range()}'"


def _node(url: str, token: str | None, token_file: str | os.PathLike[str] | None, client: httpx.Client | None) -> bool:
    """Say what a node tells of itself; whether it answers as one that can work."""
    url = url.rstrip("/")
    print(_line("node", clean(_html.place(url))))
    try:
        shown = _token.find(httpx.URL(url), token, token_file)
    except (httpx.InvalidURL, OSError, ValueError) as error:
        print(_line("", f"cannot be asked: {clean(str(error))}"))
        return False
    headers = {} if shown is None else {"authorization": f"Bearer {shown}"}
    owned, http = client is None, client or httpx.Client(timeout=10.0, trust_env=False)
    try:
        return _asked(http, url, headers)
    except httpx.HTTPError as error:
        print(_line("", f"does not answer: {clean(str(error)) or type(error).__name__}"))
        return False
    finally:
        if owned:
            http.close()


def _asked(http: httpx.Client, url: str, headers: dict[str, str]) -> bool:
    before = time.time()
    health = http.get(f"{url}/healthz", headers=headers)
    after = time.time()
    alive = _json(health)
    if not health.is_success or alive.get("status") != "ok":
        print(_line("", f"something answers, but no delta-node (HTTP {health.status_code})"))
        return False
    ready = _json(http.get(f"{url}/readyz", headers=headers))
    print(
        _line(
            "answers",
            f"in {1000 * (after - before):.0f} ms, {clean(ready.get('status', 'does not say whether it is ready'))}",
        )
    )
    checks = ready.get("checks")
    for check in checks if isinstance(checks, list) else []:
        if isinstance(check, dict) and not check.get("ok"):
            print(_line("", clean(f"{check.get('name')}: {check.get('detail', 'not well')}")))
    api = _json(http.get(f"{url}/openapi.json", headers=headers)).get("info")
    protocol = f"HTTP API {clean(api['version'])}" if isinstance(api, dict) and "version" in api else "HTTP API unknown"
    version = (
        clean(alive["version"])
        if "version" in alive
        else "not told over HTTP: `delta-node --version` at the node says it"
    )
    print(_line("version", f"{version}; {protocol}"))
    for line in _identity(http.get(f"{url}/v1/identity", headers=headers)):
        print(line)
    said = _clock(health.headers.get("date"), (before + after) / 2)
    print(_line("clock", said))
    return ready.get("status") == "ready"


def _identity(answer: httpx.Response) -> Iterator[str]:
    told = _json(answer)
    card, address = told.get("card"), told.get("address")
    if not isinstance(card, dict):
        yield _line("identity", f"not told (HTTP {answer.status_code})")
        return
    yield _line("identity", clean(f"{card.get('name')} of {card.get('organisation')}, as it says itself"))
    if fingerprint := _fingerprint(card.get("key")):
        yield _line("fingerprint", fingerprint)
    if isinstance(address, dict):
        yield _line("address", clean(address.get("address", "")))


def _fingerprint(key: object) -> str:
    """A key for people (docs/protocol/identity.md); empty where it is none."""
    if not isinstance(key, str) or not re.fullmatch(r"0x[0-9a-f]{66}", key):
        return ""
    parts = (b"delta identity key 1", bytes.fromhex(key[2:]))
    digest = hashlib.sha256(b"".join(struct.pack(">Q", len(p)) + p for p in parts)).digest()
    letters = base64.b32encode(digest[:20]).decode().lower()
    return "-".join(letters[i : i + 4] for i in range(0, len(letters), 4))


def _clock(date: str | None, here: float) -> str:
    try:
        # Whole seconds, rounded down.
        ahead = here - parsedate_to_datetime(date or "").timestamp() - 0.5
    except (TypeError, ValueError):
        return "the node does not say what time it is"
    if abs(ahead) <= APART:
        return f"as here, to {APART:.0f} s"
    return (
        f"this machine is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the node: one of the two is wrong"
    )


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """``2.6.0+cpu`` as numbers that compare; what follows them does not count."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    parts = [int(p) for p in found.group().split(".")] if found else []
    return (*parts, *[0] * (4 - len(parts)))


def _line(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}}{text}"
