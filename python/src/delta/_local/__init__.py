"""Running a whole task in this process, as nodes would: ``delta.debug``, and ``delta.simulate`` over many clients.

``random`` has the node's streams of random numbers, ``data`` the members' data, ``steps`` the drivers, ``members`` what one
does in a round, ``workers`` many of them in several processes, ``run`` the rounds, ``sampling`` who is in each of a simulation.
"""

from __future__ import annotations

from .data import dataset_of, split
from .joins import looked_up
from .picked import Picked
from .run import debug, simulate
from .sampling import Sampled, size_of

__all__ = ["Picked", "Sampled", "dataset_of", "debug", "looked_up", "simulate", "size_of", "split"]
