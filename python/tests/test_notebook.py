"""What notebooks show of tasks and results, and that nothing in it is anybody's markup."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

import delta
import delta.dataset
from delta import _html, results
from delta.statsmodel._result import RegressionResult
from delta.task import HorizontalAnalytics
from delta.task._result import LearningResult

EVIL = "<script>alert('\"&</td>\u202e"
OURS = {"div", "b", "table", "thead", "tbody", "tr", "th", "td", "pre", "progress", "details", "summary"}


class Page(HTMLParser):
    """Reads what a notebook is given: well formed, of our own tags, and with no attribute from elsewhere."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in OURS and {name for name, _ in attrs} <= {"style", "value", "max", "colspan"}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(thing: Any) -> str:
    return Page(thing._repr_html_()).text


def wages(name: str = "wages") -> delta.Bundle:
    class Wages(HorizontalAnalytics):
        def dataset(self) -> Any:
            return {"wages": delta.dataset.DataFrame("wages.csv", columns=["wage"])}

        def execute(self, wages: Any) -> Any:
            return wages.mean()

    return Wages(name, min_clients=2, max_clients=3).build()


def rounds(count: int = 2) -> list[dict[str, Any]]:
    one = {
        "members": 3,
        "failed": 0,
        "dropped": 1,
        "who": ["0x1"],
        "lost": ["0x2"],
        "declined": {"0x3": "busy", "0x4": "busy"},
    }
    return [{**one, "seconds": 1.25, "bytes": 4096} for _ in range(count)]


def learned(**more: Any) -> LearningResult:
    parameters = {"weight": np.zeros((1000, 3)), "bias": np.zeros(3)}
    history = [{"loss": 0.5, "accuracy": 0.25}, {"loss": 0.25, "accuracy": 0.5}]
    return LearningResult(parameters, {"loss": 0.125}, history, **{"rounds": rounds(), **more})


def regression(names: list[str], y: str = "y") -> RegressionResult:
    spec = {"model": "OLS", "x": names, "y": y, "classes": 0, "task": "t", "missing": "drop"}
    xs = np.column_stack([np.ones(8), np.arange(8.0)])
    ys = np.array([1.0, 2.1, 2.9, 4.2, 4.8, 6.1, 7.2, 7.9])
    params = np.linalg.lstsq(xs, ys, rcond=None)[0]
    rest = ys - xs @ params
    # The sums of RegressionResult: rows, what is left, around the mean and around zero, and of each column.
    sums = [8.0, rest @ rest, ((ys - ys.mean()) ** 2).sum(), ys @ ys, *xs.sum(0)]
    arrays = {"tally": [8.0, 0.0, 0.0], "params": params, "converged": 1.0, "iterations": 1.0, "norm": 0.0, "step": 0.0}
    arrays |= {"hessian": xs.T @ xs, "sums": sums, "gained": 0.0}
    return RegressionResult(spec, {k: np.asarray(v) for k, v in arrays.items()})


def test_a_task_says_what_it_is_before_it_is_built() -> None:
    class Odd(HorizontalAnalytics):
        def dataset(self) -> Any:
            raise AssertionError("nobody is asked for it")

        def execute(self) -> Any: ...

    text = shown(Odd(EVIL, min_clients=2, max_clients=5, description=EVIL))
    assert "not built yet" in text and "2 to 5 members" in text and text.count("alert(") == 2


def test_tests_and_curves_are_tables() -> None:
    class Trial(HorizontalAnalytics):
        def dataset(self) -> Any:
            return {"t": delta.dataset.DataFrame("t.csv", columns=["a", "b", "days", "died"])}

        def execute(self, t: Any) -> Any:
            return delta.stats.ttest_rel(t["a"], t["b"]), delta.stats.kaplan_meier(
                t["days"], t["died"], times=[1, 2, 3]
            )

    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60), "days": np.arange(60) % 4, "died": 1.0})
    test, curve = delta.debug(Trial("trial", 2, 3), t=rows)
    text = shown(test)
    assert "TTest" in text and "pvalue" in text and f"{test.pvalue:.6g}" in text and "members" in text
    assert "KaplanMeier" in shown(curve)


def test_what_a_network_publishes_is_shown_as_it_is_printed() -> None:
    from delta._catalogue import Datasets, Nodes, Published
    from delta._check import Check

    assert "no node publishes anything" in shown(Datasets({}))
    assert "3 more nodes are on record" in shown(Nodes([], 3))
    assert shown(Published(EVIL, {})).count("alert(") == 1
    assert "needs 2 members" in shown(Check(EVIL, 2, [], 0))


def test_a_bundle_says_what_leaves_a_node() -> None:
    bundle = wages()
    text = shown(bundle)
    assert "Task wages" in text and bundle.commitment in text and "in all, each member sends " in text
    assert shown(bundle.describe()) == str(bundle.describe()) and isinstance(bundle.describe(), str)
    assert shown(wages(EVIL)).count("alert(") == 2
    assert "Task odd" in shown(delta.Bundle.pack({"name": "odd", "rounds": []}, {}, {}))


def test_bytes_by_round_are_those_of_the_description() -> None:
    from delta._describe import sent

    bundle = wages()
    said = re.findall(r"each member sends ([\d,]+) bytes? a round", bundle.describe())
    assert [str(n) for n in sent(bundle.manifest)] == said


def answering(progress: dict[str, Any] | None) -> delta.DeltaNode:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"detail": EVIL}) if progress is None else httpx.Response(200, json=progress)

    return delta.DeltaNode("http://me:secret@node:6700", client=httpx.Client(transport=httpx.MockTransport(answer)))


def test_a_node_shows_where_it_is_and_no_secret() -> None:
    node = delta.DeltaNode("http://me:secret@node:6700", token="delta_" + "a" * 64)
    assert repr(node) == "DeltaNode('http://node:6700')"
    assert (
        "http://node:6700" in shown(node) and "secret" not in node._repr_html_() and "delta_" not in node._repr_html_()
    )


def test_a_task_shows_how_it_gets_on() -> None:
    history = [{"error": None, "metrics": {EVIL: 0.5}, "members": 3, "dropped": 0, "failed": 0, "seconds": 1.0}]
    told: dict[str, Any] = {"status": EVIL, "round": 1, "rounds": 4, "phase": "MaskedInput", "error": EVIL}
    task = answering({**told, "waits_for": f"{EVIL} of 0x1", "history": history}).attach(7)
    text = shown(task)
    assert "Task 7 at http://node:6700" in text and "1 of 4" in text and "alert(" in text and "secret" not in text
    text = shown(answering(None).attach(7))
    assert "no answer" in text and "alert(" in text
    now = delta.Progress(
        "RUNNING", 1, 4, "the part of 0x1", phase="members compute", metrics=[{"loss": 0.5}], members=[3]
    )
    now.dropped, now.failed = [1], [0]
    assert all(
        word in shown(now) for word in ("members compute", "the part of 0x1", "loss 0.5", "3 of 4 members: 1 declined")
    )
    failed = delta.Progress("ERROR", error="too few")
    assert "too few" in shown(failed) and "<progress" not in failed._repr_html_()


def test_a_trained_model_is_shown_without_its_weights() -> None:
    result = learned()
    said = "LearningResult(2 parameters of 3,003 numbers; loss 0.125; 2 rounds; 3 members (1 lost in the last round))"
    assert repr(result) == str(result) == said
    text = shown(result)
    assert "3,003 numbers" in text and "0.25" in text and "2 busy" in text and "4,096" in text and "1.25" in text
    assert repr(LearningResult({})) == "LearningResult(0 parameters of 0 numbers)"
    private = learned(
        privacy={"epsilon": 3.0, "delta": 1e-5}, rounds=[{"members": 2, "failed": None}, {"members": 4, "failed": 1}]
    )
    assert "2 to 4 members (1 could not compute in the last round); epsilon 3)" in repr(private) and "?" in shown(
        private
    )
    odd = LearningResult({}, {EVIL: 1.0}, [{EVIL: 1.0}], rounds=[{"members": 3, "declined": {"0x1": EVIL}}])
    assert shown(odd).count("alert(") == 3


def test_a_history_is_a_frame() -> None:
    history = learned().history
    assert isinstance(history, pd.DataFrame)
    assert list(history.columns) == ["round", "loss", "accuracy", "members", "seconds"]
    assert history["round"].tolist() == [1, 2] and history["loss"].tolist() == [0.5, 0.25]
    assert history["members"].tolist() == [3, 3] and history["seconds"].tolist() == [1.25, 1.25]
    assert list(LearningResult({}, {}, [{"loss": 1.0}]).history.columns) == ["round", "loss"], (
        "delta.debug knows no seconds"
    )
    assert LearningResult({}).history.empty
    named = LearningResult({}, {}, [{"members": 0.5}], rounds=rounds(2)).history
    assert named["members"].iloc[0] == 0.5 and named["seconds"].tolist() == [1.25, 1.25]


def test_without_pandas_a_history_is_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    first = {"round": 1, "loss": 0.5, "accuracy": 0.25, "members": 3, "seconds": 1.25}
    assert learned().history[0] == first and list(learned().history[0]) == list(first)


class Axes:
    """What is drawn."""

    def __init__(self) -> None:
        self.lines: dict[str, tuple[list[int], list[float]]] = {}
        self.words: list[str] = []

    def plot(self, x: list[int], y: list[float], marker: str, label: str) -> None:
        self.lines[label] = (x, y)

    def set_xlabel(self, text: str) -> None:
        self.words.append(text)

    def legend(self) -> None:
        self.words.append("legend")


def test_a_plot_has_a_line_for_each_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Axes()
    pyplot = ModuleType("matplotlib.pyplot")
    pyplot.subplots = lambda: (None, made)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "matplotlib", SimpleNamespace(pyplot=pyplot))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", pyplot)
    assert learned().plot() is made
    assert made.lines == {"loss": ([1, 2], [0.5, 0.25]), "accuracy": ([1, 2], [0.25, 0.5])} and "round" in made.words
    own = Axes()
    assert learned().plot("loss", ax=own) is own and list(own.lines) == ["loss"]
    with pytest.raises(ValueError, match="no metric 'los'; there are loss, accuracy"):
        learned().plot("los")
    with pytest.raises(ValueError, match="no round has a metric"):
        LearningResult({}).plot()


def test_a_plot_without_matplotlib_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        learned().plot()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_regression_is_shown_as_a_table() -> None:
    result = regression(["const", "age"])
    text = shown(result)
    for value in (
        "Dep. Variable",
        "R-squared",
        "P>|t|",
        "[0.025",
        "age",
        f"{result.params[1]:.5g}",
        f"{result.pvalues[1]:.3f}",
    ):
        assert value in text
    result.rounds = rounds(1)
    assert "2 busy" in shown(result)
    assert shown(regression(["const", EVIL], EVIL)).count("alert(") == 2


def test_results_of_analytics_are_escaped_by_pandas() -> None:
    frame = {"kind": "frame", "value": "v", "index": [EVIL], "columns": [EVIL], "index_name": EVIL}
    made = results.build({"options": {"result": [frame]}}, {"v": np.ones((1, 1))}, (), rounds(1))
    page = made._repr_html_()
    assert "<script" not in page and "&lt;script&gt;" in page
    assert made.attrs["rounds"][0]["declined"] == {"0x3": "busy", "0x4": "busy"}


def test_long_tables_are_cut_in_the_middle() -> None:
    text = Page(_html.rounds(rounds(5000))).text
    assert "4940 more rows" in text and len(text) < 10_000
