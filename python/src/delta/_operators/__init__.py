"""The operators of graphs, once for graphs under construction and once for expressions that become graphs later.

Only operators that both of the nodes' runtimes execute in ``f64`` are used; where one of them lacks an operator
(``Sigmoid``, ``Round``, ``IsNaN``), the method is written with others.
"""

from __future__ import annotations

from .arithmetic import Arithmetic
from .base import Typed, V
from .reductions import Reductions

__all__ = ["Operators", "Typed", "V"]


class Operators(Arithmetic[V], Reductions[V]):
    """All operators, over anything that can :meth:`apply` one and hold a :meth:`constant`.

    Every method takes values of this builder, numpy arrays or Python numbers, and raises ``ValueError`` naming the operator
    when dtypes or shapes do not fit.
    """
