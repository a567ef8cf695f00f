"""Kinds of tasks that authors subclass.

Learning tasks need PyTorch; they are imported when first asked for, so that analytics works without it.
"""

import typing as _typing

from ._task import HorizontalTask
from .analytics import HorizontalAnalytics

if _typing.TYPE_CHECKING:
    from .learning import (
        ExportWarning,
        FaultTolerantFedAvg,
        FedAdagrad,
        FedAdam,
        FedAvg,
        FedAvgM,
        FedBN,
        FedProx,
        FedYogi,
        HorizontalLearning,
        Scaffold,
    )

__all__ = [
    "ExportWarning",
    "FaultTolerantFedAvg",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedBN",
    "FedProx",
    "FedYogi",
    "HorizontalAnalytics",
    "HorizontalLearning",
    "HorizontalTask",
    "Scaffold",
]
_LEARNING = frozenset(__all__) - {"HorizontalAnalytics", "HorizontalTask"}


def __getattr__(name: str) -> _typing.Any:
    if name in _LEARNING:
        try:
            from . import learning
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise ImportError(
                f"delta.task.{name} needs PyTorch: pip install torch --index-url https://download.pytorch.org/whl/cpu "
                "(about 200 MB; plain 'pip install torch' brings 3 GB of CUDA libraries on Linux, and tasks need none of them)"
            ) from error
        return getattr(learning, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
