"""``python -m delta``, and the program ``delta``: the version, and what may be wrong with an installation."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ._doctor import doctor
from ._version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(
        "delta", description="Tasks for the Delta network. The node's own program is delta-node."
    )
    parser.add_argument("--version", action="version", version=f"delta {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    checks = commands.add_parser("doctor", help="what is installed, what is missing, and whether a node answers")
    checks.add_argument("--node", metavar="URL", help="ask this node, too: http://host:port")
    checks.add_argument("--token-file", metavar="FILE", help="file with the token that the node is shown")
    given = parser.parse_args(arguments)
    if given.command is None:
        parser.print_help()
        return 2
    return doctor(given.node, token_file=given.token_file)


if __name__ == "__main__":
    raise SystemExit(main())
