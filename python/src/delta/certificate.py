"""Certificates of answers, as their file says: who has proven what. Checking the proofs is ``delta-node verify FILE``.

The format is published in ``docs/protocol/certificate.md``.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import _html

__all__ = ["Certificate"]

_LOGISTIC, _LINEAR, _MEAN = range(3)
_MODELS = ("logistic regression", "linear regression", "means")
_UNIT = 2**18 - 1
_ORDER = 2**252 + 27742317777372353535851937790883648493
_SCALES = (_UNIT * 2**56, _UNIT * _UNIT * 2**22, _UNIT * 2**22)


@dataclass(frozen=True)
class Certificate:
    """What members have proven of an answer, as the certificate says it.

    Reading it checks no proof: ``delta-node verify FILE`` does, without a network. Whether the commitments are those that
    members registered before the first round is to be compared with the connector's record, as coordinator and members have.

    Parameters
    ----------
    model : str
        ``logistic regression``, ``linear regression`` or ``means``.
    task, bundle : str
        The task's id on the network, and the SHA-256 of its bundle.
    round : int
        The round in which members have proven.
    bounds : list of (float, float)
        Of each column.
    coefficients : list of float
        The answer, rounded as it was proven: one a column, and the intercept last.
    rows : int
        Of all members together.
    norm, tolerance : float
        What remains of the mean gradient, with each column running from -1 to 1, and what may.
    members : dict of str to str
        For each member's address the commitment that its table was proven to have.
    data : bytes
        The file.
    label : tuple of (float, float) or None
        Bounds of the labels of a linear regression. Everything is measured and rounded in halves of their width: with bounds far
        wider than the labels a certificate says little.
    """

    model: str
    task: str
    bundle: str
    round: int
    bounds: list[tuple[float, float]]
    coefficients: list[float]
    rows: int
    norm: float
    tolerance: float
    members: dict[str, str]
    data: bytes = field(repr=False)
    label: tuple[float, float] | None = None

    @property
    def holds(self) -> bool:
        """Whether no more remains than may."""
        return self.norm <= self.tolerance

    @property
    def commitments(self) -> dict[str, str]:
        """The members' commitments, by their addresses."""
        return dict(self.members)

    @classmethod
    def read(cls, data: bytes) -> Certificate:
        """Read a certificate's bytes.

        Parameters
        ----------
        data : bytes
            The file.

        Returns
        -------
        Certificate
            What it says.

        Raises
        ------
        ValueError
            It is none.
        """
        try:
            return _read(data)
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise ValueError(f"certificate: it ends in the midst of something ({error}); fetch it again") from None

    def save(self, path: str | Path) -> None:
        """Write the file, for ``delta-node verify`` and for others.

        Parameters
        ----------
        path : str or Path
            Where.
        """
        Path(path).write_bytes(self.data)

    def _facts(self) -> Mapping[str, Any]:
        return {
            "answer": self.model,
            "rows": f"{self.rows} of {len(self.members)} members",
            "remains": f"{self.norm:.2e}, allowed {self.tolerance:.2e}",
            **self._labels(),
            "task": self.task,
            "round": self.round,
            **{f"member {a}": c for a, c in self.members.items()},
        }

    def _labels(self) -> Mapping[str, str]:
        if self.label is None:
            return {}
        low, high = self.label
        half = high / 2 - low / 2
        return {
            "labels": f"{low:g} to {high:g}: remains {self.norm * half:.2e}, allowed {self.tolerance * half:.2e} in their unit"
        }

    def __str__(self) -> str:
        """Say it in lines."""
        head = "certified, by what the file says" if self.holds else "NOT certified"
        return "\n".join([head, *(f"  {k}: {v}" for k, v in self._facts().items())])

    def _repr_html_(self) -> str:
        head = "Certified, by what the file says; check it with <code>delta-node verify</code>. Experimental."
        rows = "".join(
            f"<tr><th>{_html.text(str(k))}</th><td>{_html.text(str(v))}</td></tr>" for k, v in self._facts().items()
        )
        return f"<p>{head if self.holds else 'NOT certified: too much remains.'}</p><table>{rows}</table>"


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        part = self.data[self.at : self.at + count]
        if len(part) != count:
            raise IndexError(f"{count} bytes at {self.at}")
        self.at += count
        return part

    def numbers(self, form: str) -> Any:
        return struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))

    def one(self, form: str) -> Any:
        return self.numbers(form)[0]


def _read(data: bytes) -> Certificate:
    reader = _Reader(data)
    if reader.numbers("8sH") != (b"DELTACRT", 1):
        raise ValueError("certificate: it does not begin as one of version 1 does")
    start = reader.at
    model, features = reader.numbers("BB")
    if model > _MEAN or not 1 <= features <= 64:
        raise ValueError("certificate: its model or the number of columns is none")
    bounds = [reader.numbers("dd") for _ in range(features + (model == _LINEAR))]
    schema = data[start : reader.at]
    task = reader.take(66)
    bundle, number = reader.take(32).hex(), reader.one("I")
    weights = list(reader.numbers(f"{features + (model != _MEAN)}q"))
    tolerance, count = reader.numbers("dH")
    members, sums = {}, [0] * (len(weights) + 1)
    for _ in range(count):
        address, signals, commitment = _member(_Reader(reader.take(reader.one("I"))), model, features, schema, task)
        members[address] = commitment
        sums = [(a + b) % _ORDER for a, b in zip(sums, signals, strict=True)]
    *sums, rows = [v if v < _ORDER // 2 else v - _ORDER for v in sums]
    if reader.at != len(data) or rows < 1:
        raise ValueError("certificate: its parts do not fit each other")
    if not 1e-5 <= tolerance <= 0.1:
        raise ValueError("certificate: its tolerance is not from 1e-5 to 0.1")
    norm = float(max(abs(v) for v in sums)) / float(_SCALES[model]) / float(rows)
    return Certificate(
        _MODELS[model],
        task.decode("ascii"),
        f"0x{bundle}",
        number,
        bounds[:features],
        _coefficients(model, bounds, weights),
        rows,
        norm,
        tolerance,
        members,
        data,
        label=bounds[features] if model == _LINEAR else None,
    )


def _member(reader: _Reader, model: int, features: int, schema: bytes, task: bytes) -> tuple[str, list[int], str]:
    magic, version, log_rows = reader.numbers("8sHB")
    if (magic, version) != (b"DELTAPRF", 1) or not 4 <= log_rows <= 17:
        raise ValueError("certificate: a proof in it does not begin as one of version 1 does")
    address = reader.take(42)
    reader.take(74 * reader.one("H"))
    columns = 19 * features + (1, 19, 0)[model] + 1
    costs = [(2 << (log_rows - m)) + (columns << m) for m in range(log_rows)]
    blocks = 1 << (log_rows - costs.index(min(costs)))
    signals = [int.from_bytes(reader.take(32), "little") for _ in range(features + (model != _MEAN) + 1)]
    table = hashlib.sha256()
    for part in (b"delta certificate table 1", task, address, schema, bytes([log_rows]), reader.take(32 * blocks)):
        table.update(struct.pack(">Q", len(part)) + part)
    return address.decode("ascii"), signals, f"0x{table.hexdigest()}"


def _coefficients(model: int, bounds: Sequence[tuple[float, float]], weights: Sequence[int]) -> list[float]:
    scaled = [w / 2**22 for w in weights]
    half = [high / 2 - low / 2 for low, high in bounds]
    middle = [high / 2 + low / 2 for low, high in bounds]
    if model == _MEAN:
        return [m + w * h for w, h, m in zip(scaled, half, middle, strict=True)]
    unit, shift = (half.pop(), middle.pop()) if model == _LINEAR else (1.0, 0.0)
    slopes = [w / h * unit for w, h in zip(scaled[:-1], half, strict=True)]
    return [*slopes, scaled[-1] * unit + shift - math.fsum(s * m for s, m in zip(slopes, middle, strict=True))]
