"""Handwritten digits over three nodes: a convolutional network, trained without the images leaving their nodes.

    delta-node demo --keep                    # in another terminal: three nodes on this machine
    python examples/learning.py               # or: --local, without nodes

The loops are written as always in PyTorch; build() turns them into graphs, and only those go to the nodes.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import delta
from delta.task import FaultTolerantFedAvg, HorizontalLearning


class Digits(HorizontalLearning):
    def __init__(self) -> None:
        super().__init__(
            "digits",
            max_rounds=10,
            validate_frac=0.2,
            strategy=FaultTolerantFedAvg(min_clients=2, max_clients=3, merge_epoch=1),
            description="Recognises handwritten digits of 8 by 8 pixels.",
        )
        torch.manual_seed(0)
        self.model = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10)
        )
        self.loss_func = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9, nesterov=True)

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset("digits", shape=(1, 8, 8), classes=[str(i) for i in range(10)])

    def make_train_dataloader(self, dataset: Any) -> DataLoader[Any]:
        return DataLoader(dataset, batch_size=32, shuffle=True)

    def make_validate_dataloader(self, dataset: Any) -> DataLoader[Any]:
        return DataLoader(dataset, batch_size=256)

    def preprocess(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x / 255 - 0.5, y

    def train(self, dataloader: Any) -> None:
        for x, y in dataloader:
            loss = self.loss_func(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def validate(self, dataloader: Any) -> dict[str, Any]:
        total, correct, rows = 0, 0, 0
        for x, y in dataloader:
            y_pred = self.model(x)
            total += self.loss_func(y_pred, y) * y.shape[0]
            correct += (y_pred.argmax(dim=1) == y).sum()
            rows += y.shape[0]
        return {"loss": total / rows, "accuracy": correct / rows}


def local(bundle: delta.Bundle) -> Any:
    """Run the task in this process, on rows that three members might have."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    x = (loaded.images[:, None] * (255 / 16)).round().astype("float32")
    show = lambda number, metrics: print(f"round {number}: accuracy {metrics['accuracy']:.3f}")  # noqa: E731
    return delta.debug(bundle, digits=(x, loaded.target.astype("int64")), parts=3, on_round=show)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", default="http://127.0.0.1:6700", help="url of the node that coordinates")
    parser.add_argument("--local", action="store_true", help="without nodes, in this process")
    parser.add_argument("--save", metavar="FILE", help="write the bundle and stop")
    arguments = parser.parse_args()
    task = Digits()
    bundle = task.build()
    if arguments.save:
        bundle.save(arguments.save)
        return
    print(bundle.describe(), end="\n\n")
    if arguments.local:
        result = local(bundle)
    else:
        node = delta.DeltaNode(arguments.node)
        number = node.create_task(bundle)
        node.wait(number)
        result = node.get_result(number)
    result.load_into(task.model)
    print(
        f"accuracy {result.metrics['accuracy']:.3f} on rows that no member trained on, after {task.max_rounds} rounds"
    )


if __name__ == "__main__":
    main()
