"""Strategies beside plain averaging, with the names, defaults and results of Flower's.

Those with a step of the coordinator's own are written with the hook that authors have, :meth:`LearningStrategy.aggregate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ._fedavg import FedAvg, GradResultStrategy, ResultStrategy

Named = Mapping[str, Tensor]


@dataclass
class FedAvgM(FedAvg):
    """Federated averaging with momentum at the coordinator (Hsu et al. 2019, arXiv:1909.06335), as Flower's ``FedAvgM``.

    The mean of the members' steps is the negative gradient of an SGD that the coordinator runs.

    Parameters
    ----------
    server_learning_rate : float
        How far the coordinator goes; 1 is to the mean.
    server_momentum : float
        How much of the momentum is kept from round to round, at least 0 and less than 1.
    min_clients, max_clients, merge_epoch, merge_iteration, wait_timeout, connection_timeout, precision, curve
        As in :class:`FedAvg`.
    select_strategy, verify_timeout, weighting, name
        As there.
    result_strategy : type of ResultStrategy
        By default :class:`GradResultStrategy`, the same mean: what did not change is rounded to no step at all.
    threshold, colluders, neighbours, dropout, mask_generator, ring, retries, reproducible : optional
        As there.
    bound, rounding, transport : optional
        As there.

    Raises
    ------
    ValueError
        A value cannot work; the text names the argument.
    """

    result_strategy: type[ResultStrategy] = GradResultStrategy
    server_learning_rate: float = field(default=1.0, kw_only=True)
    server_momentum: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        """Check the two numbers."""
        _check(self, server_learning_rate=self.server_learning_rate > 0, server_momentum=0 <= self.server_momentum < 1)
        super().__post_init__()

    def server_state(self, parameters: Named) -> Named:
        """Keep the momentum, where there is one.

        Parameters
        ----------
        parameters : mapping of str to torch.Tensor
            As in :class:`LearningStrategy`.

        Returns
        -------
        dict of str to torch.Tensor
            Zeros.
        """
        return {f"momentum.{k}": torch.zeros_like(p) for k, p in parameters.items()} if self.server_momentum else {}

    def aggregate(self, mean: Named, old: Named, state: Named) -> tuple[Named, Named]:
        """Take a step of SGD.

        Parameters
        ----------
        mean, old, state : mapping of str to torch.Tensor
            As in :class:`LearningStrategy`.

        Returns
        -------
        tuple of two dicts of str to torch.Tensor
            As there.
        """
        steps = {k: mean[k] - old[k] for k in mean}
        if self.server_momentum:
            steps = {k: self.server_momentum * state[f"momentum.{k}"] + step for k, step in steps.items()}
        after = {f"momentum.{k}": step for k, step in steps.items()} if self.server_momentum else {}
        return {k: old[k] + self.server_learning_rate * step for k, step in steps.items()}, after


@dataclass
class _Adaptive(FedAvg):
    """Algorithm 2 of Reddi et al. 2021: a step for each number, by the squares of its steps so far."""

    result_strategy: type[ResultStrategy] = GradResultStrategy
    eta: float = field(default=1e-1, kw_only=True)
    eta_l: float = field(default=1e-1, kw_only=True)
    tau: float = field(default=1e-3, kw_only=True)

    def __post_init__(self) -> None:
        """Check the numbers."""
        betas = {f"beta_{i}": 0 <= b < 1 for i, b in enumerate(self._betas, 1) if hasattr(self, f"beta_{i}")}
        _check(self, eta=self.eta > 0, eta_l=self.eta_l > 0, tau=self.tau > 0, **betas)
        super().__post_init__()

    @property
    def _betas(self) -> tuple[float, float]:
        return getattr(self, "beta_1", 0.0), getattr(self, "beta_2", 0.0)

    def server_state(self, parameters: Named) -> Named:
        """Keep the mean of the steps and the measure of their squares, zeros at first.

        Parameters
        ----------
        parameters : mapping of str to torch.Tensor
            As in :class:`LearningStrategy`.

        Returns
        -------
        dict of str to torch.Tensor
            ``mean.*`` and ``square.*``.
        """
        kept = ("mean", "square") if self._betas[0] else ("square",)
        return {f"{kind}.{k}": torch.zeros_like(p) for kind in kept for k, p in parameters.items()}

    def aggregate(self, mean: Named, old: Named, state: Named) -> tuple[Named, Named]:
        """Take a step of the adaptive optimizer.

        Parameters
        ----------
        mean, old, state : mapping of str to torch.Tensor
            As in :class:`LearningStrategy`.

        Returns
        -------
        tuple of two dicts of str to torch.Tensor
            As there.
        """
        beta = self._betas[0]
        new: dict[str, Tensor] = {}
        after: dict[str, Tensor] = {}
        eta = self._rate(state, after)
        for k in mean:
            step = mean[k] - old[k]
            if beta:
                after[f"mean.{k}"] = beta * state[f"mean.{k}"] + (1.0 - beta) * step
            after[f"square.{k}"] = square = self._square(state[f"square.{k}"].to(step.dtype), step * step)
            new[k] = old[k] + eta * after.get(f"mean.{k}", step) / (torch.sqrt(square) + self.tau)
        return new, after

    def _square(self, before: Tensor, now: Tensor) -> Tensor:
        """The measure of the squares so far, with those of this round."""
        raise NotImplementedError

    def _rate(self, state: Named, after: dict[str, Tensor]) -> float | Tensor:
        """The learning rate of this round; what it needs in the next goes into ``after``."""
        return self.eta


@dataclass
class FedAdagrad(_Adaptive):
    """Adagrad at the coordinator (Reddi et al. 2021, arXiv:2003.00295), as Flower's ``FedAdagrad``.

    Parameters
    ----------
    eta : float
        The coordinator's learning rate.
    eta_l : float
        The members' learning rate. A note as in Flower, of no effect: members train with the one of your optimizer.
    tau : float
        Added to the root of the squares: the larger, the less the steps adapt.
    min_clients, max_clients, merge_epoch, merge_iteration, wait_timeout, connection_timeout, precision, curve
        As in :class:`FedAvg`.
    select_strategy, verify_timeout, weighting, name
        As there.
    result_strategy : type of ResultStrategy
        By default :class:`GradResultStrategy`, the same mean: what did not change is rounded to no step at all.
    threshold, colluders, neighbours, dropout, mask_generator, ring, retries, reproducible : optional
        As there.
    bound, rounding, transport : optional
        As there.

    Raises
    ------
    ValueError
        A value cannot work; the text names the argument.
    """

    def _square(self, before: Tensor, now: Tensor) -> Tensor:
        return before + now


@dataclass
class FedAdam(_Adaptive):
    """Adam at the coordinator (Reddi et al. 2021, arXiv:2003.00295), as Flower's ``FedAdam``.

    As there, ``eta`` is corrected for the zeros with which the averages begin: in round t, from 1, it is multiplied by
    ``sqrt(1 - beta_2 ** (t + 1)) / (1 - beta_1 ** (t + 1))``.

    Parameters
    ----------
    eta : float
        The coordinator's learning rate.
    eta_l : float
        The members' learning rate. A note as in Flower, of no effect: members train with the one of your optimizer.
    beta_1, beta_2 : float
        How much of the averages of steps and squares is kept from round to round, at least 0 and less than 1.
    tau : float
        Added to the root of the squares: the larger, the less the steps adapt.
    min_clients, max_clients, merge_epoch, merge_iteration, wait_timeout, connection_timeout, precision, curve
        As in :class:`FedAvg`.
    select_strategy, verify_timeout, weighting, name
        As there.
    result_strategy : type of ResultStrategy
        By default :class:`GradResultStrategy`, the same mean: what did not change is rounded to no step at all.
    threshold, colluders, neighbours, dropout, mask_generator, ring, retries, reproducible : optional
        As there.
    bound, rounding, transport : optional
        As there.

    Raises
    ------
    ValueError
        A value cannot work; the text names the argument.
    """

    beta_1: float = field(default=0.9, kw_only=True)
    beta_2: float = field(default=0.99, kw_only=True)

    def server_state(self, parameters: Named) -> Named:
        """Keep the averages, and the powers of the betas.

        Parameters
        ----------
        parameters : mapping of str to torch.Tensor
            As in :class:`LearningStrategy`.

        Returns
        -------
        dict of str to torch.Tensor
            ``mean.*``, ``square.*`` and ``power.*``.
        """
        powers = {f"power.{i}": torch.tensor(b, dtype=torch.float64) for i, b in enumerate(self._betas, 1)}
        return {**super().server_state(parameters), **powers}

    def _square(self, before: Tensor, now: Tensor) -> Tensor:
        return self.beta_2 * before + (1.0 - self.beta_2) * now

    def _rate(self, state: Named, after: dict[str, Tensor]) -> Tensor:
        # After round t they are beta ** (t + 1): a product is exact enough in any runtime, a power is not.
        first, second = state["power.1"] * self.beta_1, state["power.2"] * self.beta_2
        after |= {"power.1": first, "power.2": second}
        return self.eta * torch.sqrt(1.0 - second) / (1.0 - first)


@dataclass
class FedYogi(_Adaptive):
    """Yogi at the coordinator (Reddi et al. 2021, arXiv:2003.00295), as Flower's ``FedYogi``.

    Parameters
    ----------
    eta : float
        The coordinator's learning rate.
    eta_l : float
        The members' learning rate. A note as in Flower, of no effect: members train with the one of your optimizer.
    beta_1, beta_2 : float
        How much of the averages of steps and squares is kept from round to round, at least 0 and less than 1.
    tau : float
        Added to the root of the squares: the larger, the less the steps adapt.
    min_clients, max_clients, merge_epoch, merge_iteration, wait_timeout, connection_timeout, precision, curve
        As in :class:`FedAvg`.
    select_strategy, verify_timeout, weighting, name
        As there.
    result_strategy : type of ResultStrategy
        By default :class:`GradResultStrategy`, the same mean: what did not change is rounded to no step at all.
    threshold, colluders, neighbours, dropout, mask_generator, ring, retries, reproducible : optional
        As there.
    bound, rounding, transport : optional
        As there.

    Raises
    ------
    ValueError
        A value cannot work; the text names the argument.
    """

    eta: float = field(default=1e-2, kw_only=True)
    eta_l: float = field(default=0.0316, kw_only=True)
    beta_1: float = field(default=0.9, kw_only=True)
    beta_2: float = field(default=0.99, kw_only=True)

    def _square(self, before: Tensor, now: Tensor) -> Tensor:
        return before - (1.0 - self.beta_2) * now * torch.sign(before - now)


@dataclass
class FedProx(FedAvg):
    """Federated averaging with members held near the model with which a round began (Li et al. 2018, arXiv:1812.06127).

    Every step of a member's optimizers adds ``proximal_mu * (w - w_start)`` to the gradients of the parameters that are averaged,
    which is to add ``proximal_mu / 2 * ||w - w_start||^2`` to the loss: your ``train`` needs nothing of it, as it does in Flower.
    It is added where the optimizer takes its step, so what clips gradients in ``train`` does not see it.

    Parameters
    ----------
    proximal_mu : float
        The weight of the term; 0 is plain averaging.
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
        A value cannot work; the text names the argument.
    """

    proximal_mu: float = field(kw_only=True)

    def __post_init__(self) -> None:
        """Check the weight."""
        _check(self, proximal_mu=self.proximal_mu >= 0)
        super().__post_init__()


@dataclass
class FedBN(FedAvg):
    """Federated averaging of all but batch norm (Li et al. 2021, arXiv:2102.07623).

    Parameters and buffers of BatchNorm layers stay at each member and are not in the result: everything else is as in
    :class:`FedAvg`. Other layers stay with ``personal=`` of :class:`HorizontalLearning`, with this strategy or any other.

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
        A value cannot work; the text names the argument.
    """


def _check(strategy: FedAvg, **valid: bool) -> None:
    """Refuse arguments that cannot work, by their names."""
    for argument, ok in valid.items():
        if not ok:
            beta = argument.startswith("beta") or argument == "server_momentum"
            rule = (
                "at least 0 and less than 1"
                if beta
                else "at least 0"
                if argument == "proximal_mu"
                else "greater than 0"
            )
            raise ValueError(f"{argument}={getattr(strategy, argument)!r}: must be {rule}")
