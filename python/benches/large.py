"""Large models over real nodes: seconds a round, and the most memory that nodes and workers took.

    DELTA_NODE_BIN=target/release/delta-node PYTHONPATH=python/src python python/benches/large.py [--hidden 1000 5000 10000]

Starts a connector and three nodes as processes of their own, submits a learning task whose model has two layers of so many units
(1000 units are 1.08 million parameters, 5000 are 25.4 million, 10000 are 100.8 million), and reads from the first node's own
progress how long each round took. What is trained on are a few rows: the time is that of moving the model, not of computing.

Memory is read: of each node and worker its resident set at its highest (VmHWM), twenty times a second; of each group the most
that all of them held at one time (the sum of Pss, which counts shared pages once), four times a second, because the kernel walks
through all of their pages for it, and took a tenth of the processor's time when it was asked as often. Round 1 also opens the
task on the members, so seconds a round are the median of the others. The processor's seconds are those of nodes and workers, over
all rounds.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import torch
from torch import Tensor, nn

import delta

NODES = 3
DATASET = "rows.npz"
TICK = os.sysconf("SC_CLK_TCK")


class Wide(delta.task.HorizontalLearning):
    """64 numbers a row, two hidden layers of the same width, ten classes; one step a round."""

    batch_size = 1000

    def __init__(self, hidden: int, rounds: int, options: argparse.Namespace) -> None:
        strategy = delta.task.FedAvg(
            min_clients=NODES,
            max_clients=NODES,
            merge_epoch=1,
            wait_timeout=600,
            connection_timeout=600,
            precision=options.precision,
            weighting=options.weighting,
            ring=options.ring,
            bound=options.bound,
            rounding=options.rounding,
            transport=options.transport,
        )
        super().__init__(f"wide-{hidden}", rounds, validate_interval=0, strategy=strategy)
        torch.manual_seed(hidden)
        layers = [nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10)]
        self.model = nn.Sequential(*layers)
        self.loss_func = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset(DATASET, shape=(64,), classes=[str(i) for i in range(10)])

    def preprocess(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x / 255 - 0.5, y


@dataclass
class Memory:
    """What processes took, watched from a thread until closed."""

    groups: dict[str, list[int]]
    peak: dict[str, int] = field(default_factory=dict)
    """The most that a group held at one time, in KiB."""
    largest: dict[str, int] = field(default_factory=dict)
    """The highest resident set of one process of a group, in KiB."""
    ticks: dict[int, int] = field(default_factory=dict)

    def __enter__(self) -> Memory:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        looks = 0
        while not self._stop.wait(0.05):
            looks += 1
            held = {group: list(pids) for group, pids in self.groups.items()}
            held["workers"] = [child for pid in held["nodes"] for child in children(pid)]
            for group, pids in held.items():
                for pid in pids:
                    self._look(group, pid)
            if looks % 5:
                continue
            everything = 0
            for group, pids in held.items():
                total = sum(self._share(pid) for pid in pids)
                everything += total
                self.peak[group] = max(self.peak.get(group, 0), total)
            self.peak["all"] = max(self.peak.get("all", 0), everything)

    def _look(self, group: str, pid: int) -> None:
        with suppress(OSError, StopIteration, ValueError):
            status = Path(f"/proc/{pid}/status").read_text()
            self.largest[group] = max(self.largest.get(group, 0), number(status, "VmHWM:"))
            used = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            self.ticks[pid] = int(used[11]) + int(used[12])

    def _share(self, pid: int) -> int:
        with suppress(OSError, StopIteration, ValueError):
            return number(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss:")
        return 0

    @property
    def cpu(self) -> float:
        """Seconds of processors that all processes used, as far as they were seen."""
        return sum(self.ticks.values()) / TICK


def number(text: str, key: str) -> int:
    return int(next(line for line in text.splitlines() if line.startswith(key)).split()[1])


def children(pid: int) -> list[int]:
    with suppress(OSError):
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return []


def network(folder: Path, rows: int) -> AbstractContextManager[tuple[list[str], dict[str, list[int]]]]:
    """A connector and three nodes with rows of their own; their urls, and their processes by kind."""
    return network_of(folder, lambda data, number: made_rows(data, number, rows))


@contextmanager
def network_of(folder: Path, fill: Callable[[Path, int], str]) -> Iterator[tuple[list[str], dict[str, list[int]]]]:
    """A connector and three nodes; ``fill`` puts a node's dataset into its folder, and says what it is called."""
    program = os.environ.get("DELTA_NODE_BIN") or shutil.which("delta-node")
    if not program:
        raise SystemExit("there is no delta-node on the PATH: build it with cargo, or name it in DELTA_NODE_BIN")
    connector, *ports = free_ports(NODES + 1)
    configs = [configure(folder / f"node-{i + 1}", i, connector, port, fill) for i, port in enumerate(ports)]
    running: list[subprocess.Popen[str]] = []
    try:
        running.append(start([program, "connector", "--config", str(configs[0])], "connector listens"))
        for config in configs:
            running.append(start([program, "run", "--config", str(config)], "API listens"))
        pids = {"connector": [running[0].pid], "nodes": [p.pid for p in running[1:]]}
        yield [f"http://127.0.0.1:{port}" for port in ports], pids
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return ports


def made_rows(data: Path, number: int, rows: int) -> str:
    rng = np.random.default_rng([2026, number])
    made = io.BytesIO()
    x, y = rng.integers(0, 256, (rows, 64), np.uint8), rng.integers(0, 10, rows)
    np.savez(made, x=x, y=y.astype(np.int64))
    (data / DATASET).write_bytes(made.getvalue())
    return DATASET


def configure(folder: Path, number: int, connector: int, port: int, fill: Callable[[Path, int], str]) -> Path:
    (folder / "data").mkdir(parents=True)
    dataset = fill(folder / "data", number)
    config = {
        "node": {"name": folder.name, "url": f"http://127.0.0.1:{port}"},
        "api_host": "127.0.0.1",
        "api_port": port,
        "chain_connector": {"host": "127.0.0.1", "port": connector},
        "connector": {"host": "127.0.0.1", "port": connector, "db": f"sqlite:///{folder}/connector.db"},
        "db": f"sqlite+aiosqlite:///{folder}/node.db",
        "data_dir": str(folder / "data"),
        "task_dir": str(folder / "task"),
        "log": {"dir": str(folder / "log"), "level": "INFO"},
        "policy": {"allow_private_addresses": True},
        "datasets": {dataset: {"columns": {}}},
    }
    path = folder / "config.yaml"
    # JSON is YAML.
    path.write_text(json.dumps(config, indent=2))
    return path


def start(command: list[str], ready: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if ready in line:
            # A full pipe would stop the program.
            threading.Thread(target=lambda rest: [None for _ in rest], args=(process.stdout,), daemon=True).start()
            return process
    raise SystemExit(f"{' '.join(command)} has ended:\n{''.join(said)}")


def measure(hidden: int, options: argparse.Namespace, folder: Path) -> list[str]:
    """One size: a row of the table."""
    task = Wide(hidden, options.rounds, options)
    parameters = sum(p.numel() for p in task.model.parameters())
    begun = time.monotonic()
    bundle = task.build()
    built = time.monotonic() - begun
    with network(folder, options.rows) as (urls, pids), Memory(pids) as memory, allowing(urls):
        node = delta.DeltaNode(urls[0], timeout=600)
        begun = time.monotonic()
        number = node.create_task(bundle)
        sent = time.monotonic() - begun
        size = len(bundle.data)
        del bundle, task
        if not node.wait(number, timeout=options.timeout, progress=False):
            raise SystemExit(f"{parameters} parameters: {node.progress(number).error}")
        rounds = seconds(urls[0], number)
    mib = lambda kib: f"{kib / 1024:,.0f}"  # noqa: E731
    print(
        f"# {parameters:,} parameters: bundle of {size >> 20} MiB built in {built:.1f} s, submitted in {sent:.1f} s; "
        f"rounds {', '.join(f'{s:.2f}' for s in rounds)} s; processor {memory.cpu:.1f} s in all",
        file=sys.stderr,
        flush=True,
    )
    later = rounds[1:] or rounds
    held = [memory.peak["nodes"], memory.largest["nodes"], memory.largest["workers"], memory.peak["all"]]
    return [f"{parameters / 1e6:.2f} M", f"{statistics.median(later):.2f}", *map(mib, held)]


@contextmanager
def allowing(urls: list[str]) -> Iterator[None]:
    """Every owner's every question is answered meanwhile: yes.

    One client asks: a new one each time, with certificates of its own, would keep a processor busy.
    """
    done = threading.Event()

    def answer() -> None:
        with httpx.Client(timeout=30) as client:
            while not done.wait(0.1):
                for url in urls:
                    with suppress(httpx.HTTPError):
                        tasks = client.get(f"{url}/v1/approvals").json()["tasks"]
                        for task in (t for t in tasks if t["waits"]):
                            yes = {"task_id": task["task"], "decision": "allow", "scope": "always"}
                            client.post(f"{url}/v1/approvals", json=yes).raise_for_status()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def seconds(url: str, number: int) -> list[float]:
    """How long each round took, as the coordinator says."""
    answer = httpx.get(f"{url}/v1/task/progress", params={"task_id": number}, timeout=30)
    answer.raise_for_status()
    return [float(r["seconds"]) for r in answer.json()["history"] if not r["error"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, nargs="+", default=[1000, 5000, 10000], help="units of the hidden layers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=32, help="rows of each node")
    parser.add_argument("--weighting", choices=["samples", "mean"], default="samples")
    parser.add_argument("--ring", choices=["z32", "z64", "auto"], default=None)
    parser.add_argument("--bound", type=float, help="no number that leaves is larger; for --ring auto")
    parser.add_argument("--rounding", choices=["nearest", "stochastic"], default="nearest")
    parser.add_argument("--transport", choices=["full", "f16"], default="full")
    parser.add_argument("--precision", type=int, default=8, help="decimal digits")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds for all rounds of one size")
    parser.add_argument("--folder", type=Path, help="keep what nodes write here")
    given = parser.parse_args()
    columns = "parameters | s a round | nodes at once, MiB | one node, MiB | one worker, MiB | everything at once, MiB"
    print(f"| {columns} |\n{'|---' * (columns.count('|') + 1)}|", flush=True)
    for hidden in given.hidden:
        with tempfile.TemporaryDirectory(prefix="delta-large-") as made:
            folder = (given.folder or Path(made)) / str(hidden)
            print(f"| {' | '.join(measure(hidden, given, folder))} |", flush=True)


if __name__ == "__main__":
    main()
