"""Members spread over several processes: each computes for its own, and the sums are made here, in the members' order.

A process is this module run as a program, which reads messages and writes answers: it needs nothing of the author's program, and
no guard around it. Member ``i`` of ``n`` processes is always in process ``i mod n``, which keeps what the member keeps.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

from .members import Array, Here, Member, Members, Round, Task
from .steps import Sessions

_LENGTH = 8


@contextmanager
def spread(task: Task, members: Sequence[Member], processes: int) -> Iterator[Members]:
    """Members in this process, or spread over some."""
    numbered = dict(enumerate(members))
    if processes <= 1 or len(members) <= 1:
        yield Here(task, numbered)
        return
    workers = Workers(task, numbered, min(processes, len(members)))
    try:
        yield workers
    finally:
        workers.end()


class Workers:
    """Processes that compute for members."""

    def __init__(self, task: Task, members: Mapping[int, Member], processes: int) -> None:
        """Start them, and give each its members."""
        self.sessions = Sessions(task.graphs, task.threads)
        paths = os.pathsep.join(p for p in sys.path if p)
        command = [sys.executable, "-c", f"from {__name__} import serve; serve()"]
        self._processes = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths}
            )
            for _ in range(processes)
        ]
        for at, process in enumerate(self._processes):
            self._send(process, (task, {i: m for i, m in members.items() if i % processes == at}))

    def contribute(self, now: Round, who: Sequence[int], judge: Any = None) -> Iterator[list[Array] | None]:
        """Return what each of some members sends, in their order."""
        assert judge is None, "sums are judged in one process"
        count = len(self._processes)
        shares = [[m for m in who if m % count == at] for at in range(count)]
        busy = [(p, share) for p, share in zip(self._processes, shares, strict=True) if share]
        for process, share in busy:
            self._send(process, (now, share))
        made: dict[int, Any] = {}
        for process, share in busy:
            made |= zip(share, self._receive(process), strict=True)
        for member in who:
            if isinstance(made[member], BaseException):
                raise made[member]
            yield made[member]

    def end(self) -> None:
        """End them."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.communicate()

    def _send(self, process: subprocess.Popen[bytes], what: Any) -> None:
        assert process.stdin is not None
        try:
            _write(process.stdin, what)
        except OSError as error:
            raise self._lost(process) from error

    def _receive(self, process: subprocess.Popen[bytes]) -> Any:
        assert process.stdout is not None
        try:
            return _read(process.stdout)
        except EOFError as error:
            raise self._lost(process) from error

    @staticmethod
    def _lost(process: subprocess.Popen[bytes]) -> RuntimeError:
        return RuntimeError(
            f"a process of the simulation ended with status {process.wait()}: where memory is short take fewer processes"
        )


def serve() -> None:
    """Compute for members as a process of its own, until nobody writes to it any more."""
    # Whoever is interrupted ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    # What somebody prints is no answer.
    os.dup2(2, 1)
    try:
        task, members = _read(sys.stdin.buffer)
        here = Here(task, members)
        while True:
            now, who = _read(sys.stdin.buffer)
            _write(answers, [_tried(here, now, member) for member in who])
    except (EOFError, BrokenPipeError):
        return


def _tried(here: Here, now: Round, member: int) -> Any:
    """What a member sends, or the error that it meets."""
    try:
        (made,) = here.contribute(now, [member])
    except Exception as error:
        return error
    return made


def _write(stream: BinaryIO | Any, what: Any) -> None:
    content = pickle.dumps(what, pickle.HIGHEST_PROTOCOL)
    stream.write(len(content).to_bytes(_LENGTH, "big"))
    stream.write(content)
    stream.flush()


def _read(stream: BinaryIO | Any) -> Any:
    length = stream.read(_LENGTH)
    if len(length) < _LENGTH:
        raise EOFError
    content = stream.read(int.from_bytes(length, "big"))
    return pickle.loads(content)
