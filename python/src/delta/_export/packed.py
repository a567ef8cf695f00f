"""Packed sequences: kept as they were before packing, with the length of each row.

What torch packs is as long as the data says, and no graph has such a shape. Recurrent layers give the same for a row that is
padded when its state stands still behind its end; so ``pack_padded_sequence`` keeps rows and lengths, layers look at both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import rnn

from . import recurrent
from .errors import ExportError, author_frame
from .swaps import Swap


class Padded(rnn.PackedSequence):
    """What stands for a packed sequence: padded ``rows``, with the ``lengths`` of each, ``int64 [batch]``."""

    rows: Tensor
    lengths: Tensor
    batch_first: bool

    def __new__(cls, rows: Tensor, lengths: Tensor, batch_first: bool) -> Padded:
        """Keep the rows as they are."""
        made = tuple.__new__(cls, (None, None, None, None))
        made.rows, made.lengths, made.batch_first = rows, lengths, batch_first
        return made

    def _refuse(self, frame: Any) -> NoReturn:
        raise ExportError(
            "the data of a packed sequence", "how much there is depends on the lengths, and shapes must not depend on data",
            instead="do it before pack_padded_sequence, or after pad_packed_sequence(..., total_length=x.shape[1])",
            location=author_frame(frame),
        )  # fmt: skip

    @property
    def data(self) -> Any:
        """Refuse: it has no shape."""
        self._refuse(sys._getframe(1))

    @property
    def batch_sizes(self) -> Any:
        """Refuse: it has no shape."""
        self._refuse(sys._getframe(1))

    def __iter__(self) -> Any:
        """Refuse: it has no parts."""
        self._refuse(sys._getframe(1))

    def __getitem__(self, index: Any) -> Any:
        """Refuse: it has no parts."""
        self._refuse(sys._getframe(1))

    def to(self, *args: Any, **kwargs: Any) -> Padded:
        """Return itself: the node chooses where a graph runs."""
        return self


def _pack(input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> Padded:
    if not isinstance(lengths, Tensor):
        raise ExportError(
            "pack_padded_sequence", "lengths is no tensor, so the same lengths would hold for every batch",
            instead="compute lengths of the batch: lengths = (x != 0).sum(1), [batch]", location=author_frame(sys._getframe(2)),
        )  # fmt: skip
    # Rows stay in their order, so none needs to be sorted.
    return Padded(input, lengths.to(torch.int64), batch_first)


def _unpack(
    sequence: Any, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    place = author_frame(sys._getframe(2))
    time = 1 if sequence.batch_first else 0
    most = sequence.rows.shape[time]
    if total_length is None or total_length < most:
        raise ExportError(
            "pad_packed_sequence", "how long the longest row of a batch is depends on the data", location=place,
            instead=f"give total_length={most}, which is x.shape[{time}] of what was packed: the rest is padding_value",
        )  # fmt: skip
    rows = sequence.rows if time == 1 else sequence.rows.transpose(0, 1)
    if total_length > most:
        rows = F.pad(rows, (0, 0, 0, total_length - most))
    there = torch.arange(total_length) < sequence.lengths.unsqueeze(1)
    rows = torch.where(there.reshape(*there.shape, *([1] * (rows.dim() - 2))), rows, padding_value)
    return (rows if batch_first else rows.transpose(0, 1)), sequence.lengths


def _forward(original: Callable[..., Any]) -> Callable[..., Any]:
    def forward(self: Any, input: Any, hx: Any = None) -> Any:
        if not isinstance(input, Padded):
            return original(self, input, hx)
        kind = self.mode.lower()
        rows = input.rows if not input.batch_first else input.rows.transpose(0, 1)
        if hx is None:
            count = self.num_layers * (2 if self.bidirectional else 1)
            sizes = [self.proj_size or self.hidden_size, self.hidden_size][: 2 if kind == "lstm" else 1]
            states = [torch.zeros(count, rows.shape[1], size, dtype=rows.dtype) for size in sizes]
        else:
            states = list(hx) if kind == "lstm" else [hx]
        drop = (lambda y: F.dropout(y, self.dropout, True)) if self.training and self.dropout > 0 else None
        made, *last = recurrent.unroll(
            kind, rows, states, self._flat_weights, self.bias, self.num_layers, drop, self.bidirectional, False,
            lengths=input.lengths,
        )  # fmt: skip
        out = Padded(made.transpose(0, 1) if input.batch_first else made, input.lengths, input.batch_first)
        return out, tuple(last) if kind == "lstm" else last[0]

    return forward


PACKED: list[Swap] = [(kind, "forward", _forward(kind.forward)) for kind in (nn.RNN, nn.GRU, nn.LSTM)]
RUNNING: list[tuple[Any, Any]] = [(rnn.pack_padded_sequence, _pack), (rnn.pad_packed_sequence, _unpack)]
"""Functions of torch, and what they run instead."""
