"""The token that a client shows a node, and where it is found."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import httpx

#: Where a token may stand instead of in the program.
VARIABLE = "DELTA_NODE_TOKEN"
#: Where a node that runs in this folder keeps its own.
OWN = Path("db/node.token")


def find(url: httpx.URL, token: str | None, file: str | os.PathLike[str] | None) -> str | None:
    """The token: as given, else from the file, else from the environment, else the own one of a node on this machine."""
    if token is not None:
        return _checked(token, "token")
    if file is not None:
        path = Path(file)
        if path.stat().st_mode & 0o077:
            raise ValueError(f"other users can read or change {path}: run `chmod 600` on it")
        return _checked(path.read_text(), str(path))
    if os.environ.get(VARIABLE, "").strip():
        return _checked(os.environ[VARIABLE], f"${VARIABLE}")
    return _own() if _is_here(url.host) else None


def _own() -> str | None:
    """The own token of the node whose folder this is; none where it is somebody else's, or everybody's."""
    try:
        return None if OWN.stat().st_mode & 0o077 else _checked(OWN.read_text(), str(OWN))
    except (OSError, ValueError):
        return None


def _checked(text: str, where: str) -> str:
    text = text.strip()
    digits = text.removeprefix("delta_")
    # The text is not said: a message may end up in a log.
    if len(text) != 70 or len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise ValueError(f"{where}: this is no token of a delta-node: one is delta_ and 64 hex digits")
    return text


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
