"""The real connector in ethereum mode, one for each node, with a wallet of its own and a link to the chain that can be cut."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from chain import CALL_GAS, CHAIN_ID, Chain, Wallet
from network import Program, free_port, wait_until


class Connector(Program):
    """A connector process over all its lives. Its folder of sources has been built (``npm run build:ts``)."""

    def __init__(self, name: str, home: Path, sources: Path) -> None:
        super().__init__(name, home, "run")
        self.sources = sources
        self.port = free_port()

    def set_up(self, chain: Chain, wallet: Wallet, door: int) -> None:
        """Write its configuration: it reaches the chain through the port ``door``."""
        address = chain.deployed
        ethereum = {
            "nodeAddress": wallet.address,
            "privateKey": wallet.key,
            "provider": f"ws://127.0.0.1:{door}",
            "gasPrice": 1,
            "gasLimit": CALL_GAS,
            "chainParam": {"chainId": CHAIN_ID},
            "identity": {"contractAddress": address["IdentityContract"]},
            "hfl": {"contractAddress": address["HFLContract"]},
            "datahub": {"contractAddress": address["DataHub"]},
            "hlr": {"contractAddress": address["HLR"], "verifiers": {"3": address["PlonkVerifier3"]}},
        }
        config = {
            "log": {"level": "info"},
            "impl": "ethereum",
            "host": "127.0.0.1",
            "port": self.port,
            "coordinator": {"db": {"type": "sqlite", "url": "unused.db"}},
            "ethereum": ethereum,
        }
        (self.home / "config.json").write_text(json.dumps(config, indent=2))

    def start(self) -> None:
        """Start it. It listens at once, and answers when it has reached the chain."""
        assert self.process is None, f"{self.name} runs"
        environment = os.environ | {"COORDINATOR": str(self.home / "config.json")}
        with (self.home / "said").open("ab") as said:
            self.process = subprocess.Popen(
                ["node", str(self.sources / "bin/dcc"), "run"],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=environment,
                start_new_session=True,
            )
        self.lives += 1

    def wait(self) -> None:
        """Wait until it answers."""
        wait_until(f"{self.name} to start", lambda: self.said().count('"server start"') >= self.lives)
