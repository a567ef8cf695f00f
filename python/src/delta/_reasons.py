"""What a node says of failures and waits, in words for a task's author: without addresses, each reason once, with its code.

Nodes speak to programs and operators, too: their texts list addresses, names of protocol phases, and one reason for each node.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

#: What a node writes of a member that declines, and the word for it (``docs/protocol/http.md``, Reasons).
CODES = {
    "has no room for the task now": "busy",
    "is not allowed to by its owner": "not_allowed",
    "has no data under a name that the task asks for": "no_such_data",
    "has published another schema than the task asks for": "data_unfit",
    "does not run this task: `delta-node inspect` says what may be wrong with it": "task_unfit",
    "asks its owner first": "asks_owner",
    "has spent the budget for its data": "over_budget",
    "insists on more members, or on more that it knows": "too_few_members",
    "insists on a higher threshold or more neighbours": "too_weak",
    "saw the protocol broken": "protocol",
    "waited too long for others": "silence",
    "has left the task, as its owner decided": "left",
    "has revealed its part of this step in a round that failed, and gives it to no second one": "step_done",
    "has trouble of its own, which its owner's log tells": "internal",
}
#: What members do in a phase, by the node's name for it.
PHASES = {
    "AdvertiseKeys": "nodes join",
    "ShareKeys": "members agree on keys",
    "MaskedInput": "members compute",
    "Unmasking": "the sum is unmasked",
}
_AWAITED = {
    "AdvertiseKeys": "{} to join",
    "ShareKeys": "the keys of {}",
    "MaskedInput": "the part of {}",
    "Unmasking": "{} to unmask the sum",
    "the owners": "the word of the owner of {}",
}
_SETS = {"u1": "what joined", "u2": "the round", "u3": "the sum"}
_ADDRESS = r"0x[0-9a-fA-F]{40}\b"
_LIST = re.compile(rf"{_ADDRESS}(?:, {_ADDRESS})*(?:, \.\.\. \((\d+) in all\)| and (\d+) more)?")
_SAID = re.compile(rf"{_ADDRESS}: [^;]+(?:; {_ADDRESS}: [^;]+)*")
_DECLINES = re.compile(rf" round (\d+) ({_ADDRESS}) declines(, unproven)?: it (.+)$")
_SINGULAR = re.compile(
    r"the matrix a is singular: its column (\d+) \(counted from 0\) depends on those before it[^\n]*", re.S
)
_FINAL = re.compile(r"(?:step (\d+) failed(?: (\d+) times, last)?|(the task cannot run)): (.*)", re.S)


def parts(error: str) -> tuple[str, str]:
    """Split the error of a task into what failed, empty where that is not said, and why, as :func:`plain` says it."""
    found = _FINAL.fullmatch(error)
    if found is None:
        return "", plain(error)
    step, times, _, why = found.groups()
    if step is None:
        return "the task cannot run", plain(why)
    return f"in round {step}" + (f", after {times} attempts" if times and times != "1" else ""), plain(why)


def final(error: str) -> str:
    """Say why a task failed."""
    return ": ".join(filter(None, parts(error)))


def plain(reason: str) -> str:
    """Say why an attempt failed: nodes are counted, not listed, and each reason stands once."""
    text = _SAID.sub(lambda m: _grouped(m.group()), reason)
    text = re.sub(r"; silent: nobody| \(nobody\)", "", text)
    text = re.sub(r"\bphase (\w+)", lambda m: f"that {PHASES[m[1]]}" if m[1] in PHASES else m[0], text)
    text = re.sub(r"(?<![\w.'\"`])u[123](?![\w.'\"`])", lambda m: _SETS[m.group()], text)
    text = re.sub(r" ?\((?=0x)([^()]*(?:\(\d+ in all\))?)\)", lambda m: _kept(m[1]), text)
    text = _LIST.sub(lambda m: _nodes(_count(m)), text)
    return re.sub(r" +", " ", text).strip()


def is_singular(error: str) -> bool:
    """Whether a text says that equations have no one solution."""
    return _SINGULAR.search(error) is not None


def columns(error: str, manifest: Mapping[str, Any]) -> str:
    """Say of equations without a solution which of a regression's columns depends on others; any other text stays as it is."""
    told: Any = manifest.get("options", {}).get("result")
    spec = told[0] if isinstance(told, list) and len(told) == 1 and isinstance(told[0], Mapping) else {}
    names = [str(n) for n in spec["x"]] if spec.get("kind") == "regression" else []
    found = _SINGULAR.search(error)
    # Parameters of several classes stand class by class, and behind those of the columns others of their own.
    if found is None or not names or not (int(found[1]) < len(names) * max(int(spec.get("classes", 0)) - 1, 1)):
        return error
    place = int(found[1]) % len(names)
    before = ", ".join(map(repr, names[:place][:6])) + (f" and {place - 6} more" if place > 6 else "")
    what = f"column {names[place]!r} " + (f"follows from {before}, or is 0" if place else "is 0")
    way = "leave it out, or one of those that it follows from" if place else "leave it out"
    return (
        f"{error[: found.start()]}{what} in every row that counts, so that there is no one best estimate: {way}, in preprocess "
        "or the formula, or give options() a ridge_factor"
    )


def waits(waits_for: str) -> str:
    """Say what a node waits for, with addresses cut short: ``MaskedInput of 0x12`` is the part of 0x12."""
    what, of, who = waits_for.partition(" of ")
    if not of or what not in _AWAITED:
        return waits_for
    return _AWAITED[what].format(re.sub(r"0x[0-9a-fA-F]+", lambda m: short(m.group()), who))


def short(address: str) -> str:
    """An address by its first and last digits; those of one network may begin alike."""
    return address if len(address) <= 14 else f"{address[:6]}…{address[-6:]}"


def code(meaning: str) -> str:
    """The word for what a node writes of one that declines; empty where it is none of the list."""
    return CODES.get(meaning.strip(), "")


def declines(text: str) -> dict[str, str]:
    """Who declined by which word, from the reason of a failed attempt."""
    said = (item.partition(": ") for found in _SAID.finditer(text) for item in found.group().split("; "))
    return {address: word for address, _, meaning in said if (word := code(meaning))}


def declined(message: str) -> tuple[int, str, str] | None:
    """The attempt, who declined it, and by which word, from a record of the log; None of any other record."""
    found = _DECLINES.search(message)
    if found is None or not (word := code(found[4])):
        return None
    return int(found[1]), found[2], word + (" (unproven)" if found[3] else "")


def _grouped(text: str) -> str:
    """``0x1: A; 0x2: A``: two nodes, each with the reason A."""
    each = Counter(item.partition(": ")[2].strip() for item in text.split("; "))
    return "; ".join(_one(meaning, number) for meaning, number in each.items())


def _one(meaning: str, number: int) -> str:
    if word := code(meaning):
        return f"{'each of ' if number > 1 else ''}{_nodes(number)} {meaning} ({word})"
    return f"{_nodes(number)}: {meaning}"


def _kept(text: str) -> str:
    """What is in brackets: a list of nodes that is counted before says nothing more, numbers of each node do."""
    if _LIST.fullmatch(text):
        return ""
    return f" ({'; '.join(dict.fromkeys(re.sub(_ADDRESS, 'a node', part) for part in text.split(', ')))})"


def _count(found: re.Match[str]) -> int:
    listed = len(re.findall(_ADDRESS, found.group()))
    return int(found[1]) if found[1] else listed + int(found[2] or 0)


def _nodes(number: int) -> str:
    return "1 node" if number == 1 else f"{number} nodes"
