"""Kinds of tasks that authors subclass."""

from __future__ import annotations

from .analytics import HorizontalAnalytics
from .task import HorizontalTask

__all__ = ["HorizontalAnalytics", "HorizontalTask"]
