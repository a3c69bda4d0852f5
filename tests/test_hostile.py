"""Every attack of tests/hostile; `python -m tests.hostile.trial` prints what becomes of each."""

import re
from pathlib import Path

import pytest

from tests.hostile.attack import Result
from tests.hostile.trial import GROUPS, attempt

ROOT = Path(__file__).parent.parent
NAMES = [attack.name for attacks in GROUPS.values() for attack in attacks]


@pytest.fixture(scope="module")
def results(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("GANGMU_MODEL", str(checkpoint))
        found = attempt(tmp_path_factory.mktemp("attacks"))
    return {result.name: result for result in found}


@pytest.mark.parametrize("name", NAMES)
def test_attack_is_stopped_in_time_and_space(results: dict[str, Result], name: str) -> None:
    assert results[name].problem == ""
    assert results[name].stopped, results[name]


def test_security_md_tells_how_many() -> None:
    assert len(set(NAMES)) == len(NAMES)
    told = re.findall(r"(\d+) of (\d+) attacks", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert set(told) == {(str(len(NAMES)), str(len(NAMES)))}
