"""The driver ``records``: what one record becomes is the graph's affair; bounding, summing and noise are the node's."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from .._products import least_product_bound
from ._sources import Json

_MULTIPLIER = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4})?\Z")
# The largest bound, in steps of the precision, for which nodes draw noise.
_SENSITIVITY = 2.0**39


def records(
    dataset: str,
    *,
    subset: Json | None = None,
    unit: str | None = None,
    clip: float | None = None,
    linf: float | None = None,
    multiplier: str | None = None,
    delta: float | None = None,
) -> Json:
    """Make every record's numbers and let the node sum them: a driver of map steps.

    Each output of the graph has the records as its first axis and is an :func:`accumulate`, or one of the two vectors of a
    product (:func:`left`); inputs are fields of the dataset
    and server variables.

    Parameters
    ----------
    dataset : str
        Whose rows are the records.
    subset : dict, optional
        Which rows, from :func:`subset`; by default all.
    unit : str, optional
        A column: rows with the same number in it belong to one person, and are added up before they are clipped.
    clip : float, optional
        The largest Euclidean norm of one unit's numbers over all outputs; larger vectors are scaled down.
    linf : float, optional
        With ``clip``: the largest magnitude of one number.
    multiplier : str, optional
        With ``clip``: the standard deviation of the noise in the sum, in units of ``clip``, as a decimal such as ``"1.3"``.
    delta : float, optional
        With ``multiplier``: the delta at which the noise is accounted.

    Returns
    -------
    dict
        A step's ``driver``.
    """
    out: Json = {"kind": "records", "dataset": dataset}
    if subset:
        out["subset"] = subset
    if unit is not None:
        out["unit"] = {"key": unit}
    if clip is not None:
        out["clip"] = {"l2": float(clip)} | ({} if linf is None else {"linf": float(linf)})
    if multiplier is not None:
        out["noise"] = {"multiplier": multiplier, "delta": delta}
    return out


def member_noise(l2: float, multiplier: str, delta: float) -> Json:
    """Ask for noise that hides what a whole member adds in a round, whatever its graphs are.

    Parameters
    ----------
    l2 : float
        The largest Euclidean norm of all numbers that a member contributes; what is larger is scaled down.
    multiplier : str
        The standard deviation of the noise in every sum, in units of ``l2``, as a decimal such as ``"1.3"``.
    delta : float
        The delta at which the noise is accounted.

    Returns
    -------
    dict
        The ``noise`` of a :class:`Map`.
    """
    return {"l2": float(l2), "multiplier": multiplier, "delta": delta}


def check_map(spec: Json, precision: int) -> None:
    """Refuse a map whose noise no node would make; ``precision`` is the strategy's.

    Raises ``ValueError`` that names the field.
    """
    check_numbers(spec)
    check_products(spec, precision)
    if asked := spec.get("noise"):
        if any("noise" in step.get("driver", {}) for step in spec["steps"]):
            raise ValueError("noise: a records step of the map has noise of its own; ask for one of them")
        spread = {"multiplier": asked["multiplier"], "delta": asked["delta"]}
        _bounds({"clip": {"l2": asked["l2"]}, "noise": spread}, precision)


def check(step: Json, datasets: Mapping[str, Json], variables: Mapping[str, Json], precision: int) -> None:
    """Refuse a step under ``records`` that no node would take; ``precision`` is the strategy's.

    Raises ``ValueError`` that names the field.
    """
    driver = step["driver"]
    dataset = datasets.get(driver["dataset"])
    if dataset is None:
        raise ValueError(f"records: the task has no dataset {driver['dataset']!r}; declare it first")
    _bounds(driver, precision)
    _unit(driver, dataset)
    _joined(driver, dataset)
    for name, source in step["inputs"].items():
        _source(name, source, driver["dataset"], variables)
    for name, target in step["outputs"].items():
        if target["to"] in ("left", "right"):
            _product(name, target["name"], driver, step["outputs"])
        elif target["to"] != "sum":
            raise ValueError(
                f"records: output {name} must be a sum over the records; use accumulate({target['name']!r})"
            )


def check_numbers(spec: Json) -> None:
    """Refuse numbers under noise in another type than ``f64``; ``spec`` is a map.

    Raises ``ValueError`` that names the contribution.
    """
    steps = (step for step in spec["steps"] if "noise" in step.get("driver", {}))
    noised = {target["name"] for step in steps for target in step["outputs"].values()}
    for contribution in spec["contribute"]:
        if contribution["name"] in noised and contribution["dtype"] != "f64":
            raise ValueError(
                f"records: {contribution['name']} is {contribution['dtype']}, and numbers under noise are f64: rounded after "
                "they were summed, one record could change more than its bound"
            )


def _product(output: str, name: str, driver: Json, outputs: Mapping[str, Json]) -> None:
    wrong = [
        ("noise" not in driver, "without noise the node looks at every number of a record"),
        ("unit" in driver, "the records of a person are added up before they are bounded"),
        ("linf" in driver.get("clip", {}), "linf bounds single numbers"),
    ]
    for found, why in wrong:
        if found:
            raise ValueError(
                f"records: output {output}: {why}, so products cannot stay products; write them out in the graph, "
                f"and use accumulate({name!r})"
            )
    sides = sorted(t["to"] for t in outputs.values() if t["to"] in ("left", "right") and t["name"] == name)
    if sides != ["left", "right"]:
        raise ValueError(f"records: the product {name} needs one output that is left and one that is right")


def check_products(spec: Json, precision: int) -> None:
    """Refuse products that no node would sum; ``spec`` is a map, ``precision`` the strategy's.

    Raises ``ValueError`` that names the contribution.
    """
    shapes = {c["name"]: c["shape"] for c in spec["contribute"]}
    for step in spec["steps"]:
        products = [t["name"] for t in step["outputs"].values() if t["to"] == "left" and t["name"] in shapes]
        for name in products:
            if len(shapes[name]) != 2:
                raise ValueError(f"records: {name} is a product of two vectors and has two axes, not {shapes[name]}")
        numbers = sum(math.prod(shapes[name]) for name in products)
        least = least_product_bound(numbers)
        if products and step["driver"]["clip"]["l2"] * 10.0**precision < least:
            raise ValueError(
                f"records: products of {numbers} numbers need clip.l2 of at least {least} steps of 10^-{precision}; "
                "raise strategy.precision"
            )


def _bounds(driver: Json, precision: int) -> None:
    clip, noise = driver.get("clip"), driver.get("noise")
    for field, value in (clip or {}).items():
        if not (isinstance(value, float) and 0 < value < math.inf):
            raise ValueError(f"records: clip.{field}={value!r} must be a finite number above 0")
        if not 1 <= value * 10.0**precision < 2.0**52:
            raise ValueError(
                f"records: clip.{field}={value!r} must be from 1 to 2^52 - 1 steps of 10^-{precision}; change strategy.precision"
            )
    if noise is None:
        return
    if clip is None:
        raise ValueError("records: noise is measured in units of the bound on one vector; give clip")
    if clip["l2"] * 10.0**precision > _SENSITIVITY:
        raise ValueError(
            f"records: under noise clip.l2={clip['l2']!r} may be at most 2^39 steps of 10^-{precision}, "
            f"{_SENSITIVITY / 10.0**precision:.4g}; lower strategy.precision, or scale the numbers"
        )
    text: Any = noise["multiplier"]
    if not isinstance(text, str) or not _MULTIPLIER.match(text) or not 0 < float(text) < 1000:
        raise ValueError(
            f'records: noise.multiplier={text!r} must be a decimal above 0 and below 1000 as text, such as "1.3"'
        )
    if noise["delta"] is None or not 0 < noise["delta"] < 1:
        raise ValueError(f"records: noise.delta={noise['delta']!r} must lie between 0 and 1, and be neither")


def _unit(driver: Json, dataset: Json) -> None:
    if "unit" not in driver:
        return
    key = driver["unit"]["key"]
    if dataset["kind"] != "table":
        raise ValueError("records: only a table has a column to tell persons apart; leave unit out")
    if key not in dataset["columns"]:
        raise ValueError(f"records: the dataset does not declare a column {key!r}; add it to its columns")


def _joined(driver: Json, dataset: Json) -> None:
    """Under noise a row of another table must belong to one person: the one who is protected."""
    unit = driver.get("unit", {}).get("key")
    for join in dataset.get("joins", ()) if "noise" in driver else ():
        if join["key"] != unit:
            raise ValueError(
                f"records: under noise {driver['dataset']} is joined with {join['dataset']} by {join['key']!r}, and the noise "
                f"is for {'one record' if unit is None else f'persons by {unit!r}'}; a row there may belong to several of them, "
                f"so protect persons by {join['key']!r}"
            )


def _source(name: str, source: Json, dataset: str, variables: Mapping[str, Json]) -> None:
    kind = source["from"]
    if kind == "data":
        if source["dataset"] != dataset:
            raise ValueError(
                f"records: input {name} reads {source['dataset']!r}, whose records are others than {dataset!r}'s"
            )
        if source.get("subset"):
            raise ValueError(f"records: input {name} has a subset; the driver selects the rows")
    elif kind == "variable":
        if variables.get(source["name"], {}).get("location") != "server":
            raise ValueError(f"records: input {name} must be a server variable; {source['name']!r} is none")
    else:
        raise ValueError(
            f"records: input {name} is a {kind}; a graph reads the record and server variables, nothing else"
        )
