from pathlib import Path

import pytest

from gangmu.errors import DataError
from train.annotations import annotate, labelled_reports, read_annotations

DOCUMENT = "县委召开会议。\n会议强调,要建立联席会议制度;要深入排查隐患。"
LABELS = [("other", None), ("mechanism", "method"), ("method", None)]


def test_labels_come_back_to_their_sentences_without_the_text(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "甲.txt").write_text(f"别的文件。\n\n{DOCUMENT}\n\n又一个。", encoding="utf-8")
    (corpus / "乙.txt").write_text(DOCUMENT, encoding="utf-8")
    line = annotate("甲", DOCUMENT, LABELS).model_dump_json()
    assert not any(word in line for word in ("会议", "隐患"))
    path = tmp_path / "annotations.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    (report,) = labelled_reports(read_annotations(path), corpus)
    assert [(s.paragraph, s.text, s.label, s.also) for s in report.sentences] == [
        (0, "县委召开会议。", "other", None),
        (1, "会议强调，要建立联席会议制度；", "mechanism", "method"),
        (1, "要深入排查隐患。", "method", None),
    ]


def test_a_sentence_that_is_split_otherwise_loses_its_label_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "甲.txt").write_text(DOCUMENT, encoding="utf-8")
    annotation = annotate("甲", DOCUMENT, LABELS)
    other = annotation.model_copy(update={"labels": (*annotation.labels[:2], ("00000000", "method", None))})
    absent = annotation.model_copy(update={"document": "0" * 16})
    with caplog.at_level("INFO"):
        (report,) = labelled_reports([other, absent], tmp_path)
    assert report.labels == ["other", "mechanism"]
    assert "1 labels without their sentence" in caplog.text
    assert "does not hold 1 of the 2 annotated documents" in caplog.text


def test_a_line_that_is_no_annotation_is_named(tmp_path: Path) -> None:
    path = tmp_path / "annotations.jsonl"
    path.write_text('{"source": "甲"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"annotations.jsonl:1: no annotation"):
        read_annotations(path)
