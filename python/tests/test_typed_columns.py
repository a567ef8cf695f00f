"""Columns of levels, dates and times: as pandas has them, in delta.debug."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

import delta
from conftest import Network
from delta._dates import seconds_of
from delta._local.cells import coded
from delta._local.joins import _cell
from delta.dataset import DataFrame as Table
from delta.statsmodel import LogitTask
from delta.task import HorizontalAnalytics

LEVELS = {"sex": ["f", "m"], "ward": ["A", "B", "other"]}
COLUMNS = ["age", "sex", "ward", "born", "seen"]


def people(rows: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    born = pd.Timestamp("1931-03-01") + pd.to_timedelta(rng.integers(0, 33_000, rows), unit="D")
    seen = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 20_000_000, rows), unit="s")
    frame = pd.DataFrame(
        {
            "age": rng.integers(20, 90, rows).astype(float),
            "sex": rng.choice(["f", "m", "x", None], rows, p=[0.45, 0.35, 0.1, 0.1]),
            "ward": rng.choice(["A", "B", "other", "Z"], rows),
            "born": born,
            "seen": seen,
        }
    )
    frame.loc[3, "born"] = pd.NaT
    return frame


class Task(HorizontalAnalytics):
    def __init__(self, execute: Any, columns: list[str] = COLUMNS) -> None:
        super().__init__("typed", max_clients=3)
        self.of, self.columns = execute, columns

    def dataset(self) -> Any:
        levels = {c: v for c, v in LEVELS.items() if c in self.columns}
        dates, times = ([c] if c in self.columns else [] for c in ("born", "seen"))
        return {"d": Table("d.csv", columns=self.columns, levels=levels, dates=dates, times=times)}

    def execute(self, d: Any) -> Any:
        return self.of(d)


def run(execute: Any, **more: Any) -> Any:
    return delta.debug(Task(execute, **more), d=people()[more.get("columns", COLUMNS)], parts=3)


def test_levels_are_counted_and_others_together() -> None:
    d = people()
    sex, ward, n, share = run(
        lambda d: (
            d.sex.value_counts(),
            d["ward"].value_counts(),
            d["sex"].nunique(),
            d.sex.value_counts(normalize=True),
        )
    )
    assert sex.to_dict() == {"f": (d.sex == "f").sum(), "m": (d.sex == "m").sum(), "other": (d.sex == "x").sum()}
    assert list(ward.index) == ["A", "B", "other", "(other)"] and ward["(other)"] == (d.ward == "Z").sum()
    assert n == 3 and share.sum() == pytest.approx(1)


def test_conditions_and_groups_are_those_of_pandas() -> None:
    d = people()
    made = run(
        lambda d: (
            d[d.sex == "f"].age.mean(),
            d[d.ward.isin(["A", "B"])].age.sum(),
            d[d.sex != "f"].age.count(),
            d.sex.isna().sum(),
            d.groupby("sex").age.mean(),
            d.groupby(["ward", "sex"]).age.sum(),
            d.groupby("ward", categories=["B", "A"]).age.count(),
            d[d.age > 50].sex.value_counts()["m"],
            d.sex[d.age > 50].count(),
            d.sex.map({"f": 1, "m": 3}).mean(),
        )
    )
    of = d[d.ward != "Z"].groupby(["ward", "sex"]).age.sum()
    assert made[0] == pytest.approx(d[d.sex == "f"].age.mean())
    assert made[1] == d[d.ward.isin(["A", "B"])].age.sum()
    assert (made[2], made[3]) == ((d.sex != "f").sum(), d.sex.isna().sum())
    assert made[4].to_dict() == pytest.approx(d.groupby("sex").age.mean()[["f", "m"]].to_dict())
    assert made[5].to_dict() == pytest.approx({k: of[k] for k in made[5].index})
    assert made[6].to_dict() == d.groupby("ward").age.count()[["B", "A"]].to_dict()
    assert made[7] == ((d.age > 50) & (d.sex == "m")).sum()
    assert made[8] == d.sex[d.age > 50].count()
    assert made[9] == pytest.approx(d.sex.map({"f": 1, "m": 3}).mean())


def test_dates_have_parts_differences_and_comparisons() -> None:
    d = people()
    made = run(
        lambda d: (
            d.born.dt.year.mean(),
            d.born.dt.month.sum(),
            d.born.dt.day.sum(),
            d.born.dt.dayofweek.sum(),
            d.seen.dt.hour.sum(),
            d.seen.dt.minute.sum(),
            d.seen.dt.quarter.mean(),
            (d.seen - d.born).dt.days.mean(),
            (d.seen - "2026-01-01").dt.total_seconds().max(),
            d[d.born < "1960-01-01"].age.count(),
            d[d.seen >= datetime.datetime(2026, 5, 1, 12)].age.count(),
            d.born.isna().sum(),
            d.groupby(d.seen.dt.month, categories=[1, 2, 3]).age.count(),
            d.born.between("1950-01-01", "1970-12-31").sum(),
        )
    )
    b, s = d.born, d.seen
    seen = (s - pd.Timestamp("2026-01-01")).dt.total_seconds()
    expected = [
        b.dt.year.mean(),
        b.dt.month.sum(),
        b.dt.day.sum(),
        b.dt.dayofweek.sum(),
        s.dt.hour.sum(),
        s.dt.minute.sum(),
    ]
    expected += [s.dt.quarter.mean(), (s - b).dt.days.mean(), seen.max(), (b < "1960-01-01").sum()]
    expected += [(s >= "2026-05-01 12:00").sum(), b.isna().sum()]
    np.testing.assert_allclose([float(m) for m in made[:12]], np.array(expected, float), rtol=1e-8)
    assert made[12].to_dict() == s.dt.month.value_counts()[[1, 2, 3]].to_dict()
    assert made[13] == b.between("1950-01-01", "1970-12-31").sum()


def test_a_table_of_texts_alone_is_counted() -> None:
    counts, size = run(lambda d: (d.sex.value_counts(), d.groupby("sex").size()), columns=["sex"])
    assert counts["f"] == size["f"] == (people().sex == "f").sum()


class Odds(LogitTask):
    def dataset(self) -> Any:
        return {"d": Table("d.csv", columns=["age", "sex", "ward"], levels=LEVELS)}

    def preprocess(self, d: Any) -> Any:
        x = d.ward.get_dummies(drop_first=True)
        x["age"] = d.age / 50
        x["const"] = 1.0
        return x, d.sex == "f"


def test_regressions_take_levels() -> None:
    sm = pytest.importorskip("statsmodels.api")
    d = people(900)
    made = delta.debug(Odds("o", max_clients=3), d=d[["age", "sex", "ward"]], parts=3)
    x = pd.DataFrame({f"ward_{w}": (d.ward == w).astype(float) for w in ("B", "other")})
    x["age"], x["const"] = d.age / 50, 1.0
    theirs = sm.Logit((d.sex == "f").astype(float), x).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose(made.params, theirs.params, rtol=1e-7)


@pytest.mark.parametrize(
    ("execute", "error", "said"),
    [
        (lambda d: d.sex == "q", ValueError, "no level 'q'"),
        (lambda d: d.sex.mean(), AttributeError, "a column of levels has no 'mean'"),
        (lambda d: d.sex.isin("f"), TypeError, "list of levels"),
        (lambda d: d.born == 3, TypeError, "is no date"),
        (lambda d: d.born > "2020-01-01 12:00", ValueError, "time of day"),
        (lambda d: d.born.dt.hour, TypeError, "times="),
        (lambda d: d.groupby("born"), TypeError, "dt.year"),
        (lambda d: d[["sex"]].mean(), TypeError, "none of the columns has numbers"),
        (lambda d: d * 2, TypeError, "'sex', 'ward', 'born', 'seen': no numbers"),
        (lambda d: d.count(), TypeError, "no numbers; select"),
        (lambda d: d.isna(), TypeError, "no numbers; select"),
        (lambda d: d.groupby("sex").mean(), TypeError, "'ward', 'born', 'seen': no numbers"),
        (lambda d: d[["age", "sex"]].corr(), TypeError, "no numbers"),
    ],
)
def test_what_has_no_meaning_is_refused(execute: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        run(execute)


def test_declarations_are_checked() -> None:
    for more, said in [
        ({"levels": {"sex": "fm"}}, "list of texts"),
        ({"levels": {"sex": ["f", "f"]}}, "stands once"),
        ({"levels": {"sexx": ["f"]}}, "none of the columns"),
        ({"levels": {"sex": ["f"]}, "dates": ["sex"]}, "two types"),
        ({"dates": "sex"}, "list of columns"),
    ]:
        with pytest.raises(ValueError, match=said):
            Table("d.csv", columns=["sex"], **more)  # type: ignore[arg-type]
    spec = Task(lambda d: d.age.mean()).build().manifest["datasets"]["d.csv"]
    assert spec["types"]["sex"] == {"type": "category", "levels": ["f", "m"]} and spec["types"]["born"] == {
        "type": "date"
    }


def test_published_types_are_compared_with_declared_ones() -> None:
    from delta._catalogue import Column
    from delta._check import _mistyped

    assert _mistyped(Column("sex", "category", levels=("f", "m")), "category") is None
    assert _mistyped(Column("sex", "string"), "category") is None
    assert "days" in str(_mistyped(Column("born", "date"), "category"))
    assert _mistyped(Column("born", "date"), "date") is None and _mistyped(Column("born", None), "time") is None
    assert _mistyped(Column("born", "integer"), "date") == "no dates, but is of type integer"


def stay(folder: Any, part: pd.DataFrame) -> None:
    part = part.assign(born=part.born.dt.strftime("%d.%m.%Y"), seen=part.seen.dt.strftime("%Y-%m-%d %H:%M:%S"))
    part.to_csv(folder / "stays.csv", index=False, sep=";")


class Stays(Task):
    def dataset(self) -> Any:
        return {"d": Table("stays.csv", columns=COLUMNS, levels=LEVELS, dates=["born"], times=["seen"])}


def test_nodes_read_levels_dates_and_times(network: Network) -> None:
    d = people(300)
    parts = [d.iloc[:90], d.iloc[90:200], d.iloc[200:]]
    for folder, part in zip(network.folders, parts, strict=True):
        stay(folder, part)
    task = Stays(
        lambda d: (
            d.sex.value_counts(),
            d.groupby(["ward", "sex"]).age.mean(),
            d.born.dt.year.mean(),
            (d.seen - d.born).dt.days.mean(),
            d[d.seen >= "2026-05-01 12:00"].age.count(),
            d[d.ward.isin(["A", "other"]) & (d.born < "1960-01-01")].age.sum(),
            d.born.isna().sum(),
        )
    )
    task.strategy.min_clients = task.strategy.max_clients = 3
    node = network.node
    number = node.create_task(task)
    assert node.wait(number, timeout=120, progress=False), node.progress(number).error
    made, here = node.get_result(number), delta.debug(task, d=parts)
    for got, want in zip(made, here, strict=True):
        np.testing.assert_allclose(np.asarray(got, float), np.asarray(want, float), rtol=1e-12)
    assert made[0].to_dict() == {"f": (d.sex == "f").sum(), "m": (d.sex == "m").sum(), "other": (d.sex == "x").sum()}
    assert made[2] == pytest.approx(d.born.dt.year.mean())


def test_rows_are_dropped_by_missing_texts_and_dates_too() -> None:
    d = people()
    sex, every, two = run(
        lambda d: (d.dropna(subset=["sex"]).age.count(), d.dropna().age.count(), d.dropna(thresh=5).age.count())
    )
    assert (sex, every, two) == (len(d.dropna(subset=["sex"])), len(d.dropna()), len(d.dropna(thresh=5)))


def test_columns_of_numbers_are_taken_where_that_is_said() -> None:
    d = people()
    made = run(
        lambda d: (d.mean(numeric_only=True), d.groupby("sex").size(), d.groupby("sex")["age"].sum(), d[["age"]].std())
    )
    assert made[0]["age"] == pytest.approx(d.age.mean()) and list(made[0].index) == ["age"]
    assert made[1].to_dict() == d.groupby("sex").size()[["f", "m"]].to_dict()
    assert made[2].to_dict() == d.groupby("sex").age.sum()[["f", "m"]].to_dict()


def test_keys_of_one_name_keep_their_own_categories() -> None:
    d = people()
    made = run(lambda d: d.groupby([d.sex, d.sex == "f"], categories=[["f", "m"], [False, True]]).age.count())
    assert made[("f", True)] == (d.sex == "f").sum() and made[("m", False)] == (d.sex == "m").sum()
    assert made[("f", False)] == made[("m", True)] == 0
    for wrong in ("fm", [], ["f", "f"]):
        with pytest.raises(ValueError, match="list of levels"):
            run(lambda d, wrong=wrong: d.groupby("sex", categories=wrong).age.count())


class Twice(HorizontalAnalytics):
    def __init__(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        super().__init__("twice", max_clients=3)
        self.specs = one, other

    def dataset(self) -> Any:
        return {n: Table("d.csv", columns=["age", "sex"], **s) for n, s in zip("pq", self.specs, strict=True)}

    def execute(self, p: Any, q: Any) -> Any:
        return p.age.mean(), q.age.mean()


def test_one_column_has_one_type() -> None:
    levels = {"levels": {"sex": ["f", "m"]}}
    Twice(levels, levels).build()
    for other in ({}, {"levels": {"sex": ["m", "f"]}}, {"dates": ["sex"]}):
        for pair in ((levels, other), (other, levels)):
            with pytest.raises(ValueError, match="different types"):
                Twice(*pair).build()


def test_regressions_refuse_what_has_no_numbers() -> None:
    class Whole(Odds):
        def preprocess(self, d: Any) -> Any:
            return d[["age", "sex"]], d.sex == "f"

    with pytest.raises(ValueError, match="sex: no numbers"):
        Whole("w").build()


def test_debug_reads_cells_as_nodes_do() -> None:
    levels = {"type": "category", "levels": ["1", "900000000000207008", "NA", "true"]}
    cells = ["1.0", 1, "01", "900000000000207009", "NA", "null", None, pd.NA, True, "x"]
    read = coded(cells, levels, "c")
    np.testing.assert_array_equal(read, [0, 0, 0, 4, 2, np.nan, np.nan, np.nan, 3, 4])
    days = coded(["20261129", "29.11.2026", "2026-11-29", "", datetime.date(2026, 11, 29)], {"type": "date"}, "c")
    np.testing.assert_array_equal(days, [20_786, 20_786, 20_786, np.nan, 20_786])
    for bad in ("today", "45000", "03/04/2026", "2026-11-29 12:00"):
        with pytest.raises(ValueError, match=r"is no date|time of day"):
            coded([bad], {"type": "date"}, "c")


def test_a_text_is_missing_where_nodes_say_so() -> None:
    levels = {"type": "category", "levels": ["x"]}
    np.testing.assert_array_equal(coded(["NaT", pd.NaT, np.datetime64("NaT"), "NaN"], levels, ""), [1, *[np.nan] * 3])
    assert [_cell(cell) for cell in ("NaT", pd.NaT, "NaN")] == [(None, "NaT"), None, None]
    with pytest.raises(ValueError, match="'NaT' is no date"):
        coded(["NaT"], {"type": "date"}, "c")


def test_a_date_has_no_time_of_day_once_its_offset_is_off() -> None:
    dates = {"type": "date"}
    for midnight in ("1970-01-02T02:00+02:00", "1970-01-02 00:00Z", pd.Timestamp("1970-01-02T02:00+02:00")):
        assert coded([midnight], dates, "c") == [1]
    for other in (
        # Midnight of UTC, but of another day than the clock's.
        "1970-01-01T22:00-02:00",
        "1970-01-02T00:00+02:00",
        # No double has this and the days.
        "2026-11-29T00:00:00.00000000001",
        pd.Timestamp("1970-01-01T22:00-02:00"),
        np.datetime64("1970-01-01T12:00"),
    ):
        with pytest.raises(ValueError, match="has a time of day; the task asks for dates alone"):
            coded([other], dates, "c")


def test_a_number_is_set_where_there_are_none_yet() -> None:
    made = run(lambda d: d[["sex"]].assign(one=1.0)[["one"]].sum(), columns=["sex"])
    assert made["one"] == len(people())


def test_a_level_called_like_a_missing_marker_takes_no_missing_cell() -> None:
    kind = {"type": "category", "levels": ["nan", "None", "<NA>", "x"]}
    cells = ["nan", "None", "<NA>", "x", None, np.nan, pd.NA, pd.NaT, "NA", "other"]
    gone = [np.nan] * 5
    for column in (cells, pd.Series(cells), np.array(cells, object)):
        np.testing.assert_array_equal(coded(column, kind, ""), [0, 1, 2, 3, *gone, 4])
    np.testing.assert_array_equal(coded(pd.Series(["x", None], dtype="string"), kind, ""), [3, np.nan])
    np.testing.assert_array_equal(coded(pd.Series(pd.Categorical(["nan", None])), kind, ""), [0, np.nan])


def test_a_missing_number_among_texts_of_a_dict_is_missing() -> None:
    class Gaps(HorizontalAnalytics):
        def dataset(self) -> dict[str, Any]:
            return {"d": delta.dataset.DataFrame("d.csv", columns=["c"], levels={"c": ["nan", "x"]})}

        def execute(self, d: Any) -> Any:
            return d.c.isna().sum()

    assert float(delta.debug(Gaps("g"), d={"c": ["nan", "x", np.nan, None] * 20}, parts=2)) == 40


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1970-01-01T00:00:00.123456789"], 0.123456789),
        (["1970-01-02 00:00:07.1234567891234"], 86_407.1234567891234),
        (["1969-12-31T23:59:59.999999999", "1970-01-01T01:59:59.999999999+02:00"], -1e-9),
        (["2026-01-01 00:00:00.123456789", "2025-12-31T22:00:00.123456789-0200"], 1_767_225_600.123456789),
        (["0001-01-01T00:30+01:00"], -62_135_596_800 - 1800),
    ],
)
def test_all_digits_of_a_second_count(texts: list[str], expected: float) -> None:
    for text in texts:
        assert seconds_of(text) == pytest.approx(expected, rel=1e-15, abs=1e-11)
        if text[:4] != "0001" and len(text) < 30:
            assert seconds_of(pd.Timestamp(text)) == seconds_of(text)
            assert seconds_of(pd.Timestamp(text).to_datetime64()) == seconds_of(text)


def test_what_is_no_time_is_none() -> None:
    for value in (
        "2026-01-01T24:00",
        "2026-01-01T00:60",
        "2026-02-29",
        "2026-01-01T00:00+15:00",
        "2026-01-01Z",
        "2026-01-01+02:00",
        "2026-01-01T00:00+٠٢:٠٠",
        "２０２６-01-01",
        "２０２６0101",
        "٠١.01.2026",
        "now",
        pd.NaT,
        5,
        None,
    ):
        assert seconds_of(value) is None, value
    assert seconds_of(np.datetime64("NaT")) is None and seconds_of(np.datetime64("1970-01-02")) == 86_400
    assert seconds_of(np.datetime64("1970-01", "M")) == 0 and seconds_of(np.datetime64(-1, "ns")) == pytest.approx(
        -1e-9, abs=1e-11
    )


def test_times_are_compared_to_the_last_digit_of_a_double() -> None:
    cells = pd.DataFrame(
        {"t": [pd.Timestamp("2026-01-01 00:00:00.123456"), pd.Timestamp("2026-01-01 00:00:00.123456789")] * 30}
    )

    class Same(HorizontalAnalytics):
        def dataset(self) -> dict[str, Any]:
            return {"d": delta.dataset.DataFrame("d.csv", columns=["t"], times=["t"])}

        def execute(self, d: Any) -> Any:
            return (d.t == "2026-01-01 00:00:00.123456789").sum(), (d.t < "2026-01-01 00:00:00.123456789").sum()

    assert [float(x) for x in delta.debug(Same("s"), d=cells, parts=2)] == [30, 30]


def test_times_of_a_column_are_all_of_utc_or_none_is() -> None:
    times = {"type": "time"}
    assert coded(["1970-01-01T01:00+01:00", None, "1970-01-01T00:00:01Z"], times, "t")[[0, 2]].tolist() == [0.0, 1.0]
    assert coded(["1970-01-01", "1970-01-01 00:00:01"], times, "t").tolist() == [0.0, 1.0]
    for mixed in (["1970-01-01T00:00Z", "1970-01-01T00:00"], ["1970-01-01", "1970-01-01T00:00+02:00"]):
        with pytest.raises(ValueError, match="clocks of two kinds"):
            coded(mixed, times, "t")
