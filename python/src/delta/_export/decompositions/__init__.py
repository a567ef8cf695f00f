"""How operators that ONNX lacks, backward operators above all, are composed of operators that `lower` translates.

`make_fx` applies the table while it traces. Everything here is arithmetic on whole tensors with a symbolic batch: no
Python branch may look at the batch size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Literal

import torch
from torch._decomp import core_aten_decompositions, get_decompositions
from torch._ops import OpOverload

from . import convolution, maximum, norm, pooling

aten = torch.ops.aten

WeightGradient = Literal["im2col", "slices", "onnxruntime", "records", "auto"]

_FROM_TORCH = (
    "embedding_dense_backward", "native_layer_norm", "native_layer_norm_backward", 
    "native_batch_norm", "native_batch_norm_backward", "_native_batch_norm_legit", "_native_batch_norm_legit_functional",
    "_native_batch_norm_legit_no_training", "_softmax_backward_data", "_log_softmax_backward_data",
    "native_dropout_backward", "addcdiv", "lerp", "gelu", "gelu_backward", "elu", "elu_backward",
    "leaky_relu", "leaky_relu_backward", "hardtanh", "hardtanh_backward", "softplus", "softplus_backward", "silu",
    "silu_backward", "hardswish", "hardswish_backward", "hardsigmoid", "hardsigmoid_backward", "mish", "mish_backward",
    "celu", "threshold_backward", "nll_loss_forward", "nll_loss_backward", "mse_loss", "mse_loss_backward",
    "binary_cross_entropy", "binary_cross_entropy_backward", "smooth_l1_loss", "smooth_l1_loss_backward", "huber_loss",
    "huber_loss_backward", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
    "replication_pad2d", "replication_pad3d", "upsample_nearest1d", "upsample_nearest2d", "upsample_bilinear2d",
    "glu", "glu_backward", "tanh_backward", "sigmoid_backward", "stack", "native_dropout", "index_add", "index_copy",
)  # fmt: skip


OTHERWISE = (
    aten.convolution_backward, aten.max_pool2d_with_indices_backward, aten.max_pool3d_with_indices_backward,
    aten.adaptive_max_pool2d_backward, aten.native_batch_norm, aten._native_batch_norm_legit,
)  # fmt: skip
"""What the form `onnxruntime` composes of other operators than `auto`."""


def decomposition_table(weight_gradient: WeightGradient = "auto") -> dict[OpOverload, Callable[..., Any]]:
    """The table for `make_fx`.

    Args:
        weight_gradient: how a convolution's weight gradient is computed.
            `auto`, `im2col`: products of unfolded inputs and unfolded gradients, batch row by batch row (portable);
            `onnxruntime`: the same, with operators that only onnxruntime is sure to have, and so for what else stands in
            `OTHERWISE`;
            `slices`: one matrix product for each kernel position (portable, least memory);
            `records`: as `auto`, in a form that can be taken apart into records.
    """
    return dict(_table(weight_gradient))


@cache
def _table(weight_gradient: WeightGradient) -> dict[OpOverload, Callable[..., Any]]:
    # Asking torch for its own is a third of the time in which a small task is built.
    table: dict[Any, Callable[..., Any]] = dict(core_aten_decompositions())
    packets = [getattr(aten, name) for name in _FROM_TORCH if hasattr(aten, name)]
    table.update(get_decompositions(packets))
    table.pop(aten.addcmul.default, None)  # `lower` has one operator for it
    table.update(norm.TABLE)
    table.update(pooling.TABLE)
    table[aten.convolution_backward.default] = partial(convolution.backward, weight_gradient)
    if weight_gradient == "onnxruntime":
        table.update(norm.FUSED)
        table[aten.max_pool2d_with_indices_backward.default] = table[aten.max_pool3d_with_indices_backward.default] = (
            partial(maximum.backward, planes=True)
        )
        table[aten.adaptive_max_pool2d_backward.default] = partial(pooling.adaptive_max_pool2d_backward, planes=True)
    if weight_gradient == "records":
        # Nodes do not follow the indices of maxima, which count through the batch.
        found = partial(maximum.backward, window=None)
        table[aten.max_pool2d_with_indices_backward.default] = table[aten.max_pool3d_with_indices_backward.default] = (
            found
        )
    return table
