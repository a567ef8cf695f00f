"""The result of a learning task: trained parameters, and the metrics of each round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _html, results

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[Any]


class LearningResult:
    """What a learning task ended with.

    Parameters
    ----------
    parameters : dict of str to ndarray
        Trained parameters and buffers by the keys of the task's ``state_dict()``; frozen ones are not in it.
    metrics : dict of str to float
        Those of the final model; empty when nothing was measured.
    history : sequence of dict of str to float
        Those of each round, of the model that the round started from.
    privacy : dict or None
        Of a task with ``privacy``: epsilon over all rounds, delta, multiplier, clip, unit and rounds, as its author asked for
        them; nodes account for themselves. None without.
    rounds : list of dict
        For each round how many ``members`` its sum has, and how many of them ``failed`` to compute (None under noise, where
        nobody says so), and more: :meth:`delta.DeltaNode.get_result`. Each round may have other members; its model is the mean
        over them.
    """

    def __init__(
        self,
        parameters: dict[str, Array],
        metrics: Mapping[str, float] | None = None,
        history: Sequence[Mapping[str, float]] = (),
        privacy: dict[str, Any] | None = None,
        rounds: list[dict[str, Any]] | None = None,
    ) -> None:
        self.parameters = parameters
        self.metrics = dict(metrics or {})
        self.privacy = privacy
        self.rounds = rounds if rounds is not None else []
        self._history = [dict(m) for m in history]

    @property
    def history(self) -> Any:
        """A pandas DataFrame with a row for each round: ``round``, its metrics, ``members`` and ``seconds`` where they are known.

        The metrics are those of the model that the round started from. Without pandas it is a list of dicts.
        """
        rows = []
        for i in range(max(len(self._history), len(self.rounds))):
            values = self._history[i] if i < len(self._history) else {}
            told = self.rounds[i] if i < len(self.rounds) else {}
            # A metric of such a name is the author's own.
            rows.append({"round": i + 1} | {k: told[k] for k in ("members", "seconds") if k in told} | values)
        names = list(dict.fromkeys(name for values in self._history for name in values))
        order = ["round", *(n for n in names if n != "round"), *(n for n in ("members", "seconds") if n not in names)]
        try:
            import pandas
        except ImportError:
            return [{name: row[name] for name in order if name in row} for row in rows]
        there = [name for name in order if name == "round" or any(name in row for row in rows)]
        return pandas.DataFrame(rows, columns=there)

    def plot(self, *metrics: str, ax: Any = None) -> Any:
        """Draw metrics over the rounds, with matplotlib.

        Parameters
        ----------
        *metrics : str
            Which ones; by default all.
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
            There is no metric of a name, or none at all.
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
        for name in metrics or names:
            drawn = [(i, values[name]) for i, values in enumerate(self._history, 1) if name in values]
            ax.plot([i for i, _ in drawn], [v for _, v in drawn], marker=".", label=name)
        ax.set_xlabel("round")
        ax.legend()
        return ax

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
            facts.append(("metrics", ", ".join(f"{name} {value:.4g}" for name, value in last.items())))
        if count := max(len(self._history), len(self.rounds)):
            facts.append(("rounds", f"{count} round{'s' if count > 1 else ''}"))
        if self.rounds:
            facts.append(("members", _members(self.rounds)))
        if self.epsilon is not None:
            facts.append(("privacy", f"epsilon {self.epsilon:.4g}"))
        return facts

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
    metrics = {name: float(arrays[variable]) for name, variable in spec["metrics"].items()}
    history: Any = arrays.get(results.METRICS, [])
    return LearningResult(parameters, metrics, list(history))


results.register("model", _build)
