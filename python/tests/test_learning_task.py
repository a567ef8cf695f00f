"""Learning tasks from build() to the result: rounds, averaging, what is kept, what is sent."""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import delta
from delta._export.errors import ExportError
from delta.bundle import Bundle
from delta.task.learning import (
    FaultTolerantFedAvg,
    FedAvg,
    GradResultStrategy,
    HorizontalLearning,
    LearningResult,
    WeightResultStrategy,
)
from learning_cases import Example, Simple, train_eagerly

entropy = nn.CrossEntropyLoss()


def data(rows: int = 60) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 4)).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] > 0).astype(np.int64)


def classifier(strategy: FedAvg | None = None, *, hidden: nn.Module | None = None, **arguments: Any) -> Simple:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), hidden or nn.Tanh(), nn.Linear(5, 2))
    optimizer = arguments.pop("optimizer", lambda p: torch.optim.SGD(p, 0.5))
    return Simple(model, entropy, optimizer, (4,), classes=2, strategy=strategy, **arguments)


def parts(rows: list[int]) -> list[tuple[Any, Any]]:
    x, y = data(sum(rows))
    edges = np.cumsum([0, *rows])
    return [(x[a:b], y[a:b]) for a, b in itertools.pairwise(edges)]


# ---------------------------------------------------------------- federated is pooled


@pytest.mark.parametrize("difference", [False, True])
def test_one_local_step_per_round_weighted_by_rows_is_a_step_on_all_rows(difference: bool) -> None:
    arguments: dict[str, Any] = {"result_strategy": GradResultStrategy} if difference else {}
    task = classifier(FedAvg(3, 3, **arguments), rounds=4)
    task.batch_size = 1000
    members = parts([10, 20, 30])
    result = delta.debug(task, parts=3, data=members)
    x, y = (np.concatenate(a) for a in zip(*members, strict=True))
    train_eagerly(task, [(torch.from_numpy(x), torch.from_numpy(y))] * 4, [()] * 4)
    for key, value in task.state_dict().items():
        np.testing.assert_allclose(result.parameters[key], value.numpy(), rtol=1e-6, atol=2e-8 + 1e-6)


@pytest.mark.parametrize("difference", [False, True])
def test_a_rounds_model_is_the_mean_over_that_rounds_members(difference: bool) -> None:
    arguments: dict[str, Any] = {"result_strategy": GradResultStrategy} if difference else {}
    task = classifier(FedAvg(2, 3, **arguments), rounds=4)
    task.batch_size = 1000
    members = parts([10, 20, 30])
    # The first part comes after a round, the second is away in the third, the third goes before the last.
    absent = {1: [0], 3: [1], 4: [2]}
    result = delta.debug(task, data=members, absent=absent)
    assert [r["members"] for r in result.rounds] == [2, 3, 2, 2]
    batches = []
    for number in range(1, 5):
        there = [m for i, m in enumerate(members) if i not in absent.get(number, [])]
        x, y = (np.concatenate(a) for a in zip(*there, strict=True))
        batches.append((torch.from_numpy(x), torch.from_numpy(y)))
    train_eagerly(task, batches, [()] * 4)
    for key, value in task.state_dict().items():
        np.testing.assert_allclose(result.parameters[key], value.numpy(), rtol=1e-6, atol=2e-8 + 1e-6)


@pytest.mark.parametrize("contribution", [WeightResultStrategy, GradResultStrategy])
def test_a_plain_mean_counts_every_member_once(contribution: Any) -> None:
    task = classifier(FedAvg(2, 2, result_strategy=contribution, weighting="mean"))
    task.batch_size = 1000
    members = parts([10, 50])
    result = delta.debug(task, parts=2, data=members)
    trained = []
    for x, y in members:
        one = classifier()
        one.train([(torch.from_numpy(x), torch.from_numpy(y))])
        trained.append(one.state_dict())
    for key in trained[0]:
        mean = sum(t[key].numpy() for t in trained) / 2
        np.testing.assert_allclose(result.parameters[key], mean, atol=1e-6)


def test_buffers_are_averaged_and_whole_numbers_stay_whole() -> None:
    task = classifier(FedAvg(2, 2), hidden=nn.BatchNorm1d(5), rounds=2)
    task.batch_size = 10
    members = parts([20, 20])
    result = delta.debug(task, parts=2, data=members)
    assert result.parameters["1.num_batches_tracked"].dtype == np.int64
    assert result.parameters["1.num_batches_tracked"] == 4
    assert (result.parameters["1.running_var"] != 1).any()
    result.load_into(task)
    assert task.model[1].num_batches_tracked == 4  # type: ignore[index, union-attr]


# ---------------------------------------------------------------- rounds


def test_metrics_of_a_round_are_those_of_the_model_it_starts_from_and_the_last_round_only_measures() -> None:
    task = classifier(FedAvg(2, 2), rounds=3, validate_interval=1, validate_frac=0.5)
    task.metrics = {"accuracy": lambda output, y: output.argmax(1) == y}  # type: ignore[misc]
    members = parts([40, 40])
    seen: list[dict[str, float]] = []
    result = delta.debug(task, parts=2, data=members, on_round=lambda n, m: seen.append(dict(m)))
    assert len(seen) == 4 and result.history[list(seen[0])].to_dict("records") == seen
    assert result.history["round"].tolist() == [1, 2, 3, 4] and result.history["members"].tolist() == [2] * 4
    assert result.metrics == pytest.approx(seen[-1])
    assert seen[-1]["loss"] < seen[0]["loss"]
    assert 0.0 <= seen[0]["accuracy"] <= 1.0


@pytest.mark.parametrize(
    ("interval", "expected"), [(0, [0, 0, 0, 0, 0]), (1, [1] * 6), (2, [1, 0, 1, 0, 1, 1]), (9, [1, 0, 0, 0, 0, 1])]
)
def test_validation_comes_every_so_many_rounds_and_at_the_end(interval: int, expected: list[int]) -> None:
    bundle = classifier(rounds=5, validate_interval=interval).build()
    rounds = [r for r in bundle.manifest["rounds"] for _ in range(r.get("repeat", 1))]
    assert [int(bool(r["reduce"].get("metrics"))) for r in rounds] == expected
    steps = [[s["driver"]["length"] for s in r["map"]["steps"] if "driver" in s] for r in rounds]
    assert len(steps[-1]) == 1


def test_training_and_validation_rows_do_not_meet() -> None:
    bundle = classifier(validate_interval=1, validate_frac=0.3, seed=7).build()
    training, *_, validating = [s["driver"] for s in bundle.manifest["rounds"][0]["map"]["steps"] if "driver" in s]
    assert training["subset"]["to"] == validating["subset"]["from"] == 0.7
    assert training["subset"]["seed"] == validating["subset"]["seed"] != 0
    assert training["resume"] and training["shuffle"] and not validating.get("resume", False)


def test_a_folder_with_two_parts_trains_on_one_and_measures_on_the_other() -> None:
    task = classifier(validate_interval=1, validate_frac=0.0)
    task.dataset = lambda: delta.dataset.Dataset("data", shape=(4,), classes=["0", "1"], split=True)  # type: ignore[method-assign]
    steps = task.build().manifest["rounds"][0]["map"]["steps"]
    assert [s["driver"]["subset"]["part"] for s in steps if "driver" in s] == ["train", "val"]
    with pytest.raises(ValueError, match="not a table"):
        delta.dataset.Dataset("data.csv", columns=["a"], split=True)


@pytest.mark.parametrize("state", ["keep", "reset"])
def test_momentum_is_kept_or_forgotten_between_rounds(state: Any) -> None:
    momentum = lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)  # noqa: E731
    task = classifier(FedAvg(2, 2), rounds=3, optimizer=momentum, optimizer_state=state)
    task.batch_size = 1000
    [one] = parts([16])
    result = delta.debug(task, parts=2, data=[one, one])
    batch = tuple(torch.from_numpy(a) for a in one)
    for _ in range(3):
        if state == "reset":
            task.optimizer = momentum(task.model.parameters())
        task.train([batch])
    for key, value in task.state_dict().items():
        np.testing.assert_allclose(result.parameters[key], value.numpy(), atol=1e-6)


def test_iterations_are_counted_instead_of_epochs() -> None:
    bundle = classifier(FaultTolerantFedAvg(merge_iteration=7)).build()
    assert bundle.manifest["rounds"][0]["map"]["steps"][0]["driver"]["length"] == {"iterations": 7}


# ---------------------------------------------------------------- what is trained, sent, kept


class Frozen(Simple):
    """A frozen layer, and a last layer that stays with each member."""

    personal = ("2.*",)


class Forgotten(Simple):
    """A state_dict() that says nothing of what is trained."""

    def state_dict(self) -> dict[str, Tensor]:
        return {k: v for k, v in self.model.state_dict().items() if not k.startswith("1.")}


def test_what_is_trained_is_in_the_state_dict_or_asked_for() -> None:
    layers = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 2))
    with pytest.raises(ExportError, match=r"not in it: model\.1\.weight, model\.1\.bias") as caught:
        Forgotten(layers, entropy, lambda p: torch.optim.SGD(p, 0.1), (4,), classes=2).build()
    assert "personal=" in str(caught.value)


class Headed(Simple):
    """A second module beside the model, in one optimizer with it."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(4, 5), entropy, lambda p: torch.optim.SGD(p, 0.1), (4,), classes=2)
        self.head = nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 2))
        self.optimizer = torch.optim.SGD([*self.model.parameters(), *self.head.parameters()], 0.1)

    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            self.optimizer.zero_grad()
            self.loss_func(self.head(torch.tanh(self.model(x))), y).backward()
            self.optimizer.step()


def test_every_module_that_is_trained_is_averaged_and_returned() -> None:
    bundle = Headed().build()
    sent = {c["name"] for c in bundle.manifest["rounds"][0]["map"]["contribute"]}
    assert {"model.weight", "head.1.weight", "head.0.running_mean"} <= sent
    result = delta.debug(bundle, parts=2, data=parts([8, 8]))
    assert {"model.weight", "head.1.weight", "head.0.running_mean"} <= set(result.parameters)


def test_frozen_parameters_are_not_sent_and_personal_ones_stay_with_the_member() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 2))
    model[0].requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    task = Frozen(model, entropy, lambda p: torch.optim.SGD(p, 0.1, momentum=0.5), (4,), classes=2)
    bundle = task.build()
    sent = {c["name"] for c in bundle.manifest["rounds"][0]["map"]["contribute"]}
    assert sent == {"model.1.weight", "model.1.bias", "rows"}
    kept = set(bundle.manifest["rounds"][0]["map"]["assign"])
    assert {"model.2.weight", "model.2.bias"} <= kept and "model.0.weight" not in kept
    assert bundle.manifest["variables"]["model.0.weight"]["location"] == "client"
    np.testing.assert_array_equal(bundle.initial("model.0.weight"), before["0.weight"].numpy())
    result = delta.debug(bundle, parts=2, data=parts([8, 8]))
    assert set(result.parameters) == {"1.weight", "1.bias"}


def test_tied_parameters_are_one() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
            self.b.weight = self.a.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.tanh(self.a(x)))  # type: ignore[no-any-return]

    torch.manual_seed(0)
    task = Simple(Tied(), entropy, lambda p: torch.optim.SGD(p, 0.1), (4,), classes=4)
    task.batch_size = 1000
    bundle = task.build()
    assert len(bundle.manifest["rounds"][0]["map"]["contribute"]) == 4
    [one] = parts([12])
    result = delta.debug(bundle, parts=2, data=[one, one])
    np.testing.assert_array_equal(result.parameters["a.weight"], result.parameters["b.weight"])
    task.train([tuple(torch.from_numpy(a) for a in one)])
    np.testing.assert_allclose(result.parameters["a.weight"], task.model.a.weight.detach().numpy(), atol=1e-6)  # type: ignore[union-attr]


def test_two_optimizers_two_losses_and_clipping_in_one_loop() -> None:
    class Two(HorizontalLearning):
        def __init__(self) -> None:
            super().__init__("two", 1, validate_interval=0)
            torch.manual_seed(0)
            self.encoder, self.decoder = nn.Linear(4, 2), nn.Linear(2, 4)
            self.first = torch.optim.SGD(self.encoder.parameters(), 0.1, momentum=0.9, dampening=0.3)
            self.second = torch.optim.Adam(self.decoder.parameters(), 0.01, amsgrad=True, weight_decay=0.01)

        def dataset(self) -> delta.dataset.Dataset:
            return delta.dataset.Dataset("data", shape=(4,))

        def train(self, dataloader: Any) -> None:
            for x in dataloader:
                self.first.zero_grad()
                self.second.zero_grad()
                code = self.encoder(x)
                (self.decoder(code) - x).square().mean().backward(retain_graph=True)
                (0.1 * code.abs().mean()).backward()
                nn.utils.clip_grad_norm_(self.encoder.parameters(), 0.1)
                nn.utils.clip_grad_value_(self.decoder.parameters(), 0.05)
                self.first.step()
                self.second.step()

    from learning_cases import train

    task = Two()
    bundle = task.build()
    assert bundle.manifest["datasets"]["data"].get("classes") is None
    batches = [(torch.randn(8, 4),) for _ in range(6)]
    state, _ = train(bundle, batches)
    task.train([x for (x,) in batches])
    for name in ("encoder", "decoder"):
        for key, value in getattr(task, name).state_dict().items():
            np.testing.assert_allclose(state[f"{name}.{key}"], value.numpy(), atol=1e-6)


def test_columns_of_a_table_are_inputs_and_a_number_is_the_label() -> None:
    class Wages(HorizontalLearning):
        def __init__(self) -> None:
            super().__init__("wages", 2, validate_frac=0.25, strategy=FedAvg(2, 2))
            torch.manual_seed(0)
            self.model, self.loss_func = nn.Linear(2, 1), nn.MSELoss()
            self.optimizer = torch.optim.SGD(self.model.parameters(), 0.1)

        def dataset(self) -> delta.dataset.Dataset:
            return delta.dataset.Dataset("people.csv", columns=["age", "years"], target="wage", target_dtype="float32")

        def preprocess(self, x: Tensor, y: Tensor) -> Any:
            assert y.dim() == 1
            return x, y[:, None]

    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.normal(size=40), "years": rng.normal(size=40)})
    frame["wage"] = 2 * frame.age - frame.years
    result = delta.debug(Wages(), parts=2, people=frame)
    assert isinstance(result, LearningResult)
    assert result.history["loss"].iloc[-1] < result.history["loss"].iloc[0]


# ---------------------------------------------------------------- the package around it


def test_the_example_of_delta_task_learns() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 300)
    x = (rng.integers(0, 60, (300, 1, 28, 28)) + 19 * y[:, None, None, None]).astype(np.float32)
    result = delta.debug(Example(), parts=2, mnist=(x, y))
    assert set(result.metrics) == {"loss", "precision"}
    assert set(result.parameters) == set(Example().state_dict())
    assert all(np.isfinite(v).all() for v in result.parameters.values())


def test_the_same_task_gives_the_same_bytes() -> None:
    assert classifier(validate_interval=1).build().commitment == classifier(validate_interval=1).build().commitment


def test_the_manifest_keeps_to_the_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(__file__).parents[2] / "docs/task.schema.json").read_text())
    for task in (Example(), classifier(hidden=nn.BatchNorm1d(5)), classifier(validate_interval=2, rounds=5)):
        jsonschema.validate(Bundle(task.build().data).manifest, schema)


def test_the_task_itself_is_unchanged_by_build() -> None:
    task = Example()
    before = copy.deepcopy(task.model.state_dict())
    first = task.build()
    assert isinstance(task.optimizer, torch.optim.SGD) and not task.optimizer.state
    assert all(isinstance(p, nn.Parameter) for p in task.model.parameters())
    assert all(torch.equal(before[k], v) for k, v in task.model.state_dict().items())
    assert task.build().commitment == first.commitment


def test_loading_into_another_model_is_refused_by_name() -> None:
    result = LearningResult({"0.weight": np.zeros((2, 3), np.float32)})
    with pytest.raises(ValueError, match=r"0.weight.*\[5, 4\].*\[2, 3\]"):
        result.load_into(classifier())
    with pytest.raises(ValueError, match=r"no parameter '0\.weight'"):
        result.load_into(nn.Flatten())


@pytest.mark.parametrize("kind", [FedAvg, FaultTolerantFedAvg])
def test_a_strategy_has_one_length_of_a_round(kind: Any) -> None:
    with pytest.raises(ValueError, match="both greater than 0"):
        kind(merge_epoch=1, merge_iteration=1)
    with pytest.raises(ValueError, match="must be greater than 0"):
        kind(merge_epoch=0)


def test_strategies_have_the_defaults_of_delta_task() -> None:
    assert FedAvg().length == {"epochs": 1}
    with pytest.raises(ValueError, match="must be greater than 0"):
        FaultTolerantFedAvg()
    made = FaultTolerantFedAvg(2, 3, 1, 0, 30, 10).json()
    assert (made["min_clients"], made["max_clients"], made["wait_timeout"], made["connection_timeout"]) == (
        2,
        3,
        30,
        10,
    )
    assert (made["precision"], made["curve"], made["selection"]) == (8, "secp256k1", "random")


@pytest.mark.parametrize(
    ("argument", "value"),
    [("rounds", 0), ("validate_interval", -1), ("validate_frac", 1.0), ("optimizer_state", "lose"), ("seed", -1)],
)
def test_bad_arguments_are_named(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match="max_rounds" if argument == "rounds" else argument):
        classifier(**{argument: value})
