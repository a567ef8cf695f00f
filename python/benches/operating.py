"""What a node takes while nobody asks anything of it, and how long operators wait for its answers.

    DELTA_NODE_BIN=target/release/delta-node PYTHONPATH=python/src python python/benches/operating.py

One node with the embedded connector. Its database is filled with finished tasks between two of its lives; then medians of many
calls on one connection over loopback, in milliseconds: `/metrics`, the dashboard's list of tasks, the same by a status, by a text
that is in a hundred names and by one that is in none.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
from large import free_ports

FINISHED, FAILED = 2, 3
"""Numbers of statuses in the database, as in the original's API."""


def configure(home: Path, port: int, connector: int) -> None:
    """Write the configuration. JSON is YAML."""
    (home / "data").mkdir()
    config = {
        "log": {"level": "INFO", "dir": "logs"},
        "db": "sqlite+aiosqlite:///db/delta.db",
        "chain_connector": {"host": "embedded", "port": connector},
        "node": {"name": "one", "url": f"http://127.0.0.1:{port}"},
        "api_host": "127.0.0.1",
        "api_port": port,
        "task_dir": "task",
        "data_dir": "data",
        "connector": {"host": "127.0.0.1", "port": connector},
        "policy": {"allow_private_addresses": True},
    }
    (home / "config.yaml").write_text(json.dumps(config))


@contextmanager
def running(home: Path, url: str) -> Iterator[int]:
    """A life of the node: its process."""
    program = os.environ["DELTA_NODE_BIN"]
    with (home / "said").open("ab") as said:
        process = subprocess.Popen([program, "--config", "config.yaml", "run"], cwd=home, stdout=said, stderr=said)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"{url}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if time.monotonic() > end or process.poll() is not None:
                raise SystemExit(f"the node is not ready: {(home / 'said').read_text()[-2000:]}")
            time.sleep(0.02)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def fill(home: Path, tasks: int) -> None:
    """So many tasks, each tenth of them failed; every hundredth has another name."""
    with sqlite3.connect(home / "db/delta.db") as database:
        database.execute("DELETE FROM dn_tasks")
        rows = (
            (
                1_790_000_000_000 + i,
                f"rare study {i}" if i % 100 == 0 else f"means of ward {i}",
                "horizontal",
                f"0x{i:064x}",
                FAILED if i % 10 == 0 else FINISHED,
                f"author {i % 7}",
            )
            for i in range(tasks)
        )
        database.executemany(
            "INSERT INTO dn_tasks (created_at, name, kind, enable_verify, task, status, author) VALUES (?, ?, ?, 0, ?, ?, ?)",
            rows,
        )


def memory(pid: int) -> float:
    """MiB that the process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def answered(client: httpx.Client, path: str, calls: int) -> float:
    """Milliseconds, the median."""
    times = []
    for _ in range(calls):
        begun = time.perf_counter()
        client.get(path).raise_for_status()
        times.append((time.perf_counter() - begun) * 1e3)
    return median(times)


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle", type=float, default=20.0, help="seconds before memory is read")
    parser.add_argument("--calls", type=int, default=200)
    given = parser.parse_args()
    pages = {
        "/metrics": "/metrics",
        "list": "/v1/board/tasks",
        "by status": "/v1/board/tasks?status=ERROR",
        "by a text": "/v1/board/tasks?text=rare",
        "by a text that is nowhere": "/v1/board/tasks?text=nowhere",
    }
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        port, connector = free_ports(2)
        url = f"http://127.0.0.1:{port}"
        configure(home, port, connector)
        with running(home, url) as pid:
            time.sleep(given.idle)
            print(f"idle for {given.idle:g} s: {memory(pid):.1f} MiB")
        print(f"| tasks | {' | '.join(pages)} | MiB |")
        print("|---" * (len(pages) + 2) + "|")
        for tasks in (1_000, 10_000):
            fill(home, tasks)
            with running(home, url) as pid, httpx.Client(base_url=url) as client:
                times = [answered(client, path, given.calls) for path in pages.values()]
                print(f"| {tasks:,} | {' | '.join(f'{ms:.1f}' for ms in times)} | {memory(pid):.1f} |", flush=True)


if __name__ == "__main__":
    main()
