"""What a learning task holds: modules, parameters, buffers, optimizers, and traced tensors put in their place for a while."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .errors import ExportError, Location
from .idioms import unwrapped
from .said import say


@dataclass
class Entry:
    """One parameter or buffer; tied ones are one entry with several places.

    ``name``: attribute of the task and path in the module, ``model.conv1.weight``. Whole numbers and truth values travel
    as ``f64``: the sums of a round are taken over floating point numbers.
    """

    name: str
    tensor: Tensor
    trainable: bool
    places: list[tuple[nn.Module, str]]

    @property
    def travelling(self) -> Tensor:
        """The value in the type in which it is kept and sent."""
        return self.travelling_of(self.tensor.detach().cpu())

    def travelling_of(self, value: Tensor) -> Tensor:
        """A value of the module's own type in the type in which it is kept and sent."""
        return value if value.dtype.is_floating_point else value.to(torch.float64)

    def back(self, value: Tensor) -> Tensor:
        """From the travelling type to the module's own."""
        if self.tensor.dtype.is_floating_point:
            return value
        return (value != 0) if self.tensor.dtype == torch.bool else torch.floor(value + 0.5).to(self.tensor.dtype)


class Holdings:
    """The modules, optimizers and schedulers among an object's attributes, found by type."""

    def __init__(self, owner: object) -> None:
        """Look through ``vars(owner)``.

        Raises :class:`ExportError` when there is no module, or a tensor is of a type that nodes do not have.
        """
        attributes = vars(owner)
        self.modules: dict[str, nn.Module] = {k: v for k, v in attributes.items() if isinstance(v, nn.Module)}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            k: v for k, v in attributes.items() if isinstance(v, torch.optim.Optimizer)
        }
        self.schedulers: dict[str, Any] = {
            k: v
            for k, v in attributes.items()
            if isinstance(v, (torch.optim.lr_scheduler.LRScheduler, torch.optim.lr_scheduler.ReduceLROnPlateau))
        }
        self.entries: dict[str, Entry] = {}
        known: dict[int, Entry] = {}
        for attribute, module in self.modules.items():
            for path, part in unwrapped(module).named_modules(prefix=attribute, remove_duplicate=True):
                for key, tensor in [*part._parameters.items(), *part._buffers.items()]:
                    if tensor is None:
                        continue
                    entry = known.get(id(tensor))
                    if entry is None:
                        entry = known[id(tensor)] = _entry(f"{path}.{key}", tensor)
                        self.entries[entry.name] = entry
                    entry.places.append((part, key))
        if not any(e.trainable for e in self.entries.values()):
            raise ExportError(
                "a task without a model", "no attribute is a torch.nn.Module with parameters to train",
                instead="set self.model = ... in __init__",
            )  # fmt: skip
        self._by_id = known

    def entry_of(self, parameter: Tensor) -> Entry:
        """The entry of a parameter that an optimizer holds."""
        entry = self._by_id.get(id(parameter))
        if entry is None:
            raise ExportError(
                "optimizer", f"it trains a tensor of shape {list(parameter.shape)} that no module of the task holds",
                instead="give it parameters of a torch.nn.Module that is an attribute of the task",
            )  # fmt: skip
        return entry

    def published(self, state_dict: Mapping[str, Tensor]) -> dict[str, Entry]:
        """The entries behind the tensors of a ``state_dict()``, by its keys.

        Raises :class:`ExportError` for a tensor that is no parameter or buffer of the task.
        """
        at = {_address(e.tensor): e for e in self.entries.values() if e.tensor.numel()}
        out = {}
        for key, tensor in state_dict.items():
            if not isinstance(tensor, Tensor) or not tensor.numel():
                continue
            if _address(tensor) not in at:
                raise ExportError(
                    f"state_dict()[{key!r}]", "it is not a parameter or buffer of a module of the task",
                    instead="return tensors of self.model.state_dict(), not copies",
                )  # fmt: skip
            out[key] = at[_address(tensor)]
        return out

    def refuse_rebound(self, tensors: Mapping[str, Tensor], line: Callable[[str], Location | None]) -> None:
        """Refuse a module that holds another tensor than the one that stands for it.

        Raises :class:`ExportError` with its name, and the ``line`` that is found for it.
        """
        for name, tensor in tensors.items():
            entry = self.entries[name]
            for part, key in entry.places:
                table: dict[str, Any] = part._parameters if key in part._parameters else part._buffers
                if table.get(key) is not tensor:
                    raise ExportError(
                        f"self.{name} =", "train() puts another tensor in its place, and nodes go on with the one that was there",
                        instead=f"write into it: self.{name}.copy_(...), within torch.no_grad()", location=line(name),
                    )  # fmt: skip

    def refuse_frozen(self, tensors: Mapping[str, Tensor]) -> None:
        """Refuse that a parameter is trained otherwise than before.

        Raises :class:`ExportError` with its name.
        """
        for name, tensor in tensors.items():
            if tensor.requires_grad != self.entries[name].trainable:
                raise ExportError(
                    f"self.{name}.requires_grad", "train() changes it, and the next round would begin as before",
                    instead="set it in __init__, or back before train() ends",
                )  # fmt: skip

    def begin(self) -> None:
        """The modes in which ``train`` begins: those that ``__init__`` left.

        A teacher or a batch norm that is put into evaluation mode there stays in it. Where nothing of what the optimizers
        train is in training mode, somebody has looked at the model before: it goes back, and the author is told.
        """
        stepped = {id(p) for o in self.optimizers.values() for g in o.param_groups for p in g["params"]}
        places = {id(part) for e in self.entries.values() if id(e.tensor) in stepped for part, _ in e.places}
        trained = {n: m for n, m in self.modules.items() if any(id(part) in places for part in m.modules())}
        if any(part.training for m in trained.values() for part in m.modules()):
            return
        for name, module in trained.items():
            module.train()
            say(
                f"self.{name}",
                "it is in evaluation mode when the task is built, and in training mode where train() begins; "
                f"call self.{name}.eval() in train() to train it so",
            )

    @contextmanager
    def replaced(self, tensors: Mapping[str, Tensor]) -> Iterator[None]:
        """Put tensors in the place of the entries of these names; afterwards every module is as it was before."""
        parts = {id(p): p for m in self.modules.values() for p in m.modules()}.values()
        before = [(p, dict(p.__dict__), dict(p._parameters), dict(p._buffers)) for p in parts]
        try:
            for name, tensor in tensors.items():
                for part, key in self.entries[name].places:
                    table: dict[str, Any] = part._parameters if key in part._parameters else part._buffers
                    table[key] = tensor
            for part in parts:
                if "_flat_weights_names" in part.__dict__:
                    names: Any = part._flat_weights_names
                    part.__dict__["_flat_weights"] = [getattr(part, n, None) for n in names]
            yield
        finally:
            for part, attributes, parameters, buffers in before:
                part.__dict__.clear()
                part.__dict__.update(attributes)
                part._parameters.clear()
                part._parameters.update(parameters)
                part._buffers.clear()
                part._buffers.update(buffers)


def _entry(name: str, tensor: Tensor) -> Entry:
    supported = (torch.float32, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool)
    if tensor.dtype not in supported or tensor.is_sparse or tensor.is_quantized:
        raise ExportError(
            name,
            f"nodes have no {tensor.dtype} tensors of this kind",
            instead="model.float(): they compute in float32 and float64",
        )
    if isinstance(tensor, (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer)):
        raise ExportError(
            name, "its shape is not known yet", instead="run the model once before build(), or give the sizes"
        )
    return Entry(name, tensor, tensor.requires_grad, [])


def _address(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype


def stand_in(owner: Any, attributes: Mapping[str, Any]) -> Any:
    """A shallow copy of a task in which some attributes are others; the task itself stays as it is."""
    twin = copy.copy(owner)
    vars(twin).update(attributes)
    return twin


def leaked(before: Mapping[str, Any], after: Mapping[str, Any], traced: Callable[[Any], bool]) -> str | None:
    """An attribute that holds a traced tensor now and did not before."""
    for name, value in after.items():
        if before.get(name) is not value and traced(value):
            return name
    return None
