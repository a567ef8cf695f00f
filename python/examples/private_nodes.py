"""Three nodes on this machine whose owners let tasks under noise run unasked, within a budget: for the private examples.

    python examples/private_nodes.py                  # until Ctrl-C; prints their urls
    python examples/private_mean.py --node URL        # in another terminal

Each node has its part of two tables, made here from a seed: no data of anybody; and of scikit-learn's handwritten digits,
where that is installed. The program is ``delta-node`` of the PATH, or
what the environment variable DELTA_NODE_BIN names.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

NODES = 3
STAFF, TRIAL, DIGITS = "staff.csv", "trial.csv", "digits"
# What owners write (docs/policy.md). A budget is a node's own decision; here all three have the same.
POLICIES: dict[str, Any] = {
    STAFF: {
        "columns": {"person": "identifier", "wage": "value"},
        "members": NODES,
        "approval": "private",
        "privacy": {"unit": "record", "epsilon": 0.8, "delta": 1e-6, "renew": "never"},
    },
    TRIAL: {
        "columns": {"patient": "identifier", "age": "quasi", "treated": "value", "recovered": "value"},
        "members": NODES,
        "approval": "private",
        "privacy": {"unit": "record", "epsilon": 2.1, "delta": 1e-6, "renew": "never"},
    },
    DIGITS: {
        # Images have no columns, and so none that points at one person.
        "columns": {},
        "members": NODES,
        "approval": "private",
        "privacy": {"unit": "record", "epsilon": 3.5, "delta": 1e-5, "renew": "never"},
    },
}


def tables(node: int) -> dict[str, dict[str, Any]]:
    """Make a node's part of each table: 2,000 wages from 3,000 to 7,999, and 20,000 patients of a trial."""
    rng = np.random.default_rng([2026, node])
    wages = 3000 + np.rint(4999 * rng.beta(2, 3, 2000)).astype(int)
    age, treated = rng.integers(20, 81, 20_000), rng.integers(0, 2, 20_000)
    odds = 0.4 - 0.8 * (age - 50) / 30 + 0.7 * treated
    recovered = (rng.random(len(age)) < 1 / (1 + np.exp(-odds))).astype(int)
    numbers = np.arange(len(age)) + 100_000 * (node + 1)
    return {
        STAFF: {"person": numbers[: len(wages)], "wage": wages},
        TRIAL: {"patient": numbers, "age": age, "treated": treated, "recovered": recovered},
    }


def images(node: int) -> tuple[Any, Any]:
    """Take a node's part of the digits: pixels 0 to 255 of 8 by 8, and what each shows."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    x, y = (loaded.images[:, None] * (255 / 16)).round().astype(np.uint8), loaded.target.astype(np.int64)
    # Every third: each node has all digits.
    return x[node::NODES], y[node::NODES]


@dataclass
class Node:
    """A node: where it is asked, and its configuration file."""

    url: str
    config: Path
    process: subprocess.Popen[str] | None = None


@contextmanager
def network(folder: Path, policies: dict[str, Any] = POLICIES, count: int = NODES) -> Iterator[list[Node]]:
    """Run a connector and some nodes with these rules, and with everything that they keep below ``folder``."""
    program = os.environ.get("DELTA_NODE_BIN") or shutil.which("delta-node")
    if not program:
        raise SystemExit("there is no delta-node on the PATH: build it with cargo, or name it in DELTA_NODE_BIN")
    connector, *ports = free_ports(count + 1)
    nodes = [write(folder / f"node-{i + 1}", i, connector, port, policies) for i, port in enumerate(ports)]
    record = None
    try:
        record = start([program, "connector", "--config", str(nodes[0].config)], "connector listens")
        for node in nodes:
            node.process = start([program, "run", "--config", str(node.config)], "API listens")
        yield nodes
    finally:
        for process in [*(node.process for node in reversed(nodes)), record]:
            if process is not None:
                process.send_signal(signal.SIGTERM)
                process.wait(30)


def free_ports(count: int) -> list[int]:
    """Find ports of this machine that nobody listens on."""
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return ports


def write(folder: Path, number: int, connector: int, port: int, policies: dict[str, Any]) -> Node:
    """Write a node's tables and images, rules and configuration."""
    (folder / "data").mkdir(parents=True)
    for name, columns in tables(number).items():
        lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        (folder / "data" / name).write_text("\n".join(lines) + "\n")
    if importlib.util.find_spec("sklearn"):
        x, y = images(number)
        with (folder / "data" / DIGITS).open("wb") as file:
            np.savez(file, x=x, y=y)
    node = Node(f"http://127.0.0.1:{port}", folder / "config.yaml")
    config = {
        "node": {"name": folder.name, "url": node.url},
        "api_host": "127.0.0.1",
        "api_port": port,
        "chain_connector": {"host": "127.0.0.1", "port": connector},
        "connector": {"host": "127.0.0.1", "port": connector, "db": f"sqlite:///{folder}/connector.db"},
        "db": f"sqlite+aiosqlite:///{folder}/node.db",
        "data_dir": str(folder / "data"),
        "task_dir": str(folder / "task"),
        "log": {"dir": str(folder / "log")},
        "policy": {"min_clients": NODES, "allow_private_addresses": True},
        "datasets": policies,
    }
    # JSON is YAML.
    node.config.write_text(json.dumps(config, indent=2))
    return node


def start(command: list[str], ready: str) -> subprocess.Popen[str]:
    """Start a program and wait until it says that it is ready."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if ready in line:
            # Nobody reads what comes after; a full pipe would stop the program.
            threading.Thread(target=lambda rest: [None for _ in rest], args=(process.stdout,), daemon=True).start()
            return process
    raise SystemExit(f"{' '.join(command)} has ended:\n{''.join(said)}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="delta-private-") as folder, network(Path(folder)) as nodes:
        for node in nodes:
            print(f"{node.url}  owner's view: delta-node privacy --config {node.config}")
        print(f"submit to {nodes[0].url}; Ctrl-C ends")
        try:
            signal.pause()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
