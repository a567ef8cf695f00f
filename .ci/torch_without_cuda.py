"""Makes PyPI's build of torch importable without the 2.3 GB of CUDA libraries that it links to.

    pip install --no-deps torch && python .ci/torch_without_cuda.py

PyPI has no CPU build for Linux, and the tests only trace models. So every CUDA library that torch's own libraries need gets a
stand-in beside them: the same name, the same versioned symbols, functions that answer "no device". Needs cc, nm and readelf.
`torch.cuda.is_available()` is False afterwards. For tests only; users install the build of torch that fits their machine.
"""

from __future__ import annotations

import collections
import pathlib
import re
import subprocess
import sysconfig
import tempfile

LIBRARIES = pathlib.Path(sysconfig.get_paths()["purelib"]) / "torch" / "lib"
CUDA = re.compile(r"lib(cu|nccl|nvsh|nvrtc|nvJit|nvperf|nvTool)")
# Symbols without a version say by their prefix which library they belong to.
PREFIXES = {"libcufile": "cuFile", "libnccl": "nccl", "libnvshmem": "nvshmem", "libnvToolsExt": "nvtx", "libcusparseLt": "cusparseLt"}
NO_DEVICE = 100


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needed(library: pathlib.Path) -> set[str]:
    """Names of the CUDA libraries that a library links to and that are not there. The driver itself is opened only when used."""
    names = re.findall(r"\(NEEDED\).*\[(.+?)\]", run("readelf", "-d", str(library)))
    return {n for n in names if CUDA.match(n) and n != "libcuda.so.1" and not (LIBRARIES / n).exists()}


def undefined(library: pathlib.Path) -> set[tuple[str, str]]:
    """Symbols that a library expects from others, each with its version or an empty text."""
    lines = run("nm", "-D", "--undefined-only", str(library)).splitlines()
    symbols = (line.split()[-1].partition("@") for line in lines if line.strip())
    return {(name, version.lstrip("@")) for name, _, version in symbols}


def belongs(name: str, version: str, library: str) -> bool:
    if version:
        return version == library or (version == "NVSHMEM" and library.startswith("libnvshmem"))
    return any(library.startswith(stem) and name.startswith(prefix) for stem, prefix in PREFIXES.items())


def compile_stand_in(library: str, symbols: set[tuple[str, str]], folder: pathlib.Path) -> None:
    # Registering device code at start-up must look as if it worked.
    answers = {name: 0 if name.startswith("__cuda") else NO_DEVICE for name, _ in symbols}
    source = folder / "stand_in.c"
    source.write_text("".join(f"long {name}(void) {{ return {answer}; }}\n" for name, answer in sorted(answers.items())) + "int stand_in;\n")
    command = ["cc", "-shared", "-fPIC", "-w", "-fno-builtin", "-o", str(LIBRARIES / library), str(source), f"-Wl,-soname,{library}"]
    by_version: dict[str, list[str]] = collections.defaultdict(list)
    for name, version in sorted(symbols):
        if version:
            by_version[version].append(name)
    if by_version:
        script = folder / "versions.map"
        script.write_text("".join(f"{v} {{ global: {'; '.join(names)}; }};\n" for v, names in by_version.items()))
        command.append(f"-Wl,--version-script={script}")
    subprocess.run(command, check=True)


def main() -> None:
    own = sorted(LIBRARIES.glob("*.so"))
    wanted = set().union(*(needed(library) for library in own))
    symbols = set().union(*(undefined(library) for library in own))
    with tempfile.TemporaryDirectory() as folder:
        for library in sorted(wanted):
            mine = {(name, version) for name, version in symbols if belongs(name, version, library)}
            compile_stand_in(library, mine, pathlib.Path(folder))
            print(f"{library}: {len(mine)} symbols")


if __name__ == "__main__":
    main()
