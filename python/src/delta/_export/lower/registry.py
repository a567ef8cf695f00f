"""The table from ATen operators to the functions that translate them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch

if TYPE_CHECKING:
    from .context import Lowering

Value = str | list[str] | None
"""What a translation returns: a name, one name for each result, or nothing for an assertion."""
Translation = Callable[..., Value]
_F = TypeVar("_F", bound=Translation)

TRANSLATIONS: dict[Any, Translation] = {}


def translates(*targets: Any) -> Callable[[_F], _F]:
    """Registers a function `(lowering, node, *args, **kwargs)` for ATen overloads or Python operators."""

    def register(function: _F) -> _F:
        for target in targets:
            TRANSLATIONS[target] = function
        return function

    return register


def overloads(name: str, *names: str) -> list[Any]:
    """Those overloads of `aten.<name>` that the installed torch has."""
    packet = getattr(torch.ops.aten, name, None)
    return [] if packet is None else [getattr(packet, o) for o in names if hasattr(packet, o)]


def translate(lowering: Lowering, node: torch.fx.Node) -> Value:
    """Translates one call; a missing translation is an `ExportError` without a place."""
    from ..errors import ExportError

    function = TRANSLATIONS.get(node.target)
    if function is None:
        from .advice import ADVICE

        name = str(node.target)
        packet = name.removeprefix("aten.").split(".")[0]
        raise ExportError(name, "no ONNX operator computes this", instead=ADVICE.get(packet.rstrip("_")))
    return function(lowering, node, *node.args, **node.kwargs)
