"""What processes stand on: a namespace of their own, disks that can be full, clocks that can be set.

Mounts and processes live in namespaces that end with the command, so nothing is left behind. Without the right to make them the
disks are limits on the size of files, and the processes are ended one by one.
"""

from __future__ import annotations

import ctypes.util
import glob
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

INSIDE = "DELTA_SOAK_INSIDE"
MIB = 1 << 20


def enter() -> None:
    """Start this command again in namespaces of its own, where that is allowed. Called first of all."""
    if os.environ.get(INSIDE):
        return
    unshare = shutil.which("unshare")
    common = ["--mount", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"]
    for more in ([], ["--user", "--map-root-user"]):
        if unshare and subprocess.run([unshare, *more, *common, "true"], capture_output=True).returncode == 0:
            os.environ[INSIDE] = "namespaces"
            os.execv(unshare, [unshare, *more, *common, sys.executable, *sys.argv])
    os.environ[INSIDE] = "nothing"


def may_mount() -> bool:
    """Whether this command runs in a namespace of its own."""
    return os.environ.get(INSIDE) == "namespaces"


class Disk:
    """The disk below a folder, which can be full for a while."""

    def __init__(self, folder: Path, mib: int = 96) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.mounted = may_mount()
        if self.mounted:
            command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
            subprocess.run(command, check=True)

    def fill(self, pid: int) -> None:
        """Leave no room. Without a disk of its own the process may not write."""
        if not self.mounted:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            return
        with (self.folder / "filling").open("wb", buffering=0) as file:
            for piece in (MIB, 4096, 1):
                try:
                    while True:
                        file.write(bytes(piece))
                except OSError:
                    continue

    def free(self, pid: int | None) -> None:
        """Give the room back."""
        (self.folder / "filling").unlink(missing_ok=True)
        if not self.mounted and pid is not None:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class WallClock:
    """The wall clock of a program, which can be set. Needs libfaketime (Debian: ``libfaketime``)."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        folder.mkdir(parents=True, exist_ok=True)
        self.set(0)

    @staticmethod
    def library() -> str | None:
        """Where libfaketime is; None where it is not installed."""
        places = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") + glob.glob("/usr/lib/faketime/libfaketimeMT.so.1")
        return places[0] if places else ctypes.util.find_library("faketime")

    def set(self, seconds: int) -> None:
        """Set it so many seconds before (negative) or after the real time."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self._file)

    def environment(self) -> dict[str, str]:
        """For the program; the monotonic clock stays as it is, as when an operator or a time server sets the other."""
        library = self.library()
        if library is None:
            return {}
        return {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
