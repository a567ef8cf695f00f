"""How regressions search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

_OPTIONS = ("maxiter", "method", "ord", "tol", "ridge_factor", "start_params", "missing")


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
    fixed : bool
        Whether exactly ``maxiter`` steps are taken.
    """

    maxiter: int = 35
    ord: float = math.inf
    tol: float = 1e-8
    ridge_factor: float | None = None
    start_params: npt.NDArray[np.float64] | None = None
    missing: Literal["drop", "ignore", "raise"] = "drop"
    fixed: bool = False

    @classmethod
    def parse(cls, given: Mapping[str, Any], fixed: bool = False) -> Options:
        """Check options as an author gives them.

        Parameters
        ----------
        given : mapping
            As :meth:`RegressionTask.options` returns them.
        fixed : bool
            Whether exactly ``maxiter`` steps are taken.

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
        if unknown := sorted(set(rest) - set(_OPTIONS)):
            raise ValueError(f"options: there is no {', '.join(unknown)}; there are {', '.join(_OPTIONS)}")
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
            (start is None or bool(np.isfinite(rest["start_params"]).all()), "start_params", start, "finite numbers"),
        ]
        for ok, option, value, rule in need:
            if not ok:
                raise ValueError(f"options: {option}={value!r} must be {rule}")
        return made
