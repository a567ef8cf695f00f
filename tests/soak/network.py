"""A connector and nodes as processes of a given program, with proxies between them, and owners who agree."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import delta
import httpx

from ground import Disk, WallClock
from links import Links

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds that a program may take to be ready."""


def program() -> str:
    """The program that is tried: ``DELTA_NODE_BIN``, or where cargo puts it."""
    root = Path(__file__).parents[2]
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    named = [Path(os.environ["DELTA_NODE_BIN"])] if "DELTA_NODE_BIN" in os.environ else []
    for path in [*named, target / "release/delta-node", target / "debug/delta-node"]:
        if path.exists():
            return str(path.resolve())
    raise SystemExit("there is no delta-node program: build it with cargo, or set DELTA_NODE_BIN")


def wait_until(what: str, ask: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """Ask until there is an answer."""
    end = time.monotonic() + patience
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"waited {patience:g} s in vain for {what}")
        time.sleep(0.01)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


class Program:
    """A ``delta-node`` process over all its lives."""

    def __init__(self, name: str, home: Path, command: str) -> None:
        self.name, self.home, self.command = name, home, command
        self.environment: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.lives = 0
        self.fell = 0
        """How often it has ended by itself."""
        home.mkdir(parents=True, exist_ok=True)

    def configure(self, config: dict[str, Any]) -> None:
        """Write the configuration. JSON is YAML."""
        (self.home / "config.yaml").write_text(json.dumps(config, indent=2))

    def start(self) -> None:
        """Start it, with its workers in a process group of its own."""
        assert self.process is None, f"{self.name} runs"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("DELTA_NODE_") and k != "RUST_LOG"}
        with (self.home / "said").open("ab") as said:
            self.process = subprocess.Popen(
                [program(), "--config", "config.yaml", self.command],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=kept | self.environment,
                start_new_session=True,
                # A limit on the size of files is an error of a write, and no signal that ends the program.
                preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN) and None,
                restore_signals=False,
            )
        self.lives += 1

    @property
    def pid(self) -> int:
        """Of the life that is."""
        assert self.process is not None, f"{self.name} does not run"
        return self.process.pid

    def kill(self) -> None:
        """End it and its workers with SIGKILL: nothing is said to anybody."""
        if self.process is None:
            return
        self.fell += not self.is_alive()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def terminate(self) -> int:
        """End it as an operator does, and say how."""
        process, self.process = self.process, None
        assert process is not None
        process.terminate()
        return process.wait(PATIENCE)

    def freeze(self) -> None:
        """Stop it and its workers: the machine stands still."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def workers(self) -> list[int]:
        """The processes in which it computes."""
        with suppress(OSError):
            threads = Path(f"/proc/{self.pid}/task").iterdir()
            return [int(p) for t in threads for p in (t / "children").read_text().split()]
        return []

    def is_alive(self) -> bool:
        """Whether the process has not ended by itself."""
        return self.process is not None and self.process.poll() is None

    def usage(self) -> tuple[float, int, int]:
        """Memory in MiB, open descriptors, threads."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = {k: v.split()[0] for k, _, v in (row.partition(":") for row in status.splitlines()) if v.split()}
        return int(found["VmRSS"]) / 1024, len(os.listdir(f"/proc/{self.pid}/fd")), int(found["Threads"])

    def said(self) -> str:
        """What it has written, over all its lives."""
        with suppress(FileNotFoundError):
            return (self.home / "said").read_text(errors="replace")
        return ""


class Node(Program):
    """A node: where it is asked, and where its data are."""

    def __init__(self, name: str, home: Path) -> None:
        super().__init__(name, home, "run")
        self.port = free_port()
        self.data = home / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.url = ""
        self.clock: WallClock | None = None
        self.disk: Disk | None = None
        self.client = delta.DeltaNode(f"http://127.0.0.1:{self.port}", timeout=20)
        self.address = ""

    def ask(self, path: str, **query: Any) -> Any:
        """What it answers, as JSON."""
        with httpx.Client(trust_env=False, timeout=10) as http:
            answer = http.get(f"http://127.0.0.1:{self.port}{path}", params=query)
            answer.raise_for_status()
            return answer.json()

    def is_ready(self) -> bool:
        """Whether it says so."""
        with suppress(httpx.HTTPError):
            return bool(self.ask("/readyz"))
        return False


class Network:
    """A connector and nodes, of which each may coordinate. Everything is kept in ``folder``."""

    def __init__(
        self,
        folder: Path,
        nodes: int,
        data: Callable[[int], dict[str, bytes]],
        *,
        config: dict[str, Any] | None = None,
        disks: tuple[int, ...] = (),
        clocks: tuple[int, ...] = (),
    ) -> None:
        self.folder = folder
        self.connector = Program("connector", folder / "connector", "connector")
        self.connector_port = free_port()
        self.nodes: list[Node] = []
        for index in range(nodes):
            home = folder / f"node-{index}"
            disk = Disk(home) if index in disks else None
            node = Node(f"node-{index}", home)
            node.disk = disk
            if index in clocks:
                node.clock = WallClock(folder / f"clock-{index}")
                node.environment = node.clock.environment()
            self.nodes.append(node)
        self.links = Links(self._pids)
        self.connector.configure(
            {"connector": {"host": "127.0.0.1", "port": self.connector_port}, "log": {"dir": "logs"}}
        )
        door = self.links.door("connector", self.connector_port)
        for index, node in enumerate(self.nodes):
            node.url = f"http://127.0.0.1:{self.links.door(node.name, node.port)}"
            for name, content in data(index).items():
                (node.data / name).write_bytes(content)
            node.configure(settings(node, door) | (config or {}))
        self._gone = threading.Event()
        self._owners = [threading.Thread(target=agree, args=(n, self._gone), daemon=True) for n in self.nodes]

    @property
    def programs(self) -> list[Program]:
        """All of them."""
        return [self.connector, *self.nodes]

    def __enter__(self) -> Network:
        """Start everything and wait until it is ready."""
        for each in self.programs:
            each.start()
        for owner in self._owners:
            owner.start()
        for node in self.nodes:
            wait_until(f"{node.name} to be ready", node.is_ready)
        self.learn_addresses()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self._gone.set()
        for each in self.programs:
            each.kill()
        self.links.close()

    def learn_addresses(self) -> None:
        """Learn the nodes' addresses from the record."""

        def known() -> bool:
            page = self.nodes[0].ask("/v1/nodes", page=1, page_size=100)
            by_url = {n["url"]: n["id"] for n in page["nodes"]}
            for node in self.nodes:
                node.address = by_url.get(node.url, "")
            return all(node.address for node in self.nodes)

        wait_until("the addresses of all nodes", known)

    def turn(self, node: Node, state: Any, *, delay: float = 0.0) -> None:
        """Set all links of a node, in both directions: its network is away, slow, or there."""
        self.links.turn(node.name, "connector", state, delay=delay)
        for other in self.nodes:
            if other is not node:
                self.links.turn(node.name, other.name, state, delay=delay)
                self.links.turn(other.name, node.name, state, delay=delay)

    def _pids(self) -> dict[str, int]:
        return {each.name: process.pid for each in self.programs if (process := each.process) is not None}


def agree(node: Node, gone: threading.Event) -> None:
    """Allow every task that asks, until the network is gone. The node may be away."""
    with httpx.Client(base_url=f"http://127.0.0.1:{node.port}", trust_env=False, timeout=3) as http:
        while not gone.wait(0.3):
            with suppress(httpx.HTTPError, ValueError, KeyError):
                for task in http.get("/v1/approvals").json()["tasks"]:
                    if task["waits"]:
                        word = {"task_id": task["task"], "decision": "allow", "scope": "once"}
                        http.post("/v1/approvals", json=word)


def settings(node: Node, connector: int) -> dict[str, Any]:
    """The configuration of a node whose connector listens on a port."""
    return {
        "log": {"level": "INFO", "dir": "logs"},
        "node": {"name": node.name, "url": node.url},
        "api_host": "127.0.0.1",
        "api_port": node.port,
        "chain_connector": {"host": "127.0.0.1", "port": connector, "heartbeat": 5},
        "policy": {"allow_private_addresses": True},
        "executor": {"threads": 1},
    }


def descriptors() -> None:
    """Allow this command as many descriptors as it may have: proxies need two for each connection."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
