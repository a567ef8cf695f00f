"""What `delta._export.lower` promises beyond single layers: errors, names, sizes, both forms, and whole trainings."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from delta._export.errors import ExportError, author_of  # noqa: E402
from delta._export.forward import BATCH, Draw, Lift  # noqa: E402
from delta._export.lower import GraphInput, lower  # noqa: E402
from sampling import one_in  # noqa: E402
from step_models import CASES  # noqa: E402
from stepping import run, session, trace  # noqa: E402

GUARD = Path(__file__).parents[2] / "src/adapters/onnx/guard/ops.rs"


def export(function: Callable[..., Any], *tensors: torch.Tensor, **options: Any) -> bytes:
    """A function of tensors with the batch first, as a graph with inputs a0, a1... and outputs r0, r1..."""
    inputs = [GraphInput(f"a{i}", t, (0,)) for i, t in enumerate(tensors)]
    count = len(function(*tensors))
    with Lift():
        graph = trace(lambda *a: tuple(function(*a)), inputs)
    return lower(graph, inputs, [f"r{i}" for i in range(count)], **options)


def check(function: Callable[..., Any], *tensors: torch.Tensor, **options: Any) -> list[np.ndarray[Any, Any]]:
    """Exports, runs with another batch size, and compares with torch."""
    other = [t[:3] for t in tensors]
    found = run(session(export(function, *tensors, **options)), other)
    for mine, theirs in zip(found, function(*other), strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-6, atol=1e-6)
    return found


# ---------------------------------------------------------------- whole trainings
@pytest.mark.parametrize("runtime", ["portable", "onnxruntime"])
@pytest.mark.parametrize("name", one_in(2, CASES))
def test_twenty_steps_agree_with_torch(name: str, runtime: str) -> None:
    case = CASES[name]
    step = case.step()
    runner = session(step.export(runtime))
    model = case.model().train()
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for tensor, value in zip(
            [*parameters.values(), *dict(model.named_buffers()).values()], step.state, strict=False
        ):
            tensor.copy_(value)
    optimizer = case.optimizer.torch(parameters.values())
    state: list[Any] = list(step.state)
    torch.manual_seed(1)
    steps = 20 if "residual" not in name else 6
    for _ in range(steps):
        x, y = case.data(16)
        noise = step.noise(16)
        values = run(runner, [*state, x, y, *noise])
        state, loss = [torch.from_numpy(v) for v in values[:-1]], values[-1]
        optimizer.zero_grad()
        with Lift(noise):
            expected = case.loss(model(x), y)
        expected.backward()
        optimizer.step()
        np.testing.assert_allclose(loss, expected.detach().numpy(), rtol=1e-3, atol=1e-5)
    for mine, theirs in zip(state, parameters.values(), strict=False):
        difference = float((mine - theirs.detach()).abs().max())
        assert difference < tolerance(name) * max(1.0, float(theirs.detach().abs().max()))


def tolerance(name: str) -> float:
    """A near-tie of a ReLU or of a maximum falls differently, and norms and Adam make it larger (docs/protocol/graphs.md)."""
    return 2e-3 if any(k in name for k in ("norm", "transformer", "autoencoder")) else 5e-5 if name == "LeNet" else 1e-5


# ---------------------------------------------------------------- what nodes accept
@pytest.mark.parametrize("runtime", ["portable", "onnxruntime"])
@pytest.mark.parametrize("name", one_in(2, CASES))
def test_graphs_use_only_operators_that_nodes_accept(name: str, runtime: str) -> None:
    if not GUARD.exists():
        pytest.skip("the node's sources are not here")
    allowed = set(re.findall(r'^    "(\w+)",$', GUARD.read_text().split("];")[0], re.MULTILINE))
    model = onnx.load_from_string(CASES[name].step().export(runtime))
    assert {n.op_type for n in model.graph.node} <= allowed
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    assert not model.functions


def test_the_portable_form_has_no_kernel_as_large_as_the_batch() -> None:
    model = onnx.load_from_string(CASES["LeNet"].step().export("portable"))
    convolutions = [n for n in model.graph.node if n.op_type in ("Conv", "ConvTranspose")]
    assert convolutions
    assert all(any(a.name == "kernel_shape" for a in n.attribute) for n in convolutions)


def test_no_convolution_computes_the_gradient_of_the_images() -> None:
    model = onnx.load_from_string(CASES["LeNet"].step().export("portable"))
    assert sum(n.op_type in ("Conv", "ConvTranspose") for n in model.graph.node) == 3


def test_files_stay_small() -> None:
    assert len(CASES["transformer, AdamW"].step().export()) < 100_000


def test_inputs_and_outputs_carry_the_batch_by_name() -> None:
    model = onnx.load_from_string(export(lambda x: (x * 2, x.sum()), torch.randn(7, 3), batch="rows"))
    shapes = {
        v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in [*model.graph.input, *model.graph.output]
    }
    assert shapes == {"a0": ["rows", 3], "r0": ["rows", 3], "r1": []}


# ---------------------------------------------------------------- single operators
def test_integer_products_are_exact_without_an_integer_matmul() -> None:
    model = export(lambda x: (x @ x[0].unsqueeze(1),), torch.arange(21).reshape(7, 3))
    types = {n.op_type for n in onnx.load_from_string(model).graph.node}
    assert "Cast" in types
    check(lambda x: (x @ x[0].unsqueeze(1),), torch.arange(21).reshape(7, 3) + 2**30)


def test_whole_outputs_become_float64_on_request() -> None:
    found = check(lambda x: ((x > 0).sum(), x > 0, x), torch.randn(7, 3), float_outputs=True)
    assert [v.dtype for v in found] == [np.float64, np.float64, np.float32]


def test_float64_functions_that_tract_lacks_are_composed() -> None:
    x = torch.randn(7, 3, dtype=torch.float64) * 5
    model = export(lambda x: (x.sigmoid(), x.round(), torch.isnan(x / (x - x))), x)
    assert not {n.op_type for n in onnx.load_from_string(model).graph.node} & {"Sigmoid", "Round", "IsNaN"}
    check(lambda x: (x.sigmoid(), x.round(), torch.isnan((x - x) / (x - x))), x)


def test_mean_over_the_batch_divides_by_its_size() -> None:
    check(lambda x: (x.mean(0), x.var(0), x.sum() / x.shape[0], x / (x.shape[0] - 1)), torch.randn(7, 3))


def test_masked_infinity_is_dropped_as_torch_drops_it() -> None:
    x = torch.tensor([[-1.0, 2.0], [0.0, 3.0], [-4.0, 5.0], [1.0, 1.0]])
    check(lambda x: (torch.where(x > 0, x.log(), 0.0), torch.where(x > 0, 1 / x.relu(), 0.0)), x)


def test_small_differences_survive_expm1_and_log1p() -> None:
    x = torch.tensor([[1e-6], [-1e-7], [3e-5], [0.0], [2.0]])
    found = run(session(export(lambda x: (torch.expm1(x), torch.log1p(x)), x)), [x])
    np.testing.assert_allclose(found[0], np.expm1(x.numpy()), rtol=2e-6)
    np.testing.assert_allclose(found[1], np.log1p(x.numpy()), rtol=2e-6)


def test_division_rounds_as_torch_does() -> None:
    x = torch.tensor([[-7], [7], [-8], [8]])
    modes = ("floor", "trunc")
    check(lambda x: tuple(torch.div(x, 2 * s + 1, rounding_mode=m) for m in modes for s in (1, -2)), x)
    check(lambda x: (x % 3, x % -3, x // 3, x // -3), x)


def test_floors_of_quotients_are_those_of_exact_ones() -> None:
    # 1 / 0.1 is rounded to 10, and 0.1 as a float fits nine times only.
    def floors(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        whole = [x // n for n in (0.1, -0.1, 0.3, 7.0, 0.0)]
        return (*whole, torch.div(x, x * 0 + 0.1, rounding_mode="floor"), torch.floor_divide(0.3, x))

    for kind in (torch.float32, torch.float64):
        grid = torch.arange(-40, 41, dtype=kind) * 0.1
        x = torch.cat([grid, torch.tensor([1e-40, torch.inf, -torch.inf, torch.nan], dtype=kind)])[:, None]
        for mine, theirs in zip(run(session(export(floors, x)), [x]), floors(x), strict=True):
            np.testing.assert_array_equal(mine, theirs.numpy())


def test_gaps_are_masked_and_not_multiplied() -> None:
    # No number times NaN is 0.
    x = torch.arange(1.0, 13.0).reshape(4, 3)
    gaps = torch.tensor([[torch.nan, 1, 2], [torch.inf, 3, -torch.inf], [4, torch.nan, 5]])
    weight = torch.eye(3)

    def filled(x: torch.Tensor, there: torch.Tensor) -> tuple[torch.Tensor, ...]:
        known = torch.where(there > 0, x, 0.0)
        return (
            torch.nan_to_num(x, posinf=7.0, neginf=-7.0),
            torch.where(torch.isnan(x), 0.0, x),
            x.masked_fill(torch.isnan(x) | torch.isinf(x), 0.0),
            torch.where(torch.isfinite(x), x, torch.zeros_like(x)) @ weight,
            torch.where(x == x, x, 0.0),
            known,
            torch.nansum(x, 1),
            torch.nan_to_num(x @ weight, posinf=7.0, neginf=-7.0),
        )

    for runtime in ("portable", "onnxruntime"):
        found = run(session(export(filled, x, x + 1, runtime=runtime)), [gaps, torch.nan_to_num(gaps * 0 + 1)])
        wanted = filled(gaps, torch.nan_to_num(gaps * 0 + 1))
        for i, (mine, theirs) in enumerate(zip(found, wanted, strict=True)):
            np.testing.assert_array_equal(mine, theirs.numpy(), err_msg=str(i))


def test_a_remainder_has_the_sign_of_the_divisor() -> None:
    x = torch.tensor([[-0.7], [0.7], [3.0], [-3.0]])
    check(lambda x: (x % 0.3, x % -0.3, torch.fmod(x, 0.3)), x)


def test_functions_that_runtimes_have_for_float32_only_are_refused_for_float64() -> None:
    with pytest.raises(ExportError, match="float32"):
        export(lambda x: (torch.atan(x),), torch.randn(7, 3, dtype=torch.float64))


def test_an_average_of_whole_numbers_is_refused() -> None:
    with pytest.raises(ExportError, match="whole numbers"):
        export(lambda x: (torch.nn.functional.avg_pool1d(x, 2),), torch.arange(28).reshape(7, 1, 4))


# ---------------------------------------------------------------- random numbers
def test_random_draws_become_inputs_with_the_batch_in_their_shape() -> None:
    with Lift(batch=11) as lift:
        x = torch.zeros(11, 3)
        torch.nn.functional.dropout(torch.rand_like(x) + torch.randn(2, 3).sum(), 0.5)
    assert lift.draws == [Draw("uniform", (BATCH, 3)), Draw("normal", (2, 3)), Draw("uniform", (BATCH, 3))]


def test_given_noise_is_what_dropout_uses() -> None:
    with Lift([torch.tensor([[0.1, 0.5, 0.9]])]):
        y = torch.nn.Dropout(0.5)(torch.ones(1, 3))
    assert y.tolist() == [[0.0, 2.0, 2.0]]


def test_a_draw_that_mixes_batch_and_width_is_refused() -> None:
    with pytest.raises(ExportError, match="mixes the batch"), Lift(batch=11):
        torch.rand(22)


# ---------------------------------------------------------------- errors
def test_an_operator_without_translation_names_itself_and_the_way_out() -> None:
    with pytest.raises(ExportError) as caught:
        export(lambda x: (torch.linalg.inv(x.view(-1, 2, 2)),), torch.randn(7, 4))
    assert caught.value.operator.startswith("aten.linalg_inv")
    assert "solve in the aggregation step" in str(caught.value)


def test_indexing_by_a_mask_is_refused() -> None:
    with pytest.raises(ExportError, match=r"torch\.where"):
        export(lambda x, y: (x.index_put((x > 0,), x.sum()),), torch.randn(7, 4), torch.randn(7))


def test_a_graph_for_one_batch_size_is_refused() -> None:
    with pytest.raises(ExportError, match="batch"):
        export(lambda x: (x[:7] if x.shape[0] == 7 else x * 0,), torch.randn(7, 4))


def test_a_decision_by_the_batch_size_is_refused_with_its_line() -> None:
    with pytest.raises(ExportError, match="the step decides by") as caught:
        export(lambda x: (x * 2 if x.shape[0] > 6 else x * 3,), torch.randn(7, 4))
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
    assert "shape[0] > 6" in str(caught.value)


def test_the_authors_line_is_found_among_those_of_libraries() -> None:
    stack = (
        f'  File "{torch.__file__}", line 1, in a\n  File "/home/me/task.py", line 12, in train\n'
        f'  File "{torch.__file__}", line 3, in b\n  File "{np.__file__}", line 4, in c\n'
    )
    found = author_of(stack)
    assert found is not None
    assert (found.file, found.line) == ("/home/me/task.py", 12)
