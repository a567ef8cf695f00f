"""Collects the nodes of an ONNX graph; identical nodes and identical constants exist once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

ELEMENT: dict[torch.dtype, int] = {
    torch.float32: TensorProto.FLOAT,
    torch.float64: TensorProto.DOUBLE,
    torch.int64: TensorProto.INT64,
    torch.int32: TensorProto.INT32,
    torch.bool: TensorProto.BOOL,
    torch.uint8: TensorProto.UINT8,
}
"""The element types that a node reads."""

NUMPY: dict[torch.dtype, type[np.generic]] = {
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.int64: np.int64,
    torch.int32: np.int32,
    torch.bool: np.bool_,
    torch.uint8: np.uint8,
}

FOLD_LIMIT = 1 << 16
"""Constants with more elements are not folded: the file would grow instead of shrink."""

Attribute = int | float | str | Sequence[int] | None


class Builder:
    """A growing list of nodes in the standard domain.

    Values are referred to by name. Nodes over constants alone are not evaluated here; see `lower.optimize`.
    """

    def __init__(self) -> None:
        """An empty graph."""
        self.nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[bytes, tuple[int, ...], str], str] = {}
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        self._known: dict[tuple[object, ...], list[str]] = {}
        self._count = 0

    def node(self, op: str, *inputs: str, **attributes: Attribute) -> str:
        """One operator with one result; returns the name of the result."""
        return self.split(op, *inputs, outputs=1, **attributes)[0]

    def split(self, op: str, *inputs: str, outputs: int, **attributes: Attribute) -> list[str]:
        """One operator with several results; returns their names."""
        given: dict[str, Any] = {
            k: list(v) if isinstance(v, (list, tuple)) else v for k, v in attributes.items() if v is not None
        }
        key = (op, inputs, outputs, tuple(sorted((k, repr(v)) for k, v in given.items())))
        names = self._known.get(key)
        if names is None:
            names = [f"v{self._count + i}" for i in range(outputs)]
            self._count += outputs
            self.nodes.append(helper.make_node(op, list(inputs), names, **given))
            self._known[key] = names
        return list(names)

    def output(self, op: str, source: str, name: str, **attributes: Attribute) -> None:
        """One operator whose result is an output of the graph called `name`."""
        given: dict[str, Any] = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(helper.make_node(op, [source], [name], **given))

    def constant(self, value: Any, dtype: torch.dtype = torch.int64) -> str:
        """A constant of any shape, as an initializer; returns its name."""
        array = np.ascontiguousarray(np.asarray(value, dtype=NUMPY[dtype])).reshape(np.shape(value))
        key = (array.tobytes(), array.shape, array.dtype.str)
        name = self._constants.get(key)
        if name is None:
            name = f"c{len(self._constants)}"
            self._constants[key] = name
            self._arrays[name] = array
        return name

    def array(self, name: str) -> npt.NDArray[Any] | None:
        """The value of a constant made by `constant`, or nothing for computed values."""
        return self._arrays.get(name)

    def initializers(self, used: set[str]) -> list[TensorProto]:
        """The constants among `used`, in the order in which they were made."""
        return [numpy_helper.from_array(array, name) for name, array in self._arrays.items() if name in used]
