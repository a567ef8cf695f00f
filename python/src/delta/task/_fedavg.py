"""Strategies of learning tasks: how members are chosen, how long they train before they merge, how models are averaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ..strategy import Members, Selection, Strategy

if TYPE_CHECKING:
    from torch import Tensor

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

    A strategy of one's own is a subclass with :meth:`aggregate`, and with :meth:`server_state` where it keeps something from
    round to round. The coordinator runs both on the mean over a round's members, which is all that it learns of them.

    A round takes at most ``max_clients`` of the nodes that join it. It begins as soon as that many have joined, so to sample a
    part of the network is to ask for fewer than there are: who is chosen depends on who answers first and, where more have
    joined meanwhile, on chance (or, with ``SameSelectStrategy``, on who was in the round before).

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

    def server_state(self, parameters: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Say what the coordinator keeps from round to round for :meth:`aggregate`; no member sees it.

        Parameters
        ----------
        parameters : mapping of str to torch.Tensor
            The initial values of what :meth:`aggregate` gets, by the keys of ``state_dict()``.

        Returns
        -------
        dict of str to torch.Tensor
            Initial values, by names of the strategy's choice. By default nothing.
        """
        return {}

    def aggregate(
        self, mean: Mapping[str, Tensor], old: Mapping[str, Tensor], state: Mapping[str, Tensor]
    ) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """Say what the coordinator makes of a round, in torch operations: it is recorded once, and becomes a graph.

        It is about the parameters that are trained and averaged. Buffers (running means and variances, counters) are averaged
        whatever the strategy.

        Parameters
        ----------
        mean : mapping of str to torch.Tensor
            The mean over the members' parameters, by the keys of ``state_dict()``, in ``float64``.
        old : mapping of str to torch.Tensor
            The parameters with which the round began, likewise. ``mean[k] - old[k]`` is the mean of the members' steps.
        state : mapping of str to torch.Tensor
            What :meth:`server_state` declared, as the last round left it, in the type declared.

        Returns
        -------
        tuple of two dicts of str to torch.Tensor
            The new parameters and the new state, all of both; types are converted back. By default the mean as it is.
        """
        return mean, state


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
