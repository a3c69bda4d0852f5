"""The labelled data that the project ships."""

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from datasets import load_dataset

from gangmu.cleaning import clean
from gangmu.labels import NAMES
from gangmu.sentences import split_sentences
from train.corpus import corpus_files, documents
from train.dataset import GoldReport, read_labelled

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
SPLITS = ("train", "dev", "test")
RUN = 20
"""Characters; a run this long that also stands in a real report was copied, unless set phrases make it up."""
PIECE = 8
"""A run is made up of set phrases when each so long piece of it stands in at least 5 real documents."""


FORMULAS = (
    "省委常委会召开会议",
    "禁毒工作的重要指示精",
    "面向世界科技前沿、面向经济主战场",
    "房子是用来住的、不是用来炒的",
    "“两个确立”的决定性意",
    "科技创新、产业控制、安全支撑",
    "党政同责、一岗双责",
    "敬佑生命、救死扶伤",
)
"""Fixed wordings of official language that are rarer in the real texts at hand than in life."""


@pytest.fixture(scope="module")
def data() -> dict[str, list[GoldReport]]:
    return {split: read_labelled(ROOT / "data" / f"{split}.jsonl") for split in SPLITS}


def test_size_and_every_label_in_every_split(data: dict[str, list[GoldReport]]) -> None:
    assert sum(map(len, data.values())) >= 60
    assert sum(len(report.sentences) for reports in data.values() for report in reports) >= 1200
    for reports in data.values():
        assert {label for report in reports for label in report.labels} == set(NAMES)


def test_split_by_report_and_by_topic_with_genre(data: dict[str, list[GoldReport]]) -> None:
    ids = Counter(report.id for reports in data.values() for report in reports)
    assert max(ids.values()) == 1
    pairs = {split: {(report.topic, report.genre) for report in reports} for split, reports in data.items()}
    assert not pairs["test"] & pairs["train"]
    assert not pairs["test"] & pairs["dev"]


def test_every_report_says_topic_genre_and_level(data: dict[str, list[GoldReport]]) -> None:
    for reports in data.values():
        assert [r.id for r in reports if not (r.topic and r.genre and r.level)] == []


def test_no_sentence_of_test_stands_in_train(data: dict[str, list[GoldReport]]) -> None:
    train = {text for report in data["train"] for text in report.texts if len(text) >= 16}
    assert [text for report in data["test"] for text in report.texts if text in train] == []


def test_gold_sentences_are_what_the_splitter_makes_of_the_report(data: dict[str, list[GoldReport]]) -> None:
    for path in (ROOT / "data" / f"{split}.jsonl" for split in SPLITS):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            paragraphs = defaultdict(list)
            for sentence in row["sentences"]:
                paragraphs[sentence["paragraph"]].append(sentence["text"])
            raw = "\n".join("".join(texts) for texts in paragraphs.values())
            gold = [" ".join(clean(sentence["text"]).text.split()) for sentence in row["sentences"]]
            assert [sentence.text for sentence in split_sentences(raw)] == gold, row["id"]


def test_load_dataset_takes_the_folder(tmp_path: Path) -> None:
    found = load_dataset(str(ROOT / "data"), cache_dir=str(tmp_path))
    assert {"train", "validation", "test"} == set(found)
    assert found["train"][0]["sentences"][0]["label"] in NAMES


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real texts are not here")
def test_nothing_is_copied_from_real_reports(data: dict[str, list[GoldReport]]) -> None:
    ours = {run: r.id for reports in data.values() for r in reports for text in r.texts for run in runs(text, RUN)}
    lines = (SHARED / "reports/reports.jsonl").read_text(encoding="utf-8").splitlines()
    real = [clean(json.loads(line)["text"]).text for line in lines]
    shared = ours.keys() & set().union(*(runs(text, RUN) for text in real))
    pieces = {piece for run in shared for piece in runs(run, PIECE)}
    counts = Counter(piece for text in real for piece in runs(text, PIECE) & pieces)
    for path in corpus_files(SHARED / "corpus"):
        for paragraphs in documents(path):
            counts.update(set().union(*(runs(text, PIECE) & pieces for text in paragraphs)))
    copied = {run for run in shared if any(counts[piece] < 5 for piece in runs(run, PIECE))}
    copied = {run for run in copied if not any(formula in run for formula in FORMULAS)}
    listed = sorted(f"{ours[run]}: {run}" for run in copied)
    assert not listed, "\n".join(listed)


def runs(text: str, length: int) -> set[str]:
    return {text[i : i + length] for i in range(len(text) - length + 1)}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real texts are not here")
def test_cleaning_changes_no_character_of_real_clean_text() -> None:
    for line in (SHARED / "reports/dev.jsonl").read_text(encoding="utf-8").splitlines():
        for sentence in json.loads(line)["sentences"]:
            before = [c for c in sentence["text"] if "\u3400" <= c <= "\u9fff"]
            assert [c for c in clean(sentence["text"]).text if "\u3400" <= c <= "\u9fff"] == before
