"""What all tasks have in common: a name, a strategy, and ``build()``."""

from __future__ import annotations

import abc
import inspect
from typing import TYPE_CHECKING, Any

from .. import _html
from .._export.errors import ExportError, Location
from ..bundle import Bundle
from ..strategy import Strategy

if TYPE_CHECKING:
    from ..network import Check, Network


class ForgottenInit(ExportError, AttributeError):
    """A class whose ``__init__`` does not call that of its base.

    Parameters
    ----------
    kind : type
        The class.
    """

    def __init__(self, kind: type) -> None:
        place = None
        if inspect.isfunction(kind.__init__):  # type: ignore[misc]
            code = kind.__init__.__code__  # type: ignore[misc]
            place = Location(code.co_filename, code.co_firstlineno)
        super().__init__(
            "super().__init__()", f"{kind.__name__}.__init__ does not call it, or uses the task before",
            instead=f'begin with super().__init__("{kind.__name__.lower()}", ...): name, rounds and strategy are given there',
            location=place,
        )  # fmt: skip


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

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Say what is missing where nothing of a task is there: its own ``__init__``."""
            if "name" not in vars(self) and not name.startswith("__"):
                raise ForgottenInit(type(self))
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

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
