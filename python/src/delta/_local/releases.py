"""The rules of controlled releases over a whole run: which sums would not leave, told once each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _release
from .limits import Finding, audit

Json = Mapping[str, Any]


class Releases:
    """Judges what members are about to sum, as nodes do whose owners allow controlled tasks."""

    def __init__(self, manifest: Json, members: int, strict: bool) -> None:
        """Judge nothing unless the task can be controlled: what is free is asked about, what is private has noise."""
        self._controlled = _release.class_of(manifest) == "controlled"
        self._name, self._members, self._strict = manifest["name"], members, strict
        self._told: set[tuple[int, int, tuple[str, ...]]] = set()
        self._maps = [spec["map"] for spec in manifest["rounds"]]
        self.broken: list[str] = []
        """What would not leave, and by which rule: each set of rules once a step, for the first member that breaks them."""

    def judge(
        self,
        spec: int,
        round_: int,
        member: int,
        step: Json,
        vectors: npt.NDArray[np.int64],
        labels: list[str],
        *,
        shared: Sequence[str] = (),
    ) -> None:
        """Judge the vectors of a member's units.

        ``spec``: position in the manifest's rounds; ``round_`` and ``member`` count from 1. ``shared``: which rows of joined
        tables several units have found.

        Raises ``ValueError`` for a broken rule in a strict run.
        """
        if not self._controlled:
            return
        findings = audit(vectors, labels) if len(vectors) else [Finding("rows", "no units at all")]
        index = self._maps[spec]["steps"].index(step)
        key = (spec, index, (*("joined" for _ in shared), *(f.rule for f in findings)))
        if not key[2] or key in self._told:
            return
        self._told.add(key)
        text = (
            f"task {self._name}, round {round_}, rounds[{spec}].map.steps[{index}]: member {member} of {self._members} would "
            f"contribute zeros under approval: controlled, because {'; '.join([*shared, *map(str, findings)])}"
        )
        if self._strict:
            raise ValueError(text)
        self.broken.append(text)
