"""What to write instead of operators that cannot be translated, by ATen name."""

from __future__ import annotations

_SOLVE = "compute sums on the node and solve in the aggregation step on the server"
_MASK = "use torch.where(mask, value, 0) and divide by mask.sum(): a mask makes the shape depend on the data"

ADVICE: dict[str, str] = {
    "linalg_inv_ex": _SOLVE,
    "linalg_solve_ex": _SOLVE,
    "_linalg_solve_ex": _SOLVE,
    "linalg_cholesky_ex": _SOLVE,
    "cholesky": _SOLVE,
    "linalg_lu_factor_ex": _SOLVE,
    "_linalg_eigh": _SOLVE,
    "_linalg_svd": _SOLVE,
    "_linalg_det": _SOLVE,
    "linalg_qr": _SOLVE,
    "masked_select": _MASK,
    "nonzero": _MASK,
    "_unique2": "encode categories as integers before the task and count with one_hot(...).sum(0)",
    "bincount": "use one_hot(x, k).sum(0): the number of bins must be fixed",
    "histc": "compare with fixed edges: ((x >= lower) & (x < upper)).sum()",
    "_local_scalar_dense": "keep the value a tensor: .item(), float() and int() make the graph depend on one batch",
    "_ctc_loss": "there is no ONNX form of CTC; use a loss per frame",
    "_fft_r2c": "multiply with a constant DFT matrix",
    "_fft_c2c": "multiply with a constant DFT matrix",
    "multinomial": "use argmax(logits - log(-log(rand_like(logits)))): random numbers are inputs of the graph",
    "rand": "use torch.rand_like(x): random numbers are inputs of the graph and need a shape known from one",
    "randn": "use torch.randn_like(x): random numbers are inputs of the graph and need a shape known from one",
    "randint": "use (torch.rand_like(x) * high).floor()",
    "randperm": "use torch.rand_like(x).argsort()",
    "_cdist_forward": "use (a.unsqueeze(-2) - b.unsqueeze(-3)).square().sum(-1).sqrt()",
    "grid_sampler_2d": "gather with indices computed from the grid",
}
