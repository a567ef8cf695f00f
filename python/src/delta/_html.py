"""What notebooks show of tasks and results. Names and texts come from other people: all of it is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from . import _metrics

if TYPE_CHECKING:
    from ._answers import Progress

#: Rows of a table that are shown, half of them from its beginning.
MOST = 60


def text(value: object) -> str:
    """A value as text of a page, without what would change a terminal or the direction of writing."""
    return escape("".join(c for c in str(value) if c.isprintable() or c in "\n\t"), quote=True)


def pre(value: str) -> str:
    """Lines as they are."""
    return f"<pre>{text(value)}</pre>"


def pairs(title: str, facts: Iterable[tuple[str, object]]) -> str:
    """A title, and a row for each fact that is not empty."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{text(k)}</th><td>{text(v)}</td></tr>" for k, v in facts if v != ""
    )
    return f"<div><b>{text(title)}</b><table>{rows}</table></div>"


def table(headings: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table; of one with many rows the first and the last."""
    body = [f"<tr>{''.join(f'<td>{text(v)}</td>' for v in row)}</tr>" for row in rows]
    if len(body) > MOST:
        left_out = f"<tr><td colspan='{len(headings)}'>{len(body) - MOST} more rows</td></tr>"
        body = [*body[: MOST // 2], left_out, *body[-MOST // 2 :]]
    head = "".join(f"<th>{text(h)}</th>" for h in headings)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def number(value: object) -> str:
    """A number in few digits, an array in few words."""
    return _metrics.brief(value)


def place(url: str) -> str:
    """Where a node is, without a password that stands in it."""
    return re.sub(r"//[^/]*@", "//", url)


def progress(now: Progress, title: str = "Task") -> str:
    """A bar, what is waited for, the last round's metrics, and why it failed."""
    over = now.status in ("FINISHED", "CONFIRMED")
    total = max(now.round, 1) if over else now.rounds
    bar = f"<progress value='{int(now.round)}' max='{int(total)}'></progress> " if total else ""
    facts = [
        ("round", f"{now.round} of {total}" if total else ""),
        ("now", "" if over or now.error else now.phase),
        ("waits for", now.waits_for),
        ("last round", "  ".join(f"{k} {number(v)}" for k, v in now.metrics[-1].items()) if now.metrics else ""),
        ("members", _members(now.members, now.missing)),
        ("error", now.error),
    ]
    return bar + pairs(f"{title}: {now.status.lower()}", facts)


def rounds(told: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]] = ()) -> str:
    """A row for each round: metrics, members, who declined, seconds, bytes."""
    names = list(dict.fromkeys(name for each in metrics for name in each))
    known = [c for c in ("members", "failed", "dropped", "declined", "seconds", "bytes") if any(c in r for r in told)]
    count = max(len(told), len(metrics))
    rows = []
    for i in range(count):
        one = told[i] if i < len(told) else {}
        values = metrics[i] if i < len(metrics) else {}
        rows.append([i + 1, *(number(values.get(n, "")) for n in names), *(_cell(one.get(c, "")) for c in known)])
    return table(["round", *names, *known], rows) if rows else ""


def regression(
    facts: Sequence[tuple[str, Any]], headings: Sequence[str], rows: Sequence[tuple[str, list[float]]]
) -> str:
    """The facts in two columns, and a row for each parameter."""
    items = [f"<th style='text-align:left'>{text(k)}:</th><td>{text(v)}</td>" for k, v in facts]
    top = "".join(f"<tr>{''.join(items[i : i + 2])}</tr>" for i in range(0, len(items), 2))
    # Three decimals of the p value, as statsmodels.
    body = [[name, *(f"{v:.3f}" if i == 3 else f"{v:.5g}" for i, v in enumerate(values))] for name, values in rows]
    return f"<div><table>{top}</table>{table(['', *headings], body)}</div>"


def _members(members: Sequence[int], missing: Sequence[str]) -> str:
    return (missing[-1] or str(members[-1])) if members else ""


def _cell(value: object) -> str:
    if isinstance(value, Mapping):
        words: dict[str, int] = {}
        for word in value.values():
            words[word] = words.get(word, 0) + 1
        return ", ".join(f"{n} {word}" for word, n in words.items())
    return "?" if value is None else f"{value:,}" if isinstance(value, int) else number(value)
