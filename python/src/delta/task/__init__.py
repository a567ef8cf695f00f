"""Kinds of tasks that authors subclass."""

from __future__ import annotations

from .task import HorizontalTask

__all__ = ["HorizontalTask"]
