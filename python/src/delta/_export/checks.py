"""What a recording shows and torch itself would only say with real numbers: types that do not meet, classes without an output."""

from __future__ import annotations

import torch
import torch.fx as fx
from torch import Tensor

from .errors import ExportError, author_of
from .lower.builder import ELEMENT
from .trace import Trace

aten = torch.ops.aten
_PRODUCTS = (
    aten.mm.default, aten.addmm.default, aten.bmm.default, aten.baddbmm.default, aten.mv.default, aten.dot.default,
    aten.convolution.default,
)  # fmt: skip
_LABELLED = (aten.nll_loss_forward.default, aten.nll_loss2d_forward.default, aten.multi_margin_loss.default)
_HANDED_ON = (
    aten.clone.default, aten.alias.default, aten.detach.default, aten.lift_fresh_copy.default, aten._to_copy.default,
    aten.view.default, aten.reshape.default, aten.squeeze.default, aten.squeeze.dim, aten.unsqueeze.default,
)  # fmt: skip


def check(recorded: Trace, classes: int | None) -> None:
    """Look through a recording; ``classes``: how many the labels ``y`` have, when they are class numbers.

    Raises :class:`ExportError` with the author's line.
    """
    labels = {node for name, node in recorded.placeholders.items() if name == "y" or name.startswith("y.")}
    for node in recorded.graph.graph.nodes:
        value = node.meta.get("val")
        if node.op != "call_function":
            continue
        for made in value if isinstance(value, tuple | list) else [value]:
            if isinstance(made, Tensor) and made.dtype not in ELEMENT:
                raise _refused(
                    node, f"a tensor of {made.dtype}", "nodes have no such tensors",
                    "compute in float32 or float64, whole numbers in int64",
                )  # fmt: skip
        if node.target in _PRODUCTS:
            _same_type(node)
        if classes is not None and node.target in _LABELLED:
            _enough_outputs(node, labels, classes)


def _same_type(node: fx.Node) -> None:
    inputs = [n.meta["val"] for n in node.all_input_nodes if isinstance(n.meta.get("val"), Tensor)]
    found = sorted({str(t.dtype) for t in inputs})
    if len(found) > 1:
        raise _refused(
            node, "a product of two types", f"{found[0]} and {found[1]} meet".replace("torch.", ""),
            "convert what dataset() gives (float32) in preprocess(): x.double(); or the model: model.float()",
        )  # fmt: skip


def _enough_outputs(node: fx.Node, labels: set[fx.Node], classes: int) -> None:
    output, target = node.args[:2]
    if not isinstance(output, fx.Node) or not isinstance(target, fx.Node):
        return
    while target.target in _HANDED_ON and isinstance(target.args[0], fx.Node):
        target = target.args[0]
    shape = output.meta["val"].shape
    count = shape[1 if len(shape) > 1 else 0]
    ignored = node.args[4] if len(node.args) > 4 else None
    if classes - 1 == ignored:
        classes -= 1
    if target in labels and isinstance(count, int) and count < classes:
        raise _refused(
            node, "the loss", f"the model has {count} output{'s' if count > 1 else ''} and the labels have {classes} classes",
            f"let the last layer have {classes} outputs" + (", or use BCEWithLogitsLoss" if count == 1 and classes == 2 else ""),
        )  # fmt: skip


def _refused(node: fx.Node, what: str, why: str, instead: str) -> ExportError:
    return ExportError(what, why, instead=instead, location=author_of(node.meta.get("stack_trace")))
