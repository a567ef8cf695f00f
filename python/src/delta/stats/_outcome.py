"""From sums to what the author holds: what all results of the package have in common."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .. import results
from ..pandas.symbolic import Recipe, Symbol
from . import _show

Array = npt.NDArray[np.float64]
Spec = Mapping[str, Any]
Finish = Callable[[Spec, dict[str, Array]], Any]
_METHODS: dict[str, Finish] = {}


@dataclass(kw_only=True, repr=False)
class Outcome:
    """What every result says of its task.

    Attributes
    ----------
    privacy : dict or None
        What was asked of noise; no p value and no error knows of it.
    rounds : list of dict
        For each round how many ``members`` its sum has, how many of them ``failed``, and ``who`` they are.
    """

    _tables: ClassVar[tuple[_show.Table, ...]] = ()
    privacy: dict[str, Any] | None = field(default=None, repr=False, init=False)
    rounds: list[dict[str, Any]] = field(default_factory=list, repr=False, init=False)

    def summary(self) -> Any:
        """Say what was found in several lines.

        Returns
        -------
        str
            Single numbers, and a table for each group, column, bin or time. Survival curves and Cox's model return a DataFrame
            of pandas instead, as statsmodels and lifelines do.
        """
        return _show.text(self)

    def __repr__(self) -> str:
        """Show what was found in one line; of long arrays their shapes."""
        return _show.short(self)

    def _repr_html_(self) -> str:
        return _show.page(self)


@dataclass(kw_only=True, repr=False)
class TestOutcome(Outcome):
    """A test: ``statistic, pvalue = result`` works, as with scipy.

    Parameters
    ----------
    statistic : float
        The test's statistic.
    pvalue : float
        How likely such a statistic, or one further out, is where nothing is the matter.
    """

    # Nothing for pytest to collect.
    __test__ = False
    statistic: float
    pvalue: float

    def __iter__(self) -> Iterator[float]:
        """Give the statistic and the p value."""
        return iter((self.statistic, self.pvalue))


def recipe(method: str, parts: Mapping[str, Symbol], **spec: Any) -> Recipe:
    """Make what ``execute`` returns: aggregates, and which method makes what of them."""
    return Recipe("statistic", parts, method=method, **spec)


def finishes(method: str) -> Callable[[Finish], Finish]:
    """Register what makes the result of a method, of its entry in ``options.result`` and the arrays of its parts."""

    def keep(finish: Finish) -> Finish:
        _METHODS[method] = finish
        return finish

    return keep


def doubt(what: str, why: str) -> None:
    """Warn that a result is missing, or what it is worth."""
    warnings.warn(f"{what}: {why}", RuntimeWarning, stacklevel=2)


def _build(spec: Spec, arrays: Mapping[str, Any]) -> Any:
    if spec["method"] not in _METHODS:
        raise ValueError(
            f"the task's result is of method {spec['method']!r}, which this version does not know: upgrade delta-node-sdk"
        )
    parts = {part: np.asarray(arrays[name], np.float64) for part, name in spec["values"].items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        return _METHODS[spec["method"]](spec, parts)


results.register("statistic", _build)
