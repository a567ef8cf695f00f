"""Every Python block in the documents runs, in order, each document in one namespace, from the repository's root."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import ROOT, Network

DOCUMENTS = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "python/README.md"])
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
URL = "http://127.0.0.1:6700"


def blocks(path: Path) -> list[tuple[int, str]]:
    text = path.read_text()
    return [(text[: m.start()].count("\n") + 2, m.group(1)) for m in BLOCK.finditer(text)]


WITH_CODE = [d for d in DOCUMENTS if blocks(d)]


def test_the_documents_have_code() -> None:
    assert len(WITH_CODE) >= 4


@pytest.mark.parametrize("document", WITH_CODE, ids=lambda d: d.name)
def test_every_block_runs(
    document: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    texts = blocks(document)
    # Blocks that talk to a node get a real one.
    needs_network = any(URL in text for _, text in texts)
    network: Network | None = request.getfixturevalue("network") if needs_network else None
    namespace: dict[str, object] = {"__name__": document.stem}
    for line, text in texts:
        code = text.replace(URL, network.urls[0]) if network else text
        code = code.replace("/tmp/", f"{tmp_path}/")
        # Line numbers as in the document; and a file of the author's, as the exporter's messages quote source lines.
        source = tmp_path / f"{document.stem}_{line}.py"
        source.write_text("\n" * (line - 1) + code)
        exec(compile(source.read_text(), str(source), "exec"), namespace)
