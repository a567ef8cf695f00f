"""What happens around an author's code while it is traced: values that he asks for are refused, his lines are noted.

A traced tensor has no value, only a shape. Whatever needs the value in Python (``.item()``, ``if loss > 3``, ``print``)
would make a graph that fits one batch only, so it is refused with the line that asks and what to write instead.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .chance import shown
from .complaints import complaint
from .errors import ExportError, Location, author_frame, is_author_file
from .idioms import here, moved
from .schedules import Again

_KEEP = (
    "keep it a tensor; numbers that you want to see go into validate() or metrics, where nodes add them up over batches"
)
_NUMPY = "use torch operations on the tensor: nodes run a graph, not Python"
_MASK = "use torch.where(mask, value, 0) and divide by mask.sum(): shapes must not depend on values"
_ROWS = "use x.shape[0] for the number of rows and operations on the whole batch instead of a loop over its rows"

_FINITE = "leave it out: a member whose numbers are not finite sends nothing"
_CHANCES = (
    "give the distribution validate_args=False; of Beta, Gamma and Dirichlet there is no operator, and the others are made of "
    "torch.rand_like(x) and torch.randn_like(x)"
)
_ONE = (
    "the batch is one tensor, and it is taken apart",
    "write for x in dataloader: what preprocess() returns is what the loop gets, and dataset() without classes or target= "
    "has no labels",
)

FORBIDDEN: dict[Any, tuple[str, str]] = {
    Tensor.item: (".item()", _KEEP),
    Tensor.tolist: (".tolist()", _KEEP),
    Tensor.numpy: (".numpy()", _NUMPY),
    Tensor.__array__: ("numpy", _NUMPY),
    Tensor.__bool__: (
        "a decision on a tensor's value",
        "choose with torch.where(condition, a, b): both sides are computed, the value decides which is kept",
    ),
    Tensor.__float__: ("float()", _KEEP),
    Tensor.__int__: ("int()", _KEEP),
    Tensor.__index__: ("a tensor as an index of Python", "index with tensors: torch.gather, x[index] with a tensor x"),
    Tensor.__repr__: ("print", "remove the print, or report the number from validate() or metrics"),
    Tensor.__format__: ("print", "remove the print, or report the number from validate() or metrics"),
    Tensor.__len__: ("len()", "use x.shape[0]: len() must be one number, and batches differ in size"),
    Tensor.unbind: ("a loop over the rows of a tensor", _ROWS),
    torch.unbind: ("a loop over the rows of a tensor", _ROWS),
    Tensor.__contains__: ("in", "compare: (x == value).any() is a tensor, use it in torch.where"),
    torch.equal: ("torch.equal()", "compare element by element, and choose with torch.where"),
    torch.allclose: ("torch.allclose()", "compare element by element, and choose with torch.where"),
}
_BY_ROWS = (Tensor.__len__, Tensor.unbind, torch.unbind)
_ADDED = (
    "add up tensors instead: correct += (y_pred.argmax(dim=1) == y).sum(), count += y.shape[0]; divide after the loop"
)
SUMS: dict[Any, tuple[str, str]] = {
    Tensor.tolist: (".tolist()", _ADDED),
    Tensor.numpy: (".numpy()", _ADDED),
    Tensor.__array__: ("numpy", _ADDED),
}
"""What to write instead in code that adds up over batches."""


class Watch(TorchFunctionMode):
    """While active, asking for a tensor's value raises :class:`ExportError` with the author's line.

    ``number``: what ``.item()`` gives in code where it is allowed (sums of :meth:`validate`), otherwise it is refused.
    """

    def __init__(self, number: Callable[[Tensor], Any] | None = None) -> None:
        """Take what stands for a tensor's value, if anything does."""
        super().__init__()
        self.number = number

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Refuse what needs a value, pass on everything else."""
        rule = FORBIDDEN.get(function)
        if rule is not None and not (function in _BY_ROWS and not _symbolic(args[0], *args[1:], **(kwargs or {}))):
            frame = sys._getframe(1)
            if function is Tensor.unbind and _under_tolist(frame):
                function, rule = Tensor.tolist, FORBIDDEN[Tensor.tolist]
            if self.number is not None:
                if function is Tensor.item:
                    return self.number(args[0])
                rule = SUMS.get(function, rule)
            place = author_frame(frame)
            what, way = _meant(function, "" if place is None else place.source, frame) or rule
            raise ExportError(what, "the value is not known while the step is traced", instead=way, location=place)
        if function == _SET_DATA:
            return _written(*args)
        if function == _GET_DATA:
            # The same memory, but writes into it are counted: what changes under a condition is found by the count.
            return args[0].detach()
        if function is Tensor.__deepcopy__:
            return _copied(*args, **(kwargs or {}))
        if function is Tensor.__getitem__ and any(t.dtype == torch.bool for t in tensors(args[1])):
            raise ExportError(
                "indexing by a mask", "the shape of the result depends on the data", instead=_MASK,
                location=author_frame(sys._getframe(1)),
            )  # fmt: skip
        frame = sys._getframe(1)
        if (number := shown([*args, *(kwargs or {}).values()])) is not None:
            raise number.refuse("a number that is only to be shown")
        if (same := moved(function, args, frame)) is not None:
            return same
        return function(*(here(a, frame) for a in args), **{k: here(a, frame) for k, a in (kwargs or {}).items()})


def _meant(function: Any, line: str, frame: FrameType | None) -> tuple[str, str] | None:
    """What is refused, and the way out, where the line says more than the function."""
    if function is Tensor.unbind and line.startswith("for ") and " in dataloader" in line:
        return _ONE
    if function is Tensor.__bool__ and line.startswith("assert"):
        return "assert on a tensor's value", _FINITE
    if function is Tensor.__bool__ and "error_if_nonfinite" in line:
        return "error_if_nonfinite", _FINITE
    while frame is not None and not is_author_file(frame.f_code.co_filename):
        if _DISTRIBUTIONS in frame.f_code.co_filename:
            return "a distribution that looks at its numbers", _CHANCES
        if frame.f_code.co_filename == _BATCH_NORM:
            return "a batch norm with momentum=None", _MOMENTUM
        frame = frame.f_back
    return None


_MOMENTUM = (
    "give it a number (momentum=0.1 is what torch takes when nothing is said): None divides by a count of batches"
)
_BATCH_NORM = torch.nn.modules.batchnorm.__file__
_DISTRIBUTIONS = str(Path(torch.distributions.__file__).parent)
_GET_DATA = Tensor.data.__get__  # type: ignore[attr-defined]
_SET_DATA = Tensor.data.__set__  # type: ignore[attr-defined]


def _written(x: Tensor, value: Tensor) -> None:
    """What ``x.data = value`` does to ``x``, as an operator of the record."""
    if x.shape != value.shape or x.dtype != value.dtype:
        raise ExportError(
            ".data =", "the new value has another shape or type", instead="keep shape and type: x.data = y of the same",
            location=author_frame(sys._getframe(2)),
        )  # fmt: skip
    with torch.no_grad():
        x.detach().copy_(value)


def _copied(x: Tensor, memo: dict[int, Any]) -> Tensor:
    """What ``copy.deepcopy`` makes of a tensor, as an operator of the record."""
    if id(x) not in memo:
        memo[id(x)] = x.detach().clone().requires_grad_(x.requires_grad)
    copied: Tensor = memo[id(x)]
    return copied


def _under_tolist(frame: FrameType | None) -> bool:
    """Whether a tensor is taken apart by ``tolist``, which traced tensors do in Python."""
    while frame is not None and not is_author_file(frame.f_code.co_filename):
        if frame.f_code.co_name == "tolist":
            return True
        frame = frame.f_back
    return False


def _symbolic(x: Tensor, dim: int = 0) -> bool:
    return x.dim() > 0 and isinstance(x.shape[dim], torch.SymInt)


class Lines(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, every node of the traced graph is marked with the author's line; backward ones with the forward's."""

    def __init__(self) -> None:
        """Start with no line known."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._forward: dict[int, Location] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operator and mark what it made."""
        mode = get_proxy_mode()
        graph = None if mode is None else mode.tracer.graph
        last = None if graph is None else _last(graph)
        out = function(*args, **(kwargs or {}))
        if graph is not None:
            place = self._place()
            node = _last(graph)
            while place is not None and node is not last and node.op != "root":
                node.meta.setdefault("stack_trace", trace_line(place))
                node = node.prev
        return out

    def _place(self) -> Location | None:
        task = torch._C._current_autograd_node()
        if task is not None:
            known = self._forward.get(task._sequence_nr())
            if known is not None:
                return known
        place = author_frame(sys._getframe(2))
        if task is None and place is not None:
            self._forward[torch.autograd._get_sequence_nr() - 1] = place
        return place


def _last(graph: torch.fx.Graph) -> torch.fx.Node:
    return graph._root.prev


def trace_line(place: Location) -> str:
    """A place as ``fx`` keeps it in ``node.meta["stack_trace"]``."""
    return f'  File "{place.file}", line {place.line}, in step\n    {place.source}\n'


def tensors(value: Any) -> list[Tensor]:
    """All tensors in nested tuples, lists and dicts."""
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


_SIZES = "add .sum() or .mean() before tensors of different batches are added, and keep the rows in front"
_REASONS = {
    "DynamicOutputShapeException": (
        "the shape of the result depends on the data",
        _MASK,
    ),
    "DataDependentOutputException": ("the value is not known while the step is traced", _KEEP),
    "GuardOnDataDependentSymNode": ("a decision depends on the data", "choose with torch.where(condition, a, b)"),
    "UnsupportedOperatorException": ("torch cannot trace this operator", None),
}


@contextmanager
def explained() -> Iterator[None]:
    """Turn torch's own complaints about untraceable code into :class:`ExportError` with the author's line."""
    # It prints what it raises, with twenty lines of its own.
    log = logging.getLogger("torch._subclasses.fake_tensor")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    except Again:
        raise
    except ExportError as error:
        raise error.at(_raised_at(error)) from None
    except Exception as error:
        reason, instead = _REASONS.get(type(error).__name__, (None, None))
        if reason is None and "value out of a tracing tensor" in str(error):
            reason, instead = "the value is not known while the step is traced", _KEEP
        if reason is None and re.search(r"\(s\d+\)", str(error)):
            reason, instead = "tensors with a row for each of the batch do not fit together here", _SIZES
        if reason is None and (told := complaint(error)) is not None:
            raise told from error
        if reason is None:
            raise
        raise ExportError(
            str(getattr(error, "func", type(error).__name__)), reason, instead=instead, location=_raised_at(error)
        ) from error
    finally:
        log.setLevel(level)


def _raised_at(error: BaseException) -> Location | None:
    place, traceback = None, error.__traceback__
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if is_author_file(file):
            place = Location(file, traceback.tb_lineno)
        traceback = traceback.tb_next
    return place
