"""What people write in torch for their own machines means the same in a task: the federated result is plain torch's."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from delta.task import ExportWarning
from sampling import one_in
from written_tasks import table, trained, trained_by_torch, written

EQUAL = table("""
== packed GRU with sorted rows anyhow
shape = (5, 2)
def make(self):
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.out = nn.GRU(2, 3, batch_first=True, bidirectional=True, num_layers=2), nn.Linear(6, 2)
        def forward(self, x):
            lengths = (x[..., 0] > 0.4).sum(1).clamp(min=1)
            packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            out, _ = self.layer(packed)
            out, lengths = pad_packed_sequence(out, batch_first=True, total_length=x.shape[1], padding_value=0.5)
            return self.out(out.mean(1)) + lengths.unsqueeze(1) * 0.1
    return Packed()
== packed LSTM, time first, projected, last state
shape = (5, 2)
def make(self):
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.out = nn.LSTM(2, 4, proj_size=3, bidirectional=True), nn.Linear(6, 2)
        def forward(self, x):
            lengths = (x[..., 0] > 0.9).sum(1).clamp(min=1)
            packed = pack_padded_sequence(x.transpose(0, 1), lengths, enforce_sorted=False)
            _, (h, c) = self.layer(packed)
            return self.out(torch.cat([h[0], h[1]], 1)) + c.mean()
    return Packed()
== autocast: torch.autocast | float32
def train(self, dataloader):
    for x, y in dataloader:
        with torch.autocast("cuda", enabled=True):
            loss = self.loss_func(self.model(x), y)
        self.update(loss)
== scaler and clipping: GradScaler | float32
def more(self):
    self.scaler = torch.amp.GradScaler("cpu")
def train(self, dataloader):
    for x, y in dataloader:
        self.optimizer.zero_grad()
        self.scaler.scale(self.loss_func(self.model(x), y)).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
        self.scaler.step(self.optimizer)
        self.scaler.update()
== device of this machine
def train(self, dataloader):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    self.model.to(device)
    for x, y in dataloader:
        x, y = x.to(device), y.to(device, non_blocking=True)
        self.update(self.loss_func(self.model(x), y) + torch.zeros(1, device=device).sum())
== double: 
def more(self):
    self.model.double()
def preprocess(self, x, y):
    return x.double() / 10, y
== compiled
def more(self):
    self.model = torch.compile(self.model)
    self.model.compile()
    self.optimizer = torch.optim.SGD(self.model.parameters(), 0.2)
    self.loss_func = torch.compile(F.cross_entropy, backend="eager")
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.model._orig_mod(x), y))
== parallel
def more(self):
    self.model = nn.DataParallel(self.model)
    self.optimizer = torch.optim.SGD(self.model.parameters(), 0.2)
== average of weights, exponential
def more(self):
    self.ema = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y))
        self.ema.update_parameters(self.model)
== average of weights with buffers and a function of one's own
def make(self):
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
def more(self):
    self.ema = AveragedModel(self.model, avg_fn=lambda mean, new, n: 0.75 * mean + 0.25 * new, use_buffers=True)
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y))
        self.ema.update_parameters(self.model)
== average of weights each round, with its schedule
def more(self):
    self.mean, self.schedule = AveragedModel(self.model), SWALR(self.optimizer, swa_lr=0.05, anneal_epochs=3)
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y))
    self.mean.update_parameters(self.model)
    self.schedule.step()
== zeros for gradients, which move nothing
def more(self):
    self.model[0].bias.requires_grad_(False)
    self.momentum = torch.optim.SGD(self.model[0].parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    self.optimizer = torch.optim.SGD(self.model[2].parameters(), 0.1)
def train(self, dataloader):
    for x, y in dataloader:
        self.momentum.zero_grad(set_to_none=False)
        self.model.zero_grad(set_to_none=False)
        self.loss_func(self.model(x), y).backward()
        self.momentum.step()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)
        self.optimizer.step()
== zero_grad at the end
def train(self, dataloader):
    for x, y in dataloader:
        self.loss_func(self.model(x), y).backward()
        self.optimizer.step()
        self.model.zero_grad(set_to_none=False)
== losses, seconds and rates that are shown: what train() returns | validate()
def more(self):
    self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 1, 0.5)
def train(self, dataloader):
    begun, losses = perf_counter(), []
    for x, y in dataloader:
        loss = self.loss_func(self.model(x), y)
        self.update(loss)
        losses.append(loss.detach())
    print(f"{perf_counter() - begun:.1f} s at {self.optimizer.param_groups[0]['lr']}")
    self.scheduler.step()
    print(self.scheduler.get_last_lr())
    return torch.stack(losses).mean()
== hooks of modules, tensors and parameters
def more(self):
    self.model[0].register_forward_hook(lambda module, given, made: made * 2)
    self.model[2].register_full_backward_hook(lambda module, given, made: (given[0] * 0.5,))
    self.model[0].weight.register_hook(lambda gradient: gradient * 0.5)
    self.model[2].bias.register_post_accumulate_grad_hook(lambda bias: (bias.grad.mul_(3), None)[1])
def train(self, dataloader):
    for x, y in dataloader:
        out = self.model(x)
        out.register_hook(lambda gradient: gradient.clamp(-0.1, 0.1))
        self.update(self.loss_func(out, y))
== hook that writes
def more(self):
    def thrice(bias):
        bias.grad.mul_(3)
    self.model[2].bias.register_post_accumulate_grad_hook(thrice)
== spectral norm
def make(self):
    return nn.Sequential(parametrizations.spectral_norm(nn.Linear(4, 3)), nn.Tanh(), nn.Linear(3, 2))
== weight norm
def make(self):
    return nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 3)), nn.Tanh(), nn.Linear(3, 2))
== logcumsumexp
def train(self, dataloader):
    for x, y in dataloader:
        out = torch.logcumsumexp(self.model(x) * 4, 1) + x.logcumsumexp(-1)[:, 1:3]
        self.update(self.loss_func(out, y))
== clipping by value, no_grad and inference_mode
def train(self, dataloader):
    for x, y in dataloader:
        with torch.no_grad():
            soft = self.model(x).softmax(1)
        with torch.inference_mode():
            hard = self.model(x).argmax(1).float().mean()
        self.optimizer.zero_grad()
        (self.loss_func(self.model(x), y) + ((self.model(x) - soft) ** 2).mean() + hard).backward()
        nn.utils.clip_grad_value_(self.model.parameters(), 0.05)
        self.optimizer.step()
== penalty on gradients
def train(self, dataloader):
    for x, y in dataloader:
        out = self.model(x.requires_grad_(True))
        gradient, = torch.autograd.grad(out.sum(), x, create_graph=True)
        self.update(self.loss_func(out, y) + 0.1 * (gradient ** 2).sum(1).mean())
== counters that are buffers
def make(self):
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    model.register_buffer("seen", torch.zeros((), dtype=torch.long))
    return model
def train(self, dataloader):
    for x, y in dataloader:
        self.model.seen += 1
        self.update(self.loss_func(self.model(x), y) / self.model.seen)
== batches that are dicts, several targets
shape = (7,)
def preprocess(self, x, y):
    return {"x": x[:, :4] / 10, "class": y, "amounts": x[:, 4:6] / 30, "weight": x[:, 6] / 60}
def make(self):
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))
def train(self, dataloader):
    for batch in dataloader:
        out = self.model(batch["x"])
        both = F.cross_entropy(out[:, :2], batch["class"], reduction="none") + ((out[:, 2:] - batch["amounts"]) ** 2).sum(1)
        self.update((both * batch["weight"]).mean())
== masks as labels
shape = (2, 4, 4)
def make(self):
    return nn.Conv2d(1, 2, 3, padding=1)
def preprocess(self, x, y):
    return x[:, :1] / 10, (x[:, 1] > 15).long()
== anomalies: detect_anomaly
def train(self, dataloader):
    with torch.autograd.set_detect_anomaly(True):
        for x, y in dataloader:
            self.update(self.loss_func(self.model(x), y))
""")


@pytest.mark.parametrize("name", one_in(3, EQUAL))
def test_it_means_what_torch_makes_of_it(name: str, tmp_path: Path) -> None:
    kind, _, _ = written(EQUAL[name], tmp_path)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        bundle = kind().build()
    words = [str(w.message) for w in said if issubclass(w.category, ExportWarning)]
    assert bool(words) == bool(EQUAL[name].words), words
    assert all(any(word in text for text in words) for word in EQUAL[name].words)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Nothing is compiled in earnest, which takes a minute.
        with torch.compiler.set_stance("force_eager"):
            result, wanted = trained(bundle, kind), trained_by_torch(kind())
    first = kind().state_dict()
    assert result.parameters.keys() <= wanted.keys()
    for key, tensor in wanted.items():
        # What never changes is not sent.
        got = result.parameters.get(key, first[key].detach().numpy())
        np.testing.assert_allclose(got, tensor.detach().numpy(), atol=2e-5, err_msg=key)
    assert any(not torch.equal(first[k], t) for k, t in wanted.items())


def test_what_wraps_a_model_has_no_say_in_its_keys(tmp_path: Path) -> None:
    plain = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    for name in ("compiled", "parallel"):
        kind, _, _ = written(EQUAL[name], tmp_path)
        task = kind()
        result = trained(task.build(), kind)
        assert result.parameters.keys() == plain.state_dict().keys()
        for model in (plain, task.model, task):
            result.load_into(model)
        np.testing.assert_array_equal(task.state_dict()["0.bias"].numpy(), plain.state_dict()["0.bias"].numpy())


def test_a_moved_model_is_said_and_left_out(tmp_path: Path) -> None:
    case = table('''
== moved: device cuda | moving a module | .cuda()
def train(self, dataloader):
    self.model.to("cuda")
    self.model.cuda()
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x.cuda()), y.to("cuda:0")) + torch.zeros(2, device="cuda").sum())
''')["moved"]  # fmt: skip
    kind, path, _ = written(case, tmp_path)
    with pytest.warns(ExportWarning) as said:
        bundle = kind().build()
    texts = [str(w.message) for w in said if issubclass(w.category, ExportWarning)]
    assert all(any(word in text for text in texts) for word in case.words)
    assert all(f"{path}:" in text for text in texts)
    result: Any = trained(bundle, kind)
    plain, _, _ = written(table("\n== plain\npass\n")["plain"], tmp_path)
    for key, value in trained(plain().build(), plain).parameters.items():
        np.testing.assert_array_equal(result.parameters[key], value)
