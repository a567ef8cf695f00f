"""How regressions search."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

_OPTIONS = ("maxiter", "method", "ord", "tol", "ridge_factor", "start_params", "missing", "cov_type")
ROBUST = ("HC0", "HC1", "HC2", "HC3", "cluster")
"""What ``cov_type`` may be, beside ``"nonrobust"``."""


@dataclass(frozen=True)
class Options:
    """How to search.

    Parameters
    ----------
    maxiter : int
        Steps at most, 1 to 99999.
    ord : float
        The order of the norm: ``inf``, 1, 2 or another positive number.
    tol : float
        Stop when the norm of the mean score is below.
    ridge_factor : float, optional
        Added to the diagonal of the mean Hessian; left out, a share of the diagonal itself.
    start_params : ndarray, optional
        ``[P]``; by default zeros.
    missing : {"drop", "ignore", "raise"}
        What becomes of rows with a missing value.
    cov_type : {"nonrobust", "HC0", "HC1", "HC2", "HC3", "cluster"}
        What standard errors are made of.
    scale : {"X2"}, optional
        Estimates the scale where the family has none.
    fixed : bool
        Whether exactly ``maxiter`` steps are taken.
    """

    maxiter: int = 35
    ord: float = math.inf
    tol: float = 1e-8
    ridge_factor: float | None = None
    start_params: npt.NDArray[np.float64] | None = None
    missing: Literal["drop", "ignore", "raise"] = "drop"
    cov_type: Literal["nonrobust", "HC0", "HC1", "HC2", "HC3", "cluster"] = "nonrobust"
    scale: Literal["X2"] | None = None
    fixed: bool = False

    @classmethod
    def parse(cls, given: Mapping[str, Any], fixed: bool = False, more: Sequence[str] = ()) -> Options:
        """Check options as an author gives them.

        Parameters
        ----------
        given : mapping
            As :meth:`RegressionTask.options` returns them.
        fixed : bool
            Whether exactly ``maxiter`` steps are taken.
        more : sequence of str
            Names of further options that this kind of regression has.

        Returns
        -------
        Options
            All of them.

        Raises
        ------
        ValueError
            There is no such option, or its value cannot work; the text names it.
        """
        rest = dict(given)
        names = (*_OPTIONS, *more)
        if unknown := sorted(set(rest) - set(names)):
            raise ValueError(f"options: there is no {', '.join(unknown)}; there are {', '.join(names)}")
        method = rest.pop("method", "newton")
        start = rest.pop("start_params", None)
        if start is not None:
            rest["start_params"] = np.asarray(start, np.float64).ravel(order="F")
        made = cls(**rest, fixed=fixed)
        ridge = made.ridge_factor
        need = [
            (method == "newton", "method", method, "'newton', the only one that nodes have"),
            (isinstance(made.maxiter, int) and 1 <= made.maxiter < 100_000, "maxiter", made.maxiter, "1 to 99999"),
            (made.ord > 0, "ord", made.ord, "a norm's order: inf, 1, 2 or another positive number"),
            (0 <= made.tol < math.inf, "tol", made.tol, "a finite number, 0 or more"),
            (ridge is None or 0 <= ridge < math.inf, "ridge_factor", ridge, "a finite number, 0 or more"),
            (made.missing in ("drop", "ignore", "raise"), "missing", made.missing, "'drop', 'ignore' or 'raise'"),
            (
                made.cov_type in ("nonrobust", *ROBUST),
                "cov_type",
                made.cov_type,
                f"'nonrobust' or one of {', '.join(ROBUST)}",
            ),
            (made.scale in (None, "X2"), "scale", made.scale, "'X2', or be left out"),
            (start is None or bool(np.isfinite(rest["start_params"]).all()), "start_params", start, "finite numbers"),
        ]
        for ok, option, value, rule in need:
            if not ok:
                raise ValueError(f"options: {option}={value!r} must be {rule}")
        return made
