"""What is done in a round, and what becomes of a graph's outputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ._sources import Json


def carry(input: str, name: str) -> Json:
    """Feed an output into an input of the next batch (driver ``batches``).

    Parameters
    ----------
    input : str
        The graph's input.
    name : str
        The value that the last batch's output becomes.

    Returns
    -------
    dict
        A target, for a step's ``outputs``.
    """
    return {"to": "carry", "input": input, "name": name}


def accumulate(name: str) -> Json:
    """Add an output up over the batches, as ``f64`` (driver ``batches``), or over the records (:func:`records`).

    Parameters
    ----------
    name : str
        The value that the sum becomes.

    Returns
    -------
    dict
        A target, for a step's ``outputs``.
    """
    return {"to": "sum", "name": name}


def left(name: str) -> Json:
    """Give one vector for each record, whose products with those of :func:`right` are summed (:func:`records`, under noise).

    The product of a record's vectors of ``p`` and ``q`` numbers is ``[p, q]``, and nobody writes it out: the node knows its
    length from theirs. For the gradients of wide layers, above all.

    Parameters
    ----------
    name : str
        The value that the sum of the products becomes.

    Returns
    -------
    dict
        A target, for a step's ``outputs``.
    """
    return {"to": "left", "name": name}


def right(name: str) -> Json:
    """Give the other vector of each record's product, see :func:`left`.

    Parameters
    ----------
    name : str
        The value that the sum of the products becomes.

    Returns
    -------
    dict
        A target, for a step's ``outputs``.
    """
    return {"to": "right", "name": name}


def solve(ridge: float = 0.0) -> Json:
    """Solve ``(a + ridge I) x = b`` at the coordinator: a driver of reduce steps that have no graph.

    Parameters
    ----------
    ridge : float
        Added to the diagonal.

    Returns
    -------
    dict
        A step's ``driver``.
    """
    return {"kind": "solve"} | ({"ridge": ridge} if ridge else {})


@dataclass
class Step:
    """One graph under one driver.

    Under the driver :func:`solve` there is no graph; inputs are ``a`` (``f64 [n, n]``) and ``b`` (``f64 [n]`` or ``[n, k]``),
    the output is ``x``.

    Parameters
    ----------
    graph : str or None
        Its file in the bundle, as :meth:`Draft.graph` returned it.
    inputs : mapping of str to dict
        For each input of the graph where it comes from: :func:`variable`, :func:`value`, :func:`data` and the like.
    outputs : mapping of str to str or dict
        For each output of the graph the value's name, :func:`carry`, :func:`accumulate`, or :func:`left` and :func:`right`.
    driver : dict, optional
        ``batches``, :func:`records` or :func:`solve`; by default the graph runs once on whole inputs.
    graph_onnxruntime : str, optional
        The file of a form of the graph that only onnxruntime runs, and faster.
    """

    graph: str | None
    inputs: Mapping[str, Json]
    outputs: Mapping[str, str | Json]
    driver: Json | None = None
    graph_onnxruntime: str | None = None

    def json(self) -> Json:
        """Return the step as it stands in ``task.json``.

        Returns
        -------
        dict
            Of plain values.
        """
        target = {k: {"to": "value", "name": v} if isinstance(v, str) else v for k, v in self.outputs.items()}
        out: Json = {"graph": self.graph} if self.graph else {}
        if self.graph_onnxruntime:
            out["graph_onnxruntime"] = self.graph_onnxruntime
        if self.driver:
            out["driver"] = self.driver
        return out | {"inputs": dict(self.inputs), "outputs": target}


def certify(
    columns: Mapping[str, tuple[float, float]],
    answer: str,
    intercept: int,
    tolerance: float,
    label: tuple[str, float, float] | None = None,
) -> Json:
    """Let members prove that a regression is right for the tables that they commit to before the first round.

    The round's map is one step under :func:`records` that makes ``x``, ``y`` and ``kept`` of each record, from data alone.

    Parameters
    ----------
    columns : mapping of str to (float, float)
        The columns of ``x``, in order, each with the smallest and the largest number that a cell may be.
    answer : str
        The server variable that is the answer, ``f64 [len(columns) + 1]``.
    intercept : int
        At which place of it the intercept stands.
    tolerance : float
        What may remain of the mean gradient, with each column running from -1 to 1 over its bounds; 1e-5 to 0.1.
    label : tuple of (str, float, float), optional
        Of a linear regression: what ``y`` is called, its smallest and its largest number. Without it the regression is logistic.

    Returns
    -------
    dict
        For :meth:`Draft.round`.
    """
    made = [{"name": n, "low": float(low), "high": float(high)} for n, (low, high) in columns.items()]
    own = {} if label is None else {"label": {"name": label[0], "low": float(label[1]), "high": float(label[2])}}
    return {
        "model": "logistic" if label is None else "linear",
        "columns": made,
        **own,
        "answer": answer,
        "intercept": intercept,
        "tolerance": float(tolerance),
    }


@dataclass
class Map:
    """What each member does in a round.

    Parameters
    ----------
    steps : sequence of Step
        In their order.
    contribute : sequence of (str, str, sequence of int)
        Value, dtype and shape of what is summed over the members: the only things that leave the node.
    assign : mapping of str to str
        Variables of the member, and the values that they become.
    noise : dict, optional
        Noise for whole members, from :func:`member_noise`.
    exact : collection of str
        Which of ``contribute`` are summed exactly, whatever their scale: ``f64`` without noise. Each number takes 12 words.
    """

    steps: Sequence[Step]
    contribute: Sequence[tuple[str, str, Sequence[int]]]
    assign: Mapping[str, str] = field(default_factory=dict)
    noise: Json | None = None
    exact: Collection[str] = ()

    def json(self) -> Json:
        """Return the map as it stands in ``task.json``.

        Returns
        -------
        dict
            Of plain values.
        """
        out: Json = {"steps": [s.json() for s in self.steps]}
        if self.assign:
            out["assign"] = dict(self.assign)
        out["contribute"] = [
            {"name": n, "dtype": t, "shape": [int(d) for d in s]} | ({"written": "exact"} if n in self.exact else {})
            for n, t, s in self.contribute
        ]
        if self.noise:
            out["noise"] = dict(self.noise)
        return out


@dataclass
class Reduce:
    """What the coordinator does with the sums.

    Parameters
    ----------
    steps : sequence of Step
        In their order.
    assign : mapping of str to str
        Variables of the server, and the sums or values that they become.
    metrics : mapping of str to str
        What the author sees of each round: names, and single numbers among the values.
    stop : str, optional
        A value that ends the task early when it is not 0.
    """

    steps: Sequence[Step]
    assign: Mapping[str, str]
    metrics: Mapping[str, str] = field(default_factory=dict)
    stop: str | None = None

    def json(self) -> Json:
        """Return the reduce as it stands in ``task.json``.

        Returns
        -------
        dict
            Of plain values.
        """
        out: Json = {"steps": [s.json() for s in self.steps], "assign": dict(self.assign)}
        if self.metrics:
            out["metrics"] = dict(self.metrics)
        if self.stop:
            out["stop"] = self.stop
        return out
