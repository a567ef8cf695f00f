"""Whether predicted probabilities are right, by bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..pandas.symbolic import Recipe
from ._arguments import cut, edges, refuse, rows, yes_or_no
from ._outcome import Array, Outcome, Spec, finishes, recipe
from ._show import Table


@dataclass(kw_only=True, repr=False)
class CalibrationResult(Outcome):
    """Predicted probabilities and what came of them, by bins that have rows.

    Parameters
    ----------
    prob_true, prob_pred : ndarray
        ``[bins]``: the share of the label 1, and the mean score.
    counts : ndarray
        ``[bins]``: how many rows.
    brier : float
        The mean squared difference of score and label.
    """

    _tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "",
            (
                "prob_true",
                "prob_pred",
                "counts",
            ),
        ),
    )
    prob_true: Array
    prob_pred: Array
    counts: Array
    brier: float


def calibration(score: Any, label: Any, bins: Any = 10) -> Recipe:
    """Compare predicted probabilities with what came, by bins, as ``sklearn.calibration.calibration_curve``. One round.

    Parameters
    ----------
    score : Series of rows
        Predicted probabilities of the label 1.
    label : Series of the same rows
        0 and 1, or bool. Rows in which the score or the label is missing are left out.
    bins : int or sequence of float
        A number of even bins from 0 to 1, or rising edges. A bin holds its right edge.

    Returns
    -------
    Recipe
        Of a :class:`CalibrationResult`. A score outside 0 to 1 and another label than 0 and 1 are a ``ValueError`` when the
        result is read.
    """
    at = edges(bins, (0.0, 1.0), "calibration")
    x = rows(score, "calibration", "score")
    y, other = yes_or_no(label, "calibration", "label", x.notna())
    parts = {"brier": ((x - y) ** 2).mean(), "outside": (((x < 0) | (x > 1)) & y.notna()).sum()}
    if other is not None:
        parts["invalid"] = other.sum()
    both = x.notna() & y.notna()
    frame = x.to_frame("score").assign(label=y)
    grouped = frame.groupby(cut(x, at[1:-1]).where(both), categories=list(range(len(at) - 1)))
    parts |= {"sums": grouped.sum(), "counts": grouped.size()}
    return recipe("calibration", parts)


@finishes("calibration")
def _calibrated(spec: Spec, parts: dict[str, Array]) -> CalibrationResult:
    refuse(parts, "invalid", "calibration: {n} rows of all members have a label that is not 0 or 1")
    refuse(parts, "outside", "calibration: {n} rows of all members have a score outside 0 to 1")
    there = parts["counts"] > 0.5
    counts, sums = parts["counts"][there], parts["sums"][there]
    pred, true = (sums / counts[:, np.newaxis]).T
    return CalibrationResult(prob_true=true, prob_pred=pred, counts=counts, brier=float(parts["brier"]))
