"""What torch says of code that does not fit together, as an author needs it: the layer, the line, and what to change."""

from __future__ import annotations

import re
from types import TracebackType

import torch.fx as fx
from torch import nn

from .errors import ExportError, Location, is_author_file

_SIZES = "make the sizes fit: x is [batch, *shape] or [batch, columns] of dataset(), as preprocess() hands it on"
_TYPES = (
    "convert in preprocess(): x.float(), y.float(), y.long(); or the model in __init__, before the optimizer is made"
)
_LABELS = "dataset() without classes or target= has no labels; the loop gets what preprocess() returns"
_ELSEWHERE = "it would fail with torch alone, too: run train() on a few batches of your own"
_REMEDIES = [
    (r"Target size .* must be the same as input size|target size .* different to the input size",
     "give both one shape in preprocess(): y.float().unsqueeze(1) is [batch, 1]"),
    (r"nll_loss.*not implemented for|expected scalar type Long|Expected dtype int32/int64 for index|"
     r"Expected floating point type for target with class prob",
     "class numbers are y.long(), [batch]; soft labels are float, [batch, classes]"),
    (r"same dtype|could not infer output dtype|expected scalar type|Found dtype|result type .* can't be cast|"
     r"expected m1 and m2|not implemented for '",
     _TYPES),
    (r"Expected target size|Expected input batch_size|only batches of spatial targets",
     "CrossEntropyLoss takes output [batch, classes, ...] and labels [batch, ...]: output.transpose(1, 2), or y[:, 0]"),
    (r"not enough values to unpack|too many values to unpack|cannot unpack", _LABELS),
    (r"does not require grad and does not have a grad_fn",
     "the loss is made of nothing that is trained: leave out torch.no_grad(), detach() and requires_grad_(False)"),
    (r"a leaf Variable that requires grad", "change parameters within torch.no_grad()"),
    (r"grad can be implicitly created only for scalar", "take the mean over the rows before backward(): loss.mean()"),
    (r"Trying to backward through the graph a second time", "call backward() once for each loss, or with retain_graph=True"),
    (r"modified by an inplace operation", "clone() before writing into what backward() still needs"),
    (r"Inference tensors", "use torch.no_grad() instead of torch.inference_mode()"),
    (r"Expected all tensors to be on the same device", "leave out device moves: the node chooses where a graph runs"),
    (r"shapes cannot be multiplied|same reduction dim|size mismatch|must match the size|is invalid for input of size|"
     r"expected input.* to have \d+ channels|Expected .*D.*input|must match except in dimension|broadcast|Sizes of tensors|"
     r"sizes? of|should be equal to",
     _SIZES),
]  # fmt: skip
_NOISE = [
    (re.compile(r"\bs\d+\b"), "batch"),
    (re.compile(r" at 0x[0-9a-fA-F]+"), ""),
    (re.compile(r"FakeTensor\([^()]*(?:\([^()]*\)[^()]*)*\)"), "a tensor"),
    (re.compile(r"\s+"), " "),
]
_LENGTH = 300
_AROUND = (nn.Sequential, fx.GraphModule)


def complaint(error: BaseException) -> ExportError | None:
    """What is said instead of an error that came up in an author's code, or in a layer that he uses; else nothing."""
    place, layer = _where(error.__traceback__)
    if place is None and layer is None:
        return None
    text = str(error).split("\nWhile executing")[0].strip() or "no reason given"
    remedy = next((r for pattern, r in _REMEDIES if re.search(pattern, text, re.DOTALL)), _ELSEWHERE)
    for pattern, plain in _NOISE:
        text = pattern.sub(plain, text)
    text = text if len(text) <= _LENGTH else text[:_LENGTH] + " ..."
    return ExportError(layer or type(error).__name__, text, instead=remedy, location=place)


def _where(traceback: TracebackType | None) -> tuple[Location | None, str | None]:
    """The innermost line of the author, and the layer of torch below it."""
    place: Location | None = None
    layer: str | None = None
    while traceback is not None:
        frame = traceback.tb_frame
        if is_author_file(frame.f_code.co_filename):
            place, layer = Location(frame.f_code.co_filename, traceback.tb_lineno), None
        elif isinstance(module := frame.f_locals.get("self"), nn.Module) and not isinstance(module, _AROUND):
            layer = layer if "\n" in (named := repr(module)) else named
        traceback = traceback.tb_next
    return place, layer
