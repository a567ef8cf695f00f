"""What all estimators have in common: parameters, the recipe that ``fit`` makes, and how a result is made of it."""

from __future__ import annotations

import functools
import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .. import results
from ..pandas.symbolic import Loop, Recipe, Symbol

Array = npt.NDArray[np.float64]
Spec = Mapping[str, Any]
Parts = dict[str, Array]

Self = TypeVar("Self", bound="Estimator")

MISSING = ("raise", "drop", "ignore")
KINDS: dict[str, type[Estimator]] = {}


class Estimator:
    """An estimator in scikit-learn's manner: parameters now, ``fit`` in ``execute``, and attributes with ``_`` in the result.

    Attributes
    ----------
    privacy : dict or None
        Of a result: what was asked of noise, which is in every attribute.
    rounds : list of dict
        Of a result: for each round how many ``members`` its sum has, how many of them ``failed``, and ``who`` they are.
    """

    privacy: dict[str, Any] | None = None
    rounds: Sequence[dict[str, Any]] = ()

    def __init_subclass__(cls) -> None:
        """Register the class under its name, by which bundles know it; say of wrong arguments what there is."""
        KINDS[cls.__name__] = cls
        for method in ("__init__", "fit"):
            if method in vars(cls):
                setattr(cls, method, _told(vars(cls)[method]))

    def __getattr__(self, name: str) -> Any:
        """Say of what is learnt that it is not there yet."""
        if name.endswith("_") and not name.startswith("_"):
            raise AttributeError(
                f"this {type(self).__name__} has no {name!r}: return what fit(...) returns from execute(), and read it of what "
                "get_result() or delta.debug() gives"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @classmethod
    def _again(cls, params: dict[str, Any]) -> Estimator:
        """Make an estimator with the parameters that a bundle carries."""
        return cls(**params)

    @classmethod
    def _names(cls) -> list[str]:
        return [n for n in inspect.signature(cls.__init__).parameters if n != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters.

        Parameters
        ----------
        deep : bool
            As in scikit-learn; only a pipeline has any deeper ones.

        Returns
        -------
        dict
            By name.
        """
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self: Self, **params: Any) -> Self:
        """Set parameters; a result that is there does not change.

        Parameters
        ----------
        **params : object
            By name.

        Returns
        -------
        Estimator
            The same one.

        Raises
        ------
        ValueError
            There is no such parameter, or its value cannot work.
        """
        known = self.get_params(deep=False)
        if unknown := [n for n in params if n not in known]:
            raise ValueError(f"{type(self).__name__} has no parameter {unknown[0]!r}; it has {', '.join(known)}")
        checked = type(self)(**known | params)
        for name in params:
            setattr(self, name, getattr(checked, name))
        return self

    def _text(self, **given: Any) -> str:
        default = inspect.signature(type(self).__init__).parameters
        shown = [f"{n}={v!r}" for n, v in given.items() if not _same(v, default[n].default)]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __repr__(self) -> str:
        """Show the parameters that are no defaults, as scikit-learn does."""
        return self._text(**self.get_params(deep=False))

    def _known(self, attribute: str = "n_features_in_") -> None:
        """Refuse what needs a result before there is one."""
        if not hasattr(self, attribute):
            raise ValueError(
                f"this {type(self).__name__} is not fitted: return {type(self).__name__}(...).fit(...) from execute(), and "
                "use what get_result() or delta.debug() gives"
            )

    def _finish(self, spec: Spec, parts: Parts) -> None:
        """Set the attributes of a result, of what ``fit`` noted and the sums."""
        raise NotImplementedError


class Fit(Recipe):
    """What ``fit`` returns while a task is written: ``get_result`` gives the fitted estimator in its place.

    Parameters
    ----------
    estimator : Estimator
        What is fitted.
    parts : mapping of str to DataFrame, Series or Scalar
        The sums that it is made of.
    loop : Loop, optional
        Rounds of its own.
    **spec : object
        What else the result must know, in values that JSON has.
    """

    def __init__(
        self, estimator: Estimator, parts: Mapping[str, Symbol], loop: Loop | None = None, **spec: Any
    ) -> None:
        params = {n: plain(v) for n, v in estimator.get_params(deep=False).items()}
        super().__init__("estimator", parts, loop, method=type(estimator).__name__, params=params, **spec)


# Parameters of scikit-learn's that there are none of, and why.
_INSTEAD = {
    "penalty": "C=float('inf') is no penalty; there is none on sizes of coefficients",
    "multi_class": "of several classes it is multinomial; leave it out",
    "n_clusters": "init says how many there are, and where they begin",
    "max_leaf_nodes": "max_depth says how large trees are",
    "max_bins": "bins are the thresholds themselves",
}
_HOW = "solver tol n_jobs random_state copy_X copy verbose warm_start precompute selection dual n_init algorithm svd_solver"
_INSTEAD |= dict.fromkeys(_HOW.split(), "it says how scikit-learn computes; leave it out")


def _told(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method say of arguments that it cannot take which ones it has, and whose method it is."""
    signature = inspect.signature(function)
    takes = [n for n in signature.parameters if n != "self"]

    @functools.wraps(function)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            signature.bind(self, *args, **kwargs)
        except TypeError as error:
            what = type(self).__name__ + ("" if function.__name__ == "__init__" else f".{function.__name__}")
            why = next((f" ({n}: {_INSTEAD[n]})" for n in kwargs if n not in takes and n in _INSTEAD), "")
            raise TypeError(f"{what}: {error}; it takes {', '.join(takes) or 'nothing'}{why}") from None
        return function(self, *args, **kwargs)

    return call


def plain(value: Any) -> Any:
    """Return a parameter's value as JSON has it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, Mapping):
        return {"items": [[plain(k), plain(v)] for k, v in value.items()]}
    if isinstance(value, float) and math.isinf(value):
        return {"float": str(value)}
    return value


def given(value: Any) -> Any:
    """Return a parameter's value from what :func:`plain` made."""
    if isinstance(value, list):
        return [given(v) for v in value]
    if isinstance(value, Mapping):
        return float(value["float"]) if "float" in value else {given(k): given(v) for k, v in value["items"]}
    return value


def choice(what: str, name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Refuse a parameter's value that is none of some."""
    if not any(value is a or (isinstance(a, str) and value == a) for a in allowed):
        raise ValueError(f"{what}: {name}={value!r}; use {' or '.join(map(repr, allowed))}")


def at_least(what: str, name: str, value: Any, least: float, *, whole: bool = False, infinite: bool = False) -> None:
    """Refuse a parameter's value that is no number, or below what there must be."""
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    kind = "whole " if whole else "" if infinite else "finite "
    usable = isinstance(value, kinds) and not isinstance(value, bool) and not math.isnan(value)
    if not usable or value < least or (math.isinf(value) and not infinite):
        raise ValueError(f"{what}: {name}={value!r} must be a {kind}number of at least {least:g}")


def flags(what: str, **given: Any) -> None:
    """Refuse what is neither True nor False: any text is true to Python."""
    for name, value in given.items():
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"{what}: {name}={value!r} must be True or False")


def doubt(what: str, why: str) -> None:
    """Warn of what a result is worth."""
    warnings.warn(f"{what}: {why}", RuntimeWarning, stacklevel=3)


def _same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and not isinstance(a, np.ndarray) and bool(a == b))


def make(spec: Spec, parts: Parts) -> Estimator:
    """Make a fitted estimator of its entry in ``options.result`` and the arrays of its parts."""
    if spec["method"] not in KINDS:
        raise ValueError(
            f"the task's result is of method {spec['method']!r}, which this version does not know: upgrade delta-node-sdk"
        )
    made = KINDS[spec["method"]]._again({n: given(v) for n, v in spec["params"].items()})
    made._finish(spec, parts)
    return made


def _build(spec: Spec, arrays: Mapping[str, Any]) -> Estimator:
    parts = {part: np.asarray(arrays[name], np.float64) for part, name in spec["values"].items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        return make(spec, parts)


results.register("estimator", _build)
