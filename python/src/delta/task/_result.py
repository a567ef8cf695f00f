"""The result of a learning task: trained parameters, and the metrics of each round."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _html, _metrics, results
from . import _saved

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[Any]


class LearningResult:
    """What a learning task ended with.

    Parameters
    ----------
    parameters : dict of str to ndarray
        Trained parameters and buffers by the keys of the task's ``state_dict()``; frozen ones are not in it.
    metrics : dict of str to float or ndarray
        Those of the final model; empty when nothing was measured.
    history : sequence of dict of str to float or ndarray
        Those of each round, of the model that the round started from.
    privacy : dict or None
        Of a task with ``privacy``: epsilon over all rounds, delta, multiplier, clip, unit and rounds, as its author asked for
        them; nodes account for themselves. None without.
    rounds : list of dict
        For each round how many ``members`` its sum has, and how many of them ``failed`` to compute (None under noise, where
        nobody says so), and more: :meth:`delta.DeltaNode.get_result`. Each round may have other members; its model is the mean
        over them.
    kept : mapping, optional
        What a task goes on with, see :attr:`variables`, :attr:`rounds_done` and :attr:`walked`: ``variables``, ``before``
        (``rounds`` and ``walked`` of the tasks that this one went on with), ``rounds`` of training and ``length`` of one.

    Attributes
    ----------
    variables : dict of str to ndarray
        What the coordinator keeps from round to round, by names within the task: parameters, and the state of the strategy.
    """

    def __init__(
        self,
        parameters: dict[str, Array],
        metrics: Mapping[str, Any] | None = None,
        history: Sequence[Mapping[str, Any]] = (),
        privacy: dict[str, Any] | None = None,
        rounds: list[dict[str, Any]] | None = None,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        self.parameters = parameters
        self._kept = dict(kept or {})
        self.variables: dict[str, Array] = self._kept.pop("variables", {})
        self.metrics = dict(metrics or {})
        self.privacy = privacy
        self.rounds = rounds if rounds is not None else []
        self._history = [dict(m) for m in history]

    @property
    def history(self) -> Any:
        """A pandas DataFrame with a row for each round: ``round``, its metrics, ``members`` and ``seconds`` where they are known.

        The metrics are those of the model that the round started from; one that is an array stands in its row as it is. Without
        pandas it is a list of dicts.
        """
        return _metrics.table(self._history, self.rounds, self._before)

    def plot(self, *metrics: str, ax: Any = None) -> Any:
        """Draw metrics over the rounds, with matplotlib.

        Parameters
        ----------
        *metrics : str
            Which ones; by default all that are numbers. Of a vector, such as the recall of each class, each number has a line.
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default in a new figure.

        Returns
        -------
        matplotlib.axes.Axes
            With a line for each metric. In a notebook it is shown; elsewhere ``ax.figure.savefig("history.png")`` or
            ``matplotlib.pyplot.show()``.

        Raises
        ------
        ImportError
            matplotlib is missing.
        ValueError
            There is no metric of a name, or none at all; or one is a table.
        """
        names = list(dict.fromkeys(name for values in self._history for name in values))
        if not names:
            raise ValueError(
                "no round has a metric to draw: validate_interval and metrics of the task say what is measured"
            )
        if unknown := [m for m in metrics if m not in names]:
            raise ValueError(f"there is no metric {unknown[0]!r}; there are {', '.join(names)}")
        if ax is None:
            try:
                from matplotlib import pyplot
            except ImportError as error:
                raise ImportError("plot() needs matplotlib: pip install matplotlib") from error
            ax = pyplot.subplots()[1]
        for name in metrics or [n for n in names if not self._is_array(n)]:
            drawn = [(i, np.asarray(values[name])) for i, values in enumerate(self._history, 1) if name in values]
            if any(v.ndim > 1 for _, v in drawn):
                raise ValueError(f"{name!r} is a table, and lines are drawn of numbers and vectors only")
            vector = self._is_array(name)
            lines = range(drawn[0][1].size)
            for k in lines:
                label = f"{name}[{k}]" if vector else name
                ax.plot([i for i, _ in drawn], [v.reshape(-1)[k] for _, v in drawn], marker=".", label=label)
        ax.set_xlabel("round")
        ax.legend()
        return ax

    def _is_array(self, name: str) -> bool:
        return any(isinstance(values.get(name), np.ndarray) for values in self._history)

    def __repr__(self) -> str:
        """Show how large the model is, the last metrics, and how many took part; no weights."""
        return f"LearningResult({'; '.join(text for _, text in self._facts())})"

    def _repr_html_(self) -> str:
        facts = _html.pairs("Result of learning", self._facts())
        return f"<div>{facts}{_html.rounds(self.rounds, self._history)}</div>"

    def _facts(self) -> list[tuple[str, str]]:
        numbers = sum(value.size for value in self.parameters.values())
        facts = [("model", f"{len(self.parameters)} parameters of {numbers:,} numbers")]
        last = self.metrics or (self._history[-1] if self._history else {})
        if last:
            facts.append(("metrics", ", ".join(f"{name} {_metrics.brief(value)}" for name, value in last.items())))
        if count := max(len(self._history), len(self.rounds)):
            facts.append(("rounds", f"{count} round{'s' if count > 1 else ''}"))
        if self.rounds:
            facts.append(("members", _members(self.rounds)))
        if self.epsilon is not None:
            facts.append(("privacy", f"epsilon {self.epsilon:.4g}"))
        return facts

    @property
    def _before(self) -> int:
        return int(self._kept.get("before", {}).get("rounds", 0))

    @property
    def rounds_done(self) -> int:
        """Rounds of training behind it, with those of the tasks that this one went on with."""
        count = max(len(self._history), len(self.rounds))
        # The last one only measures.
        return self._before + min(count, int(self._kept.get("rounds", count)))

    @property
    def walked(self) -> dict[str, int]:
        """How far members have gone through their rows: ``epochs`` or ``iterations`` in all; empty under noise on records."""
        before, length = self._kept.get("before", {}).get("walked", {}), self._kept.get("length", {})
        here = self.rounds_done - self._before
        return {unit: int(before.get(unit, 0)) + here * int(each) for unit, each in length.items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything into one file, which is there whole or not at all.

        Parameters
        ----------
        path : path
            Where to; an ``.npz`` that numpy reads, too.

        Raises
        ------
        OSError
            It cannot be written.
        """
        # What the coordinator has as it is stands in the file once.
        names = {id(v): n for n, v in self.variables.items()}
        same = {k: names.get(id(v)) for k, v in self.parameters.items()}
        told: dict[str, Any] = {
            "parameters": same,
            "metrics": self.metrics,
            "history": self._history,
        }
        told |= {"privacy": self.privacy, "rounds": self.rounds, "kept": self._kept}
        arrays = {f"parameters/{k}": v for k, v in self.parameters.items() if same[k] is None}
        _saved.write(path, {**arrays, **{f"kept/{k}": v for k, v in self.variables.items()}}, told)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LearningResult:
        """Read what :meth:`save` has written.

        Parameters
        ----------
        path : path
            Where it is.

        Returns
        -------
        LearningResult
            The same.

        Raises
        ------
        ValueError
            The file is another one.
        OSError
            It cannot be read.
        """
        arrays, told = _saved.read(path, ("parameters", "metrics", "history", "privacy", "rounds", "kept"))
        parts: dict[str, dict[str, Array]] = {"parameters": {}, "kept": {}}
        for name, value in arrays.items():
            kind, _, own = name.partition("/")
            parts.setdefault(kind, {})[own] = value
        kept = {**told["kept"], "variables": parts["kept"]}
        apart, shared = parts["parameters"], parts["kept"]
        parameters = {k: apart[k] if n is None else shared[n] for k, n in told["parameters"].items()}
        return cls(parameters, told["metrics"], told["history"], told["privacy"], told["rounds"], kept)

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

        from .._export.idioms import unwrapped

        own = dict(model.state_dict())
        if isinstance(model, torch.nn.Module):
            # What is compiled or parallel has other keys than what is inside.
            own |= {k: v for k, v in unwrapped(model).state_dict().items() if k not in own}
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


def _members(rounds: Sequence[Mapping[str, Any]]) -> str:
    """How many members the rounds had, and who is missing from the last one."""
    counts = [r["members"] for r in rounds]
    low, high, last = min(counts), max(counts), rounds[-1]
    said = f"{high} member{'' if high == 1 else 's'}" if low == high else f"{low} to {high} members"
    lacking = [
        f"{last[what]} {word}"
        for what, word in (("dropped", "lost"), ("failed", "could not compute"))
        if last.get(what)
    ]
    return said + (f" ({', '.join(lacking)} in the last round)" if lacking else "")


def _build(spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> LearningResult:
    parameters = {}
    for key, held in spec["parameters"].items():
        value = arrays[held["variable"]]
        whole = "dtype" in held
        parameters[key] = np.rint(value).astype(held["dtype"]) if whole else value
    measured = {name: np.asarray(arrays[variable], np.float64) for name, variable in spec["metrics"].items()}
    metrics = {name: float(value) if value.ndim == 0 else value for name, value in measured.items()}
    history: Any = arrays.get(results.METRICS, [])
    kept = {k: spec[k] for k in ("before", "rounds", "length") if k in spec}
    names = dict.fromkeys([*(held["variable"] for held in spec["parameters"].values()), *spec.get("state", ())])
    kept["variables"] = {n: arrays[n] for n in names}
    return LearningResult(parameters, metrics, list(history), kept=kept)


results.register("model", _build)
