"""LSTM, GRU and RNN unrolled over the steps of a sequence, with one matrix product for all steps' inputs.

torch's own decomposition of the LSTM does not survive autograd while tracing (2.15).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Cell = Callable[[Tensor, tuple[Tensor, ...], Tensor, Tensor | None], tuple[Tensor, ...]]
Linear = Callable[[Tensor, Tensor, Tensor | None], Tensor]
Dropout = Callable[[Tensor, float], Tensor]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias`` as one matrix product; at::linear would fix the batch size of inputs with 3 dimensions."""
    if x.dim() == 1:
        y = weight @ x
        return y if bias is None else y + bias
    flat = x if x.dim() == 2 else x.reshape(-1, x.shape[-1])
    y = flat @ weight.t() if bias is None else torch.addmm(bias, flat, weight.t())
    return y if x.dim() == 2 else y.reshape(*x.shape[:-1], weight.shape[0])


def _lstm_cell(given: Tensor, state: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None) -> tuple[Tensor, ...]:
    h, c = state
    i, f, g, o = (given + linear(h, weight, bias)).chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru_cell(given: Tensor, state: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None) -> tuple[Tensor, ...]:
    h = state[0]
    size = h.shape[-1]
    mine = linear(h, weight, bias)
    reset, update = torch.sigmoid(given[:, : 2 * size] + mine[:, : 2 * size]).chunk(2, 1)
    new = torch.tanh(given[:, 2 * size :] + reset * mine[:, 2 * size :])
    return (new + update * (h - new),)


def _rnn_cell(activation: Callable[[Tensor], Tensor]) -> Cell:
    def cell(given: Tensor, state: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None) -> tuple[Tensor, ...]:
        return (activation(given + linear(state[0], weight, bias)),)

    return cell


CELLS: dict[str, Cell] = {
    "lstm": _lstm_cell,
    "gru": _gru_cell,
    "rnn_tanh": _rnn_cell(torch.tanh),
    "rnn_relu": _rnn_cell(torch.relu),
}


def unroll(
    kind: str, x: Tensor, initial: Sequence[Tensor], weights: Sequence[Tensor], has_bias: bool, layers: int,
    dropout: Callable[[Tensor], Tensor] | None, bidirectional: bool, batch_first: bool, lengths: Tensor | None = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """The output and the last states, as `torch._VF.lstm` and its kin return them.

    Args:
        x: [T, N, D], or [N, T, D] with `batch_first`.
        initial: h (and c for the LSTM), each [layers * directions, N, H].
        dropout: applied to the output of every layer but the last.
        lengths: [N], how many steps each row has; behind them its state stands still, and its output is 0.
    """
    cell = CELLS[kind]
    if batch_first:
        x = x.transpose(0, 1)
    directions, each = 2 if bidirectional else 1, 4 if has_bias else 2
    # Projections of the LSTM stand behind the others of a layer.
    projected = len(weights) == layers * directions * (each + 1)
    each += projected
    there = [(lengths > t).unsqueeze(1) for t in range(int(x.shape[0]))] if lengths is not None else []
    last: list[list[Tensor]] = [[] for _ in initial]
    for layer in range(layers):
        sides = []
        for side in range(directions):
            at = layer * directions + side
            own = weights[at * each : (at + 1) * each]
            given = linear(x, own[0], own[2] if has_bias else None)
            state = tuple(s[at] for s in initial)
            steps = list(enumerate(given.unbind(0)))
            outputs = []
            for t, step in reversed(steps) if side else steps:
                new = cell(step, state, own[1], own[3] if has_bias else None)
                if projected:
                    new = (linear(new[0], own[-1]), *new[1:])
                state = tuple(torch.where(there[t], n, s) for n, s in zip(new, state, strict=True)) if there else new
                outputs.append(torch.where(there[t], state[0], 0.0) if there else state[0])
            sides.append(torch.stack(outputs[::-1] if side else outputs))
            for kept, value in zip(last, state, strict=True):
                kept.append(value)
        x = torch.cat(sides, 2) if bidirectional else sides[0]
        if dropout is not None and layer + 1 < layers:
            x = dropout(x)
    return (x.transpose(0, 1) if batch_first else x, *(torch.stack(kept) for kept in last))
