"""The builder of graphs: types, sharing, determinism, and operators against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from delta.graph import Graph, Type, Value, broadcast

RNG = np.random.default_rng(0)


def evaluate(make: Any, **inputs: np.ndarray[Any, Any]) -> Any:
    """Run ``make(graph, *values)`` on inputs whose first dimension is open."""
    g = Graph()
    names = {"float64": "f64", "int64": "i64", "bool": "bool"}
    values = [g.input(n, names[a.dtype.name], ("rows", *a.shape[1:])) for n, a in inputs.items()]
    g.output("out", make(g, *values))
    return onnxruntime.InferenceSession(g.bytes()).run(None, inputs)[0]


X = RNG.normal(0, 2, (5, 3))
Y = RNG.normal(0, 2, (5, 3))

CASES = {
    "add": (lambda g, x, y: x + y, X + Y),
    "number on the left": (lambda g, x, y: 2 - x * 3 / (1 + y), 2 - X * 3 / (1 + Y)),
    "minus": (lambda g, x, y: -x, -X),
    "pow": (lambda g, x, y: g.pow(g.abs(x), y), np.abs(X) ** Y),
    "fmod": (lambda g, x, y: g.fmod(x, y), np.fmod(X, Y)),
    "extremes": (lambda g, x, y: g.maximum(g.minimum(x, y), 0.5), np.maximum(np.minimum(X, Y), 0.5)),
    "round": (lambda g, x, y: g.round(x * 2), np.round(X * 2)),
    "sigmoid": (lambda g, x, y: g.sigmoid(x * 400), 1 / (1 + np.exp(-np.clip(X * 400, -700, 700)))),
    "softplus": (lambda g, x, y: g.softplus(x * 400), np.logaddexp(0, X * 400)),
    "comparison": (
        lambda g, x, y: g.cast(g.not_(g.or_(g.less(x, y), g.greater_equal(x, 1.0))), "f64"),
        ~((X < Y) | (X >= 1)) * 1.0,
    ),
    "where": (lambda g, x, y: g.where(g.greater(x, y), x, 0.0), np.where(X > Y, X, 0)),
    "sum": (lambda g, x, y: g.sum(x, 0), X.sum(0)),
    "sum of all": (lambda g, x, y: g.sum(x), X.sum()),
    "sum with kept axis": (lambda g, x, y: g.sum(x, 1, keepdims=True), X.sum(1, keepdims=True)),
    "max of columns": (lambda g, x, y: g.max(x, 1), X.max(1)),
    "count": (lambda g, x, y: g.count(g.greater(x, 0.0)), (X > 0).sum(0) * 1.0),
    "gram": (lambda g, x, y: g.gram(x, y), X.T @ Y),
    "matmul": (lambda g, x, y: x @ np.arange(6.0).reshape(3, 2), X @ np.arange(6.0).reshape(3, 2)),
    "cumsum": (lambda g, x, y: g.cumsum(g.sum(x, 0), 0), X.sum(0).cumsum()),
    "take": (lambda g, x, y: g.take(x, [2, 0], 1), X[:, [2, 0]]),
    "slice": (lambda g, x, y: g.slice(x, 1, 3, -1), X[:, 1:3]),
    "concat": (lambda g, x, y: g.concat(x, y, axis=1), np.concatenate([X, Y], 1)),
    "stack": (lambda g, x, y: g.stack(g.sum(x, 0), g.sum(y, 0), axis=1), np.stack([X.sum(0), Y.sum(0)], 1)),
    "reshape": (lambda g, x, y: g.reshape(x, "rows", 3, 1), X.reshape(5, 3, 1)),
    "transpose": (lambda g, x, y: g.transpose(x), X.T),
    "expand": (lambda g, x, y: g.expand(g.sum(x, 0), 2, 3), np.tile(X.sum(0), (2, 1))),
    "scatter": (
        lambda g, x, y: g.scatter_add(np.zeros((4, 3)), g.cast(g.minimum(g.abs(x), 3.0), "i64"), y),
        np.stack([[Y[np.minimum(np.abs(X), 3).astype(int)[:, j] == i, j].sum() for j in range(3)] for i in range(4)]),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_operators_compute_what_numpy_does(name: str) -> None:
    make, expected = CASES[name]
    np.testing.assert_allclose(evaluate(make, x=X, y=Y), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_types_are_those_that_onnx_infers(name: str) -> None:
    g = Graph()
    out = CASES[name][0](g, g.input("x", "f64", ("rows", 3)), g.input("y", "f64", ("rows", 3)))
    g.output("out", out)
    inferred = onnx.shape_inference.infer_shapes(g.model(), strict_mode=True).graph.output[0].type.tensor_type
    dims = tuple(d.dim_param or d.dim_value for d in inferred.shape.dim)
    known = tuple(d if isinstance(d, int) else "?" for d in out.shape)
    assert tuple(d if isinstance(d, int) else "?" for d in dims) == known
    assert inferred.elem_type == onnx.TensorProto.DOUBLE


def test_missing_values_are_found_without_isnan() -> None:
    x = np.array([1.0, np.nan, np.inf])
    out = evaluate(lambda g, x: g.where(g.is_nan(x), -1.0, g.cast(g.is_number(x), "f64")), x=x)
    assert out.tolist() == [1, -1, 1]


def test_sums_over_no_rows_are_zero_and_maxima_over_rows_are_refused() -> None:
    assert evaluate(lambda g, x: g.sum(x, 0), x=np.zeros((0, 3))).tolist() == [0, 0, 0]
    assert evaluate(lambda g, x: g.gram(x, x), x=np.zeros((0, 2))).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(ValueError, match="may have no rows"):
        evaluate(lambda g, x: g.max(x, 0), x=X)


def test_equal_constants_and_expressions_are_stored_once() -> None:
    g = Graph()
    x = g.input("x", "f64", ("rows",))
    assert g.add(x, 1.0) is g.add(x, np.float64(1))
    assert g.add(x, 1.0) is not g.add(x, 2.0)
    g.output("a", g.mul(g.add(x, 1.0), 3.0))
    g.output("b", g.sub(g.add(x, 1.0), 3.0))
    graph = g.model().graph
    assert [n.op_type for n in graph.node] == ["Add", "Mul", "Sub"]
    assert len(graph.initializer) == 2


def test_what_no_output_needs_is_left_out() -> None:
    g = Graph()
    x = g.input("x", "f64", ("rows",))
    g.exp(g.add(x, 7.0))
    g.output("out", g.mul(x, 2.0))
    assert [n.op_type for n in g.model().graph.node] == ["Mul"]


def test_an_input_a_constant_and_a_value_twice_can_be_outputs() -> None:
    g = Graph()
    x = g.input("x", "f64", (2,))
    s = g.neg(x)
    for name, v in {"same": x, "one": g.constant(1.0), "s": s, "again": s, "v0": g.abs(x)}.items():
        g.output(name, v)
    out = onnxruntime.InferenceSession(g.bytes()).run(["same", "one", "s", "again", "v0"], {"x": np.array([1.0, -2])})
    assert [o.tolist() for o in out] == [[1, -2], 1.0, [-1, 2], [-1, 2], [1, 2]]


def test_the_same_calls_make_the_same_bytes_as_opset_17_ir_8() -> None:
    def make() -> bytes:
        g = Graph()
        x = g.input("x", "f64", ("rows", 3))
        g.output("out", g.gram(g.sub(x, [1.0, 2.0, 3.0]), x))
        return g.bytes()

    assert make() == make()
    model = onnx.load_from_string(make())
    assert model.ir_version == 8
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]


def mistakes(g: Graph, x: Value) -> dict[str, Any]:
    return {
        "differ in dtype": lambda: g.add(x, g.cast(x, "i64")),
        "do not fit together": lambda: g.add(x, [1.0, 2.0]),
        "bool has no arithmetic": lambda: g.add(g.less(x, 1.0), True),
        "must be bool": lambda: g.and_(x, x),
        "there is no axis 2": lambda: g.sum(x, 2),
        "no matrices that fit": lambda: g.matmul(x, x),
        "only f64 and f32": lambda: g.matmul(g.cast(x, "i64"), g.cast(x, "i64")),
        "unknown length": lambda: g.slice(x, 0, 1, 0),
        "another graph": lambda: Graph().add(x, 1.0),
        "no output": lambda: g.bytes(),
        "is taken": lambda: g.input("x", "f64", ()),
        "at most one dimension": lambda: g.reshape(x, "a", "b"),
        "differ beyond axis": lambda: g.concat(x, g.sum(x, 1, keepdims=True), axis=0),
        "indices must be i64": lambda: g.take(x, g.sum(x), 1),
        "no complex128": lambda: g.constant(np.zeros(1, complex)),
    }


@pytest.mark.parametrize("says", list(mistakes(Graph(), None)))  # type: ignore[arg-type]
def test_mistakes_are_refused_when_they_are_made(says: str) -> None:
    g = Graph()
    with pytest.raises(ValueError, match=says):
        mistakes(g, g.input("x", "f64", ("rows", 3)))[says]()


def test_shapes_broadcast_with_names() -> None:
    assert broadcast("Add", ("rows", 3), (3,)) == ("rows", 3)
    assert broadcast("Add", ("rows", 1), (1, 4)) == ("rows", 4)
    assert str(Type("f64", ("rows", 3))) == "f64 [rows, 3]"
    with pytest.raises(ValueError, match="do not fit"):
        broadcast("Add", ("rows",), ("others",))
