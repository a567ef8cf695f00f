"""Strategies beside plain averaging: each beside what Flower computes, written out in NumPy and torch, round by round."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import delta
from conftest import Network
from delta.bundle import Bundle
from delta.task import _building
from delta.task.learning import (
    ExportError,
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedBN,
    FedProx,
    FedYogi,
    LearningStrategy,
    WeightResultStrategy,
)
from learning_cases import Simple

Arrays = dict[str, Any]
Members = list[tuple[Any, Any]]
Aggregate = Callable[[int, Arrays, Arrays], Arrays]
entropy = nn.CrossEntropyLoss()
ROUNDS, EPOCHS = 6, 3


@pytest.fixture(autouse=True, scope="module")
def traced_once() -> Iterator[None]:
    """Most tests are about what the coordinator does with one and the same step; and threads cost more than they give."""
    known: dict[str, Any] = {}
    trace, threads = _building.training_step, torch.get_num_threads()

    def step(owner: Any, *given: Any, **more: Any) -> Any:
        key = f"{owner.model} {owner.model[0].weight.dtype} {owner.optimizer} {owner.prepare.__code__} {more}"
        if key not in known or owner.loss_func is not entropy:
            known[key] = trace(owner, *given, **more)
        return copy.deepcopy(known[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_building, "training_step", step)
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(threads)


def run(made: Any, parts: Members | None = None, **more: Any) -> Any:
    return delta.debug(made, data=parts or members(), threads=1, **more)


def members(rows: Sequence[int] = (10, 20, 30)) -> Members:
    """Parts that differ: each has its own centre and spread."""
    rng = np.random.default_rng(3)
    made = []
    for number, count in enumerate(rows):
        x = rng.normal(0.5 * number, 1.0 + number, size=(count, 4)).astype(np.float32)
        made.append((x, (x[:, 0] + x[:, 1] > number).astype(np.int64)))
    return made


def task(
    strategy: LearningStrategy | None = None,
    *,
    norm: bool = False,
    deep: bool = False,
    rounds: int = ROUNDS,
    **arguments: Any,
) -> Simple:
    """In double precision, so that nothing but the strategy makes a difference; a member's rows are one batch."""
    torch.manual_seed(0)
    more = [nn.BatchNorm1d(5) if norm else nn.Identity(), nn.Tanh(), nn.Linear(5, 2)] if norm or deep else []
    model = nn.Sequential(nn.Linear(4, 5 if more else 2), *more).double()
    optimizer = arguments.pop("optimizer", lambda p: torch.optim.SGD(p, 0.3))
    loss = arguments.pop("loss", entropy)
    made = Simple(
        model, loss, optimizer, (4,), prepare=lambda x, y: (x.double(), y), classes=2, rounds=rounds,
        strategy=strategy, **arguments,
    )  # fmt: skip
    made.batch_size = 1000
    return made


def asked(kind: Callable[..., LearningStrategy], **more: Any) -> LearningStrategy:
    return kind(3, 3, **{"merge_epoch": EPOCHS, "precision": 12, **more})


def state_of(model: nn.Module) -> Arrays:
    return {k: v.detach().numpy().copy() for k, v in model.state_dict().items()}


def simulate(
    make: Callable[[], Simple],
    parts: Members,
    aggregate: Aggregate,
    *,
    personal: Callable[[str], bool] = lambda _: False,
    mu: float = 0.0,
    rounds: int = ROUNDS,
    absent: Mapping[int, Sequence[int]] = {},
) -> Arrays:
    """Rounds of Flower: every member trains from the server's weights, which the strategy makes of their weighted mean."""
    weights = state_of(make().model)
    own: list[Arrays] = [{k: v for k, v in weights.items() if personal(k)} for _ in parts]
    for number in range(1, rounds + 1):
        results = []
        for i, (x, y) in enumerate(parts):
            if i in absent.get(number, ()):
                continue
            one = make()
            one.model.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in (weights | own[i]).items()})
            start = [p.detach().clone() for p in one.model.parameters()]
            near = [not personal(k) for k, _ in one.model.named_parameters()]
            one.model.train()
            for _ in range(EPOCHS):
                output = one.model(torch.from_numpy(x).double())
                term = sum(
                    ((p - s) ** 2).sum() for p, s, n in zip(one.model.parameters(), start, near, strict=True) if n
                )
                one.optimizer.zero_grad()
                loss = one.loss_func(output, torch.from_numpy(y))
                (loss + mu / 2 * term).backward()
                one.optimizer.step()
            trained = state_of(one.model)
            own[i] = {k: v for k, v in trained.items() if personal(k)}
            results.append((trained, len(x)))
        total = sum(n for _, n in results)
        mean = {k: sum(r[k] * n for r, n in results) / total for k in weights if not personal(k)}
        weights = weights | aggregate(number, weights, mean)
    return {k: v for k, v in weights.items() if not personal(k)}


# ---------------------------------------------------------------- Flower's strategies


def plain(number: int, old: Arrays, mean: Arrays) -> Arrays:
    return mean


def momentum(rate: float, kept: float) -> Aggregate:
    vector: Arrays = {}

    def aggregate(number: int, old: Arrays, mean: Arrays) -> Arrays:
        gradient = {k: old[k] - mean[k] for k in mean}
        if kept > 0.0:
            gradient = {k: kept * vector[k] + g for k, g in gradient.items()} if number > 1 else gradient
            vector.update(gradient)
        return {k: old[k] - rate * gradient[k] for k in mean}

    return aggregate


def adaptive(kind: str, eta: float, tau: float, beta_1: float = 0.0, beta_2: float = 0.0) -> Aggregate:
    m: Arrays = {}
    v: Arrays = {}

    def aggregate(number: int, old: Arrays, mean: Arrays) -> Arrays:
        delta_t = {k: mean[k] - old[k] for k in mean}
        rate = eta
        if kind == "adam":
            rate = eta * np.sqrt(1 - np.power(beta_2, number + 1.0)) / (1 - np.power(beta_1, number + 1.0))
        for k, d in delta_t.items():
            m[k] = beta_1 * m.get(k, np.zeros_like(d)) + (1 - beta_1) * d
            before = v.get(k, np.zeros_like(d))
            if kind == "adagrad":
                v[k] = before + d**2
            elif kind == "adam":
                v[k] = beta_2 * before + (1 - beta_2) * d**2
            else:
                v[k] = before - (1.0 - beta_2) * d**2 * np.sign(before - d**2)
        return {k: old[k] + rate * m[k] / (np.sqrt(v[k]) + tau) for k in mean}

    return aggregate


CASES: dict[str, tuple[Callable[..., LearningStrategy], dict[str, float], Callable[[], Aggregate]]] = {
    "FedAvg": (FedAvg, {}, lambda: plain),
    "FedAvgM by default": (FedAvgM, {}, lambda: momentum(1.0, 0.0)),
    "FedAvgM": (FedAvgM, {"server_learning_rate": 0.7, "server_momentum": 0.9}, lambda: momentum(0.7, 0.9)),
    "FedAdagrad by default": (FedAdagrad, {}, lambda: adaptive("adagrad", 0.1, 1e-3)),
    "FedAdagrad": (FedAdagrad, {"eta": 0.05, "eta_l": 0.3, "tau": 1e-2}, lambda: adaptive("adagrad", 0.05, 1e-2)),
    "FedAdam by default": (FedAdam, {}, lambda: adaptive("adam", 0.1, 1e-3, 0.9, 0.99)),
    "FedAdam": (
        FedAdam,
        {"eta": 0.03, "beta_1": 0.5, "beta_2": 0.9, "tau": 1e-4},
        lambda: adaptive("adam", 0.03, 1e-4, 0.5, 0.9),
    ),
    "FedAdam without momentum": (FedAdam, {"beta_1": 0.0}, lambda: adaptive("adam", 0.1, 1e-3, 0.0, 0.99)),
    "FedYogi by default": (FedYogi, {}, lambda: adaptive("yogi", 0.01, 1e-3, 0.9, 0.99)),
    "FedYogi": (
        FedYogi,
        {"eta": 0.1, "beta_1": 0.8, "beta_2": 0.7, "tau": 1e-2},
        lambda: adaptive("yogi", 0.1, 1e-2, 0.8, 0.7),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_strategy_is_flowers(case: str) -> None:
    kind, arguments, flower = CASES[case]
    bundle = task(asked(kind, **arguments)).build()
    nothing_else_leaves(bundle)
    result = run(bundle)
    expected = simulate(task, members(), flower())
    moved = max(float(np.abs(expected[k] - v).max()) for k, v in state_of(task().model).items())
    assert moved > 0.03
    for key, value in expected.items():
        np.testing.assert_allclose(result.parameters[key], value, rtol=0, atol=1e-8)


def nothing_else_leaves(bundle: Bundle) -> None:
    """Members send what is averaged and how many rows it is of, and get the model; the author gets what goes on from it."""
    [spec] = bundle.manifest["rounds"]
    entries = {f"model.{k}" for k in task().model.state_dict()}
    assert {c["name"] for c in spec["map"]["contribute"]} == {*entries, "rows"}
    read = {s["name"] for step in spec["map"]["steps"] for s in step["inputs"].values() if s["from"] == "variable"}
    assert read <= entries and "assign" not in spec["map"]
    kept = {n for n, v in bundle.manifest["variables"].items() if n.startswith("server.")}
    assert all(bundle.manifest["variables"][n]["location"] == "server" for n in kept)
    assert kept <= set(bundle.manifest["outputs"]), "a task that goes on needs it"
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(bundle.manifest, json.loads((Path(__file__).parents[2] / "docs/task.schema.json").read_text()))


@pytest.mark.parametrize(
    ("kind", "contribution"), [(FedAvgM, {"result_strategy": WeightResultStrategy}), (FedAdam, {})]
)
def test_single_precision_and_eight_digits_are_flowers_too(kind: Any, contribution: dict[str, Any]) -> None:
    def single() -> Simple:
        made = task(kind(3, 3, merge_epoch=EPOCHS, **contribution))
        made.model.float()
        made.prepare = lambda x, y: (x, y)
        return made

    result = run(single())
    flower = momentum(1.0, 0.0) if kind is FedAvgM else adaptive("adam", 0.1, 1e-3, 0.9, 0.99)
    for key, value in simulate(task, members(), flower).items():
        assert result.parameters[key].dtype == np.float32
        np.testing.assert_allclose(result.parameters[key], value, rtol=0, atol=2e-5)


def test_the_mean_is_over_who_is_there_and_counts_rows_or_members() -> None:
    absent = {2: [0], 4: [1]}
    strategy = FedAdam(2, 3, merge_epoch=EPOCHS, precision=12)
    result = run(task(strategy), absent=absent)
    expected = simulate(task, members(), adaptive("adam", 0.1, 1e-3, 0.9, 0.99), absent=absent)
    for key, value in expected.items():
        np.testing.assert_allclose(result.parameters[key], value, rtol=0, atol=1e-8)
    once = run(task(asked(FedAdam, weighting="mean")))
    assert any(np.abs(once.parameters[k] - result.parameters[k]).max() > 1e-3 for k in once.parameters)


def test_who_cannot_compute_is_not_in_the_mean(network: Network) -> None:
    """A node whose numbers are none contributes zeros, and counts neither by its rows nor as a member."""
    parts = members((20, 20, 20))
    for i, (folder, (x, y)) in enumerate(zip(network.folders, parts, strict=True)):
        with (folder / "data").open("wb") as file:
            np.savez(file, x=np.where(i == 1, np.nan, x).astype(np.float32), y=y)
    expected, node = simulate(task, parts[::2], plain), network.node
    for more in ({"weighting": "samples"}, {"weighting": "mean"}):
        strategy = FedAvg(2, 3, merge_epoch=EPOCHS, precision=12, connection_timeout=10, **more)
        task_id = node.create_task(task(strategy))
        assert node.wait(task_id, timeout=120, progress=False), node.progress(task_id).error
        result = node.get_result(task_id)
        assert [told["failed"] for told in result.rounds] == [1] * ROUNDS
        for key, value in expected.items():
            np.testing.assert_allclose(result.parameters[key], value, rtol=0, atol=1e-8)


def test_buffers_are_averaged_whatever_the_strategy() -> None:
    made = run(task(asked(FedAdam), norm=True, rounds=1)).parameters
    averaged = simulate(lambda: task(norm=True), members(), plain, rounds=1)
    for key in ("1.running_mean", "1.running_var", "1.num_batches_tracked"):
        np.testing.assert_allclose(made[key], averaged[key], rtol=0, atol=1e-9)
    assert made["1.num_batches_tracked"] == EPOCHS
    assert np.abs(made["1.weight"] - averaged["1.weight"]).max() > 1e-2


def test_what_does_not_change_is_not_moved_by_an_adaptive_step() -> None:
    def dead() -> Simple:
        made = task(FedAdam(3, 3, tau=1e-9))
        made.model.float()
        made.prepare = lambda x, y: (x * torch.tensor([1.0, 1.0, 1.0, 0.0]), y)
        return made

    before = state_of(dead().model)["0.weight"]
    after = run(dead()).parameters["0.weight"]
    np.testing.assert_array_equal(after[:, 3], before[:, 3])
    assert (after[:, :3] != before[:, :3]).all()


def test_a_strategy_goes_with_validation_in_between() -> None:
    measured = task(asked(FedAdam), validate_interval=2, validate_frac=0.3)
    seen: list[Any] = []
    result = run(measured, members((40, 40, 40)), on_round=lambda number, metrics: seen.append(metrics))
    assert len(seen) == ROUNDS + 1 and result.metrics["loss"] < seen[0]["loss"]
    assert [bool(m) for m in seen] == [True, False] * (ROUNDS // 2) + [True]


@pytest.mark.parametrize(
    ("kind", "argument", "value"),
    [
        (FedAvgM, "server_learning_rate", 0.0),
        (FedAvgM, "server_momentum", 1.0),
        (FedAdam, "eta", 0.0),
        (FedAdam, "beta_1", 1.0),
        (FedYogi, "beta_2", -0.1),
        (FedAdagrad, "tau", 0.0),
        (FedYogi, "eta_l", 0.0),
        (FedProx, "proximal_mu", -1.0),
    ],
)
def test_numbers_that_cannot_work_are_refused_by_name(kind: Any, argument: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{argument}={value}: must be "):
        kind(**{argument: value})


# ---------------------------------------------------------------- FedProx


@pytest.mark.parametrize(
    "optimizer",
    [lambda p: torch.optim.SGD(p, 0.3), lambda p: torch.optim.SGD(p, 0.3, weight_decay=0.1, maximize=True)],
    ids=["sgd", "maximize"],
)
def test_fedprox_is_the_loss_with_the_term(optimizer: Any) -> None:
    up = "maximize" in repr(optimizer([torch.zeros(1)])) and optimizer([torch.zeros(1)]).defaults["maximize"]
    sign = -1.0 if up else 1.0
    loss = lambda output, y: sign * entropy(output, y)  # noqa: E731
    make = lambda s=None: task(s, optimizer=optimizer, loss=loss)  # noqa: E731
    result = run(make(asked(FedProx, proximal_mu=0.8)))
    # Who climbs has the term with the other sign in what he climbs.
    expected = simulate(make, members(), plain, mu=sign * 0.8)
    without = simulate(make, members(), plain)
    for key, value in expected.items():
        np.testing.assert_allclose(result.parameters[key], value, rtol=0, atol=1e-9)
    assert max(np.abs(without[k] - v).max() for k, v in expected.items()) > 1e-2


def test_fedprox_reads_the_weights_of_the_rounds_start_in_every_batch() -> None:
    bundle = task(asked(FedProx, proximal_mu=0.8)).build()
    loop = bundle.manifest["rounds"][0]["map"]["steps"][0]
    starts = {n: s for n, s in loop["inputs"].items() if n.endswith(".start")}
    trained = {k for k, _ in task().model.named_parameters()}
    assert starts == {f"model.{k}.start": {"from": "variable", "name": f"model.{k}"} for k in trained}
    carried = {t["input"] for t in loop["outputs"].values() if t["to"] == "carry"}
    assert not carried & set(starts)
    none = task(asked(FedProx, proximal_mu=0.0)).build()
    assert none.graphs == task(asked(FedAvg)).build().graphs


def test_fedprox_does_not_hold_what_is_personal() -> None:
    strategy = asked(FedProx, proximal_mu=0.8)
    make = lambda s=None, **more: task(s, deep=True, **more)  # noqa: E731
    result = run(make(strategy, personal=["3.*"]))
    expected = simulate(make, members(), plain, personal=lambda k: k.startswith("3."), mu=0.8)
    assert set(result.parameters) == {"0.weight", "0.bias"}
    for key, value in expected.items():
        np.testing.assert_allclose(result.parameters[key], value, rtol=0, atol=1e-9)


# ---------------------------------------------------------------- what stays at each member


def test_fedbn_keeps_batch_norm_apart() -> None:
    make = lambda s=None: task(s, norm=True)  # noqa: E731
    bundle = make(asked(FedBN)).build()
    result = run(bundle)
    expected = simulate(make, members(), plain, personal=lambda k: k.startswith("1."))
    assert set(result.parameters) == set(expected) == {"0.weight", "0.bias", "3.weight", "3.bias"}
    for key, value in expected.items():
        np.testing.assert_allclose(result.parameters[key], value, rtol=0, atol=1e-9)
    averaged = simulate(make, members(), plain)
    assert max(np.abs(averaged[k] - v).max() for k, v in expected.items()) > 1e-3
    norm = {f"model.{k}" for k in make().model.state_dict() if k.startswith("1.")}
    assert {n for n, v in bundle.manifest["variables"].items() if v["location"] == "client"} == norm
    assert set(bundle.manifest["rounds"][0]["map"]["assign"]) == norm
    told = bundle.describe()
    assert (
        "Each member keeps its own of these, and the result has none of them: 1.weight, 1.bias, 1.running_mean" in told
    )
    with pytest.raises(ValueError, match="no BatchNorm layer"):
        task(asked(FedBN)).build()


def test_personal_parts_go_with_any_strategy_and_with_validation() -> None:
    made = task(
        asked(FedAdam), deep=True, personal=("3.*",), optimizer_state="reset", validate_frac=0.3, validate_interval=1
    )
    bundle, seen = made.build(), list[Any]()
    result = run(bundle, members((40, 40, 40)), on_round=lambda number, metrics: seen.append(metrics))
    assert set(result.parameters) == {"0.weight", "0.bias"}
    assert result.metrics["loss"] < 0.6 * seen[0]["loss"]
    assert not any("3." in n for n in bundle.manifest["variables"] if n.startswith("server."))


def test_what_is_personal_is_named_by_keys_of_state_dict() -> None:
    class Own(Simple):
        personal = ("3.weight", "3.b?as")

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Identity(), nn.Linear(5, 2))
    made = Own(model, entropy, lambda p: torch.optim.SGD(p, 0.1), (4,), classes=2)
    assert made.build().manifest["options"]["result"][0]["personal"] == ["3.weight", "3.bias"]
    with pytest.raises(ValueError, match=r"personal: 'head\.\*' is none of the keys"):
        task(deep=True, personal=["head.*"]).build()
    with pytest.raises(ValueError, match="personal: every parameter would stay"):
        task(deep=True, personal=["*"]).build()
    with pytest.raises(ValueError, match=r"personal='head\.\*': must be a list"):
        task(personal="head.*")
    tied = task(personal=["1.weight"])
    tied.model.append(nn.Linear(4, 2))  # type: ignore[operator]
    tied.model[1].weight = tied.model[0].weight  # type: ignore[index, union-attr]
    with pytest.raises(ValueError, match=r"personal: '1\.weight' and '0\.weight' are one tensor"):
        tied.build()


# ---------------------------------------------------------------- one's own


class Slowing(FedAvg):
    """Goes less and less far, and never further than a bound for all parameters together."""

    def server_state(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"rounds": torch.zeros((), dtype=torch.float64)}

    def aggregate(self, mean: Any, old: Any, state: Any) -> Any:
        count = state["rounds"] + 1
        steps = {k: (mean[k] - old[k]) / count for k in mean}
        length = torch.sqrt(sum((s * s).sum() for s in steps.values()))
        factor = torch.clamp(0.4 / length, max=1.0)
        return {k: old[k] + factor * s for k, s in steps.items()}, {"rounds": count}


def test_a_strategy_of_ones_own_is_two_methods_in_torch() -> None:
    def slowing(number: int, old: Arrays, mean: Arrays) -> Arrays:
        steps = {k: (mean[k] - old[k]) / number for k in mean}
        factor = min(1.0, 0.4 / np.sqrt(sum((s**2).sum() for s in steps.values())))
        return {k: old[k] + factor * s for k, s in steps.items()}

    bundle = task(asked(Slowing)).build()
    assert bundle.manifest["variables"]["server.rounds"]["location"] == "server"
    assert bundle.commitment == task(asked(Slowing)).build().commitment
    result = run(bundle)
    for key, value in simulate(task, members(), slowing).items():
        np.testing.assert_allclose(result.parameters[key], value, rtol=0, atol=1e-9)


def test_a_state_may_be_handed_on_as_it_is() -> None:
    class Fixed(FedAvg):
        def server_state(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {f"first {k}": p for k, p in parameters.items()}

        def aggregate(self, mean: Any, old: Any, state: Any) -> Any:
            return {k: 0.5 * (mean[k] + state[f"first {k}"]) for k in mean}, state

    first = state_of(task().model)
    result = run(task(asked(Fixed)))
    expected = simulate(task, members(), lambda n, old, mean: {k: 0.5 * (mean[k] + first[k]) for k in mean})
    for key, value in expected.items():
        np.testing.assert_allclose(result.parameters[key], value, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda mean, old, state: mean, r"aggregate\(\) must return two dicts"),
        (lambda mean, old, state: ({"0.weight": mean["0.weight"]}, state), r"no parameters of the name '0\.bias'"),
        (
            lambda mean, old, state: ({**mean, "x": old["0.bias"]}, state),
            "parameters of the name 'x', which there is not",
        ),
        (lambda mean, old, state: (mean, {**state, "n": 1}), "state of the name 'n', which there is not"),
        (lambda mean, old, state: ({k: t.sum() for k, t in mean.items()}, state), "in another shape"),
    ],
)
def test_a_hook_that_returns_something_else_is_told_what(made: Any, told: str) -> None:
    strategy = type("Mine", (FedAvg,), {"aggregate": lambda self, *given: made(*given)})
    with pytest.raises(ValueError, match=f"^Mine: .*{told}"):
        task(strategy(3, 3)).build()


def test_a_hook_that_decides_by_values_is_refused_with_its_line() -> None:
    class Deciding(FedAvg):
        def aggregate(self, mean: Any, old: Any, state: Any) -> Any:
            if mean["0.bias"].sum() > 0:
                return old, state
            return mean, state

    with pytest.raises(ExportError, match=r"(?s)a decision on a tensor's value.*test_strategies\.py"):
        task(Deciding(3, 3)).build()
    whole = type("Mine", (FedAdam,), {"server_state": lambda self, p: {"n": torch.zeros((), dtype=torch.int64)}})
    with pytest.raises(ValueError, match=r"^Mine: server_state\(\) gives 'n', which is no tensor of float32"):
        task(whole(3, 3)).build()


# ---------------------------------------------------------------- noise


@pytest.mark.parametrize(
    ("kind", "arguments", "more", "told"),
    [
        (FedAdam, {}, {}, "strategy=FedAdam: under privacy the coordinator takes the step of the task's own optimizer"),
        (FedAvgM, {}, {}, "strategy=FedAvgM: under privacy"),
        (Slowing, {}, {}, "strategy=Slowing: under privacy"),
        (FedProx, {"proximal_mu": 1.0}, {}, "strategy=FedProx: under privacy members take no steps of their own"),
        (FedBN, {}, {}, "strategy=FedBN: under privacy nothing is kept at a member"),
        (FedAvg, {}, {"personal": ["3.*"]}, r"personal=\['3\.\*'\]: under privacy nothing is kept at a member"),
    ],
)
def test_noise_for_records_leaves_no_room_for_them(kind: Any, arguments: Any, more: Any, told: str) -> None:
    privacy = delta.Privacy(epsilon=1.0, delta=1e-5, clip=1.0)
    strategy = kind(2, 3, **{"result_strategy": WeightResultStrategy, **arguments})
    with pytest.raises(ValueError, match=f"^{told}"):
        task(strategy, privacy=privacy, validate_interval=None, **more)


@pytest.mark.parametrize(
    ("kind", "arguments", "more"),
    [
        (FedAvgM, {"server_momentum": 0.5}, {}),
        (FedProx, {"proximal_mu": 0.8}, {}),
        (FedBN, {}, {"norm": True}),
    ],
)
def test_noise_for_whole_members_goes_with_all(kind: Any, arguments: Any, more: Any) -> None:
    privacy = delta.Privacy(multiplier=0.0001, clip=10.0, delta=1e-5, member=True)
    strategy = kind(3, 3, merge_epoch=EPOCHS, **arguments)
    bundle = task(strategy, privacy=privacy, validate_interval=None, **more).build()
    assert "Class: private, for whole members" in bundle.describe()
    noised = run(bundle, seed=1)
    exact = run(task(asked(kind, weighting="mean", **arguments), **more))
    off = {k: float(np.abs(noised.parameters[k] - v).max()) for k, v in exact.parameters.items()}
    # A deviation of 0.001 in the sum of three, in each of six rounds.
    assert 0 < max(off.values()) < 0.02


def test_a_task_is_as_before_after_build() -> None:
    made = task(asked(FedAdam), deep=True, personal=["3.*"])
    before = copy.deepcopy(made.model.state_dict())
    made.build()
    assert all(torch.equal(before[k], v) for k, v in made.model.state_dict().items())
