"""Tails of distributions, which tests of :mod:`delta.stats` use too: see ``delta/_distributions.py``."""

from .._distributions import (
    beta_inc,
    chi2_upper,
    f_upper,
    gamma_upper,
    normal_quantile,
    normal_two_sided,
    t_quantile,
    t_two_sided,
)

__all__ = [
    "beta_inc",
    "chi2_upper",
    "f_upper",
    "gamma_upper",
    "normal_quantile",
    "normal_two_sided",
    "t_quantile",
    "t_two_sided",
]
