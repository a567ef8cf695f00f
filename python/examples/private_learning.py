"""Handwritten digits under noise: what three nodes give away says little about any one image, by a stated measure.

    python examples/private_nodes.py                   # in another terminal: three nodes on this machine, with a budget
    python examples/private_learning.py --node URL     # or: --local, without nodes

The class is written as without privacy. Each round then is one step: a node computes the gradient of each of its images by
itself, bounds it, adds all up and adds its share of the noise. The coordinator takes the optimizer's step with the mean.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import delta
from delta.task import FaultTolerantFedAvg, HorizontalLearning

MEMBERS = 3
# Epsilon is that of all rounds together, not of one: more rounds mean more noise in each.
PRIVACY = delta.Privacy(epsilon=3.0, delta=1e-5, clip=1.0)


class PrivateDigits(HorizontalLearning):
    def __init__(self) -> None:
        super().__init__(
            "private digits",
            max_rounds=40,
            strategy=FaultTolerantFedAvg(min_clients=MEMBERS, max_clients=MEMBERS, merge_epoch=1),
            description="Recognises handwritten digits of 8 by 8 pixels, with noise that hides each image.",
            privacy=PRIVACY,
        )
        torch.manual_seed(0)
        # Few parameters: the noise goes into each of them.
        self.model = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10)
        )
        self.loss_func = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1.0, momentum=0.9)

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset("digits", shape=(1, 8, 8), classes=[str(i) for i in range(10)])

    def preprocess(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x / 255 - 0.5, y

    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            loss = self.loss_func(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


def digits() -> list[tuple[Any, Any]]:
    """Take the images that the three nodes have."""
    from private_nodes import images

    return [images(i) for i in range(MEMBERS)]


def accuracy(model: nn.Module) -> float:
    """Measure on all images of the three nodes, as only this machine can, which has them."""
    x, y = (np.concatenate(part) for part in zip(*digits(), strict=True))
    with torch.no_grad():
        guess = model(torch.from_numpy(x).float() / 255 - 0.5).argmax(1).numpy()
    return float((guess == y).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", default="http://127.0.0.1:6700", help="url of the node that coordinates")
    parser.add_argument("--local", action="store_true", help="without nodes, in this process")
    parser.add_argument("--save", metavar="FILE", help="write the bundle and stop")
    arguments = parser.parse_args()
    task = PrivateDigits()
    bundle = task.build()
    if arguments.save:
        bundle.save(arguments.save)
        return
    print(bundle.describe(), end="\n\n")
    if arguments.local:
        result = delta.debug(bundle, digits=digits(), parts=MEMBERS)
    else:
        node = delta.DeltaNode(arguments.node)
        number = node.create_task(bundle)
        node.wait(number)
        result = node.get_result(number)
    result.load_into(task.model)
    print(f"accuracy   {accuracy(task.model):.3f} on the images that it was trained on, after {task.max_rounds} rounds")
    print(f"members    {MEMBERS}")
    print(f"cost       epsilon {result.epsilon:.4f} at delta {result.delta:g}, for each image")


if __name__ == "__main__":
    main()
