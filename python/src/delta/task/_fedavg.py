"""Strategies of learning tasks: how members are chosen, how long they train before they merge, how models are averaged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..strategy import Members, Selection, Strategy

Weighting = Literal["samples", "mean"]


class ResultStrategy:
    """What a member contributes to a round."""

    difference = False


class WeightResultStrategy(ResultStrategy):
    """Its parameters after training."""


class GradResultStrategy(ResultStrategy):
    """The difference of its parameters to those that it downloaded."""

    difference = True


# Where these stand in a signature: see delta.strategy.
@dataclass
class Merging(Members):
    """How long members train before models are merged."""

    merge_epoch: int = 1
    merge_iteration: int = 0


@dataclass
class Contribution(Selection):
    """What members contribute."""

    result_strategy: type[ResultStrategy] = WeightResultStrategy


@dataclass
class LearningStrategy(Strategy, Contribution, Merging):
    """What the strategies of learning tasks have in common.

    Parameters
    ----------
    merge_epoch, merge_iteration : int
        How long members train in a round: so many passes over their rows, or so many batches. One of them is greater than 0.
    result_strategy : type of ResultStrategy
        What members contribute: their parameters, or the difference to those that they downloaded.
    weighting : {"samples", "mean"}
        ``"samples"`` weighs each member's model with the number of rows that it trained on in the round, ``"mean"`` counts
        every member once, as delta-task did.
    name : str
        By default the name of the class.
    min_clients, max_clients, wait_timeout, connection_timeout, verify_timeout, precision, curve, select_strategy
        As in :class:`delta.strategy.Strategy`.
    threshold, colluders, neighbours, dropout, mask_generator, ring, retries, reproducible : optional
        As in :class:`delta.strategy.Strategy`.
    bound, rounding, transport : optional
        As in :class:`delta.strategy.Strategy`.

    Raises
    ------
    ValueError
        A value cannot work; the text names the argument.
    """

    weighting: Weighting = field(default="samples", kw_only=True)
    name: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        """Check what is about merging; the rest is :class:`~delta.strategy.Strategy`'s."""
        if self.merge_epoch > 0 and self.merge_iteration > 0:
            raise ValueError(
                "merge_epoch and merge_iteration are both greater than 0: a round has one length, set the other to 0"
            )
        if self.merge_epoch <= 0 and self.merge_iteration <= 0:
            raise ValueError(
                "one of merge_epoch and merge_iteration must be greater than 0: how long members train in a round"
            )
        if self.weighting not in ("samples", "mean"):
            raise ValueError(f"weighting={self.weighting!r}: must be 'samples' or 'mean'")
        super().__post_init__()
        self.name = self.name or type(self).__name__

    @property
    def length(self) -> dict[str, int]:
        """How long members train in a round, as it stands in ``task.json``."""
        return {"epochs": self.merge_epoch} if self.merge_epoch > 0 else {"iterations": self.merge_iteration}


@dataclass
class FedAvg(LearningStrategy):
    """Federated averaging.

    Parameters
    ----------
    min_clients, max_clients, merge_epoch, merge_iteration, wait_timeout, connection_timeout, precision, curve
        As in :class:`LearningStrategy` and :class:`delta.strategy.Strategy`, in delta-task's order.
    select_strategy, result_strategy, verify_timeout, weighting, name
        As there.
    threshold, colluders, neighbours, dropout, mask_generator, ring, retries, reproducible : optional
        As there.
    bound, rounding, transport : optional
        As there.

    Raises
    ------
    ValueError
        A value cannot work; the text names the argument.
    """


@dataclass
class FaultTolerantFedAvg(FedAvg):
    """Federated averaging. Say ``merge_epoch=`` or ``merge_iteration=``: as in delta-task there is no default.

    Rounds of every strategy survive the loss of members here; the name is kept for tasks that use it.

    Parameters
    ----------
    min_clients, max_clients, merge_epoch, merge_iteration, wait_timeout, connection_timeout, precision, curve
        As in :class:`FedAvg`.
    select_strategy, result_strategy, verify_timeout, weighting, name
        As there.
    threshold, colluders, neighbours, dropout, mask_generator, ring, retries, reproducible : optional
        As there.
    bound, rounding, transport : optional
        As there.

    Raises
    ------
    ValueError
        A value cannot work, or how long members train is not said.
    """

    merge_epoch: int = 0
