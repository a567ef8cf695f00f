"""What a node holds the sums of a controlled release against: the rules of ``docs/policy.md``, with their defaults.

The decisions are the node's (``src/domain/records/judge.rs``, ``facts.rs``, ``overlap.rs``). Not here: what compares a
release with earlier ones, ``records.overlap`` over all tasks of an author and ``records.cohort``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .leverage import leverage

Integers = npt.NDArray[np.int64]

AUDITED = 256
"""Most numbers that are audited together."""


@dataclass(frozen=True)
class Limits:
    """The limits, as an owner's ``records`` section has them."""

    threshold: int = 10
    dominance: float = 0.9
    p_percent: float = 0.1
    freedom: int = 10
    outputs_per_row: float = 0.33
    leverage: float = 0.9


@dataclass(frozen=True)
class Finding:
    """One broken rule: its name after ``records.``, and why."""

    rule: str
    why: str

    def __str__(self) -> str:
        """Say it as the owner's log does."""
        return f"records.{self.rule}: {self.why}"


@dataclass(frozen=True)
class Output:
    """One number over all units; magnitudes in steps of the precision."""

    nonzero: int
    indicator: bool
    first: int
    second: int
    total: int


def audit(vectors: Integers, labels: Sequence[str] = (), limits: Limits | None = None) -> list[Finding]:
    """Return what speaks against releasing the sum of ``[units, numbers]``; nothing: it may leave.

    ``labels``: what each number belongs to, for the text. Each rule is named once, with the first number that breaks it.
    """
    limits = limits or Limits()
    n, d = vectors.shape
    outputs = [_measure(column) for column in vectors.T]
    findings = []
    if n < limits.threshold:
        findings.append(Finding("rows", f"{n} units, and at least {limits.threshold} are needed"))
    if d > limits.outputs_per_row * n:
        findings.append(Finding("outputs", f"{d} numbers of {n} units, more than {limits.outputs_per_row} a unit"))

    def few(o: Output) -> str | None:
        if o.nonzero == 0 or o.nonzero >= limits.threshold:
            return None
        return f"{o.nonzero} units contribute, and 0 or at least {limits.threshold} may"

    rules: list[tuple[str, Callable[[Output], str | None]]] = [
        ("cells", few),
        ("dominance", lambda o: _dominated(o, limits)),
    ]
    for rule, broken in rules:
        for i, output in enumerate(outputs):
            if why := broken(output):
                label = f" ({labels[i]})" if labels else ""
                findings.append(Finding(rule, f"output {i}{label}: {why}"))
                break
    return findings + _together(vectors, limits) + _overlapping(vectors, outputs, limits)


def _overlapping(vectors: Integers, outputs: Sequence[Output], limits: Limits) -> list[Finding]:
    """Sets of units that differ by too few: those with any number other than 0, and those of each count."""
    counts = [column for column, o in zip(vectors.T, outputs, strict=True) if o.indicator and o.nonzero > 0]
    sets = np.unique(np.array([vectors.any(1), *(c != 0 for c in counts[:AUDITED])]), axis=0)
    for i, one in enumerate(sets):
        for other in sets[:i]:
            units = int(np.count_nonzero(one != other))
            if 0 < units < limits.threshold:
                why = f"{units} units are in one of two sums and not in the other, and 0 or at least {limits.threshold} may"
                return [Finding("overlap", why)]
    return []


def _together(vectors: Integers, limits: Limits) -> list[Finding]:
    """The rules about all numbers and the count together."""
    n, d = vectors.shape
    rank, share = leverage(vectors) if d <= AUDITED else (0, None)
    if share is None:
        why = f"{d} numbers are too many to audit together, or too nearly dependent; the most is {AUDITED}"
        return [Finding("leverage", why)]
    findings = []
    if n - rank < limits.freedom:
        why = f"{n - rank} residual degrees of freedom, and at least {limits.freedom} are needed"
        findings.append(Finding("freedom", why))
    if share > limits.leverage:
        why = f"one unit has {share:.3f} of a combination of the outputs, and at most {limits.leverage} is allowed"
        findings.append(Finding("leverage", why))
    return findings


def _measure(column: Integers) -> Output:
    magnitudes = np.sort(np.abs(column))
    first, second = (int(magnitudes[-i]) if len(magnitudes) >= i else 0 for i in (1, 2))
    other = np.unique(column[column != 0])
    # Sums of int64 could wrap: in two halves they cannot.
    total = (int((magnitudes >> 26).sum()) << 26) + int((magnitudes & (2**26 - 1)).sum())
    return Output(int(np.count_nonzero(column)), len(other) <= 1, first, second, total)


def _dominated(o: Output, limits: Limits) -> str | None:
    """Why one or two units give away too much of a sum. A count cannot: all its units contribute the same."""
    if o.indicator or o.total == 0:
        return None
    both = float(o.first) + float(o.second)
    if both >= limits.dominance * float(o.total):
        return f"the two largest are {both / o.total:.3f} of the sum of magnitudes"
    rest = float(o.total - o.first - o.second)
    if rest < limits.p_percent * o.first:
        return f"the rest is {rest / o.first:.3f} of the largest"
    return None
