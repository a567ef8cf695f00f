"""Kinds of tasks that authors subclass.

Learning tasks need PyTorch; they are imported when first asked for, so that analytics works without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._task import HorizontalTask
from .analytics import HorizontalAnalytics

if TYPE_CHECKING:
    from .learning import FaultTolerantFedAvg, FedAvg, HorizontalLearning

__all__ = ["FaultTolerantFedAvg", "FedAvg", "HorizontalAnalytics", "HorizontalLearning", "HorizontalTask"]


def __getattr__(name: str) -> Any:
    if name in ("FaultTolerantFedAvg", "FedAvg", "HorizontalLearning"):
        try:
            from . import learning
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise ImportError(f"delta.task.{name} needs PyTorch: pip install 'delta-node-sdk[torch]'") from error
        return getattr(learning, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
