from pathlib import Path

import pytest

from gangmu.labels import NAMES
from train.baselines import BASELINES
from train.dataset import read_labelled


@pytest.mark.parametrize("name", BASELINES)
def test_each_predicts_one_known_label_a_sentence(name: str, run_file: Path) -> None:
    reports = read_labelled(run_file.parent / "train.jsonl")
    sentences = ["要健全联席会议制度。", "会议召开。", ""]
    found = BASELINES[name](reports, sentences)
    assert len(found) == 3
    assert set(found) <= set(NAMES)


def test_tfidf_learns_its_training_sentences(run_file: Path) -> None:
    reports = read_labelled(run_file.parent / "train.jsonl")
    sentences = [text for report in reports for text in report.texts]
    assert BASELINES["TF-IDF + linear"](reports, sentences) == [label for r in reports for label in r.labels]
