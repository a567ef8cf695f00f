#!/usr/bin/env python3
"""Licences of every crate that the program links, against the list in deny.toml. Needs no network: `.ci/run` uses it where cargo-deny is missing."""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = "x86_64-unknown-linux-gnu"


def allowed_licences() -> set[str]:
    text = (ROOT / "deny.toml").read_text()
    block = re.search(r"\[licenses\].*?allow = \[(.*?)\]", text, re.S)
    return set(re.findall(r'"([^"]+)"', block.group(1)))


def satisfied(expression: str, allowed: set[str]) -> bool:
    """An SPDX expression: AND binds tighter than OR; the old "A/B" means OR."""
    tokens = re.findall(r"\(|\)|\bAND\b|\bOR\b|[^()\s]+(?:\s+WITH\s+\S+)?", expression.replace("/", " OR "))

    def either() -> bool:
        value = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            value = both() or value
        return value

    def both() -> bool:
        value = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            value = one() and value
        return value

    def one() -> bool:
        token = tokens.pop(0)
        if token == "(":
            value = either()
            tokens.pop(0)
            return value
        return re.sub(r"\s+", " ", token) in allowed

    return either()


def main() -> int:
    command = ["cargo", "metadata", "--format-version", "1", "--all-features", "--filter-platform", TARGET, "--locked"]
    packages = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)["packages"]
    allowed = allowed_licences()
    wrong = [f"{p['name']} {p['version']}: {p['license'] or 'no licence'}" for p in packages if not satisfied(p["license"] or "none", allowed)]
    print(f"{len(packages)} crates, {len(wrong)} with a licence that deny.toml does not allow", *wrong, sep="\n  ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
