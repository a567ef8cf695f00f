"""A chain of this machine (ganache) with the contracts on it, and what is read from its blocks."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from network import free_port, wait_until

CHAIN_ID = 1337
CONTRACTS = ("IdentityContract", "HFLContract", "PlonkVerifier3", "DataHub", "HLR")
"""In the order in which they are put on the chain."""
NEEDS = {"HFLContract": ["IdentityContract"], "HLR": ["IdentityContract", "DataHub"]}
"""The contracts whose addresses a contract is given when it is put on the chain."""
BLOCK_GAS, CALL_GAS, DEPLOY_GAS = 30_000_000, 10_000_000, 12_000_000
"""Gas that a block holds, that a call of a connector may use, that a contract may cost."""


@dataclass(frozen=True)
class Contract:
    """A compiled contract: its code, and the names of its functions by their first four bytes."""

    code: str
    functions: dict[str, str]


def compiled(sources: Path, solc: Path) -> dict[str, Contract]:
    """Compile the contracts with solc of npm, as their authors do: optimised for 200 runs."""
    files = {p.name: {"content": p.read_text()} for p in sorted(sources.glob("*.sol"))}
    wanted = ["evm.bytecode.object", "evm.methodIdentifiers"]
    asked = {
        "language": "Solidity",
        "sources": files,
        "settings": {"optimizer": {"enabled": True, "runs": 200}, "outputSelection": {"*": {"*": wanted}}},
    }
    # Pipes it would read and fill only in part.
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as told:
        given.write(json.dumps(asked).encode())
        given.seek(0)
        subprocess.run(["node", str(solc / "solc.js"), "--standard-json"], stdin=given, stdout=told, check=True)
        told.seek(0)
        text = told.read().decode()
    # It may say a line of its own before the answer.
    answer = json.loads(text[text.index("{") :])
    failed = [e["formattedMessage"] for e in answer.get("errors", []) if e["severity"] == "error"]
    if failed:
        raise SystemExit("\n".join(failed))
    found = {}
    for name in CONTRACTS:
        evm = answer["contracts"][f"{name}.sol"][name]["evm"]
        functions = {"0x" + four: text.partition("(")[0] for text, four in evm["methodIdentifiers"].items()}
        found[name] = Contract(evm["bytecode"]["object"], functions)
    return found


@dataclass(frozen=True)
class Wallet:
    """An account that pays for a connector's transactions; its address in mixed case (EIP-55)."""

    address: str
    key: str


@dataclass(frozen=True)
class Transaction:
    """A mined transaction."""

    block: int
    sender: str
    function: str
    task: str
    """Empty when it is about no task."""
    round: int
    ok: bool
    gas: int
    hash: str


class Chain:
    """A ganache process. With a block time of 0 s every transaction is a block, at once."""

    def __init__(self, ganache: Path, folder: Path, wallets: int, block_time: float) -> None:
        self.port = free_port()
        self.block_time = block_time
        self.folder = folder
        self.keys = folder / "accounts.json"
        self.deployed: dict[str, str] = {}
        self.contracts: dict[str, Contract] = {}
        self.wallets: list[Wallet] = []
        self._read: dict[int, list[Transaction]] = {}
        self._http = httpx.Client(trust_env=False, timeout=30)
        folder.mkdir(parents=True, exist_ok=True)
        options = {
            "--chain.hardfork": "berlin",
            "--chain.chainId": CHAIN_ID,
            "--miner.blockTime": f"{block_time:g}",
            "--miner.blockGasLimit": BLOCK_GAS,
            "--wallet.seed": "delta",
            # One more, which puts the contracts on the chain.
            "--wallet.totalAccounts": wallets + 1,
            "--wallet.accountKeysPath": self.keys,
            "--server.host": "127.0.0.1",
            "--server.port": self.port,
        }
        flags = [str(part) for pair in options.items() for part in pair]
        self.log = folder / "said"
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(
                ["node", str(ganache / "dist/node/cli.js"), *flags], stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )

    def begin(self, contracts: dict[str, Contract]) -> None:
        """Wait until it answers, and put the contracts on it."""
        wait_until("the chain", self.answers)
        keys = json.loads(self.keys.read_text())["private_keys"]
        self.wallets = [Wallet(self.mixed_case(a), keys[a]) for a in list(keys)[1:]]
        self.contracts = contracts
        deployer = next(iter(keys))
        for name in CONTRACTS:
            given = "".join(self.deployed[n][2:].lower().rjust(64, "0") for n in NEEDS.get(name, []))
            call = {"from": deployer, "data": "0x" + contracts[name].code + given, "gas": hex(DEPLOY_GAS)}
            receipt = self.receipt(self.ask("eth_sendTransaction", call))
            if receipt["status"] != "0x1":
                raise SystemExit(f"the chain did not take the contract {name}")
            self.deployed[name] = self.mixed_case(receipt["contractAddress"])

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        self._http.close()

    def freeze(self, frozen: bool) -> None:
        """Let it stand still: connections stay, nothing is answered or mined."""
        self.process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def answers(self) -> bool:
        """Whether it does."""
        with suppress(httpx.HTTPError):
            return self.keys.exists() and self.ask("eth_chainId") == hex(CHAIN_ID)
        return False

    def ask(self, method: str, *given: Any) -> Any:
        """Call it."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(given)}
        answer = self._http.post(f"http://127.0.0.1:{self.port}", json=call).json()
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def receipt(self, hash: str) -> Any:
        """Wait until a transaction is in a block."""
        patience = 60 + 3 * self.block_time
        return wait_until("a block", lambda: self.ask("eth_getTransactionReceipt", hash), patience)

    def mixed_case(self, address: str) -> str:
        """An address as EIP-55 writes it: a digit is a capital when the hash of the address says so."""
        digits = address[2:].lower()
        hash = self.ask("web3_sha3", "0x" + digits.encode().hex())[2:]
        return "0x" + "".join(d.upper() if int(h, 16) > 7 else d for d, h in zip(digits, hash[:40], strict=True))

    def height(self) -> int:
        """The number of its newest block."""
        return int(self.ask("eth_blockNumber"), 16)

    def sent(self) -> int:
        """Transactions that it was sent so far, mined or not, from what it says of calls."""
        return self.log.read_text(errors="replace").count("eth_sendRawTransaction")

    def mined(self, after: int) -> list[Transaction]:
        """The connectors' transactions in all blocks behind block ``after``."""
        blocks = range(after + 1, self.height() + 1)
        return [t for number in blocks for t in self._block(number)]

    def write(self, file: Path) -> None:
        """Put all of them into a file, one a line."""
        rows = [f"{t.block} {t.sender} {t.function} {t.task} {t.round} {t.ok} {t.gas} {t.hash}" for t in self.mined(0)]
        file.write_text("\n".join(["block sender function task round ok gas hash", *rows, ""]))

    def _block(self, number: int) -> list[Transaction]:
        if number not in self._read:
            block = self.ask("eth_getBlockByNumber", hex(number), True)
            self._read[number] = list(self._transactions(number, block["transactions"]))
        return self._read[number]

    def _transactions(self, number: int, found: list[dict[str, Any]]) -> Iterable[Transaction]:
        named = {address.lower(): name for name, address in self.deployed.items()}
        for each in found:
            name = named.get((each["to"] or "").lower())
            if name is None:
                continue
            function = self.contracts[name].functions.get(each["input"][:10], "?")
            words = each["input"][10:]
            about = name in ("HFLContract", "HLR") and function != "createTask"
            has_round = about and function not in ("finishTask", "verify", "confirmVerification")
            receipt = self.ask("eth_getTransactionReceipt", each["hash"])
            yield Transaction(
                number,
                each["from"],
                function,
                "0x" + words[:64] if about else "",
                int(words[64:128], 16) if has_round else 0,
                receipt["status"] == "0x1",
                int(receipt["gasUsed"], 16),
                each["hash"],
            )
