"""From the arrays of a finished task to what its author wants to hold: numbers, Series, DataFrames, models.

A bundle says in ``options.result`` how its outputs are to be read: a list of ``{"kind": ..., ...}``. Kinds are added with
:func:`register`; a bundle without that option gives a dict of arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["METRICS", "build", "register"]

Array = npt.NDArray[Any]
Build = Callable[[Mapping[str, Any], Mapping[str, Array]], Any]
_KINDS: dict[str, Build] = {}
# Where the kinds of other modules are registered; imported when first met, so that nobody pays for what he does not use.
_HOMES = {
    "estimator": "delta.learn",
    "model": "delta.task._result",
    "regression": "delta.statsmodel._result",
    "statistic": "delta.stats",
}
METRICS = "\0metrics"
"""Key under which builders find the metrics of each round, an object array of dicts."""


def register(kind: str, build: Build) -> None:
    """Say how a kind of result is made.

    Parameters
    ----------
    kind : str
        The word in ``options.result[i]["kind"]``.
    build : callable
        ``build(spec, arrays)``: from the rest of that entry and the task's outputs by name to what the author gets. Under
        :data:`METRICS` the arrays have an object array with a dict for each finished round.
    """
    _KINDS[kind] = build


def build(
    manifest: Mapping[str, Any],
    arrays: Mapping[str, Array],
    metrics: Sequence[Mapping[str, Any]] = (),
    rounds: Sequence[Mapping[str, Any]] = (),
) -> Any:
    """Make the result of a task.

    Parameters
    ----------
    manifest : mapping
        The bundle's.
    arrays : mapping of str to ndarray
        The task's outputs by name.
    metrics : sequence of mapping
        What each finished round gave, by name.
    rounds : sequence of mapping
        What is to be said of each finished round: how many ``members`` its sum has, how many of them ``failed``, ``who`` they
        are.

    Returns
    -------
    object
        What the task's one result is, a tuple when it returns several, and a dict of the arrays when it declares none. Under
        ``privacy``, Series and DataFrames have its terms in ``attrs["privacy"]`` and models in ``privacy``; who took part is
        told in ``rounds`` likewise.

    Raises
    ------
    ValueError
        A kind of result that this version does not know.
    """
    specs = manifest.get("options", {}).get("result")
    if not specs:
        return dict(arrays)
    history = np.empty(len(metrics), object)
    history[:] = metrics
    made = [_one(spec, {**arrays, METRICS: history}) for spec in specs]
    privacy = manifest["options"].get("privacy")
    for one in made:
        if privacy is not None:
            _say(one, "privacy", dict(privacy))
        if rounds:
            _say(one, "rounds", [dict(r) | ({"failed": None} if privacy is not None else {}) for r in rounds])
    return made[0] if len(made) == 1 else tuple(made)


def _say(one: Any, what: str, value: Any) -> None:
    """Tell a result how it was made: in ``attrs`` of pandas, in an attribute of a model; numbers cannot say."""
    if hasattr(one, "attrs"):
        one.attrs[what] = value
    elif hasattr(one, what):
        setattr(one, what, value)


def _one(spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> Any:
    kind = spec["kind"]
    if kind not in _KINDS and kind in _HOMES:
        import_module(_HOMES[kind])
    if kind not in _KINDS:
        raise ValueError(
            f"the task's result is of kind {kind!r}, which this version does not know: upgrade delta-node-sdk"
        )
    return _KINDS[kind](spec, arrays)


def _typed(spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> Array:
    array, dtype = arrays[spec["value"]], np.dtype(spec.get("dtype", "float64"))
    # Whole numbers travel as floats through the sums; what is not finite stays one, as in pandas.
    if dtype.kind in "iub" and not np.isfinite(array).all():
        return array
    return np.rint(array).astype(dtype) if dtype.kind in "iu" else array.astype(dtype)


def _scalar(spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> Any:
    return _typed(spec, arrays).reshape(()).item()


def _series(spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> Any:
    array = _typed(spec, arrays)
    try:
        import pandas
    except ImportError:
        return dict(zip(map(_label, spec["index"]), array.tolist(), strict=True))
    return pandas.Series(array, index=_index(spec, "index"), name=_label(spec.get("name")))


def _frame(spec: Mapping[str, Any], arrays: Mapping[str, Array]) -> Any:
    array = _typed(spec, arrays)
    try:
        import pandas
    except ImportError:
        rows = map(_label, spec["index"])
        return {
            r: dict(zip(map(_label, spec["columns"]), v, strict=True))
            for r, v in zip(rows, array.tolist(), strict=True)
        }
    return pandas.DataFrame(array, index=_index(spec, "index"), columns=_index(spec, "columns"))


def _index(spec: Mapping[str, Any], axis: str) -> Any:
    import pandas

    names = spec.get(f"{axis}_name")
    labels = [_label(v) for v in spec[axis]]
    if labels and isinstance(labels[0], tuple):
        return pandas.MultiIndex.from_tuples(labels, names=names)
    return pandas.Index(labels, name=_label(names))


def _label(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


register("array", _typed)
register("scalar", _scalar)
register("series", _series)
register("frame", _frame)
