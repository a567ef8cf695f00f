"""Numbers that travel narrower: the ring by the bound, half precision, rounding at random; here and on real nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import delta
from conftest import Network
from delta._widths import halved, ring_bits, whole
from delta.strategy import Strategy
from delta.task import FedAvg
from delta.task.learning import GradResultStrategy
from test_training_step import CASES

CHANCE = np.random.Generator(np.random.PCG64(1))
ROWS = 80


def test_the_ring_follows_from_the_bound() -> None:
    def bits(bound: float, precision: int, most: int) -> int:
        return ring_bits(Strategy(2, most, precision=precision, ring="auto", bound=bound).json())

    # As nodes have it: 3 * 7.15 * 10^8 is below 2^31, 3 * 7.16 * 10^8 above.
    assert (bits(7.15, 8, 3), bits(7.16, 8, 3), bits(7.15, 8, 4), bits(70_000, 4, 3)) == (32, 64, 64, 32)
    assert (ring_bits({}), ring_bits({"ring": "z32"}), ring_bits({"ring": "z64"})) == (64, 32, 64)


@pytest.mark.parametrize(
    "wrong",
    [{"ring": "auto"}, {"bound": 0.0}, {"bound": float("inf")}, {"rounding": "stochastic", "reproducible": True}],
)
def test_what_cannot_work_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}="):
        Strategy(**wrong)


def test_half_precision_is_one_of_two_neighbours_and_right_on_average() -> None:
    exact = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    np.testing.assert_array_equal(halved(exact, "w", CHANCE), exact)
    for x in (0.1, -3.3, 6e-5, 3e-7):
        drawn = halved(np.full(200_000, x, np.float32), "w", CHANCE).astype(np.float64)
        low, high = np.sort(np.unique(drawn))
        assert low < x < high
        assert abs(drawn.mean() - np.float32(x)) < (high - low) * 0.01
    with pytest.raises(ValueError, match=r"^variable w: a number is above 65504"):
        halved(np.array([1.0, -70_000.0]), "w", CHANCE)


def test_rounding_at_random_keeps_whole_numbers() -> None:
    numbers = np.array([0.0, -3.0, 7.0, 1e15])
    np.testing.assert_array_equal(whole(numbers, "stochastic", CHANCE), numbers)
    assert abs(whole(np.full(100_000, -0.25), "stochastic", CHANCE).mean() + 0.25) < 0.01


def narrow(name: str, **strategy: Any) -> tuple[delta.Bundle, list[Any], str]:
    make, data, _ = CASES[name]
    torch.manual_seed(1)
    task: Any = make()
    task.learning = FedAvg(
        3, 3, 1, 0, connection_timeout=10, result_strategy=GradResultStrategy, weighting="mean", **strategy
    )
    task.strategy, task.max_rounds = task.learning, 2
    bundle = task.build()
    (dataset,) = bundle.manifest["datasets"]
    x, y = (torch.cat(part).numpy()[: 3 * ROWS] for part in zip(*data(), strict=True))
    parts = list(zip(np.array_split(x, 3), np.array_split(y, 3), strict=True))
    return bundle, parts, dataset


NARROW = {"precision": 4, "ring": "auto", "bound": 50_000, "rounding": "stochastic", "transport": "f16"}


def test_learning_with_narrow_numbers_on_nodes_is_near_the_same(network: Network) -> None:
    name = next(iter(CASES))
    bundle, parts, dataset = narrow(name, **NARROW)
    assert "in 16 bits" in bundle.describe()
    assert ring_bits(bundle.manifest["strategy"]) == 32
    for folder, (mine, labels) in zip(network.folders, parts, strict=True):
        with (folder / dataset).open("wb") as file:
            np.savez(file, x=mine.astype(np.float32), y=labels.astype(np.int64))
    task_id = network.node.create_task(bundle)
    assert network.node.wait(task_id, timeout=200, progress=False), [r["message"] for r in network.node.logs(task_id)]
    result = network.node.get_result(task_id)
    full, _, _ = narrow(name)
    plain = delta.debug(full, **{dataset: parts})
    here = delta.debug(bundle, **{dataset: parts})
    for key, value in plain.parameters.items():
        # Half precision is off by 2^-11 of a weight, and a step of the precision is 1e-4: both twice.
        for other in (result.parameters[key], here.parameters[key]):
            np.testing.assert_allclose(other, value, atol=5e-3, rtol=5e-3, err_msg=key)
        assert not np.array_equal(result.parameters[key], value)


def test_a_number_beyond_the_bound_is_not_sent() -> None:
    bundle, parts, dataset = narrow(next(iter(CASES)), ring="auto", bound=1e-3, precision=4)
    with pytest.raises(ValueError, match=r"above 0\.001, the bound that the strategy promises"):
        delta.debug(bundle, **{dataset: parts})
