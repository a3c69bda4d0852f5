"""The labelled data that the project ships."""

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from datasets import load_dataset

from gangmu.cleaning import clean, clean_sentence
from gangmu.labels import FUNCTIONS, NAMES
from gangmu.sentences import split_sentences
from train.check import copied, find_faults, read_places
from train.dataset import GoldReport, read_labelled

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
SPLITS = ("train", "dev", "test")
RULE_SIDES: dict[int, list[tuple[str, ...]]] = {
    3: [("goal",), ("exhortation",)],
    4: [("method",), ("mechanism",)],
    5: [("exhortation",), ("method", "mechanism")],
    6: [("exhortation",), ("other",)],
    7: [("other",), FUNCTIONS],
    8: [("other",), FUNCTIONS],
    9: [("other",), FUNCTIONS],
}
"""The rules of the guide that decide between two labels or groups of labels; the others have one side."""
SET_PHRASES = (
    "要坚持以习近平新时代中国特色社会主义思想为指导，",
    "更加紧密地团结在以习近平同志为核心的党中央周围",
    "强调，要深入学习贯彻习近平总书记关于",
    "要深入学习领会习近平总书记",
    "习近平总书记",
    "，深刻领悟“两个确立”的决定性意义，增强",
    "同志为核心的党中央周围",
    "出席开班式并作动员讲话",
    "宁可十防九空，不可失防万一。",
    "发布时间：",
    "四个意识",
    "四个自信",
    "时时放心不下",
    "坚持人民至上、生命至上",
    "以人民为中心的发展思想",
    "把思想和行动统一到党中央",
    "党的二十届三中全会",
    "新一轮科技革命和产业变革",
    "形式主义、官僚主义",
    "省委常委会召开会议，传达学习",
    "为党管档、为国守史、为民服务",
    "负责同志在主会场参加会议",
    "【字号：大 中 小】",
)
"""Formulas of official language that more than one report in a hundred may contain."""


@pytest.fixture(scope="module")
def data() -> dict[str, list[GoldReport]]:
    return {split: read_labelled(ROOT / "data" / f"{split}.jsonl") for split in SPLITS}


def test_size_and_balance(data: dict[str, list[GoldReport]]) -> None:
    sizes = [len(data[split]) for split in SPLITS]
    assert sum(sizes) >= 320
    assert [size / sum(sizes) for size in sizes] == pytest.approx([0.7, 0.1, 0.2], abs=0.01)
    labels = Counter(label for reports in data.values() for report in reports for label in report.labels)
    assert labels["other"] >= 1400
    assert min(labels[name] for name in FUNCTIONS) >= 1000
    assert sum(labels.values()) >= 7000
    for reports in data.values():
        assert {label for report in reports for label in report.labels} == set(NAMES)


def test_variety(data: dict[str, list[GoldReport]]) -> None:
    reports = [report for split in SPLITS for report in data[split]]
    assert len({report.topic for report in reports}) >= 45
    assert len({report.genre for report in reports}) >= 14
    lengths = [len(report.sentences) for report in reports]
    assert min(lengths) <= 5
    assert max(lengths) >= 55


def test_every_deciding_rule_has_sixty_sentences_and_both_its_sides(data: dict[str, list[GoldReport]]) -> None:
    decided = Counter((s.rule, s.label) for reports in data.values() for r in reports for s in r.sentences if s.rule)
    for rule in range(1, 12):
        assert sum(count for (found, _), count in decided.items() if found == rule) >= 60, rule
        sides = RULE_SIDES.get(rule, [])
        assert all(sum(decided[rule, label] for label in side) >= 30 for side in sides), rule


def test_split_by_report_and_by_topic_with_genre(data: dict[str, list[GoldReport]]) -> None:
    ids = Counter(report.id for reports in data.values() for report in reports)
    assert max(ids.values()) == 1
    pairs = {split: {(report.topic, report.genre) for report in reports} for split, reports in data.items()}
    assert not pairs["test"] & pairs["train"]
    assert not pairs["test"] & pairs["dev"]


def test_every_report_says_topic_genre_and_level(data: dict[str, list[GoldReport]]) -> None:
    for reports in data.values():
        assert [r.id for r in reports if not (r.topic and r.genre and r.level)] == []


def test_check_finds_no_fault() -> None:
    faults: list[str] = []
    assert find_faults(read_places([ROOT / "data" / f"{split}.jsonl" for split in SPLITS], faults)) == []
    assert faults == []


def test_gold_sentences_are_what_the_splitter_makes_of_the_report(data: dict[str, list[GoldReport]]) -> None:
    for path in (ROOT / "data" / f"{split}.jsonl" for split in SPLITS):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            paragraphs = defaultdict(list)
            for sentence in row["sentences"]:
                paragraphs[sentence["paragraph"]].append(sentence["text"])
            raw = "\n".join("".join(texts) for texts in paragraphs.values())
            kept = [texts for texts in paragraphs.values() if clean("".join(texts)).text]  # all but boilerplate
            gold = [clean_sentence(text) for texts in kept for text in texts]
            assert [sentence.text for sentence in split_sentences(raw)] == gold, row["id"]


def test_load_dataset_takes_the_folder(tmp_path: Path) -> None:
    found = load_dataset(str(ROOT / "data"), cache_dir=str(tmp_path))
    assert {"train", "validation", "test"} == set(found)
    assert found["train"][0]["sentences"][0]["label"] in NAMES


def test_no_run_but_set_phrases_stands_in_many_reports(data: dict[str, list[GoldReport]]) -> None:
    holders: dict[str, set[str]] = defaultdict(set)
    for report in (report for reports in data.values() for report in reports):
        for text in report.texts:
            for start in range(len(text) - 11):
                holders[text[start : start + 12]].add(report.id)
    most = sum(map(len, data.values())) * 0.01
    frequent = {run for run, found in holders.items() if len(found) > most}
    assert [run for run in frequent if not any(phrase in run or run in phrase for phrase in SET_PHRASES)] == []


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real texts are not here")
def test_nothing_is_copied_from_real_texts() -> None:
    places = read_places([ROOT / "data" / f"{split}.jsonl" for split in SPLITS], [])
    real = [SHARED / "reports" / name for name in ("reports.jsonl", "train.jsonl", "dev.jsonl")]
    listed = copied(places, SHARED / "corpus", real)
    assert not listed, "\n".join(listed)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real texts are not here")
def test_cleaning_changes_no_character_of_real_clean_text() -> None:
    for line in (SHARED / "reports/dev.jsonl").read_text(encoding="utf-8").splitlines():
        for sentence in json.loads(line)["sentences"]:
            before = [c for c in sentence["text"] if "\u3400" <= c <= "\u9fff"]
            assert [c for c in clean(sentence["text"]).text if "\u3400" <= c <= "\u9fff"] == before
