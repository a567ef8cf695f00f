"""The second verifier of certificates against the vectors that the node's own wrote."""

import json
import sys
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors" / "certificate"
SAID = json.loads((VECTORS / "certificates.json").read_text())
sys.path.insert(0, str(ROOT / "tests" / "certificate"))

import ristretto  # noqa: E402
import verify  # noqa: E402


def test_generators_and_parabolas_are_the_nodes() -> None:
    generators = [ristretto.encode(verify.generator(at)).hex() for at in (0, 1, None)]
    assert generators == [*SAID["generators"], SAID["blinding"]]
    table = b"".join(c.to_bytes(8, "big", signed=True) for parabola in verify.parabolas() for c in parabola)
    assert sha256(table).hexdigest() == SAID["parabolas"]["sha256"]
    assert list(verify.parabolas()[0]) == SAID["parabolas"]["first"]


@pytest.mark.parametrize("said", SAID["certificates"], ids=lambda said: said["file"])
def test_both_verifiers_say_the_same(said: dict) -> None:
    verdict = verify.judge((VECTORS / said["file"]).read_bytes())
    assert {key: verdict[key] for key in ("rows", "norm", "holds", "members")} == {
        key: said[key] for key in ("rows", "norm", "holds", "members")
    }


@pytest.mark.parametrize("said", SAID["certificates"], ids=lambda said: said["file"])
def test_changed_certificates_are_refused(said: dict) -> None:
    data = (VECTORS / said["file"]).read_bytes()
    assert len(said["bad"]) > 20
    for at, xor in said["bad"]:
        changed = bytearray(data)
        changed[at] ^= xor
        with pytest.raises(verify.Invalid):
            verify.judge(bytes(changed))
