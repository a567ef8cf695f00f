"""Running a whole task in this process, as nodes would: ``delta.debug``.

``random`` has the node's streams of random numbers, ``data`` the members' data, ``steps`` the drivers, ``run`` the rounds.
"""

from __future__ import annotations

from .run import debug, simulate

__all__ = ["debug", "simulate"]
