import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import gangmu
from gangmu.checkpoint import load_checkpoint
from gangmu.decision import Decision
from gangmu.errors import DataError
from gangmu.labels import ID_OF
from train.dataset import Gold
from train.decide import also_threshold, cross_fitted, decide, fit_scores, folds, main, out_of_fold

RANDOM = np.random.default_rng(0)


def drawn(scale: float, bias: tuple[float, ...], sentences: int = 3000) -> tuple[np.ndarray, Gold]:
    """Return logits `scale` times too large, of a classifier that was taught other class shares than the gold's."""
    true = RANDOM.normal(size=(sentences, 5)) * 2
    truth = Decision(bias=bias).scores(true)
    label = np.array([RANDOM.choice(5, p=row) for row in truth])
    return (true * scale).astype(np.float32), Gold(label, np.full(sentences, -1), np.arange(sentences) // 20)


def test_temperature_of_logits_that_are_three_times_too_large() -> None:
    logits, gold = drawn(3, (0, 0, 0, 0, 0))
    assert fit_scores(logits, gold.label, "temperature").temperature == pytest.approx(3, rel=0.1)


def test_priors_that_differ_from_training_are_found_and_chosen() -> None:
    shift = (-1.6, 0.4, 0.4, 0.4, 0.4)
    logits, gold = drawn(2, shift)
    fitted = decide(logits, gold)
    assert fitted.method == "temperature and priors"
    assert fitted.decision.bias == pytest.approx(shift, abs=0.25)
    assert fitted.decision.temperature == pytest.approx(2, rel=0.1)
    found = cross_fitted(logits, gold, Decision(temperature=2))
    assert found["cross_fitted"]["log_loss"] < found["current"]["log_loss"] < found["raw"]["log_loss"]
    assert found["cross_fitted"]["ece"] < 0.03 < found["raw"]["ece"]
    assert found["methods"]["temperature and priors"]["log_loss"] < found["methods"]["temperature"]["log_loss"]


def test_a_class_without_a_sentence_is_not_ruled_out() -> None:
    logits, gold = drawn(1, (0, 0, 0, 0, 0), 400)
    few = gold.label != ID_OF["goal"]
    bias = fit_scores(logits[few], gold.label[few], "temperature and priors").bias
    assert -6 < bias[ID_OF["goal"]] < -1


def test_a_report_does_not_decide_its_own_scores() -> None:
    logits, gold = drawn(2, (0, 0, 0, 0, 0), 400)
    for rest, held in folds(gold):
        assert not set(gold.report[rest]) & set(gold.report[held])
    before = out_of_fold(logits, gold, "temperature and priors")
    assert np.allclose(before.sum(axis=1), 1)
    own = gold.report == 7
    turned = Gold(np.where(own, 4, gold.label), gold.also, gold.report)
    after = out_of_fold(logits, turned, "temperature and priors")
    assert np.array_equal(before[own], after[own])
    assert not np.array_equal(before[~own], after[~own])


def test_promises_are_kept_out_of_fold_and_cost_coverage() -> None:
    logits, gold = drawn(2, (-1, 0, 0, 0, 1))
    rows = cross_fitted(logits, gold, Decision())["abstention"]
    assert [row["risk"] for row in rows] == [0.05, 0.10, 0.15]
    assert all(row["error"] <= row["risk"] for row in rows if row["error"] is not None)
    assert rows[0]["coverage"] < rows[1]["coverage"] < rows[2]["coverage"] < 1
    assert rows[1]["coverage"] > 0.2


def test_also_threshold_finds_the_annotated_seconds() -> None:
    probabilities = np.array([[0.5, 0.4, 0.1, 0, 0]] * 5 + [[0.8, 0.1, 0.1, 0, 0]] * 5)
    also = np.array([ID_OF["method"]] * 5 + [-1] * 5)
    threshold = also_threshold(probabilities, also)
    assert 0.1 < threshold <= 0.4
    assert also_threshold(probabilities, np.full(10, -1)) == 1.0


def test_command_writes_the_checkpoint_anew(checkpoint: Path, run_file: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(checkpoint, tmp_path / "mine"))
    link = tmp_path / "link"
    link.symlink_to(mine)
    before = load_checkpoint(mine)
    for _ in range(2):
        main(run_file.parent / "dev.jsonl", link)
    after = load_checkpoint(mine)  # checks SHA256SUMS
    assert link.is_symlink()
    assert after.decision.temperature > 0
    assert after.settings == before.settings
    assert (after.decision != before.decision) == (after.name != before.name) or "## Decision" in card(mine)
    assert card(mine).count("## Decision") == 1
    assert "Fitted by `train.decide` on `dev.jsonl`, 24 reports, 120 sentences" in card(mine)
    assert "## Limits" in card(mine)
    assert gangmu.load(mine).label("要健全联席会议制度。").sentences[0].label == "mechanism"


def card(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def test_command_leaves_the_checkpoint_alone_with_output(checkpoint: Path, run_file: Path, tmp_path: Path) -> None:
    before = load_checkpoint(checkpoint).name
    main(run_file.parent / "dev.jsonl", checkpoint, tmp_path / "new")
    assert load_checkpoint(checkpoint).name == before
    decision = json.loads((tmp_path / "new/decision.json").read_text())
    assert set(decision) == {"temperature", "bias", "also", "abstain", "risk"}
    found = json.loads((tmp_path / "new/calibration.json").read_text())
    assert found["decision"] == decision
    assert set(found["raw"]) >= {"ece", "brier", "log_loss", "aurc", "reliability", "risk_coverage"}


def test_too_few_reports_are_refused(checkpoint: Path, run_file: Path, tmp_path: Path) -> None:
    two = (run_file.parent / "dev.jsonl").read_text(encoding="utf-8").split("\n")[:2]
    (tmp_path / "two.jsonl").write_text("\n".join(two), encoding="utf-8")
    with pytest.raises(DataError, match=r"two.jsonl: 2 reports; .* takes 3 or more"):
        main(tmp_path / "two.jsonl", checkpoint)
