"""Three nodes, each with a connector and a wallet of its own, on one chain; a proxy stands between connectors and chain."""

from __future__ import annotations

import threading
from pathlib import Path

from chain import Chain, Contract
from connectors import Connector
from links import Links, State
from network import Node, agree, settings, wait_until
from tasks import MEMBERS, data


class World:
    """Everything as processes, in one folder."""

    def __init__(self, folder: Path, ganache: Path, connector: Path, block_time: float) -> None:
        self.chain = Chain(ganache, folder / "chain", MEMBERS, block_time)
        self.connectors = [Connector(f"connector-{i}", folder / f"connector-{i}", connector) for i in range(MEMBERS)]
        self.nodes = [Node(f"node-{i}", folder / f"node-{i}") for i in range(MEMBERS)]
        self.links = Links(lambda: {c.name: p.pid for c in self.connectors if (p := c.process) is not None})
        self._gone = threading.Event()

    def begin(self, contracts: dict[str, Contract]) -> None:
        """Start everything, and wait until every node knows every other."""
        self.chain.begin(contracts)
        door = self.links.door("chain", self.chain.port)
        for connector, wallet in zip(self.connectors, self.chain.wallets, strict=True):
            connector.set_up(self.chain, wallet, door)
            connector.start()
        for index, (node, connector) in enumerate(zip(self.nodes, self.connectors, strict=True)):
            connector.wait()
            node.url = f"http://127.0.0.1:{node.port}"
            node.address = self.chain.wallets[index].address
            for name, content in data(index).items():
                (node.data / name).write_bytes(content)
            node.configure(settings(node, connector.port))
            node.start()
        patience = 60 + 5 * self.chain.block_time
        for node in self.nodes:
            threading.Thread(target=agree, args=(node, self._gone), daemon=True).start()
            wait_until(f"{node.name} to be ready", node.is_ready, patience)
            wait_until(f"{node.name} to know the others", lambda n=node: self._knows_all(n), patience)  # type: ignore[misc]

    def end(self) -> None:
        """End everything."""
        self._gone.set()
        for program in (*self.nodes, *self.connectors):
            program.kill()
        self.links.close()
        self.chain.stop()

    def turn(self, connector: Connector, state: State) -> None:
        """Set a connector's link to the chain."""
        self.links.turn(connector.name, "chain", state)

    def place(self, address: str) -> int:
        """The node that has an address, in whatever case it is written."""
        return [n.address.lower() for n in self.nodes].index(address.lower())

    def _knows_all(self, node: Node) -> bool:
        page = node.ask("/v1/nodes", page=1, page_size=100)
        return {n.address.lower() for n in self.nodes} <= {n["id"].lower() for n in page["nodes"]}
