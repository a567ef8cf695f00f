"""A private tracer for tests and benches of `delta._export.lower`: one training step as an ATen graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch._dispatch.python import enable_python_dispatcher
from torch._dynamo.source import ConstantSource
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, functionalize, grad_and_value
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext

from delta._export.decompositions import decomposition_table
from delta._export.forward import BATCH, Lift
from delta._export.lower import GraphInput, lower

PRIMES = (11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61)


def trace(function: Callable[..., Any], inputs: Sequence[GraphInput], form: str = "auto") -> torch.fx.GraphModule:
    """make_fx with one symbolic batch."""
    mode = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True)
    fake = [
        mode.from_tensor(
            i.tensor,
            source=ConstantSource(f"a{k}"),
            symbolic_context=StatelessSymbolicContext(
                dynamic_sizes=[
                    DimDynamic.DUCK if d in i.batch_dims else DimDynamic.STATIC for d in range(i.tensor.dim())
                ]
            ),
        )
        for k, i in enumerate(inputs)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mode, enable_python_dispatcher():
            graph = make_fx(
                functionalize(function), decomposition_table=decomposition_table(form), _allow_non_fake_inputs=True
            )(*fake)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


@dataclass(frozen=True)
class Sgd:
    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False

    def slots(self) -> list[str]:
        return ["momentum"] if self.momentum else []

    def scalars(self) -> list[str]:
        return []

    def advance(self, scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        return {}

    def update(
        self, p: Tensor, g: Tensor, slot: dict[str, Tensor], s: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if self.weight_decay:
            g = g + self.weight_decay * p
        if self.momentum:
            b = self.momentum * slot["momentum"] + g
            g = g + self.momentum * b if self.nesterov else b
            slot = {"momentum": b}
        return p - self.lr * g, slot

    def torch(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters, self.lr, self.momentum, weight_decay=self.weight_decay, nesterov=self.nesterov
        )


@dataclass(frozen=True)
class AdamW:
    lr: float
    weight_decay: float = 0.01
    decoupled: bool = True

    def slots(self) -> list[str]:
        return ["m", "v"]

    def scalars(self) -> list[str]:
        return ["c1", "c2"]

    def advance(self, s: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"c1": s["c1"] * 0.9 + 0.1, "c2": s["c2"] * 0.999 + 0.001}

    def update(
        self, p: Tensor, g: Tensor, slot: dict[str, Tensor], s: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if self.decoupled:
            p = p * (1 - self.lr * self.weight_decay)
        else:
            g = g + self.weight_decay * p
        m = slot["m"] + 0.1 * (g - slot["m"])
        v = 0.999 * slot["v"] + 0.001 * (g * g)
        return p - (self.lr / s["c1"]) * (m / (v.sqrt() / s["c2"].sqrt() + 1e-8)), {"m": m, "v": v}

    def torch(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        kind = torch.optim.AdamW if self.decoupled else torch.optim.Adam
        return kind(parameters, self.lr, weight_decay=self.weight_decay)


@dataclass
class Step:
    """A training step of `model`: (parameters, buffers, optimizer state, x, y, noise) -> (the next ones, loss)."""

    model: nn.Module
    loss: Callable[[Any, Tensor], Tensor]
    optimizer: Sgd | AdamW
    x: Tensor
    y: Tensor
    inputs: list[GraphInput] = field(init=False)
    data: Any = None

    def __post_init__(self) -> None:
        parameters, buffers = dict(self.model.named_parameters()), dict(self.model.named_buffers())
        sizes = {d for t in [*parameters.values(), *buffers.values()] for d in t.shape}
        sizes |= {*self.x.shape[1:], *self.y.shape[1:]}
        rows = next(p for p in PRIMES if p not in sizes)
        index = torch.arange(rows) % len(self.x)
        x, y = self.x[index], self.y[index]
        self.parameters, self.buffers = list(parameters), list(buffers)
        self.scalars, self.slots = self.optimizer.scalars(), self.optimizer.slots()
        copy = lambda t: t.detach().clone()  # noqa: E731
        self.state = [copy(t) for t in [*parameters.values(), *buffers.values()]]
        self.state += [torch.zeros(()) for _ in self.scalars]
        self.state += [torch.zeros_like(copy(t)) for t in parameters.values() for _ in self.slots]
        lift = Lift(batch=rows)
        copies = {k: copy(t) for k, t in [*parameters.items(), *buffers.items()]}
        with torch.no_grad(), lift:
            self.loss(functional_call(self.model, copies, (x,)), y)
        self.draws = lift.draws
        noise = [torch.rand([rows if d == BATCH else d for d in draw.shape]) for draw in self.draws]
        names = [f"p.{n}" for n in self.parameters] + [f"b.{n}" for n in self.buffers]
        names += [f"g.{n}" for n in self.scalars] + [f"s.{k}.{n}" for n in self.parameters for k in self.slots]
        self.outputs = [f"{n}.next" for n in names] + ["loss"]
        self.inputs = [GraphInput(n, t) for n, t in zip(names, self.state, strict=True)]
        self.inputs += [GraphInput("x", x, (0,)), GraphInput("y", y, (0,))]
        self.inputs += [
            GraphInput(f"noise.{i}", t, tuple(d for d, s in enumerate(draw.shape) if s == BATCH))
            for i, (t, draw) in enumerate(zip(noise, self.draws, strict=True))
        ]

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        rest = iter(tensors)

        def take(names: list[str]) -> dict[str, Tensor]:
            return {n: next(rest) for n in names}

        parameters, buffers, scalars = take(self.parameters), take(self.buffers), take(self.scalars)
        slots = {n: take(self.slots) for n in self.parameters}
        x, y = next(rest), next(rest)

        def loss(p: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
            b = {n: t.clone() for n, t in buffers.items()}
            return self.loss(functional_call(self.model, (p, b), (x,)), y), b

        with Lift(rest):
            gradients, (value, buffers) = grad_and_value(loss, has_aux=True)(parameters)
        scalars = self.optimizer.advance(scalars)
        new = {n: self.optimizer.update(p, gradients[n], slots[n], scalars) for n, p in parameters.items()}
        return (
            *(p for p, _ in new.values()), *buffers.values(), *scalars.values(),
            *(new[n][1][k] for n in self.parameters for k in self.slots), value,
        )  # fmt: skip

    def export(self, runtime: Any = "portable", form: str | None = None) -> bytes:
        graph = trace(self, self.inputs, form or ("onnxruntime" if runtime == "onnxruntime" else "auto"))
        return lower(graph, self.inputs, self.outputs, runtime=runtime)

    def noise(self, rows: int) -> list[Tensor]:
        return [
            (torch.rand if d.kind == "uniform" else torch.randn)([rows if s == BATCH else s for s in d.shape])
            for d in self.draws
        ]


def session(model: bytes, threads: int = 1, profile: str | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(runner: onnxruntime.InferenceSession, values: Sequence[Tensor]) -> list[np.ndarray[Any, Any]]:
    # An input that nothing uses has no place in the session.
    feed = {i.name: v for i, v in zip(runner.get_inputs(), values, strict=True)}
    return runner.run(None, {k: v.detach().contiguous().numpy() for k, v in feed.items()})  # type: ignore[no-any-return]
