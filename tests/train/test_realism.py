from pathlib import Path

import numpy as np
import pytest

from train.dataset import GoldReport, read_labelled
from train.realism import compare_with_real, detector_auc, label_shares, telling, transfer


@pytest.fixture(scope="module")
def reports(run_file: Path) -> list[GoldReport]:
    return read_labelled(run_file.parent / "train.jsonl")


def renamed(reports: list[GoldReport], before: str, after: str) -> list[GoldReport]:
    lines = [report.model_dump_json().replace(before, after) for report in reports]
    return [GoldReport.model_validate_json(line) for line in lines]


def test_the_detector_tells_nothing_apart_from_itself_and_a_mark_at_once(reports: list[GoldReport]) -> None:
    assert detector_auc(reports[:12], reports[12:]) < 0.6  # the same sentences stand on both sides
    marked = renamed(reports, "。", "吧。")
    assert detector_auc(marked, reports) > 0.99
    assert "吧。" in telling(marked, reports, 5)


def test_transfer_is_the_macro_f1_on_the_other_side(reports: list[GoldReport]) -> None:
    assert transfer(reports[:12], reports[12:]) == 1.0
    assert transfer(renamed(reports[:12], '"goal"', '"other"'), reports[12:]) == pytest.approx(0.75)


def test_shares_of_labels_add_up_in_every_part(reports: list[GoldReport]) -> None:
    shares = label_shares(reports)
    assert np.allclose(shares.sum(axis=1), 1)
    assert np.allclose(shares.mean(axis=0), 0.2)


def test_table_and_picture(reports: list[GoldReport], tmp_path: Path) -> None:
    named = [r.model_copy(update={"source": f"batch {1 + (i > 11)}"}) for i, r in enumerate(reports)]
    text = compare_with_real(named, reports, tmp_path)
    assert "| sentences | 120 | 120 |" in text
    assert "| batch 1 | 12 | 60 | " in text
    assert text == (tmp_path / "realism.md").read_text(encoding="utf-8")
    assert "</svg>" in (tmp_path / "realism.svg").read_text(encoding="utf-8")
