"""The result of a learning task: trained parameters, and the metrics of each round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import results

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[Any]


@dataclass
class LearningResult:
    """What a learning task ended with.

    Parameters
    ----------
    parameters : dict of str to ndarray
        Trained parameters and buffers by the keys of the task's ``state_dict()``; frozen ones are not in it.
    metrics : dict of str to float
        Those of the final model; empty when nothing was measured.
    history : list of dict of str to float
        Those of each round, of the model that the round started from.
    privacy : dict or None
        Of a task with ``privacy``: epsilon over all rounds, delta, multiplier, clip, unit and rounds, as its author asked for
        them; nodes account for themselves. None without.
    rounds : list of dict
        For each round how many ``members`` its sum has, and how many of them ``failed`` to compute (None under noise, where
        nobody says so). Each round may have other members; its model is the mean over them.
    """

    parameters: dict[str, Array]
    metrics: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    privacy: dict[str, Any] | None = None
    rounds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def epsilon(self) -> float | None:
        """What all rounds cost a unit, at :attr:`delta`; None for a task without noise."""
        return None if self.privacy is None else float(self.privacy["epsilon"])

    @property
    def delta(self) -> float | None:
        """The delta at which :attr:`epsilon` holds; None for a task without noise."""
        return None if self.privacy is None else float(self.privacy["delta"])

    def load_into(self, model: torch.nn.Module | Any) -> Any:
        """Write the parameters into a model.

        Parameters
        ----------
        model : torch.nn.Module or HorizontalLearning
            Anything with a ``state_dict()`` of the same keys.

        Returns
        -------
        object
            The same model.

        Raises
        ------
        ValueError
            The model has no parameter of a name, or one of another shape.
        """
        import torch

        own = model.state_dict()
        for name, value in self.parameters.items():
            if name not in own:
                raise ValueError(f"the model has no parameter {name!r}; it has {', '.join(list(own)[:8])}")
            if tuple(own[name].shape) != value.shape:
                raise ValueError(
                    f"parameter {name!r} has shape {list(own[name].shape)} in the model, {list(value.shape)} in the result"
                )
        with torch.no_grad():
            for name, value in self.parameters.items():
                own[name].copy_(torch.from_numpy(np.array(value, order="C")))
        return model


def _build(spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> LearningResult:
    parameters = {}
    for key, held in spec["parameters"].items():
        value = arrays[held["variable"]]
        whole = "dtype" in held
        parameters[key] = np.rint(value).astype(held["dtype"]) if whole else value
    metrics = {name: float(arrays[variable]) for name, variable in spec["metrics"].items()}
    history: Any = arrays.get(results.METRICS, [])
    return LearningResult(parameters, metrics, [dict(m) for m in history])


results.register("model", _build)
