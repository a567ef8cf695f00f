"""Random training loops: what nodes make of one is what torch makes of it, or ``build()`` refuses.

Loops are written to a file from pieces: code before the loop, in it and after it, much of it such as people write, some of
it such as no recording can hold. ``DELTA_LOOPS`` says how many there are; else
60, and 300 where ``DELTA_TESTS=whole`` is set.
"""

from __future__ import annotations

import importlib.util
import os
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import delta
from delta._export.errors import ExportError
from delta.task import FedAvg, HorizontalLearning
from sampling import one_in
from short import WHOLE

COUNT = int(os.environ.get("DELTA_LOOPS", "300" if WHOLE else "60"))
GROUPS = 6
ROUNDS, ROWS = 2, 10


def pieces(text: str) -> list[tuple[int, str]]:
    """How often each is taken, and its lines; what stands after "!" can only be refused."""
    out: list[tuple[int, str]] = []
    for line in text.strip().splitlines():
        if line[0].isdigit():
            often, rest = line.split(" ", 1)
            out.append((int(often), rest))
        else:
            out[-1] = (out[-1][0], f"{out[-1][1]}\n{line[2:]}")
    return out


BEFORE = pieces("""
4 w0 = [p.detach().clone() for p in self.model.parameters()]
2 teacher = copy.deepcopy(self.model)
1 start = {k: v.clone() for k, v in self.model.state_dict().items()}
1 with torch.no_grad():
      for p in self.model.parameters():
          p.mul_(0.9)
1 self.model.mean.mul_(0.5)
1 seen = 0
1 total = torch.zeros(())
1 factor = self.model[0].weight.detach().abs().mean()
1 ! shift = random.random()
1 ! shift = float(np.random.rand())
""")
LOSS = pieces("""
4 loss = loss + 0.5 * sum(((p - w) ** 2).sum() for p, w in zip(self.model.parameters(), w0))
1 loss = loss + 0.1 * sum(((p - q) ** 2).sum() for p, q in zip(self.model.parameters(), teacher.parameters()))
2 with torch.no_grad():
      target = teacher(x)
  loss = loss + ((out - target) ** 2).mean()
2 loss = loss * 0.5
1 loss = loss * factor
1 loss = loss + self.model.mean.sum() * 0.1 * out.mean()
1 loss = torch.where(loss > 1.0, loss, loss * 0.5)
1 if self.flag:
      loss = loss + 0.01 * out.abs().mean()
1 seen += 1
1 ! loss = loss * random.uniform(0.5, 1.0)
1 ! loss = loss + total
  total += loss.detach()
1 ! seen += 1
  if seen > 1:
      loss = loss * 0.0
1 ! loss = loss * (1.0 if i < 2 else 0.5)
1 ! loss = loss * [1.0, 0.5, 0.25][i]
""")
STEP = pieces("""
6 self.optimizer.zero_grad()
  loss.backward()
  self.optimizer.step()
2 self.optimizer.zero_grad()
  loss.backward()
  nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
  self.optimizer.step()
1 loss.backward()
  self.optimizer.step()
  self.optimizer.zero_grad()
1 self.optimizer.zero_grad()
  loss.backward()
  self.optimizer.step()
  with torch.no_grad():
      self.model.mean.mul_(0.9).add_(x.mean(0) * 0.1)
1 if i % 2 == 0:
      self.optimizer.zero_grad()
  loss.backward()
  self.optimizer.step()
2 (loss / 2).backward()
  if (i + 1) % 2 == 0:
      self.optimizer.step()
      self.optimizer.zero_grad()
1 (loss / 2).backward()
  if i % 2 == 1 or i + 1 == len(dataloader):
      nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
      self.optimizer.step()
      self.optimizer.zero_grad()
1 (loss / 4).backward()
  if (i + 1) % 4:
      continue
  self.optimizer.step()
  self.optimizer.zero_grad()
1 ! self.optimizer.zero_grad()
  loss.backward()
  self.optimizer.step()
  if i == 1:
      break
1 ! (loss / 2).backward()
  if seen % 2 == 0:
      self.optimizer.step()
      self.optimizer.zero_grad()
  seen += 1
1 if i == 2:
      continue
  self.optimizer.zero_grad()
  loss.backward()
  self.optimizer.step()
""")
AFTER = pieces("""
3 with torch.no_grad():
      for p in self.model.parameters():
          p.clamp_(-0.4, 0.4)
2 with torch.no_grad():
      for p, w in zip(self.model.parameters(), w0):
          p.copy_((p + w) / 2)
1 self.model.load_state_dict({k: (v + start[k]) / 2 for k, v in self.model.state_dict().items()})
2 self.scheduler.step()
1 self.model.mean.copy_(self.model[0].bias.detach().mean().expand(4))
1 with torch.no_grad():
      for p, q in zip(self.model.parameters(), teacher.parameters()):
          p.mul_(0.8).add_(q, alpha=0.2)
1 print('done', seen)
1 ! self.count += 1
1 ! self.log.append(1)
1 ! with torch.no_grad():
      self.model.mean.add_(loss.detach())
""")


def pick(chance: random.Random, pieces: list[tuple[int, str]], count: int) -> list[str]:
    """Some pieces; what can be recorded three times as often."""
    weights = [w if p.startswith("! ") else 3 * w for w, p in pieces]
    return chance.choices([p for _, p in pieces], weights, k=count)


def needs(piece: str, name: str) -> bool:
    return name in piece.replace("self.", "")


def written(number: int) -> tuple[str, bool]:
    """One ``train``, and whether all of it can be recorded."""
    chance = random.Random(number)
    before, loss, after = (pick(chance, pieces, chance.randint(0, 2)) for pieces in (BEFORE, LOSS, AFTER))
    step = pick(chance, STEP, 1)[0]
    all_pieces = [*loss, step, *after]
    for name, made in [("w0", BEFORE[0][1]), ("teacher", BEFORE[1][1]), ("start", BEFORE[2][1]), ("seen", BEFORE[5][1]),
                       ("total", BEFORE[6][1]), ("factor", BEFORE[7][1])]:  # fmt: skip
        if any(needs(p, name) for p in all_pieces) and made not in before:
            before.insert(0, made)
    head = (
        "for i, (x, y) in enumerate(dataloader):"
        if "i " in step + "".join(loss) or chance.random() < 0.3
        else "for x, y in dataloader:"
    )
    body = ["out = self.model(x)", "loss = self.loss_func(out, y)", *loss, step]
    whole = [*before, *body, *after]
    lines = [
        *before,
        head,
        *("\n".join(f"    {line}" for line in p.removeprefix("! ").splitlines()) for p in body),
        *after,
    ]
    text = "\n".join(f"    {line}" for p in lines for line in p.removeprefix("! ").splitlines())
    return f"def train_{number}(self, dataloader):\n{text}\n", not any(p.startswith("! ") for p in whole)


class Task(HorizontalLearning):
    batch_size = 4

    def __init__(self, train: Any, kind: int) -> None:
        strategy = FedAvg(min_clients=2, max_clients=2, precision=10)
        super().__init__("loop", ROUNDS, validate_interval=0, strategy=strategy)
        torch.manual_seed(kind)
        self.model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
        self.model.register_buffer("mean", torch.ones(4))
        self.loss_func = nn.CrossEntropyLoss()
        make = [
            lambda p: torch.optim.SGD(p, 0.2),
            lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
            lambda p: torch.optim.Adam(p, 0.05),
        ]
        self.optimizer = make[kind % 3](self.model.parameters())
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 1, 0.5)
        self.flag, self.count, self.log = kind % 2 == 0, 0, []
        self.written = train

    def dataset(self) -> delta.dataset.Dataset:
        return delta.dataset.Dataset("rows.npz", shape=(4,), classes=["0", "1"])

    def make_train_dataloader(self, dataset: Any) -> DataLoader[Any]:
        return DataLoader(dataset, batch_size=self.batch_size)

    def preprocess(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x / 10, y


def module(path: Path, numbers: range) -> ModuleType:
    path.write_text(
        "import copy\nimport random\n\nimport numpy as np\nimport torch\nfrom torch import nn\n\n\n"
        + "\n\n".join(written(n)[0] for n in numbers)
    )
    spec = importlib.util.spec_from_file_location("loops", path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize("group", one_in(3, range(GROUPS)))
def test_a_loop_is_what_torch_makes_of_it_or_refused(group: int, tmp_path: Path) -> None:
    numbers = range(group, COUNT, GROUPS)
    loops = module(tmp_path / "loops.py", numbers)
    chance = np.random.default_rng(group)
    x = chance.integers(0, 30, (ROWS, 4)).astype(np.float32)
    y = chance.integers(0, 2, ROWS)
    agreed = 0
    for number in numbers:
        text, possible = written(number)
        kind = type(f"Task{number}", (Task,), {"train": getattr(loops, f"train_{number}")})
        task = kind(None, number)
        try:
            bundle = task.build()
        except ExportError as error:
            assert not possible, f"{text}\n{error}"
            continue
        assert possible, text
        result = delta.debug(bundle, parts=2, **{"rows.npz": (np.concatenate([x, x]), np.concatenate([y, y]))})
        plain = kind(None, number)
        cut = [slice(at, at + plain.batch_size) for at in range(0, ROWS, plain.batch_size)]
        batches = [(torch.tensor(x[rows]) / 10, torch.tensor(y[rows])) for rows in cut]
        for _ in range(ROUNDS):
            plain.model.train()
            plain.train(batches)
        for name, wanted in plain.model.state_dict().items():
            # What never changes is not sent.
            got = result.parameters.get(name, task.model.state_dict()[name].numpy())
            np.testing.assert_allclose(got, wanted.numpy(), atol=2e-5, err_msg=text)
        agreed += 1
    assert agreed * 3 > len(numbers), "most loops can be recorded"
