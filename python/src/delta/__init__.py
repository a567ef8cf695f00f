"""Tasks for the Delta privacy-computing network, written in Python.

>>> import delta
>>> bundle = MyTask().build()             # a graph, not code  # doctest: +SKIP
>>> delta.debug(bundle, data=frame)       # the whole task on this machine  # doctest: +SKIP
>>> node = delta.DeltaNode("http://127.0.0.1:6700")  # doctest: +SKIP
>>> node.get_result(node.create_task(bundle))  # doctest: +SKIP
"""

from __future__ import annotations

from . import dataset
from ._local import debug
from ._version import __version__
from .bundle import Bundle
from .delta_node import DeltaNode, DeltaNodeError, TaskFailed, TaskTimeout

__all__ = ["Bundle", "DeltaNode", "DeltaNodeError", "TaskFailed", "TaskTimeout", "__version__", "dataset", "debug"]
