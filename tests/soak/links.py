"""Links between processes that can be broken: a TCP proxy before each program, which knows who calls.

A link is named by both of its ends, ``("node-1", "connector")``, and has a state:

* ``open``: bytes pass, after a delay if one is set;
* ``cut``: what stands is reset, what is new too, as when a program or a firewall refuses;
* ``silent``: nothing passes and nobody is told, as when packets are dropped. What was sent meanwhile arrives when it is over.

Who calls is found by the process that holds the other end of a connection, so one port serves all callers.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal["open", "cut", "silent"]
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: a closed connection is reset."""
PIECE = 1 << 16


@dataclass
class Line:
    """The state of one link, and the connections that stand on it."""

    state: State = "open"
    delay: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def open(self) -> None:
        """Return when bytes may pass, or never will; the caller looks at ``state``."""
        while self.state == "silent":
            await self.changed.wait()

    def turn(self, state: State, delay: float) -> None:
        """Change to a state."""
        self.state, self.delay = state, delay
        if state == "cut":
            for writer in list(self.writers):
                reset(writer)
        self.changed.set()
        self.changed = asyncio.Event()


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection at once."""
    held = writer.get_extra_info("socket")
    if held is not None and not writer.is_closing():
        # It may have ended by itself.
        with suppress(OSError):
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.transport.abort()


class Links:
    """All links of a network. ``callers`` gives the pids of every program that may call, by name."""

    def __init__(self, callers: Callable[[], dict[str, int]]) -> None:
        self._callers = callers
        self._lines: dict[tuple[str, str], Line] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._thread.start()

    def door(self, to: str, target: int) -> int:
        """Listen before a program that listens on port ``target``; the port to call is returned."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # Cancelled when all of it ends.
            with suppress(asyncio.CancelledError):
                await self._serve(to, target, reader, writer)

        server = self._run(asyncio.start_server(serve, "127.0.0.1", 0))
        return int(server.sockets[0].getsockname()[1])

    def turn(self, caller: str, to: str, state: State, *, delay: float = 0.0) -> None:
        """Set the state of the link from ``caller`` to ``to``; ``delay`` in seconds, each way, for each piece."""

        async def change() -> None:
            self._line(caller, to).turn(state, delay)

        self._run(change())

    def close(self) -> None:
        """Stop; connections break."""

        async def end() -> None:
            here = asyncio.current_task()
            left = [task for task in asyncio.all_tasks() if task is not here]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(20)

    def _line(self, caller: str, to: str) -> Line:
        return self._lines.setdefault((caller, to), Line())

    async def _serve(self, to: str, target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here, there = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
        line = self._line(owner(there[1], here[1], self._callers()), to)
        line.writers.add(writer)
        onward: asyncio.StreamWriter | None = None
        try:
            await line.open()
            if line.state == "cut":
                return
            back, onward = await asyncio.open_connection("127.0.0.1", target)
            line.writers.add(onward)
            # One direction that ends does not end the other; one that breaks does, below.
            await asyncio.gather(pump(line, reader, onward), pump(line, back, writer))
        except OSError:
            pass
        finally:
            for each in (writer, onward):
                if each is not None:
                    line.writers.discard(each)
                    reset(each)


async def pump(line: Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until they end."""
    while True:
        piece = await reader.read(PIECE)
        if line.delay:
            await asyncio.sleep(line.delay)
        await line.open()
        if not piece:
            if writer.can_write_eof() and not writer.is_closing():
                writer.write_eof()
            return
        writer.write(piece)
        await writer.drain()


def owner(port: int, door: int, callers: dict[str, int]) -> str:
    """The name of the program whose connection from ``port`` goes to ``door``; ``?`` for anybody else."""
    here, there = f"0100007F:{port:04X}", f"0100007F:{door:04X}"
    inode = ""
    for row in Path("/proc/net/tcp").read_text().splitlines():
        parts = row.split()
        if parts[1] == here and parts[2] == there:
            inode = parts[9]
    wanted = f"socket:[{inode}]"
    for name, pid in callers.items():
        try:
            held = os.listdir(f"/proc/{pid}/fd")
            if any(_link(f"/proc/{pid}/fd/{fd}") == wanted for fd in held):
                return name
        except OSError:
            continue
    return "?"


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
