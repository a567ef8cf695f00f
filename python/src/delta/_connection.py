"""The requests of one node's client: how they are sent, what their answers are read as, and what goes wrong with them."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeVar

import httpx

from . import _answers, _html, _reasons, _token
from ._errors import PASSING, DeltaNodeError

T = TypeVar("T")
C = TypeVar("C", bound="Connection")
#: How many records of a log are read for who declined.
DECLINES_IN = 10_000
#: How long one request may take, in seconds; uploads and downloads count from the last byte.
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
# What goes wrong in reading the answer of something that is no node.
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error)


class Connection:
    """A node's address and the requests that go there. Nothing is sent before the first method is called."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float | None = None,
        client: httpx.Client | None = None,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        found = _token.find(httpx.URL(self.url), token, token_file)
        self._headers = {} if found is None else {"authorization": f"Bearer {found}"}
        self._timeout = httpx.USE_CLIENT_DEFAULT if timeout is None else timeout
        self._owned, self._reached = client is None, False
        self._manifests: dict[int, dict[str, Any]] = {}
        # As it is shown: without a password.
        self._place = _html.place(self.url)
        self._http = httpx.Client(timeout=TIMEOUT, trust_env=False) if client is None else client

    def close(self) -> None:
        """Close the connections; those of a ``client`` that was given stay open."""
        if self._owned:
            self._http.close()

    def __enter__(self: C) -> C:
        """Use the node in a ``with`` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def __repr__(self) -> str:
        """Show where the node is."""
        return f"{type(self).__name__}({self._place!r})"

    def _repr_html_(self) -> str:
        return _html.pairs("Node", [("url", self._place), ("answers", "yes" if self._reached else "not asked yet")])

    def _ask(self, read: Callable[[httpx.Response], T], method: str, path: str, **arguments: Any) -> T:
        """Send a request and return what ``read`` makes of the answer."""
        answer = self._request(method, path, **arguments)
        try:
            made = read(answer)
        except UNREADABLE as error:
            raise DeltaNodeError(
                f"{self._place}{path}: not an answer of a delta-node ({error!r}): {answer.content[:80]!r}"
            ) from error
        self._reached = True
        return made

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            answer = self._http.request(
                method, f"{self.url}{path}", timeout=self._timeout, headers=self._headers, **arguments
            )
        except httpx.HTTPError as error:
            passing = isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)
            text = f"{self._place} cannot be reached: {str(error) or type(error).__name__}"
            raise DeltaNodeError._of(text, passing=passing) from error
        if answer.is_success:
            return answer
        try:
            detail = answer.json()["detail"]
            detail = detail if isinstance(detail, str) else "; ".join(str(d.get("msg", d)) for d in detail)
            # A node says no in this form; a proxy before one that is away does not.
            self._reached = True
        except (ValueError, KeyError, TypeError, AttributeError):
            detail = answer.text[:500] or answer.reason_phrase
        code = answer.status_code
        raise DeltaNodeError._of(f"{self._place}{path}: {detail} (HTTP {code})", code, code in PASSING)

    def _about(self, read: Callable[[httpx.Response], T], what: str, task_id: int, **query: int) -> T:
        """Ask something about a task."""
        return self._ask(read, "GET", f"/v1/task/{what}", params={"task_id": task_id, **query})

    def _about_twice(self, read: Callable[[httpx.Response], T], what: str, task_id: int) -> T:
        """Ask something that is cut short where the task moves on meanwhile."""
        for _ in range(2):
            try:
                return self._about(read, what, task_id)
            except DeltaNodeError as error:
                if not error.passing or not self._reached:
                    raise
        return self._about(read, what, task_id)

    def _pages(self, task_id: int, start: int, size: int) -> Iterator[dict[str, Any]]:
        while True:
            page, after = self._about(_answers.records, "logs", task_id, start=start, limit=size)
            yield from page
            if len(page) < size:
                return
            if after <= start:
                raise DeltaNodeError(f"{self._place}: the log of task {task_id} does not go on after record {start}")
            start = after

    def _fits(self, size: int) -> None:
        """Raise before megabytes are sent that the node would not take; an older node does not say."""
        try:
            limits = self._ask(lambda answer: dict(answer.json()), "GET", "/v1/task/limits")
        except DeltaNodeError as error:
            if error.code == 404:
                return
            raise
        if size > limits["bundle_bytes"]:
            why = (
                "its disk has no room for more" if limits["by_disk"] else "policy.max_bundle_bytes of its configuration"
            )
            raise DeltaNodeError(
                f"{self._place}: the task has {size} bytes, the node takes at most {limits['bundle_bytes']} ({why})"
            )

    def _why(self, error: DeltaNodeError) -> str:
        """A failed task's reason from the refusal of its result."""
        said = re.sub(r" \(HTTP \d+\)$", "", str(error)).removeprefix(f"{self._place}/v1/task/result: ")
        return _reasons.final(re.sub(r"^task \d+ failed: ", "", said))

    def _beginning_of_log(self, task_id: int) -> list[dict[str, Any]]:
        """The first records of the log; those who may read results and not logs do without."""
        try:
            return list(islice(self._pages(task_id, 0, 1000), DECLINES_IN))
        except DeltaNodeError:
            return []
