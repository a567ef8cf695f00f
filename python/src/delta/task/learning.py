"""Federated learning: a PyTorch training loop, written as always, that nodes run as a graph.

>>> class Digits(HorizontalLearning):
...     def __init__(self):
...         super().__init__("digits", max_rounds=10, strategy=FedAvg(min_clients=3, max_clients=3))
...         self.model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
...         self.loss_func = torch.nn.CrossEntropyLoss()
...         self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
...
...     def dataset(self):
...         return delta.dataset.Dataset("digits.npz", shape=(1, 8, 8), classes=[str(i) for i in range(10)])
...
...     def preprocess(self, x, y):
...         return x / 255 - 0.5, y
"""

from __future__ import annotations

import abc
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from .._export.errors import ExportError
from .._export.said import ExportWarning, collected
from ..bundle import Bundle
from ..dataset import Dataset
from ..privacy import Privacy
from ..strategy import RandomSelectStrategy, SameSelectStrategy, SelectStrategy
from ._building import built
from ._fedavg import (
    FaultTolerantFedAvg,
    FedAvg,
    GradResultStrategy,
    LearningStrategy,
    ResultStrategy,
    WeightResultStrategy,
)
from ._found import is_optimizer, is_scheduler, loss_of, state_of
from ._private import refuse
from ._result import LearningResult
from ._sites import checked
from ._strategies import FedAdagrad, FedAdam, FedAvgM, FedBN, FedProx, FedYogi
from ._task import HorizontalTask
from ._variates import Scaffold

__all__ = [
    "ExportError",
    "ExportWarning",
    "FaultTolerantFedAvg",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedBN",
    "FedProx",
    "FedYogi",
    "GradResultStrategy",
    "HorizontalLearning",
    "LearningResult",
    "LearningStrategy",
    "RandomSelectStrategy",
    "ResultStrategy",
    "SameSelectStrategy",
    "Scaffold",
    "SelectStrategy",
    "WeightResultStrategy",
]


class HorizontalLearning(HorizontalTask):
    """A model trained by many nodes, each on its own rows.

    A subclass sets ``self.model``, ``self.loss_func`` and ``self.optimizer`` (any names: they are found by type) and says
    which :meth:`dataset` it reads. :meth:`train` and :meth:`validate` may be written out, or left to the ones here, which
    use ``loss_func(model(x), y)`` and :attr:`metrics`. Modules are in training mode at the start of ``train``, but for those
    that ``__init__`` puts into evaluation mode (a teacher, a frozen batch norm), and all in evaluation mode at the start of
    ``validate``.

    A round's model is the mean over that round's members, and each round may have others: who is lost is missing from the rounds
    that follow, who comes later takes part from then on. What was measured in a round is of that round's members, too.

    Parameters
    ----------
    name : str
        The display name.
    max_rounds : int
        The number of rounds, at least 1.
    validate_interval : int, optional
        Rounds between two measurements, 1 when not said; 0 for none. Under ``privacy`` there are none.
    validate_frac : float
        Share of the rows that is only measured on, at least 0 and less than 1; unused when the dataset has a part of its own
        for it.
    strategy : LearningStrategy, optional
        How models are averaged: :class:`FedAvg` or another one of this module, or a subclass of :class:`LearningStrategy` with
        hooks of your own; by default ``FaultTolerantFedAvg(merge_epoch=1)``.
    seed : int
        Of the order of rows and of random numbers in the model, from 0.
    optimizer_state : {"keep", "reset"}
        Whether members keep momentum and the like from round to round.
    description : str
        Read by the owners of the data.
    privacy : delta.Privacy, optional
        Noise in everything that leaves the nodes. A round then is one step: each member computes the gradient of every one of
        its training rows by itself, bounds and sums them and adds its share of the noise; the coordinator takes the step of the
        optimizers with their mean, also where the loss is a sum. Batch size and order of the loader, ``merge_epoch`` and
        ``merge_iteration`` have no say, validation is off, and there are no variables that a member keeps. ``epsilon`` counts
        all rounds. With ``member=True`` rounds are as without privacy, but for validation: members train as the strategy says,
        and each adds the difference of its parameters, bounded as a whole, and counts once.
    personal : sequence of str
        Keys of ``state_dict()``, or patterns such as ``"head.*"``, of parameters and buffers that stay at each member: every
        member trains its own from the initial values on, and they are not averaged and not in the result. By default what the
        attribute of the class says, which is none.
    resume_from : LearningResult or path, optional
        A result, a checkpoint (:meth:`delta.DeltaNode.checkpoint`) or a file that was saved of one, with which the task goes on:
        with its parameters, the state of the strategy, its schedules by round and its order of rows. ``max_rounds`` counts the
        rounds behind it, too. What members kept does not come back, which a :class:`delta.ResumeWarning` says; where they kept
        nothing (SGD without momentum, or ``optimizer_state="reset"``) the task is what an uninterrupted one would have been.
    sites : mapping of str to sequence of float, optional
        Metrics of :meth:`validate` whose spread over the members is asked for, with the edges of bins, such as
        ``{"accuracy": [0.5, 0.6, 0.7, 0.8, 0.9]}``: the metric ``"accuracy.sites"`` then says how many members' own accuracy is
        below 0.5, from 0.5 on and below 0.6, and so on to 0.9 and above; who is where nobody learns. Needs ``min_clients`` of 3.

    Attributes
    ----------
    batch_size : int
        Rows of a batch, when the loaders are not written out.
    metrics : mapping of str to callable
        For the ``validate`` here: functions of output and label, giving one number for each row or a mean.
    lr_schedule : {"round", "step"}
        For the ``train`` here: when schedulers among the attributes take a step.
    personal : sequence of str
        What stays at each member, when the argument is not given.

    Raises
    ------
    ValueError
        An argument cannot work; the text names it.
    """

    batch_size: int = 64
    """Rows of a batch, when the loaders are not written out."""
    metrics: Mapping[str, Callable[[Any, Any], Tensor]] = {}
    """For the ``validate`` here: names to functions of output and label, giving one number for each row or a mean."""
    lr_schedule: Literal["step", "round"] = "round"
    """For the ``train`` here: when schedulers among the attributes take a step."""
    personal: Sequence[str] = ()
    """What stays at each member, when the argument is not given."""

    def __init__(
        self,
        name: str,
        max_rounds: int,
        validate_interval: int | None = None,
        validate_frac: float = 0.2,
        strategy: LearningStrategy | None = None,
        *,
        seed: int = 0,
        optimizer_state: Literal["keep", "reset"] = "keep",
        description: str = "",
        privacy: Privacy | None = None,
        personal: Sequence[str] | None = None,
        resume_from: LearningResult | str | os.PathLike[str] | None = None,
        sites: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        personal = self.personal if personal is None else personal
        strategy = FaultTolerantFedAvg(merge_epoch=1) if strategy is None else strategy
        asked, validate_interval = (
            validate_interval,
            int(privacy is None) if validate_interval is None else validate_interval,
        )
        super().__init__(name, strategy, description=description)
        need = [
            (isinstance(strategy, LearningStrategy), "strategy", strategy, "a LearningStrategy such as FedAvg"),
            (max_rounds >= 1, "max_rounds", max_rounds, "at least 1"),
            (validate_interval >= 0, "validate_interval", validate_interval, "0 (never) or more rounds"),
            (0.0 <= validate_frac < 1.0, "validate_frac", validate_frac, "at least 0 and less than 1"),
            (optimizer_state in ("keep", "reset"), "optimizer_state", optimizer_state, "'keep' or 'reset'"),
            (0 <= seed < 1 << 63, "seed", seed, "a whole number from 0"),
            (not isinstance(personal, str), "personal", personal, "a list of keys or patterns"),
        ]
        for ok, argument, given, rule in need:
            if not ok:
                raise ValueError(f"{argument}={given!r}: must be {rule}")
        if privacy is not None:
            refuse(strategy, asked, member=privacy.member, personal=personal)
        self.privacy, self.personal, self.resume_from = privacy, tuple(personal), resume_from
        self.sites = checked(sites, strategy.min_clients, measured=validate_interval > 0)
        self.learning, self.max_rounds, self.seed = strategy, max_rounds, seed
        self.validate_interval, self.validate_frac, self.optimizer_state = (
            validate_interval,
            validate_frac,
            optimizer_state,
        )

    # ---------------------------------------------------------------- what the author writes
    @abc.abstractmethod
    def dataset(self) -> Dataset:
        """Say which data every node must have; the author writes it.

        Returns
        -------
        delta.dataset.Dataset
            Samples, or columns of a table.
        """

    def make_train_dataloader(self, dataset: TorchDataset[Any]) -> DataLoader[Any]:
        """Say how members go through their rows; ``batch_size``, ``shuffle`` and ``drop_last`` are read off.

        Parameters
        ----------
        dataset : torch.utils.data.Dataset
            Stands for the node's rows; to be given to the loader as it is.

        Returns
        -------
        torch.utils.data.DataLoader
            Without ``collate_fn``: what happens to a batch is in :meth:`preprocess`.
        """
        return DataLoader(dataset, batch_size=self.batch_size, shuffle=True)

    def make_validate_dataloader(self, dataset: TorchDataset[Any]) -> DataLoader[Any]:
        """Say how members go through the rows that are measured on.

        Parameters
        ----------
        dataset : torch.utils.data.Dataset
            As in :meth:`make_train_dataloader`.

        Returns
        -------
        torch.utils.data.DataLoader
            Likewise.
        """
        return DataLoader(dataset, batch_size=self.batch_size)

    def preprocess(self, *batch: Any) -> Any:
        """From a batch as stored to what the loops see, in torch operations: ``preprocess(self, x, y)``.

        Parameters
        ----------
        *batch : torch.Tensor
            ``x``: ``float32 [batch, *shape]``, pixels 0 to 255, or ``[batch, columns]`` of a table. ``y``: ``int64 [batch]``,
            or ``float32 [batch]`` of a table with ``target_dtype="float32"``; not there when the data has no labels.

        Returns
        -------
        torch.Tensor or tuple of torch.Tensor
            What the loader yields in :meth:`train` and :meth:`validate`.
        """
        return batch if len(batch) > 1 else batch[0]

    def train(self, dataloader: Iterable[Any]) -> None:
        """Go once over the batches, with a step of the optimizers for each.

        It is recorded with one symbolic batch, and nodes repeat the recording.

        Parameters
        ----------
        dataloader : iterable
            Yields what :meth:`preprocess` returns.
        """
        held = vars(self).values()
        optimizers = [v for v in held if is_optimizer(v)]
        schedulers = [v for v in held if is_scheduler(v)]
        for batch in dataloader:
            loss, _, _ = loss_of(self, batch)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for optimizer in optimizers:
                optimizer.step()
            for scheduler in schedulers if self.lr_schedule == "step" else ():
                scheduler.step()
        for scheduler in schedulers if self.lr_schedule == "round" else ():
            scheduler.step()

    def validate(self, dataloader: Iterable[Any]) -> Mapping[str, Any]:
        """Measure: add up tensors in the loop, divide after it. Metrics may be arrays, such as a confusion matrix.

        Parameters
        ----------
        dataloader : iterable
            Yields what :meth:`preprocess` returns.

        Returns
        -------
        mapping of str to tensor
            The metrics, over the rows of all members: numbers, arrays whose shape does not depend on the batch, or dicts of
            these; at most 4096 numbers in all.
        """
        totals: dict[str, Any] = dict.fromkeys(["loss", *self.metrics], 0)
        rows = 0
        for batch in dataloader:
            loss, output, y = loss_of(self, batch)
            count = (y if isinstance(y, Tensor) else output).shape[0]
            for name, measured in [("loss", loss), *((n, f(output, y)) for n, f in self.metrics.items())]:
                totals[name] += (
                    measured.to(torch.float64).sum() if measured.dim() else measured.to(torch.float64) * count
                )
            rows += count
        return {name: amount / rows for name, amount in totals.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Say what is averaged over the members and returned.

        Returns
        -------
        dict of str to torch.Tensor
            By default all of the module whose parameters the optimizers train, buffers included, and of each
            ``torch.optim.swa_utils.AveragedModel``; where there are several, with the attribute's name before each key. What
            ``torch.compile`` or ``DataParallel`` wraps has the keys of the module inside.
        """
        return state_of(self)

    def options(self) -> dict[str, Any]:
        """Add entries to ``options`` in ``task.json``; nodes ignore them.

        Returns
        -------
        dict
            By default none.
        """
        return {}

    # ---------------------------------------------------------------- what the package does
    def build(self) -> Bundle:
        """Trace ``train`` and ``validate`` and pack the task.

        Returns
        -------
        Bundle
            What goes to a node. The task itself, with its model and optimizers, is as before.

        Raises
        ------
        ExportError
            Something cannot be a graph; the text has the author's line and what to write instead. Under ``privacy`` also
            what mixes rows, draws random numbers or takes several steps a batch.
        ValueError
            A parameter or metric has a name that tasks cannot have; or the noise of ``privacy`` cannot be had; or ``resume_from``
            does not fit the task, or leaves no round to do.

        Warns
        -----
        ExportWarning
            Something is left out that makes no difference to a graph, such as ``torch.autocast``; with the line.
        ResumeWarning
            Something that members kept in the task that this one goes on with does not come back.
        """
        with collected() as said:
            bundle = built(self)
        for text in said:
            warnings.warn(text, ExportWarning, stacklevel=2)
        return bundle
