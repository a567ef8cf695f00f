"""Tasks that go on with a result or a checkpoint: as if nothing had come between, and over three real nodes, too."""

from __future__ import annotations

import io
import json
import time
import warnings
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from torch import nn

import delta
import delta.dataset
from conftest import Network
from delta.task import FedAdam, FedAvg, HorizontalLearning, Scaffold
from delta.task.learning import LearningResult
from sampling import one_in
from simulation_cases import Points, points, same

pytest.importorskip("onnxruntime")
X, Y = points(90)


def run(task: HorizontalLearning, **more: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", delta.ReleaseWarning)
        return delta.debug(task, points=(X, Y), **more)


class Scheduled(Points):
    """With a schedule by rounds, whose number the coordinator keeps, batch norm and dropout."""

    def __init__(self, rounds: int, **more: Any) -> None:
        super().__init__(rounds, **more)
        self.model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.2), nn.Linear(6, 3))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.2)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, 0.5)


CASES: dict[str, Any] = {
    "iterations": lambda n, **m: Points(n, strategy=FedAvg(2, 3, merge_epoch=0, merge_iteration=4), **m),
    "FedAdam": lambda n, **m: Points(n, strategy=FedAdam(2, 3, eta=0.05, merge_epoch=2), validate_interval=2, **m),
    "reset": lambda n, **m: Points(n, momentum=0.9, optimizer_state="reset", strategy=FedAvg(2, 3), **m),
    "schedule": lambda n, **m: Scheduled(n, strategy=FedAvg(2, 3, reproducible=True), **m),
}


@pytest.mark.parametrize("case", one_in(2, CASES))
def test_it_is_what_an_uninterrupted_run_would_have_been(case: str, tmp_path: Path) -> None:
    make = CASES[case]
    whole, last = run(make(7)), run(make(3))
    assert last.rounds_done == 3
    if case == "FedAdam":
        last = run(make(5, resume_from=last))
        assert last.rounds_done == 5
    done = last.rounds_done
    last.save(tmp_path / "last")
    with warnings.catch_warnings():
        warnings.simplefilter("error", delta.ResumeWarning)
        rest = run(make(7, resume_from=tmp_path / "last"))
    assert same(rest, whole) and rest.metrics == whole.metrics and rest.walked == whole.walked
    assert rest.history.equals(whole.history.iloc[done:].reset_index(drop=True)[rest.history.columns])


def test_noise_goes_on_with_the_coordinators_optimizer() -> None:
    privacy = delta.Privacy(epsilon=800.0, delta=1e-5, clip=1.0)

    def make(rounds: int, **more: Any) -> Points:
        task = Points(4, privacy=privacy, strategy=FedAvg(2, 3, merge_epoch=1), momentum=0.9, **more)
        return task if rounds == 4 else Points(rounds, privacy=terms, strategy=task.strategy, momentum=0.9, **more)

    noise = make(4).privacy.plan(4)  # type: ignore[union-attr]
    terms = delta.Privacy(multiplier=float(noise.multiplier), delta=1e-5, clip=1.0)
    first = run(make(2), seed=1)
    second = run(make(4, resume_from=first), seed=2)
    assert second.rounds_done == 4 and second.epsilon == pytest.approx(noise.epsilon) and second.epsilon > first.epsilon
    assert {n for n in first.variables if n not in first.parameters} & {*second.variables}, "momentum goes on"
    with pytest.raises(ValueError, match="its rounds had a noise multiplier of none"):
        make(4, resume_from=run(Points(2, strategy=FedAvg(2, 3)))).build()
    with pytest.raises(ValueError, match="epsilon of both together"):
        Points(9, privacy=privacy, strategy=FedAvg(2, 3, merge_epoch=1), momentum=0.9, resume_from=first).build()


def test_what_never_left_the_members_is_said() -> None:
    task = Points(3, momentum=0.9, strategy=FedAvg(2, 3))
    first = run(task)
    with pytest.warns(
        delta.ResumeWarning, match=r"state of optimizers \(.*\) never left the members .*optimizer_state='reset'"
    ):
        Points(5, momentum=0.9, strategy=FedAvg(2, 3), resume_from=first).build()
    own = run(Points(3, strategy=FedAvg(2, 3), personal=["2.*"]))
    with pytest.warns(delta.ResumeWarning, match="personal parameters"):
        Points(5, strategy=FedAvg(2, 3), personal=["2.*"], resume_from=own).build()


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    first = run(Points(3, strategy=FedAvg(2, 3)))
    refused: list[tuple[dict[str, Any], str]] = [
        ({"rounds": 3}, "max_rounds=3: resume_from has 3 rounds behind it"),
        ({"rounds": 5, "hidden": 6}, "has shape .5, 4., in this task .6, 4.: the model is another one"),
        ({"rounds": 5, "strategy": FedAdam(2, 3)}, "it has no 'server.*: the model or the strategy is another one"),
        (
            {"rounds": 5, "strategy": FedAvg(2, 3, merge_epoch=0, merge_iteration=2)},
            "counted in epochs, and this task's are in",
        ),
        ({"rounds": 5, "strategy": Scaffold(2, 3)}, "the variates of members never left them"),
        ({"rounds": 5, "resume_from": LearningResult(first.parameters)}, "does not say what the coordinator kept"),
        ({"rounds": 5, "resume_from": tmp_path / "other"}, "is no result that save"),
    ]
    (tmp_path / "other").write_bytes(b"PK\x03\x04 something else")
    for arguments, said in refused:
        with pytest.raises(ValueError, match=said):
            Points(**{"strategy": FedAvg(2, 3), "resume_from": first, **arguments}).build()
    with pytest.raises(FileNotFoundError):
        Points(5, resume_from=tmp_path / "nowhere").build()


def test_a_file_has_everything_and_no_pickles(tmp_path: Path) -> None:
    made = run(Points(2, strategy=FedAdam(2, 3)))
    made.metrics["table"] = np.array([[1.0, np.nan]])
    made.save(tmp_path / "r.npz")
    back = LearningResult.load(tmp_path / "r.npz")
    assert same(back, made) and back.history.equals(made.history) and back.rounds == made.rounds
    assert (
        np.array_equal(back.metrics["table"], made.metrics["table"], equal_nan=True)
        and back.metrics["loss"] == made.metrics["loss"]
    )
    assert {k: v.tolist() for k, v in back.variables.items()} == {k: v.tolist() for k, v in made.variables.items()}
    assert [p.name for p in tmp_path.iterdir()] == ["r.npz"]
    np.savez(tmp_path / "bad.npz", **{"delta.json": np.array([{}], object)})
    with pytest.raises(ValueError, match="is no result that save"):
        LearningResult.load(tmp_path / "bad.npz")


# ---------------------------------------------------------------- what a node answers
def answering(code: int, content: bytes, **headers: str) -> delta.DeltaNode:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/task/checkpoint":
            return httpx.Response(code, content=content, headers=headers)
        if request.url.path == "/v1/task/bundle":
            return httpx.Response(200, content=delta.Bundle.pack({"name": "s", "rounds": []}, {}, {}).data)
        told = {"status": "RUNNING", "round": 1, "rounds": 2, "waits_for": None, "error": None, "history": []}
        return httpx.Response(200, content=json.dumps(told))

    return delta.DeltaNode("http://node", client=httpx.Client(transport=httpx.MockTransport(answer)))


def test_what_is_no_checkpoint_is_an_error() -> None:
    with pytest.raises(delta.DeltaNodeError, match="Not Found"):
        answering(404, b'{"detail":"Not Found"}').checkpoint(7)
    with pytest.raises(delta.DeltaNodeError, match="not an answer of a delta-node"):
        answering(200, b"hello").checkpoint(7)
    out = io.BytesIO()
    np.savez(out, a=np.zeros(1))
    with pytest.raises(delta.DeltaNodeError, match="task 7 is no learning task"):
        answering(200, out.getvalue(), **{"x-delta-steps": "1"}).checkpoint(7)


# ---------------------------------------------------------------- over three nodes
class Digits(HorizontalLearning):
    batch_size = 64

    def __init__(self, rounds: int, **more: Any) -> None:
        strategy = FedAdam(3, 3, eta=0.03, connection_timeout=20, wait_timeout=60)
        super().__init__("digits", rounds, strategy=strategy, validate_interval=2, **more)
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        self.loss_func = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset("digits", shape=(1, 8, 8), classes=[str(i) for i in range(10)])

    def preprocess(self, x: Any, y: Any) -> Any:
        return x / 255, y


def test_a_cancelled_task_goes_on_over_nodes(network: Network, tmp_path: Path) -> None:
    node, kept = network.node, tmp_path / "digits.ckpt"
    whole = node.create_task(Digits(6))
    assert node.wait(whole, timeout=120, progress=False)
    task = node.attach(node.create_task(Digits(200)))
    with pytest.raises(delta.DeltaNodeError, match=rf"task {task.task_id} has finished no round"):
        task.checkpoint()

    def stop(number: int, _: Any) -> None:
        if number == 3:
            task.cancel()

    assert not task.wait(timeout=120, progress=False, on_round=stop, checkpoint=kept)
    made = task.checkpoint()
    assert same(made, LearningResult.load(kept)) and 3 <= made.rounds_done < 200
    assert len(made.history) == made.rounds_done and made.rounds[0]["members"] == 3
    if made.rounds_done >= 6:
        pytest.skip("this machine was too slow to cancel in time")
    rest = node.create_task(Digits(6, resume_from=kept))
    assert node.wait(rest, timeout=120, progress=False)
    result, expected = node.get_result(rest), node.get_result(whole)
    assert result.rounds_done == 6 and result.history["round"].iloc[0] == made.rounds_done + 1
    for key, value in expected.parameters.items():
        np.testing.assert_allclose(result.parameters[key], value, atol=1e-6)
    assert result.metrics["loss"] == pytest.approx(expected.metrics["loss"], abs=1e-6)
    # What has finished can be gone on with, too.
    after = node.checkpoint(whole)
    assert same(after, expected) and after.rounds_done == 6


def test_a_checkpoint_is_there_while_the_task_runs(network: Network) -> None:
    node = network.node
    task = node.attach(node.create_task(Digits(100)))
    try:
        seen: list[int] = []
        until = time.monotonic() + 60
        while len(seen) < 2 and time.monotonic() < until:
            try:
                done = task.checkpoint().rounds_done
            except delta.DeltaNodeError as error:
                assert "has finished no round" in str(error)
                done = 0
            if done and done not in seen:
                seen.append(done)
            time.sleep(0.1)
        assert seen == sorted(seen) and len(seen) == 2
    finally:
        task.cancel()
