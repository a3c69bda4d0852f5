from pathlib import Path

import numpy as np
import pytest

import gangmu
from gangmu import Labeller
from gangmu.cleaning import clean_sentence
from gangmu.labels import FUNCTIONS, NAMES

RAW = "各镇负责人参加会(huì)議。要健全聯席會議制度;大家要奮勇爭先。\n\n力争到明年建成三个园区\n"


@pytest.fixture(scope="module")
def labeller(checkpoint: Path) -> Labeller:
    return gangmu.load(checkpoint)


def test_every_sentence_gets_one_label_and_its_place(labeller: Labeller) -> None:
    report = labeller.label(RAW)
    assert [s.label for s in report.sentences] == ["other", "mechanism", "exhortation", "goal"]
    assert [clean_sentence(RAW[s.start : s.end]) for s in report.sentences] == [s.text for s in report.sentences]
    for sentence in report.sentences:
        assert sum(sentence.scores.values()) == pytest.approx(1, abs=3e-4)
        assert sentence.score == sentence.scores[sentence.label] == max(sentence.scores.values())
    assert report.model.startswith("best@")


def test_batch_equals_one_by_one(labeller: Labeller) -> None:
    texts = [RAW, "会议于昨日下午召开。", "", RAW * 7, "要深入排查管网隐患。" * 90]
    together = list(labeller.label_many(texts))
    alone = [labeller.label(text) for text in texts]
    assert [len(r.sentences) for r in together] == [4, 1, 0, 28, 90]
    for one, many in zip(alone, together, strict=True):
        assert [s.label for s in one.sentences] == [s.label for s in many.sentences]
        for a, b in zip(one.sentences, many.sentences, strict=True):
            assert a.score == pytest.approx(b.score, abs=2e-4)


def test_label_many_streams(labeller: Labeller) -> None:
    def endless():  # type: ignore[no-untyped-def]
        while True:
            yield "会议于昨日下午召开。"

    reports = labeller.label_many(endless())
    assert [next(reports).sentences[0].label for _ in range(70)] == ["other"] * 70


def test_four_never_answers_other_and_keeps_the_scores(checkpoint: Path, labeller: Labeller) -> None:
    forced = gangmu.load(checkpoint, four=True).label(RAW)
    assert all(s.label in FUNCTIONS for s in forced.sentences)
    assert [s.scores for s in forced.sentences] == [s.scores for s in labeller.label(RAW).sentences]


def test_odd_text_is_labelled_too(labeller: Labeller) -> None:
    for text in ["\ufffd\ufffd", "𬀪", "a" * 3000, "要" * 5000, "？！……", "\u200b \x00"]:
        sentences = labeller.label(text).sentences
        assert all(s.label in NAMES for s in sentences)
    assert labeller.label("\u200b \x00").sentences == ()


def test_logits_keep_the_order_of_sentences(labeller: Labeller) -> None:
    texts = ["会议于昨日下午召开。", "要健全联席会议制度。"] * 60
    logits = labeller.logits([texts])[0]
    assert logits.shape == (120, 5)
    assert (np.argmax(logits, axis=1).reshape(-1, 2) == [4, 2]).all()
