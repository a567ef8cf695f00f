"""Tails of distributions against scipy."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from delta import _distributions as tails


@pytest.mark.parametrize("z", [0.0, 0.3, -1.96, 8.0, 30.0])
def test_normal_tails(z: float) -> None:
    assert tails.normal_two_sided(z) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-12)


@pytest.mark.parametrize("df", [1, 2, 3.5, 10, 100, 5000, 1e6])
def test_student_tails_and_quantiles(df: float) -> None:
    for t in (0.0, 1e-3, 0.5, -2.0, 4.0, 12.0, 60.0):
        assert tails.t_two_sided(t, df) == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-9), t
    for alpha in (0.5, 0.05, 0.01, 1e-6):
        assert tails.t_quantile(alpha, df) == pytest.approx(stats.t.isf(alpha / 2, df), rel=1e-9), alpha


@pytest.mark.parametrize("df1", [1, 2, 5, 30])
@pytest.mark.parametrize("df2", [1, 4, 60, 1e5])
def test_f_tails(df1: float, df2: float) -> None:
    for f in (0.0, 1e-3, 0.5, 1.0, 3.0, 40.0, 5e4):
        assert tails.f_upper(f, df1, df2) == pytest.approx(stats.f.sf(f, df1, df2), rel=1e-8, abs=1e-300), f


@pytest.mark.parametrize("df", [1, 2, 3, 10, 50, 400])
def test_chi_squared_tails(df: float) -> None:
    for x in (0.0, 1e-3, 0.5, 2.0, 10.0, 60.0, 400.0, 900.0):
        assert tails.chi2_upper(x, df) == pytest.approx(stats.chi2.sf(x, df), rel=1e-10, abs=1e-300), x


def test_normal_quantiles() -> None:
    for alpha in (0.9, 0.05, 1e-9):
        assert tails.normal_quantile(alpha) == pytest.approx(stats.norm.isf(alpha / 2), rel=1e-12)


def test_what_has_no_tail_is_nan() -> None:
    assert math.isnan(tails.t_two_sided(1.0, 0)) and math.isnan(tails.f_upper(math.nan, 1, 1))
    assert math.isnan(tails.chi2_upper(1.0, 0)) and math.isnan(tails.t_quantile(0.05, 0))
    assert tails.t_two_sided(math.inf, 5) == 0.0 and tails.f_upper(math.inf, 1, 5) == 0.0
