"""Optimizers while a step is traced: the arithmetic of ``torch.optim``, with all state in tensors that the graph carries.

Each twin takes the hyper-parameters of the author's optimizer and stands in its place, so that ``zero_grad()`` and
``step()`` in his code become part of the graph. Slots (momentum, averages) start like torch's own.
"""

from __future__ import annotations

from .rules import RULES, SUPPORTED, Rule
from .twin import Twin, attach, slots

__all__ = ["RULES", "SUPPORTED", "Rule", "Twin", "attach", "slots"]
