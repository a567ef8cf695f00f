"""Small models that each use one more layer, function or loss of torch: `CASES[name]()` is (model, loss, data)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Case = tuple[nn.Module, Callable[[Any, Tensor], Tensor], Callable[[int], tuple[Tensor, Tensor]]]
R, I = torch.randn, torch.randint  # noqa: E741
entropy, squares = nn.CrossEntropyLoss(), nn.MSELoss()


class Calls(nn.Module):
    """A function of (self, x) as a module, with submodules."""

    def __init__(self, function: Callable[..., Tensor], **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def image(*layers: nn.Module, channels: int = 3, size: int = 12) -> Case:
    body = nn.Sequential(*layers)
    width = body(R(2, channels, size, size)).flatten(1).shape[1]
    model = nn.Sequential(body, nn.Flatten(), nn.Linear(width, 4))
    return model, entropy, lambda rows: (R(rows, channels, size, size), I(0, 4, (rows,)))


def signal(*layers: nn.Module) -> Case:
    body = nn.Sequential(*layers)
    width = body(R(2, 4, 20)).flatten(1).shape[1]
    return (
        nn.Sequential(body, nn.Flatten(), nn.Linear(width, 3)),
        entropy,
        lambda rows: (R(rows, 4, 20), I(0, 3, (rows,))),
    )


def volume(*layers: nn.Module) -> Case:
    body = nn.Sequential(*layers)
    width = body(R(2, 1, 6, 6, 6)).flatten(1).shape[1]
    model = nn.Sequential(body, nn.Flatten(), nn.Linear(width, 3))
    return model, entropy, lambda rows: (R(rows, 1, 6, 6, 6), I(0, 3, (rows,)))


def vector(*layers: nn.Module) -> Case:
    body = nn.Sequential(nn.Linear(8, 16), *layers)
    model = nn.Sequential(body, nn.Linear(body(R(2, 8)).shape[1], 3))
    return model, entropy, lambda rows: (R(rows, 8), I(0, 3, (rows,)))


def function(f: Callable[[Tensor], Tensor]) -> Case:
    model = Calls(lambda s, x: s.last(f(s.first(x))), first=nn.Linear(8, 16), last=nn.LazyLinear(3))
    return model, entropy, lambda rows: (R(rows, 8), I(0, 3, (rows,)))


def loss(l: Callable[..., Tensor], y: Callable[[int], Tensor], act: Callable[[Tensor], Tensor] = lambda z: z) -> Case:  # noqa: E741
    return nn.Linear(8, 3), (lambda p, t: l(act(p), t)), lambda rows: (R(rows, 8), y(rows))


def recurrent(module: nn.Module) -> Case:
    model = Calls(lambda s, x: s.last(s.inner(x)[0][:, -1]), inner=module, last=nn.LazyLinear(3))
    return model, entropy, lambda rows: (R(rows, 6, 5), I(0, 3, (rows,)))


def sequence(f: Callable[..., Tensor], **modules: nn.Module) -> Case:
    model = Calls(lambda s, x: s.last(f(s, x).mean(1)), last=nn.Linear(8, 3), **modules)
    return model, entropy, lambda rows: (R(rows, 5, 8), I(0, 3, (rows,)))


def words(*layers: nn.Module) -> Case:
    return nn.Sequential(*layers), entropy, lambda rows: (I(0, 30, (rows, 5)), I(0, 3, (rows,)))


conv = partial(nn.Conv2d, 3, 6)
classes = lambda rows: I(0, 3, (rows,))  # noqa: E731
reals = lambda rows: R(rows, 3)  # noqa: E731
bits = lambda rows: (torch.rand(rows, 3) > 0.5).float()  # noqa: E731
log_softmax = partial(F.log_softmax, dim=1)
ACTIVATIONS = (
    nn.ReLU, nn.Tanh, nn.Sigmoid, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Softsign,
    nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.Hardtanh, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid, nn.LogSigmoid,
    nn.Tanhshrink, nn.Softshrink, nn.Hardshrink, nn.Identity, nn.GLU,
)  # fmt: skip

CASES: dict[str, Callable[[], Case]] = {
    **{f"act.{a.__name__}": partial(lambda a: vector(a()), a) for a in ACTIVATIONS},
    "act.Softmax": lambda: vector(nn.Softmax(1)),
    "act.gelu_tanh": lambda: vector(nn.GELU("tanh")),
    "act.relu_inplace": lambda: vector(nn.ReLU(inplace=True)),
    "act.sqrt_of_relu": lambda: function(lambda h: (h.relu() + 1e-3).sqrt()),
    "conv.stride2": lambda: image(conv(3, stride=2, padding=1)),
    "conv.stride2_then_conv": lambda: image(conv(3, stride=2, padding=1), nn.Conv2d(6, 8, 3, padding=1)),
    "conv.dilated": lambda: image(conv(3, dilation=2)),
    "conv.deep_dilated": lambda: image(conv(3), nn.Conv2d(6, 6, 3, dilation=2)),
    "conv.deep": lambda: image(conv(3), nn.Conv2d(6, 8, (3, 2), padding=(1, 0)), nn.Conv2d(8, 8, 5)),
    "conv.groups": lambda: image(conv(3, groups=3)),
    "conv.groups2": lambda: image(conv(3), nn.Conv2d(6, 8, 3, groups=2)),
    "conv.same": lambda: image(conv(3, padding="same")),
    "conv.reflect": lambda: image(conv(3, padding=1, padding_mode="reflect")),
    "conv.replicate": lambda: image(conv(3, padding=1, padding_mode="replicate")),
    "conv.circular": lambda: image(conv(3, padding=1, padding_mode="circular")),
    "conv.1x1": lambda: image(conv(1)),
    "conv.1d": lambda: signal(nn.Conv1d(4, 6, 3), nn.Conv1d(6, 6, 3, stride=2, padding=1)),
    "conv.3d": lambda: volume(nn.Conv3d(1, 3, 3)),
    "convT.2d": lambda: image(conv(3, stride=2), nn.ConvTranspose2d(6, 3, 3, stride=2)),
    "convT.output_padding": lambda: image(conv(3, stride=2), nn.ConvTranspose2d(6, 3, 3, stride=2, output_padding=1)),
    "convT.padding": lambda: image(conv(3, stride=2), nn.ConvTranspose2d(6, 3, 4, 2, 1, bias=False)),
    "convT.groups": lambda: image(conv(3), nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2)),
    "convT.1d": lambda: signal(nn.Conv1d(4, 6, 3), nn.ConvTranspose1d(6, 2, 3, 2, output_padding=1)),
    "pool.max": lambda: image(conv(3), nn.MaxPool2d(2)),
    "pool.max_ties": lambda: image(conv(3), nn.ReLU(), nn.MaxPool2d(2)),
    "pool.max_uneven": lambda: image(conv(2), nn.ReLU(), nn.MaxPool2d((3, 2))),
    "pool.max3s2p1": lambda: image(conv(3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
    "pool.max_dilated": lambda: image(conv(3), nn.MaxPool2d(2, 1, 0, 2)),
    "pool.max5": lambda: image(conv(3), nn.MaxPool2d(5, 2)),
    "pool.max_ceil": lambda: image(conv(2), nn.MaxPool2d(2, ceil_mode=True)),
    "pool.max1d": lambda: signal(nn.Conv1d(4, 6, 3), nn.MaxPool1d(2)),
    "pool.max3d": lambda: volume(nn.Conv3d(1, 3, 3), nn.MaxPool3d(2)),
    "pool.avg": lambda: image(conv(3), nn.AvgPool2d(2)),
    "pool.avg3s2p1": lambda: image(conv(3), nn.AvgPool2d(3, 2, 1)),
    "pool.avg_without_pad": lambda: image(conv(3), nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
    "pool.avg_ceil": lambda: image(conv(2), nn.AvgPool2d(2, ceil_mode=True)),
    "pool.avg_ceil_pad": lambda: image(conv(3), nn.AvgPool2d(3, 2, 1, ceil_mode=True)),
    "pool.avg_divisor": lambda: image(conv(3), nn.AvgPool2d(2, divisor_override=3)),
    "pool.avg_cut": lambda: image(conv(2), nn.AvgPool2d((2, 3))),
    "pool.avg1d": lambda: signal(nn.Conv1d(4, 6, 3), nn.AvgPool1d(2)),
    "pool.avg3d": lambda: volume(nn.Conv3d(1, 3, 3), nn.AvgPool3d(2)),
    "pool.adaptive_avg1": lambda: image(conv(3), nn.AdaptiveAvgPool2d(1)),
    "pool.adaptive_avg5": lambda: image(conv(3), nn.AdaptiveAvgPool2d(5)),
    "pool.adaptive_avg_odd": lambda: image(conv(3), nn.AdaptiveAvgPool2d(3)),
    "pool.adaptive_avg1d": lambda: signal(nn.Conv1d(4, 6, 3), nn.AdaptiveAvgPool1d(4)),
    "pool.adaptive_max1": lambda: image(conv(3), nn.AdaptiveMaxPool2d(1)),
    "pool.adaptive_max_odd": lambda: image(conv(3), nn.AdaptiveMaxPool2d(3)),
    "pool.lp": lambda: image(conv(3), nn.Sigmoid(), nn.LPPool2d(2, 2)),
    "norm.bn1d": lambda: vector(nn.BatchNorm1d(16)),
    "norm.bn2d": lambda: image(conv(3), nn.BatchNorm2d(6)),
    "norm.bn_cumulative": lambda: vector(nn.BatchNorm1d(16, momentum=0.3, affine=False)),
    "norm.ln": lambda: vector(nn.LayerNorm(16)),
    "norm.gn": lambda: image(conv(3), nn.GroupNorm(2, 6)),
    "norm.in": lambda: image(conv(3), nn.InstanceNorm2d(6, affine=True)),
    "norm.lrn": lambda: image(conv(3), nn.LocalResponseNorm(3)),
    "norm.rms": lambda: vector(nn.RMSNorm(16)),
    "norm.weight_norm": lambda: vector(nn.utils.parametrizations.weight_norm(nn.Linear(16, 8))),
    "norm.spectral": lambda: vector(nn.utils.parametrizations.spectral_norm(nn.Linear(16, 8))),
    "up.nearest": lambda: image(conv(3), nn.Upsample(scale_factor=2)),
    "up.bilinear": lambda: image(conv(3), nn.Upsample(scale_factor=2, mode="bilinear")),
    "image.pixel_shuffle": lambda: image(nn.Conv2d(3, 8, 3), nn.PixelShuffle(2)),
    "image.unfold": lambda: image(conv(3), nn.Unfold(3)),
    "pad.reflect": lambda: image(conv(3), nn.ReflectionPad2d((1, 2, 0, 1))),
    "pad.replicate": lambda: image(conv(3), nn.ReplicationPad2d((1, 2, 0, 1))),
    "pad.circular": lambda: image(conv(3), nn.CircularPad2d(1)),
    "pad.zero": lambda: image(conv(3), nn.ZeroPad2d(1)),
    "pad.replicate1d": lambda: signal(nn.Conv1d(4, 6, 3), nn.ReplicationPad1d(2)),
    "drop": lambda: vector(nn.Dropout(0.3)),
    "drop.inplace": lambda: vector(nn.Dropout(0.3, inplace=True)),
    "drop.2d": lambda: image(conv(3), nn.Dropout2d(0.3)),
    "drop.alpha": lambda: vector(nn.AlphaDropout(0.3)),
    "drop.feature_alpha": lambda: image(conv(3), nn.FeatureAlphaDropout(0.3)),
    "embedding": lambda: words(nn.Embedding(30, 8), nn.Flatten(), nn.Linear(40, 3)),
    "embedding.padding": lambda: words(nn.Embedding(30, 8, padding_idx=0), nn.Flatten(), nn.Linear(40, 3)),
    "embedding.bag": lambda: words(nn.EmbeddingBag(30, 8, mode="mean"), nn.Linear(8, 3)),
    "embedding.bag_sum": lambda: words(nn.EmbeddingBag(30, 8, mode="sum"), nn.Linear(8, 3)),
    "rnn": lambda: recurrent(nn.RNN(5, 7, batch_first=True)),
    "rnn.relu": lambda: recurrent(nn.RNN(5, 7, nonlinearity="relu", bias=False, batch_first=True)),
    "lstm": lambda: recurrent(nn.LSTM(5, 7, batch_first=True)),
    "lstm.two_directions": lambda: recurrent(nn.LSTM(5, 7, 2, batch_first=True, bidirectional=True)),
    "lstm.dropout": lambda: recurrent(nn.LSTM(5, 7, 2, batch_first=True, dropout=0.2)),
    "gru": lambda: recurrent(nn.GRU(5, 7, batch_first=True)),
    "gru.two_directions": lambda: recurrent(nn.GRU(5, 7, batch_first=True, bidirectional=True)),
    "attention": lambda: sequence(lambda s, x: s.inner(x, x, x)[0], inner=nn.MultiheadAttention(8, 2, batch_first=True)),
    "attention.causal_dropout": lambda: sequence(
        lambda s, x: s.inner(
            x, x, x, attn_mask=torch.triu(torch.ones(5, 5, dtype=torch.bool), 1), need_weights=False
        )[0],
        inner=nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True),
    ),
    "attention.layer": lambda: sequence(
        lambda s, x: s.inner(x), inner=nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    ),
    "attention.decoder": lambda: sequence(
        lambda s, x: s.inner(x, x), inner=nn.TransformerDecoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    ),
    "attention.product": lambda: sequence(
        lambda s, x: F.scaled_dot_product_attention(s.q(x), s.k(x), s.v(x), is_causal=True),
        q=nn.Linear(8, 8), k=nn.Linear(8, 8), v=nn.Linear(8, 8),
    ),
    "fn.einsum": lambda: function(lambda h: torch.einsum("bi,bj->bij", h, h).flatten(1)),
    "fn.cumsum": lambda: function(lambda h: h.cumsum(1)),
    "fn.sort": lambda: function(lambda h: h.sort(1).values),
    "fn.topk": lambda: function(lambda h: h.topk(4, 1).values),
    "fn.max": lambda: function(lambda h: h.view(-1, 4, 4).max(2).values),
    "fn.norm": lambda: function(lambda h: F.normalize(h)),
    "fn.cosine": lambda: function(lambda h: F.cosine_similarity(h[:, :8], h[:, 8:]).unsqueeze(1) * h),
    "fn.roll_flip": lambda: function(lambda h: h.roll(1, 1) + h.flip(1)),
    "fn.std": lambda: function(lambda h: h * h.std(1, keepdim=True)),
    "fn.where_abs": lambda: function(lambda h: torch.where(h > 0, h.abs().sqrt(), h.exp())),
    "fn.logsumexp": lambda: function(lambda h: h - h.logsumexp(1, keepdim=True)),
    "fn.gather": lambda: function(lambda h: h.gather(1, h.argsort(1)[:, :5])),
    "fn.one_hot": lambda: function(lambda h: h * F.one_hot(h.argmax(1), 16).float()),
    "fn.chunk_stack": lambda: function(lambda h: torch.stack(h.chunk(2, 1), 1).flatten(1)),
    "fn.sin_cos_pow": lambda: function(lambda h: h.sin() + h.cos() + h**3),
    "fn.clamp": lambda: function(lambda h: h.clamp(-1, 1) + torch.minimum(h, h * 2)),
    "fn.atan": lambda: function(torch.atan),
    "fn.expm1_log1p": lambda: function(lambda h: torch.expm1(h) + torch.log1p(h.abs())),
    "fn.cdist": lambda: function(lambda h: torch.cdist(h.view(-1, 4, 4), h.view(-1, 4, 4) + 1).flatten(1)),
    "fn.masked_fill": lambda: function(lambda h: h.masked_fill(h < 0, 0.0)),
    "fn.diagonal": lambda: function(lambda h: h.view(-1, 4, 4).diagonal(dim1=1, dim2=2)),
    "fn.index": lambda: function(lambda h: h.view(-1, 4, 4)[:, [0, 2], [1, 3]]),
    "fn.tril": lambda: function(lambda h: h.view(-1, 4, 4).tril().flatten(1)),
    "fn.randn": lambda: function(lambda h: h + 0.1 * torch.randn_like(h)),
    "fn.gumbel": lambda: function(lambda h: F.gumbel_softmax(h, dim=1)),
    "fn.bernoulli": lambda: function(lambda h: h * torch.bernoulli(torch.full_like(h, 0.5))),
    "loss.mse": lambda: loss(squares, reals),
    "loss.l1": lambda: loss(nn.L1Loss(), reals),
    "loss.huber": lambda: loss(nn.HuberLoss(), reals),
    "loss.smooth_l1": lambda: loss(nn.SmoothL1Loss(), reals),
    "loss.nll": lambda: loss(nn.NLLLoss(), classes, log_softmax),
    "loss.entropy_sum": lambda: loss(nn.CrossEntropyLoss(reduction="sum"), classes),
    "loss.entropy_smooth": lambda: loss(nn.CrossEntropyLoss(label_smoothing=0.1), classes),
    "loss.entropy_weight": lambda: loss(nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0])), classes),
    "loss.entropy_ignore": lambda: loss(nn.CrossEntropyLoss(ignore_index=0), classes),
    "loss.entropy_soft": lambda: loss(entropy, lambda rows: R(rows, 3).softmax(1)),
    "loss.bce": lambda: loss(nn.BCELoss(), bits, torch.sigmoid),
    "loss.bce_logits": lambda: loss(nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0, 3.0])), bits),
    "loss.kl": lambda: loss(nn.KLDivLoss(reduction="batchmean"), lambda rows: R(rows, 3).softmax(1), log_softmax),
    "loss.poisson": lambda: loss(nn.PoissonNLLLoss(), lambda rows: I(0, 5, (rows, 3)).float()),
    "loss.hinge": lambda: loss(nn.MultiMarginLoss(), classes),
    "loss.soft_margin": lambda: loss(nn.SoftMarginLoss(), lambda rows: bits(rows) * 2 - 1),
    "loss.gaussian": lambda: loss(lambda p, t: F.gaussian_nll_loss(p, t, torch.ones_like(p) * 0.5), reals),
    "loss.cosine": lambda: loss(lambda p, t: F.cosine_embedding_loss(p, t, torch.ones_like(p[:, 0])), reals),
    "loss.triplet": lambda: loss(lambda p, t: F.triplet_margin_loss(p, t, t.flip(1)), reals),
}  # fmt: skip
