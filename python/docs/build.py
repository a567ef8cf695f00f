"""The reference as a site, built from the docstrings: python python/docs/build.py [FOLDER], by default python/docs/site.

Needs Sphinx: pip install './python[docs]'. A warning is an error.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
FIRST = ["delta", "delta.task", "delta.dataset", "delta.pandas", "delta.stats", "delta.learn", "delta.statsmodel"]
"""What most people look for; the others come after these by name."""


def modules() -> list[ModuleType]:
    """The public modules of the package, in the order of the site."""
    import delta

    found = [m.name for m in pkgutil.walk_packages(delta.__path__, "delta.")]
    public = [n for n in found if not any(part.startswith("_") for part in n.split("."))]
    return [importlib.import_module(n) for n in [*FIRST, *sorted(set(public) - set(FIRST))]]


def pages() -> dict[str, str]:
    """The text of a page for each module. What several modules have is told by the first one, and linked by the others."""
    home: dict[int, str] = {}
    made = {}
    for module in modules():
        name = module.__name__
        lines = [
            name,
            "=" * len(name),
            "",
            f".. automodule:: {name}",
            "   :no-index:",
            "",
            f".. py:module:: {name}",
            "",
        ]
        elsewhere = []
        for thing in module.__all__:
            value = getattr(module, thing)
            if inspect.ismodule(value):
                continue
            known = home.setdefault(id(value), f"{name}.{thing}")
            if known == f"{name}.{thing}":
                lines += [*_directive(known, value), ""]
            else:
                elsewhere.append(f"- :py:obj:`{known}`")
        made[name] = "\n".join(lines + (["Also here:", "", *elsewhere] if elsewhere else [])) + "\n"
    return made


def _directive(name: str, value: object) -> Iterator[str]:
    if inspect.isclass(value):
        yield from (
            f".. autoclass:: {name}",
            "   :members:",
            "   :inherited-members: object, str, dict, list, tuple, Exception",
        )
    elif inspect.isroutine(value):
        yield f".. autofunction:: {name}"
    else:
        # Aliases of types and numbers: Sphinx would tell what a dict is.
        yield from (f".. py:data:: {name}", f"   :value: {value!r}")


def build(target: Path) -> int:
    """Write the pages and run Sphinx over them; its exit status."""
    try:
        from sphinx.cmd.build import build_main
    except ModuleNotFoundError:
        print("Sphinx is not installed: pip install 'sphinx>=8.1', or './python[docs]'", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        shutil.copy(HERE / "conf.py", source)
        (source / "api").mkdir()
        made = pages()
        for name, text in made.items():
            (source / "api" / f"{name}.rst").write_text(text)
        tree = ["", ".. toctree::", "   :maxdepth: 1", "", *(f"   api/{name}" for name in made), ""]
        (source / "index.rst").write_text((HERE / "index.rst").read_text() + "\n".join(tree))
        return build_main(["-W", "--keep-going", "-q", "-d", str(source / "cache"), str(source), str(target)])


if __name__ == "__main__":
    raise SystemExit(build(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "site"))
