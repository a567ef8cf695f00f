"""Strategies of learning tasks: how members are chosen, how long they train before they merge, how models are averaged."""

from __future__ import annotations

from typing import Any, Literal

from ..strategy import CurveType, RandomSelectStrategy, SelectStrategy, Strategy

Weighting = Literal["samples", "mean"]


class ResultStrategy:
    """What a member contributes to a round."""

    difference = False


class WeightResultStrategy(ResultStrategy):
    """Its parameters after training."""


class GradResultStrategy(ResultStrategy):
    """The difference of its parameters to those that it downloaded."""

    difference = True


class LearningStrategy(Strategy):
    """What both strategies have: ``merge_epoch`` or ``merge_iteration``, one of them greater than 0.

    ``weighting``: ``"samples"`` weighs each member's model with the number of rows that it trained on in the round,
    ``"mean"`` counts every member once, as delta-task did.
    """

    def __init__(
        self,
        merge_epoch: int,
        merge_iteration: int,
        result_strategy: type[ResultStrategy],
        weighting: Weighting,
        **arguments: Any,
    ) -> None:
        """Check what is about merging; the rest is :class:`~delta.strategy.Strategy`'s."""
        if merge_epoch > 0 and merge_iteration > 0:
            raise ValueError(
                "merge_epoch and merge_iteration are both greater than 0: a round has one length, set the other to 0"
            )
        if merge_epoch <= 0 and merge_iteration <= 0:
            raise ValueError(
                "one of merge_epoch and merge_iteration must be greater than 0: how long members train in a round"
            )
        if weighting not in ("samples", "mean"):
            raise ValueError(f"weighting={weighting!r}: must be 'samples' or 'mean'")
        super().__init__(**arguments)
        self.merge_epoch, self.merge_iteration = merge_epoch, merge_iteration
        self.result_strategy, self.weighting = result_strategy, weighting

    @property
    def length(self) -> dict[str, int]:
        """How long members train in a round, as it stands in ``task.json``."""
        return {"epochs": self.merge_epoch} if self.merge_epoch > 0 else {"iterations": self.merge_iteration}


class FedAvg(LearningStrategy):
    """Federated averaging. Times are in seconds, ``precision`` in decimal digits.

    Raises ``ValueError`` naming the argument when a value cannot work.
    """

    def __init__(
        self,
        min_clients: int = 2,
        max_clients: int = 2,
        merge_epoch: int = 1,
        merge_iteration: int = 0,
        wait_timeout: float = 60,
        connection_timeout: float = 60,
        precision: int = 8,
        curve: CurveType = "secp256k1",
        select_strategy: type[SelectStrategy] = RandomSelectStrategy,
        result_strategy: type[ResultStrategy] = WeightResultStrategy,
        *,
        weighting: Weighting = "samples",
        **arguments: Any,
    ) -> None:
        """Take delta-task's arguments, ``weighting``, and the further ones of :class:`~delta.strategy.Strategy`."""
        super().__init__(
            merge_epoch,
            merge_iteration,
            result_strategy,
            weighting,
            **{"name": type(self).__name__} | arguments,
            min_clients=min_clients,
            max_clients=max_clients,
            wait_timeout=wait_timeout,
            connection_timeout=connection_timeout,
            precision=precision,
            curve=curve,
            select_strategy=select_strategy,
        )


class FaultTolerantFedAvg(FedAvg):
    """Federated averaging. Say ``merge_epoch=`` or ``merge_iteration=``: as in delta-task there is no default.

    Rounds of every strategy survive the loss of members here; the name is kept for tasks that use it.
    """

    def __init__(
        self,
        min_clients: int = 2,
        max_clients: int = 2,
        merge_epoch: int = 0,
        merge_iteration: int = 0,
        wait_timeout: float = 60,
        connection_timeout: float = 60,
        precision: int = 8,
        curve: CurveType = "secp256k1",
        select_strategy: type[SelectStrategy] = RandomSelectStrategy,
        result_strategy: type[ResultStrategy] = WeightResultStrategy,
        **arguments: Any,
    ) -> None:
        """Take the arguments of :class:`FedAvg`."""
        super().__init__(
            min_clients,
            max_clients,
            merge_epoch,
            merge_iteration,
            wait_timeout,
            connection_timeout,
            precision,
            curve,
            select_strategy,
            result_strategy,
            **arguments,
        )
