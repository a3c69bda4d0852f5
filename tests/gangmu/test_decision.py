import json
from pathlib import Path

import numpy as np
import pytest

from gangmu.decision import Decision, load_decision
from gangmu.errors import CheckpointError


def test_priors_move_the_odds_by_what_they_say() -> None:
    logits = np.array([[1.0, 2.0, 0.0, -1.0, 0.5]], dtype=np.float32)
    before = Decision(temperature=2).scores(logits)[0]
    after = Decision(temperature=2, bias=(-1, 0, 0, 0, 2)).scores(logits)[0]
    assert after.sum() == pytest.approx(1)
    assert np.log(after[4] / after[0]) == pytest.approx(np.log(before[4] / before[0]) + 3)
    assert after[1] / after[2] == pytest.approx(before[1] / before[2])


def test_a_file_of_an_older_version_loads_without_priors(tmp_path: Path) -> None:
    path = tmp_path / "decision.json"
    path.write_text(json.dumps({"temperature": 1.9283, "also": 0.15, "abstain": 0.52, "risk": 0.1}))
    assert load_decision(path) == Decision(temperature=1.9283, also=0.15, abstain=0.52, risk=0.1)
    assert load_decision(path).bias == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "values", ['{"bias": [0, 0, 0, 0]}', '{"bias": [0, 0, 0, 0, NaN]}', '{"temperature": Infinity}']
)
def test_what_would_break_the_scores_is_refused(values: str, tmp_path: Path) -> None:
    path = tmp_path / "decision.json"
    path.write_text(values)
    with pytest.raises(CheckpointError, match=r"decision.json: not a decision file"):
        load_decision(path)
