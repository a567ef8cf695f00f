"""What all tasks have in common: a name, a strategy, and ``build()``."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from .. import _html
from ..bundle import Bundle
from ..strategy import Strategy

if TYPE_CHECKING:
    from ..network import Check, Network


class HorizontalTask(abc.ABC):
    """A task over data that is split by rows: every node has the same columns, each for its own people.

    Parameters
    ----------
    name : str
        The display name.
    strategy : Strategy
        How rounds are run.
    description : str
        Read by the owners of the data.
    """

    def __init__(self, name: str, strategy: Strategy, *, description: str = "") -> None:
        self.name, self.strategy, self.description = name, strategy, description

    def _repr_html_(self) -> str:
        members = f"{self.strategy.min_clients} to {self.strategy.max_clients} members"
        facts = [
            ("kind", type(self).__name__),
            ("description", self.description),
            ("strategy", f"{self.strategy.name}, {members}"),
            ("rounds", getattr(self, "max_rounds", "")),
        ]
        return _html.pairs(f"Task {self.name}, not built yet", facts)

    def check(self, network: Network) -> Check:
        """See which nodes can run the task, by what they publish; nothing is submitted, and no data is looked at.

        Parameters
        ----------
        network : delta.Network
            Who is asked.

        Returns
        -------
        delta.network.Check
            True when enough can; ``print`` says of each node what it lacks.
        """
        return network.check(self)

    @abc.abstractmethod
    def build(self) -> Bundle:
        """Turn the task into a bundle. Everything that nodes could not run is refused here.

        Returns
        -------
        Bundle
            What goes to a node; ``describe()`` says what it does.
        """
