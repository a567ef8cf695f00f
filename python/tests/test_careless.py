"""Careless tasks: ``build()`` names the line and the remedy, whatever it is that would not work, or mean something else.

Of three cases two are tried; all of them where ``DELTA_TESTS=whole`` is set.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

import short
from delta.task.learning import ExportError
from written_tasks import table, written

IN_TRAIN = table("""
== clock: a number that is only to be shown | what a clock says | result.rounds
def train(self, dataloader):
    begun = time.time()
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y) * (1 + begun % 1))  # here
== clock by its own name: only to be shown | result.rounds
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y) * perf_counter())  # here
== clock that decides: a decision on a clock
def train(self, dataloader):
    begun = time.monotonic()
    for x, y in dataloader:
        if time.monotonic() - begun < 3600:  # here
            self.update(self.loss_func(self.model(x), y))
== date: datetime.datetime | result.rounds
def train(self, dataloader):
    day = datetime.datetime.now()  # here
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y) * day.second)
== date by its own name: datetime.datetime
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y) * clock_of_days.utcnow().second)  # here
== urandom: os.urandom | torch.rand_like
def train(self, dataloader):
    byte = os.urandom(1)[0]  # here
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y) * byte)
== secrets: secrets.randbelow | torch.rand_like
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y) * secrets.randbelow(9))  # here
== uuid: uuid.uuid4 | torch.rand_like
def train(self, dataloader):
    number = uuid.uuid4().int % 7  # here
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y) * number)
== generator of the module: DICE | torch.rand_like
def train(self, dataloader):
    factor = DICE.random()  # here
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y) * factor)
== generator in an object: BOX.dice | torch.rand_like
def train(self, dataloader):
    factor = BOX.dice.random()  # here
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y) * factor)
== generator of torch: generator= | seed=
def train(self, dataloader):
    for x, y in dataloader:
        x = x + torch.rand(x.shape, generator=TORCH)  # here
        self.update(self.loss_func(self.model(x), y))
== seed of torch: torch.manual_seed | HorizontalLearning(seed=...)
def train(self, dataloader):
    torch.manual_seed(3)  # here
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x + torch.randn_like(x)), y))
== counter in a function elsewhere: COUNT | register_buffer
def often(self, loss):
    global COUNT
    COUNT += 1  # here
    return loss if COUNT < 100 else loss * 0
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.often(self.loss_func(self.model(x), y)))
== counter in an object: BOX.count | register_buffer
def train(self, dataloader):
    for x, y in dataloader:
        BOX.count += 1  # here
        self.update(self.loss_func(self.model(x), y))
== counter in a model: self.model.calls | register_buffer
def make(self):
    class Counting(nn.Linear):
        calls = 0
        def forward(self, x):
            self.calls = self.calls + 1  # here
            return super().forward(x) if self.calls < 100 else x[:, :2]
    return Counting(4, 2)
== counter in a closure: n | register_buffer
def more(self):
    n = 0
    def scaled(loss):
        nonlocal n
        n += 1  # here
        return loss if n < 100 else loss * 0
    self.scaled = scaled
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.scaled(self.loss_func(self.model(x), y)))
== counter that is an iterator: self.numbers | register_buffer
def more(self):
    self.numbers = itertools.count()
def train(self, dataloader):
    for x, y in dataloader:
        number = next(self.numbers)  # here
        self.update(self.loss_func(self.model(x), y))
== gradients of the round before: left over | zero_grad()
def train(self, dataloader):
    self.model(torch.ones(1, 4)).sum().backward()  # here
    self.optimizer.step()
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y))
== gradients that go over: left over | zero_grad()
def train(self, dataloader):
    for x, y in dataloader:
        self.loss_func(self.model(x), y).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
    (self.model[0].weight ** 2).sum().backward()
== gradients of several batches, counted by hand: count is used | enumerate(dataloader) | batch_size
def train(self, dataloader):
    count = 0
    for x, y in dataloader:
        (self.loss_func(self.model(x), y) / 4).backward()
        count += 1
        if count % 4 == 0:  # here
            self.optimizer.step()
            self.optimizer.zero_grad()
== a variable under a condition: loss = | under a condition | torch.where
def train(self, dataloader):
    for i, (x, y) in enumerate(dataloader):
        loss = self.loss_func(self.model(x), y)
        if i % 2 == 0:
            loss = loss * 0.5  # here
        self.update(loss)
== zeros for gradients, momentum: zero_grad(set_to_none=False) | an optimizer of its own
def more(self):
    self.optimizer = torch.optim.SGD(self.model.parameters(), 0.1, momentum=0.9)
def train(self, dataloader):
    for x, y in dataloader:
        for inside in (self.model[0](x), self.model[0](x).detach()):
            self.optimizer.zero_grad(set_to_none=False)
            self.loss_func(self.model[2](inside), y).backward()
            self.optimizer.step()
== zeros for gradients, of a module: zero_grad(set_to_none=False) | an optimizer of its own
def more(self):
    self.optimizer = torch.optim.AdamW(self.model.parameters(), 0.1)
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y))
        self.model.zero_grad(set_to_none=False)
        self.loss_func(self.model[2](self.model[0](x).detach()), y).backward()
        self.optimizer.step()
== a condition on the length: arithmetic with len(dataloader) | (i + 1) % 4 == 0
def train(self, dataloader):
    for i, (x, y) in enumerate(dataloader):
        (self.loss_func(self.model(x), y) / 4).backward()
        if i > len(dataloader) // 2:  # here
            self.optimizer.step()
            self.optimizer.zero_grad()
== all but the last: all batches but the last | only behind or
def train(self, dataloader):
    for i, (x, y) in enumerate(dataloader):
        self.loss_func(self.model(x), y).backward()
        if i + 1 != len(dataloader):  # here
            self.optimizer.step()
            self.optimizer.zero_grad()
== the last batch under another condition: but the last | under no other condition
def train(self, dataloader):
    for i, (x, y) in enumerate(dataloader):
        self.loss_func(self.model(x), y).backward()
        if i > 2:
            if i % 2 == 0 or i + 1 == len(dataloader):  # here
                self.optimizer.step()
                self.optimizer.zero_grad()
== something behind the last batch: the last thing | end of the loop
def train(self, dataloader):
    for i, (x, y) in enumerate(dataloader):
        (self.loss_func(self.model(x), y) / 4).backward()
        if i % 4 == 3 or i == len(dataloader) - 1:
            self.optimizer.step()
            self.optimizer.zero_grad()
        with torch.no_grad():
            self.model[0].weight.clamp_(-1, 1)
== a condition in a function of its own: i is used
def train(self, dataloader):
    def go():
        for i, (x, y) in enumerate(dataloader):
            self.optimizer.zero_grad()
            self.loss_func(self.model(x), y).backward()
            if i % 2 == 0:  # here
                self.optimizer.step()
    go()
== a gradient in some batches: there in some batches | backward() in every batch
def train(self, dataloader):
    for i, (x, y) in enumerate(dataloader):
        self.optimizer.zero_grad()
        self.loss_func(self.model(x), y).backward()
        if i % 2 == 0:
            self.model[0].zero_grad()
        self.optimizer.step()
== optimizer in train: optimizer Adam | make it in __init__
def train(self, dataloader):
    optimizer = torch.optim.Adam(self.model.parameters())  # here
    for x, y in dataloader:
        optimizer.zero_grad()
        self.loss_func(self.model(x), y).backward()
        optimizer.step()
== schedule in train: scheduler StepLR | make it in __init__
def train(self, dataloader):
    scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 1)  # here
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y))
    scheduler.step()
== rate of a schedule: only to be shown | the rate that the schedule gives
def more(self):
    self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 1, 0.5)
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y) * self.optimizer.param_groups[0]["lr"])  # here
    self.scheduler.step()
== hook of an optimizer: it has hooks | into train()
def more(self):
    self.optimizer.register_step_post_hook(lambda optimizer, args, kwargs: None)
== saved: torch.save | load_into
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y))
    torch.save(self.model.state_dict(), "model.pt")  # here
== NaN: raise in the loop | not finite sends nothing
def train(self, dataloader):
    for x, y in dataloader:
        loss = self.loss_func(self.model(x), y)
        if torch.isnan(loss):
            raise ValueError("nan")  # here
        self.update(loss)
== all batches at once: the loop over dataloader | for x, y in dataloader
def train(self, dataloader):
    for x, y in list(dataloader):  # here
        self.update(self.loss_func(self.model(x), y))
== statistics once more: update_bn | use_buffers=True
def more(self):
    self.ema = AveragedModel(self.model)
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y))
    update_bn(dataloader, self.ema)  # here
== packed data: the data of a packed sequence | before pack_padded_sequence
shape = (5, 2)
def train(self, dataloader):
    for x, y in dataloader:
        packed = pack_padded_sequence(x, (x > 0).all(2).sum(1), batch_first=True)
        self.update(self.model(packed.data.repeat(1, 2)).sum())  # here
== length of what is unpacked: pad_packed_sequence | total_length=5
shape = (5, 4)
def train(self, dataloader):
    for x, y in dataloader:
        packed = pack_padded_sequence(x, (x > 0).all(2).sum(1), batch_first=True, enforce_sorted=False)
        x, lengths = pad_packed_sequence(packed, batch_first=True)  # here
        self.update(self.loss_func(self.model(x.mean(1)), y))
== half in the loop: torch.float16 | float32 or float64
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x.half().float()), y))  # here
== another tensor for a buffer: self.model.n = | copy_
def make(self):
    model = nn.Linear(4, 2)
    model.register_buffer("n", torch.zeros(()))
    return model
def train(self, dataloader):
    for x, y in dataloader:
        self.model.n = self.model.n + 1  # here
        self.update(self.loss_func(self.model(x), y))
== list of what a hook sees: self.seen | register_buffer
def more(self):
    self.seen = []
    self.model[0].register_forward_hook(lambda module, given, made: self.seen.append(made))  # here
== mixing by a distribution: a distribution that looks at its numbers | validate_args=False
def train(self, dataloader):
    for x, y in dataloader:
        share = torch.distributions.Beta(0.4, 0.4).sample()  # here
        self.update(self.loss_func(self.model(share * x + (1 - share) * x.flip(0)), y))
== assert: assert on a tensor's value | not finite sends nothing
def train(self, dataloader):
    for x, y in dataloader:
        out = self.model(x)
        assert not torch.isnan(out).any()  # here
        self.update(self.loss_func(out, y))
== clipping with an error: error_if_nonfinite | not finite sends nothing
def train(self, dataloader):
    for x, y in dataloader:
        self.optimizer.zero_grad()
        self.loss_func(self.model(x), y).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0, error_if_nonfinite=True)  # here
        self.optimizer.step()
== double in train: torch.float64 | in __init__
def train(self, dataloader):
    self.model.double()  # here
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x.double()), y))
""")

WHOLE = table("""
== super is forgotten: super().__init__() | begin with
class Task(HorizontalLearning):
    def __init__(self):  # here
        self.model = nn.Linear(4, 2)
    def dataset(self):
        return delta.dataset.Dataset("rows.npz", shape=[4])
== super is forgotten in analytics: super().__init__() | begin with
from delta.task import HorizontalAnalytics
class Task(HorizontalAnalytics):
    def __init__(self):  # here
        self.columns = ["a"]
    def dataset(self):
        return {"t": delta.dataset.DataFrame("t.csv", columns=["a"])}
    def execute(self, t):
        return t.mean()
== sizes that do not fit: Linear(in_features=5 | make the sizes fit
def make(self):
    return nn.Sequential(nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 2))
== sizes that do not fit in a line: make the sizes fit
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(x @ torch.ones(3, 2), y))  # here
== channels: make the sizes fit
shape = (3, 4, 4)
def make(self):
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
== too few outputs: 2 outputs | 5 classes | let the last layer have 5
count = 5
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y))  # here
== one output: 1 output | BCEWithLogitsLoss
def make(self):
    return nn.Linear(4, 1)
== too few outputs in validate: 2 outputs | 3 classes
count = 3
def __init__(self):
    super().__init__(validate_interval=1)
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.model(x), y % 2))
def validate(self, dataloader):
    total = 0
    for x, y in dataloader:
        total += F.cross_entropy(self.model(x), y, reduction="sum")  # here
    return {"loss": total}
== double model, single rows: a product of two types | float32 and float64 meet | x.double()
def more(self):
    self.model.double()
== half model: torch.float16 | float32
def more(self):
    self.model.half()
== binary labels as they are: Target size | y.float().unsqueeze(1)
def make(self):
    return nn.Linear(4, 1)
def train(self, dataloader):
    for x, y in dataloader:
        self.update(F.binary_cross_entropy_with_logits(self.model(x), y))  # here
== whole labels for a mean square: convert in preprocess()
def train(self, dataloader):
    for x, y in dataloader:
        self.update(F.mse_loss(self.model(x).argmax(1), y))  # here
== labels as floats: class numbers are y.long()
def preprocess(self, x, y):
    return x, y.float()
def make(self):
    return nn.Linear(4, 2)
def train(self, dataloader):
    for x, y in dataloader:
        self.update(F.nll_loss(self.model(x), y))  # here
== labels that are not there: the batch is one tensor | has no labels
def dataset(self):
    return delta.dataset.Dataset("rows.npz", shape=[4])
def preprocess(self, x):
    return x
def train(self, dataloader):
    for x, y, z in dataloader:  # here
        self.update(self.loss_func(self.model(x), y))
== loss that is no number: loss.mean()
def train(self, dataloader):
    for x, y in dataloader:
        self.update(F.cross_entropy(self.model(x), y, reduction="none"))
== loss that is cut off: made of nothing that is trained
def train(self, dataloader):
    for x, y in dataloader:
        with torch.no_grad():
            loss = self.loss_func(self.model(x), y)
        loss.backward()  # here
        self.optimizer.step()
== name that is not there: has no attribute 'modell' | with torch alone
def train(self, dataloader):
    for x, y in dataloader:
        self.update(self.loss_func(self.modell(x), y))  # here
== error of one's own: ValueError: not today
def preprocess(self, x, y):
    raise ValueError("not today")  # here
== dataset as in analytics: dataset() | it returns dict | delta.dataset.Dataset
def dataset(self):
    return {"rows": delta.dataset.Dataset("rows.npz", shape=[4])}
== measuring part of it: break in the loop | validate_frac
def __init__(self):
    super().__init__(validate_interval=1)
def validate(self, dataloader):
    total = 0
    for i, (x, y) in enumerate(dataloader):
        if i == 10:
            break  # here
        total += x.sum()
    return {"sum": total}
== measuring some batches: i decides
def __init__(self):
    super().__init__(validate_interval=1)
def validate(self, dataloader):
    total = 0
    for i, (x, y) in enumerate(dataloader):
        if i % 10 == 0:  # here
            total += x.sum()
    return {"sum": total}
== measuring with dice: random.random | torch.rand_like
def __init__(self):
    super().__init__(validate_interval=1)
def validate(self, dataloader):
    total, factor = 0, random.random()  # here
    for x, y in dataloader:
        total += x.sum() * factor
    return {"sum": total}
== measuring with noise: it draws random numbers | self.training
def __init__(self):
    super().__init__(validate_interval=1)
def validate(self, dataloader):
    total = 0
    for x, y in dataloader:
        total += (x + torch.randn_like(x)).sum()  # here
    return {"sum": total}
== measuring samples: multinomial
def __init__(self):
    super().__init__(validate_interval=1)
def validate(self, dataloader):
    total = 0
    for x, y in dataloader:
        total += torch.multinomial(self.model(x).softmax(1), 1).sum()  # here
    return {"sum": total}
""")
CASES = IN_TRAIN | WHOLE
TRIED = [name for i, name in enumerate(CASES) if i % 3 or short.WHOLE]


@pytest.mark.parametrize("name", TRIED)
def test_the_line_and_the_remedy_are_named(name: str, tmp_path: Path) -> None:
    kind, path, line = written(CASES[name], tmp_path)
    with pytest.raises(ExportError) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind().build()
    text = str(caught.value)
    assert all(word in text for word in CASES[name].words), text
    assert caught.value.instead
    assert not re.search(r"0x[0-9a-f]{6}|FakeTensor|\bs\d\b|\bu\d\b", text), text
    assert line is None or f"{path}:{line}" in text, text


def test_there_are_many() -> None:
    assert len(TRIED) >= 40
