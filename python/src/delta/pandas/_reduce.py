"""Aggregates."""

from __future__ import annotations

from ._base import Symbol


class Reductions(Symbol):
    """Aggregates of frames and series."""
