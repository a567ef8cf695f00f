"""Every kind of model trains on real nodes, on whichever runtime they have, to what it trains to here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import delta
from conftest import Network
from sampling import one_in
from test_training_step import CASES

ROWS = 80
"""Rows of each node: more than one batch of every case, also without those that are only measured on."""


@pytest.mark.parametrize("name", one_in(3, CASES))
def test_a_round_on_nodes_is_a_round_here(name: str, network: Network) -> None:
    make, data, _ = CASES[name]
    torch.manual_seed(1)
    task: Any = make()
    task.learning.min_clients = task.learning.max_clients = 3
    task.learning.reproducible = True
    task.learning.connection_timeout, task.max_rounds = 10, 1
    bundle = task.build()
    (dataset,) = bundle.manifest["datasets"]
    batches = data()
    x, y = (torch.cat(part).numpy()[: 3 * ROWS] for part in zip(*batches, strict=True))
    parts = list(zip(np.array_split(x, 3), np.array_split(y, 3), strict=True))
    for folder, (mine, labels) in zip(network.folders, parts, strict=True):
        with (folder / dataset).open("wb") as file:
            np.savez(file, x=mine.astype(np.float32), y=labels.astype(np.int64))
    node = network.node
    task_id = node.create_task(bundle)
    assert node.wait(task_id, timeout=200, progress=False), [r["message"] for r in node.logs(task_id)]
    result, here = node.get_result(task_id), delta.debug(bundle, **{dataset: parts})
    assert result.parameters.keys() == here.parameters.keys()
    for key, value in result.parameters.items():
        # The gradient of a bias of attention keys is zero; what Adam divides there is rounding noise.
        if "in_proj_bias" not in key:
            np.testing.assert_allclose(value, here.parameters[key], atol=1e-4, rtol=1e-3, err_msg=key)
