"""Tasks for the Delta privacy-computing network, written in Python.

>>> import delta
>>> bundle = MyTask().build()             # a graph, not code  # doctest: +SKIP
>>> delta.debug(bundle, data=frame)       # the whole task on this machine  # doctest: +SKIP
>>> bundle.check(delta.Network("http://127.0.0.1:6700"))  # which nodes can run it  # doctest: +SKIP
>>> node = delta.DeltaNode("http://127.0.0.1:6700")  # doctest: +SKIP
>>> node.get_result(node.create_task(bundle))  # doctest: +SKIP

What is public is in ``__all__``, here and in every module without an underscore. Tasks to subclass are in :mod:`delta.task`
and :mod:`delta.statsmodel`, what they read in :mod:`delta.dataset`, how they are run in :mod:`delta.strategy`; tests, survival
curves and the like for analytics are in :mod:`delta.stats`, estimators in :mod:`delta.learn`. Who makes
bundles by hand needs :mod:`delta.manifest` and :mod:`delta.graph`; who makes a kind of task, :mod:`delta.pandas.symbolic`
and :mod:`delta.results`, too.
"""

import sys as _sys

if _sys.version_info < (3, 10):  # noqa: UP036 - who runs the source has no pip that refuses
    raise ImportError(f"delta needs Python 3.10 or newer, and this is {'.'.join(map(str, _sys.version_info[:3]))}")

from . import (
    bundle,
    certificate,
    dataset,
    delta_node,
    graph,
    learn,
    manifest,
    network,
    pandas,
    privacy,
    results,
    simulation,
    stats,
    statsmodel,
    strategy,
    task,
)
from ._check import CatalogueWarning
from ._errors import ResumeWarning
from ._local import debug
from ._release import ReleaseWarning
from ._version import __version__
from .bundle import Bundle
from .delta_node import DeltaNode, DeltaNodeError, Progress, TaskFailed, TaskHandle, TaskTimeout, attach
from .network import Network
from .privacy import Privacy
from .simulation import simulate

__all__ = [
    "Bundle",
    "CatalogueWarning",
    "DeltaNode",
    "DeltaNodeError",
    "Network",
    "Privacy",
    "Progress",
    "ReleaseWarning",
    "ResumeWarning",
    "TaskFailed",
    "TaskHandle",
    "TaskTimeout",
    "__version__",
    "attach",
    "bundle",
    "certificate",
    "dataset",
    "debug",
    "delta_node",
    "graph",
    "learn",
    "manifest",
    "network",
    "pandas",
    "privacy",
    "results",
    "simulate",
    "simulation",
    "stats",
    "statsmodel",
    "strategy",
    "task",
]
