"""Twenty-two questions about a table: means and spreads, groups, texts, dates, and a second table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sixty_cases import CASES, LEVELS, PATIENTS, STAYS, Case, Stays, frames, off, stays_table

from delta.dataset import DataFrame as Table

BOUNDS = (0.0, 10_000.0)
IN_CELLS = {"bounds": BOUNDS}


@frames("means of all numbers, with gaps")
def means(d: Any) -> Any:
    numbers = d[["age", "height", "weight", "pressure", "cost"]]
    return numbers.mean(), numbers.count(), numbers.isna().mean()


@frames("spread and standard error")
def spread(d: Any) -> Any:
    numbers = d[["age", "weight", "pressure"]]
    return numbers.std(), numbers.var(ddof=0), numbers.sem()


@frames("means by sex")
def by_sex(d: Any) -> Any:
    return d.groupby("sex")[["age", "pressure", "cost"]].mean()


@frames("means, spread and size by ward and sex")
def by_two(d: Any) -> Any:
    groups = d.groupby(["ward", "sex"])
    return groups.cost.mean(), groups.cost.std(), groups.size()


@frames("several aggregates by ward")
def aggregates(d: Any) -> Any:
    return d.groupby("ward").agg(mean=("cost", "mean"), total=("cost", "sum"), stays=("age", "count"))


@frames("correlations and covariances")
def correlations(d: Any) -> Any:
    numbers = d[["age", "pressure", "weight", "cost"]]
    return numbers.corr(), numbers.cov(), d.age.corr(d.pressure)


@frames("BMI, from two columns, by sex")
def bmi(d: Any) -> Any:
    d = d.assign(bmi=d.weight / (d.height / 100) ** 2)
    obese = d[d.bmi >= 30]
    return d.groupby("sex").bmi.mean(), obese.bmi.count(), (d.bmi > 25).mean()


@frames("old smokers")
def filtered(d: Any) -> Any:
    old = d[(d.age >= 65) & (d.smoker == 1) & ~(d.ward == "C")]
    return old.cost.sum(), old.cost.mean(), old.age.count(), old.pressure.isna().sum()


@frames("gaps filled with the mean, costs clipped")
def cleaned(d: Any) -> Any:
    filled = d.pressure.fillna(d.pressure.mean())
    clipped = d.cost.clip(50, 900)
    return filled.mean(), filled.std(), clipped.mean(), d.pressure.where(d.age > 50).mean()


@frames("z scores, and a weighted mean")
def standardised(d: Any) -> Any:
    z = (d.pressure - d.pressure.mean()) / d.pressure.std()
    known = d.weight.fillna(0)
    return (z**2).sum(), (z > 2).sum(), (d.cost * known).sum() / known.sum()


@frames(
    "logs and roots", theirs=lambda d: (np.log(d.cost).mean(), np.exp(np.log(d.cost).mean()), np.sqrt(d.cost).std())
)
def logs(d: Any) -> Any:
    return np.log(d.cost).mean(), np.exp(np.log(d.cost).mean()), np.sqrt(d.cost).std()


def _quantiles(d: pd.DataFrame) -> Any:
    return d.cost.quantile([0.1, 0.5, 0.9]), d.age.median(), d.cost.min(), d.cost.max()


@frames("median, quantiles, smallest and largest", theirs=_quantiles, within=1e-6)
def quantiles(d: Any) -> Any:
    return d.cost.quantile([0.1, 0.5, 0.9], **IN_CELLS), d.age.median(bounds=(0, 120)), d.cost.min(), d.cost.max()


def _histogram(d: pd.DataFrame) -> Any:
    return np.histogram(d.age, bins=[20, 40, 60, 80, 100])[0], d.cost.describe().drop(["25%", "50%", "75%"])


@frames(
    "a histogram, and describe", "numpy, pandas", theirs=_histogram, within=1e-6,
    read=lambda r: (r[0].to_numpy(), r[1].drop(["25%", "50%", "75%"])),
)  # fmt: skip
def histogram(d: Any) -> Any:
    return d.age.histogram([20, 40, 60, 80, 100]), d.cost.describe(**IN_CELLS)


def _counts(d: pd.DataFrame) -> Any:
    # One cell is for texts that were not declared.
    wards = d.ward.value_counts().reindex([*LEVELS["ward"], "other"], fill_value=0)
    return wards, wards / len(d), d.pain.value_counts()[[1, 2, 3, 4, 5]]


@frames("counts of wards and of pain", theirs=_counts, group="types")
def counts(d: Any) -> Any:
    return d.ward.value_counts(), d.ward.value_counts(normalize=True), d.pain.value_counts(categories=[1, 2, 3, 4, 5])


@frames("a cross table", group="types", theirs=lambda d: d.groupby(["ward", "arm"]).size()[lambda s: s.index])
def cross_table(d: Any) -> Any:
    return d.groupby(["ward", "arm"], categories=[["A", "B", "C"], ["new", "old"]]).size()


@frames("texts in conditions", group="types")
def texts(d: Any) -> Any:
    some = d[d.ward.isin(["A", "C"]) & (d.sex != "m")]
    return some.cost.mean(), some.age.count(), (d.arm == "new").mean()


@frames("length of stay", group="types")
def length(d: Any) -> Any:
    stay = (d.discharged - d.admitted).dt.days
    return stay.mean(), stay.max(), (stay >= 7).mean()


@frames("admissions by month and by weekday", group="types", theirs=lambda d: (
    d.groupby(d.admitted.dt.month).age.count(), d.groupby(d.admitted.dt.dayofweek).cost.mean(),
))  # fmt: skip
def months(d: Any) -> Any:
    by_month = d.groupby(d.admitted.dt.month, categories=list(range(1, 13))).age.count()
    return by_month, d.groupby(d.admitted.dt.dayofweek, categories=list(range(7))).cost.mean()


@frames("stays of one summer", group="types")
def summer(d: Any) -> Any:
    some = d[(d.admitted >= "2025-06-01") & (d.admitted < "2025-09-01")]
    return some.cost.sum(), some.age.mean(), d.admitted.between("2025-02-01", "2025-02-28").sum()


@frames("dummies of a text", group="types", theirs=lambda d: pd.get_dummies(d[["ward"]]).mean())
def dummies(d: Any) -> Any:
    return d.ward.get_dummies().mean()


class Joined(Stays):
    """Looks up the income of each stay's patient."""

    how = "inner"

    def dataset(self) -> dict[str, Table]:
        columns = ["age", "ward", "cost", "smoker"]
        return {"d": stays_table(columns).join(Table("patients.csv", ["income"]), on="patient", how=self.how)}


class JoinedLeft(Joined):
    how = "left"


def _joined(name: str, kind: type[Stays], execute: Any) -> None:
    def compare(result: Any) -> float:
        return off(result, execute(STAYS.merge(PATIENTS, on="patient", how=kind.how)))  # type: ignore[attr-defined]

    CASES.append(Case(name, "pandas", lambda: kind(name, execute), compare, 1e-8, "types"))


_joined("income by ward, from another table", Joined, lambda d: d.groupby("ward").income.mean())
_joined(
    "income of smokers, with patients that are not found", JoinedLeft,
    lambda d: (d[d.smoker == 1].income.mean(), d.income.isna().sum(), d.income.corr(d.cost)),
)  # fmt: skip
