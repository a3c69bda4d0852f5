from pathlib import Path

import pytest

from gangmu.labels import NAMES
from train.baselines import BASELINES, tfidf_linear, tfidf_neighbours
from train.dataset import GoldReport, read_labelled


def report(number: int, *sentences: tuple[str, str]) -> GoldReport:
    rows = [{"paragraph": 0, "text": text, "label": label} for text, label in sentences]
    return GoldReport.model_validate({"id": f"r{number}", "sentences": rows})


@pytest.mark.parametrize("name", BASELINES)
def test_each_predicts_one_known_label_a_sentence(name: str, run_file: Path) -> None:
    reports = read_labelled(run_file.parent / "train.jsonl")
    found = BASELINES[name](reports, [report(0, ("要健全联席会议制度。", "other"), ("会议召开。", "other"))])
    assert len(found) == 2
    assert set(found) <= set(NAMES)


@pytest.mark.parametrize("name", BASELINES)
def test_a_single_sentence_of_a_single_class_is_enough(name: str) -> None:
    tiny = [report(0, ("甲。", "goal"))]
    assert len(BASELINES[name](tiny, tiny)) == 1


def test_tfidf_learns_its_training_sentences(run_file: Path) -> None:
    reports = read_labelled(run_file.parent / "train.jsonl")
    assert tfidf_linear(reports, reports) == [label for r in reports for label in r.labels]


def test_neighbours_and_position_tell_what_the_sentence_does_not() -> None:
    same = "抓好这件事。"
    by_neighbour = [
        report(
            i,
            ("昨日开会。", "other"),
            ("目标如下：" if i % 2 else "措施如下：", "other"),
            (same, label),
            ("完。", "other"),
        )
        for i in range(30)
        for label in ["goal" if i % 2 else "method"]
    ]
    assert tfidf_neighbours(by_neighbour, by_neighbour) == [label for r in by_neighbour for label in r.labels]
    by_place = [report(i, (same, "goal"), (same, "method"), (same, "method"), (same, "other")) for i in range(30)]
    assert tfidf_neighbours(by_place, by_place) == ["goal", "method", "method", "other"] * 30
    assert len(set(tfidf_linear(by_place, by_place))) == 1
