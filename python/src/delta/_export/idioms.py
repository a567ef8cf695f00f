"""What authors write around a model for their own machine: devices, half precision, compilers, scalers, averaged models.

A node chooses where a graph runs and in what type, so most of it is nothing to a graph. It is left out with a word, or refused
where leaving it out would be another task.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler, swa_utils

from .errors import ExportError, author_frame
from .packed import PACKED
from .packed import RUNNING as PACKING
from .said import say
from .swaps import Swap, running, swapped
from .zeros import forget

_WHERE = "the node chooses where a graph runs, so moving is left out"
_ONLY = "nodes compute in float32 and float64: leave it out"


def unwrapped(module: nn.Module) -> nn.Module:
    """The module inside of ``torch.compile``, ``DataParallel`` and ``DistributedDataParallel``."""
    while True:
        inner = module._modules.get("_orig_mod") if type(module).__name__ == "OptimizedModule" else None
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = module.module
        if inner is None:
            return module
        module = inner


def is_elsewhere(value: object) -> bool:
    """Whether it names a device that is not the CPU."""
    if isinstance(value, str):
        return value.split(":")[0] in ("cuda", "mps", "xpu", "hpu", "npu", "xla", "privateuseone")
    return isinstance(value, torch.device) and value.type not in ("cpu", "meta")


def here(value: Any, frame: FrameType) -> Any:
    """An argument of a function of torch with the CPU for any other device, and a word about it."""
    if is_elsewhere(value):
        say(f"device {value}", _WHERE, frame)
        return torch.device("cpu")
    return value


class Seeds:
    """Where an author sets torch's seed in a method that is traced."""

    def __init__(self) -> None:
        """None so far."""
        self.frames: list[Any] = []

    def refuse(self, draws: int) -> None:
        """Refuse a seed where numbers are drawn: nodes would draw others.

        Raises :class:`ExportError` with the line that sets it.
        """
        if draws and self.frames:
            raise ExportError(
                "torch.manual_seed", "nodes draw numbers of their own in every batch, whatever it sets",
                instead="leave it out: HorizontalLearning(seed=...) is the task's seed; initial weights are drawn in __init__",
                location=self.frames[0],
            )  # fmt: skip

    def swaps(self) -> list[Swap]:
        """What sets seeds, noting where."""
        names = [(torch, "manual_seed"), (torch, "seed"), (torch, "set_rng_state"), (torch.random, "manual_seed")]
        names += [(torch.random, "seed"), (torch.cuda, "manual_seed"), (torch.cuda, "manual_seed_all")]
        return [(module, name, self._note) for module, name in names]

    def _note(self, *args: Any, **kwargs: Any) -> torch.Generator:
        place = author_frame(sys._getframe(1))
        if place is not None:
            self.frames.append(place)
        return torch.default_generator


@contextmanager
def idioms(seeds: Seeds) -> Iterator[None]:
    """While active, these do what they do in a task."""
    with ExitStack() as stack:
        stack.enter_context(torch._dynamo.config.patch(error_on_nested_fx_trace=False))
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(swapped([*_SWAPS, *PACKED, *seeds.swaps()]))
        stack.enter_context(running([*PACKING, (swa_utils.update_bn, _update_bn)]))
        yield


# ---------------------------------------------------------------- precision
_AUTOCAST, _SCALER = torch.autocast, torch.amp.GradScaler


def _quietly(made: Callable[..., None]) -> Callable[..., None]:
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        # It warns where there is no GPU, which is no matter here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made(self, *args, **kwargs)

    return init


def _autocast_init(self: Any, *args: Any, **kwargs: Any) -> None:
    _quietly(_INIT)(self, *args, **kwargs)
    self.asked = kwargs.get("enabled", args[2] if len(args) > 2 else True)


def _autocast_enter(self: Any) -> Any:
    if getattr(self, "asked", True):
        say(
            "torch.autocast",
            "left out: nodes compute in float32, and the sums of a round are no narrower",
            sys._getframe(1),
        )
    return self


def _autocast_exit(self: Any, *error: Any) -> None:
    return None


_INIT = _AUTOCAST.__init__


def _unscaled(self: Any, outputs: Any) -> Any:
    say("GradScaler", "left out: in float32 no gradient needs scaling", sys._getframe(1))
    return outputs


def _scaler_step(self: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
    return optimizer.step(*args, **kwargs)


def _nothing(self: Any, *args: Any, **kwargs: Any) -> None:
    return None


# ---------------------------------------------------------------- modules that move, or change their type
_SHORT = {"double": torch.float64, "float": torch.float32, "half": torch.float16, "bfloat16": torch.bfloat16}


def _module_to(self: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
    frame = sys._getframe(1)
    device, dtype, *_ = torch._C._nn._parse_to(*args, **kwargs)
    if device is not None and is_elsewhere(device):
        say(f"device {device}", _WHERE, frame)
    return _typed(self, dtype, frame)


def _module_moved(self: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
    say("moving a module to another device", _WHERE, sys._getframe(1))
    return self


def _same(self: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
    return self


def _typed(module: nn.Module, dtype: torch.dtype | None, frame: FrameType) -> nn.Module:
    own = [t for t in (*module.parameters(), *module.buffers()) if t.dtype.is_floating_point]
    if dtype is not None and any(t.dtype != dtype for t in own):
        wide = dtype in (torch.float32, torch.float64)
        raise ExportError(
            f"a module as {dtype}", "its parameters would be of another type than those that nodes keep",
            instead="convert it in __init__, before the optimizer is made, and x in preprocess()" if wide else _ONLY,
            location=author_frame(frame),
        )  # fmt: skip
    return module


def _typing(dtype: torch.dtype) -> Callable[[nn.Module], nn.Module]:
    return lambda self: _typed(self, dtype, sys._getframe(1))


def _zero_grad(self: nn.Module, set_to_none: bool = True) -> None:
    forget(self.parameters(), set_to_none)


def _inner(self: Any, *args: Any, **kwargs: Any) -> Any:
    return self.module(*args, **kwargs)


# ---------------------------------------------------------------- what belongs elsewhere
def _optimizer_made(self: Any, *args: Any, **kwargs: Any) -> None:
    raise ExportError(
        f"optimizer {type(self).__name__}", "it is made while train() runs, and its state would begin anew each round",
        instead='make it in __init__: self.optimizer = ...; with optimizer_state="reset" its state does begin anew each round',
        location=author_frame(sys._getframe(1)),
    )  # fmt: skip


def _scheduler_made(self: Any, *args: Any, **kwargs: Any) -> None:
    raise ExportError(
        f"scheduler {type(self).__name__}", "it is made while train() runs, and would begin anew in every round",
        instead="make it in __init__: self.scheduler = ...; nodes count its steps over all rounds",
        location=author_frame(sys._getframe(1)),
    )  # fmt: skip


def _saved(*args: Any, **kwargs: Any) -> None:
    raise ExportError(
        "torch.save", "there are no values yet: nodes train, not this machine",
        instead="save what comes back: node.get_result(task_id).load_into(model), or result.parameters",
        location=author_frame(sys._getframe(1)),
    )  # fmt: skip


def _anomaly(mode: bool, check_nan: bool = True) -> None:
    if mode:
        say("detect_anomaly", "left out: there are no values to look at while a task is built", sys._getframe(1))


# ---------------------------------------------------------------- averages of weights
def _update_parameters(self: Any, model: nn.Module) -> None:
    """``AveragedModel.update_parameters`` without a decision on how many there were."""
    with torch.no_grad():
        if self.use_buffers:
            pairs: list[tuple[Any, Any]] = [*zip(self.module.parameters(), model.parameters(), strict=True)]
            pairs += zip(self.module.buffers(), model.buffers(), strict=True)
        else:
            pairs = [*zip(self.parameters(), model.parameters(), strict=True)]
        first = self.n_averaged == 0
        for mean, new in [(a.detach(), b.detach()) for a, b in pairs]:
            if self.avg_fn is not None:
                made = self.avg_fn(mean.clone(), new, self.n_averaged)
            else:
                made = mean.clone()
                (self.multi_avg_fn or swa_utils.get_swa_multi_avg_fn())(  # type: ignore[no-untyped-call]
                    [made], [new], self.n_averaged
                )
            mean.copy_(torch.where(first, new, made.to(mean.dtype)))
        if not self.use_buffers:
            for kept, new in zip(self.module.buffers(), model.buffers(), strict=True):
                kept.detach().copy_(new.detach())
        self.n_averaged.add_(1)


def _update_bn(*args: Any, **kwargs: Any) -> None:
    raise ExportError(
        "update_bn", "it goes over all batches once more, and a round goes over them once",
        instead="AveragedModel(model, use_buffers=True) averages running statistics, too; or run update_bn on the result, with "
        "rows of your own",
        location=author_frame(sys._getframe(1)),
    )  # fmt: skip


_SWAPS: list[Swap] = [
    (_AUTOCAST, "__init__", _autocast_init),
    (_AUTOCAST, "__enter__", _autocast_enter),
    (_AUTOCAST, "__exit__", _autocast_exit),
    (_SCALER, "__init__", _quietly(_SCALER.__init__)),
    (_SCALER, "scale", _unscaled),
    (_SCALER, "step", _scaler_step),
    (_SCALER, "unscale_", _nothing),
    (_SCALER, "update", _nothing),
    (_SCALER, "get_scale", lambda self: 1.0),
    (nn.Module, "zero_grad", _zero_grad),
    (nn.Module, "to", _module_to),
    (nn.Module, "cpu", _same),
    (nn.Module, "cuda", _module_moved),
    (nn.Module, "xpu", _module_moved),
    (nn.Module, "type", lambda self, dtype: _typed(self, dtype, sys._getframe(1))),
    *((nn.Module, name, _typing(dtype)) for name, dtype in _SHORT.items()),
    (nn.DataParallel, "forward", _inner),
    (nn.parallel.DistributedDataParallel, "forward", _inner),
    (torch.optim.Optimizer, "__init__", _optimizer_made),
    (lr_scheduler.LRScheduler, "__init__", _scheduler_made),
    (lr_scheduler.ReduceLROnPlateau, "__init__", _scheduler_made),
    (swa_utils.AveragedModel, "update_parameters", _update_parameters),
    (torch, "save", _saved),
    (torch, "set_anomaly_enabled", _anomaly),
]


def moved(function: Any, args: tuple[Any, ...], frame: FrameType) -> Tensor | None:
    """The tensor itself, for methods that only move it."""
    if function in (Tensor.cuda, Tensor.pin_memory):
        if function is Tensor.cuda:
            say(".cuda()", _WHERE, frame)
        return args[0]  # type: ignore[no-any-return]
    return None
