"""A result of learning as one file: an ``.npz`` with arrays, and everything else as JSON in it. No pickles."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_TOLD = "delta.json"
_FORMAT = "delta-learning/1"


def write(path: str | os.PathLike[str], variables: Mapping[str, Array], told: Mapping[str, Any]) -> None:
    """Write a file, which is there whole or not at all."""
    target = Path(path)
    text = json.dumps({"format": _FORMAT, **told}, default=_plain).encode()
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in variables.items()}
    arrays[_TOLD] = np.frombuffer(text, np.uint8)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def read(path: str | os.PathLike[str], parts: Sequence[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read a file, which says all of these ``parts``.

    Raises ``ValueError`` for another one, ``OSError`` where there is none.
    """
    try:
        with np.load(path, allow_pickle=False) as npz:
            arrays = dict(npz)
        told = json.loads(arrays.pop(_TOLD).tobytes(), object_hook=_whole)
        if told["format"] != _FORMAT:
            raise ValueError(f"its format is {told['format']!r}")
        if lacking := [part for part in parts if part not in told]:
            raise ValueError(f"it does not say {lacking[0]!r}")
        return arrays, told
    except (KeyError, TypeError, AttributeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{os.fspath(path)} is no result that save() has written: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"\0array": value.tolist()}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be saved")


def _whole(made: dict[str, Any]) -> Any:
    return np.array(made["\0array"], np.float64) if set(made) == {"\0array"} else made
