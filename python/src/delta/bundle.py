"""A finished task: the bytes that go to a node, and what they mean for the owners of the data.

A bundle (``.delta``) is a zip with ``task.json``, ``graphs/*.onnx`` and ``arrays/*.npy``. The same task always gives the
same bytes, so its commitment, the SHA-256 of those bytes, can be compared and published.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _html
from ._describe import describe

if TYPE_CHECKING:
    from .network import Check, Network

__all__ = ["Bundle"]

Array = npt.NDArray[Any]

LARGE, SAMPLE = 1 << 20, 1 << 16
"""From which size on a file may be packed as it is, and how much of it decides."""


class Bundle:
    """A task, packed. Make one with ``task.build()`` or :meth:`load`.

    Parameters
    ----------
    data : bytes
        The bundle's file.

    Attributes
    ----------
    data : bytes
        The same.
    manifest : dict
        ``task.json``; ``docs/task.schema.json`` is its schema.
    graphs : dict of str to bytes
        ONNX files by their names, ``graphs/NAME.onnx``.
    arrays : dict of str to ndarray
        Initial values of variables by their files' names, ``arrays/NAME.npy``.

    Raises
    ------
    ValueError
        The bytes are no task bundle.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as z:
                files = {name: z.read(name) for name in z.namelist()}
            self.manifest: dict[str, Any] = json.loads(files.pop("task.json"))
        except (zipfile.BadZipFile, KeyError, ValueError) as error:
            raise ValueError(f"not a task bundle: {error}") from error
        self.graphs = {name: content for name, content in files.items() if name.startswith("graphs/")}
        self.arrays: dict[str, Array] = {
            name: np.load(io.BytesIO(content), allow_pickle=False)
            for name, content in files.items()
            if name.startswith("arrays/")
        }

    @classmethod
    def pack(cls, manifest: Mapping[str, Any], graphs: Mapping[str, bytes], arrays: Mapping[str, Array]) -> Bundle:
        """Pack a manifest with its files, always into the same bytes.

        Parameters
        ----------
        manifest : mapping
            ``task.json``.
        graphs : mapping of str to bytes
            ONNX files by name, ``graphs/NAME.onnx``.
        arrays : mapping of str to ndarray
            Arrays by name, ``arrays/NAME.npy``.

        Returns
        -------
        Bundle
            Opened again from its bytes.
        """
        files = {"task.json": (json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()}
        files |= dict(sorted(graphs.items())) | {name: _npy(array) for name, array in sorted(arrays.items())}
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as z:
            for name, content in files.items():
                # No times and no attributes of this machine.
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                info.create_system, info.external_attr, info.compress_type = 3, 0o100644 << 16, _packing(content)
                z.writestr(info, content)
        return cls(out.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Bundle:
        """Open a bundle file.

        Parameters
        ----------
        path : path
            Where it is.

        Returns
        -------
        Bundle
            The task.

        Raises
        ------
        OSError
            The file cannot be read.
        ValueError
            It is no task bundle.
        """
        return cls(Path(path).read_bytes())

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the bundle to a file.

        Parameters
        ----------
        path : path
            Where to; the ending ``.delta`` is customary.

        Returns
        -------
        pathlib.Path
            The same path.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        path = Path(path)
        path.write_bytes(self.data)
        return path

    def check(self, network: Network) -> Check:
        """See which nodes can run the task, by what they publish; nothing is submitted, and no data is looked at.

        Parameters
        ----------
        network : delta.Network
            Who is asked.

        Returns
        -------
        delta.network.Check
            True when enough can; ``print`` says of each node what it lacks.
        """
        return network.check(self)

    @property
    def name(self) -> str:
        """The task's display name."""
        return str(self.manifest["name"])

    @property
    def commitment(self) -> str:
        """``0x`` and the SHA-256 of the bundle's bytes: what the network records, and what each node checks."""
        return "0x" + hashlib.sha256(self.data).hexdigest()

    @property
    def rounds(self) -> int:
        """How many rounds the task has when nothing ends it early."""
        return sum(int(r.get("repeat", 1)) for r in self.manifest["rounds"])

    @property
    def privacy(self) -> dict[str, Any] | None:
        """What was asked of noise: epsilon, delta, multiplier, clip, unit and rounds; None for a task without."""
        found = self.manifest.get("options", {}).get("privacy")
        return None if found is None else dict(found)

    def initial(self, variable: str) -> Array:
        """Return a variable's initial value.

        Parameters
        ----------
        variable : str
            Its name in the manifest.

        Returns
        -------
        ndarray
            Of the shape and dtype that the manifest says; zeros where the bundle has no array.

        Raises
        ------
        KeyError
            There is no such variable.
        """
        spec = self.manifest["variables"][variable]
        if "init" in spec:
            return self.arrays[spec["init"]]
        numpy_name = {"f32": "float32", "f64": "float64", "i32": "int32", "i64": "int64", "u8": "uint8", "bool": "bool"}
        return np.zeros(spec["shape"], numpy_name[spec["dtype"]])

    def describe(self) -> str:
        """Say in plain words what the task reads at each node and what leaves it, with sizes.

        Returns
        -------
        str
            Several lines; ``delta-node task inspect FILE`` says the same.
        """
        return describe(self.manifest, len(self.data), self.commitment)

    def __repr__(self) -> str:
        """Show name, size and commitment."""
        return f"Bundle({self.name!r}, {len(self.data)} bytes, {self.commitment[:10]}...)"

    def _repr_html_(self) -> str:
        facts = [
            ("type", self.manifest.get("type", "")),
            ("rounds", self.rounds),
            ("datasets", ", ".join(self.manifest.get("datasets", {}))),
            ("bytes", f"{len(self.data):,}"),
            ("commitment", self.commitment),
        ]
        try:
            said = self.describe()
        except (LookupError, TypeError, ValueError, AttributeError):
            # Of a bundle that no node would take.
            said = ""
        more = f"<details><summary>what leaves a node</summary>{_html.pre(said)}</details>" if said else ""
        return _html.pairs(f"Task {self.name}", facts) + more


def _packing(content: bytes) -> int:
    """Tell how a file is packed: a large one whose middle does not become smaller, as it is, which trained numbers never do."""
    sample = content[len(content) // 2 :][:SAMPLE]
    if len(content) < LARGE or len(zlib.compress(sample, 6)) < 0.8 * len(sample):
        return zipfile.ZIP_DEFLATED
    return zipfile.ZIP_STORED


def _npy(array: Array) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.array(array, order="C"), version=(1, 0), allow_pickle=False)
    return out.getvalue()
