from itertools import islice
from pathlib import Path

import pytest
from transformers import AutoModelForTokenClassification
from typer.testing import CliRunner

from gangmu.sentences import split_sentences
from train.benchmark import app, real_texts
from train.contest import Contest, Row, operations, write_results
from train.growth import grow, pairs, write_scale

ROOT = Path(__file__).parent.parent.parent


def test_text_is_measured_stage_by_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "甲.txt").write_text("要抓好落实。\n会议强调，要压实责任；要闭环管理。\n\n第二篇。\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["text", "--corpus", str(tmp_path), "--repeats", "2"])
    assert result.exit_code == 0, result.output
    assert "2 reports, 0.0 M" in result.output
    assert all(f"│ {stage}" in result.output for stage in ("read", "clean", "split", "all"))


def test_every_file_of_a_corpus_gives_as_many_characters(tmp_path: Path) -> None:
    for name in "甲乙":
        (tmp_path / f"{name}.txt").write_text(f"{name}报道十个字整整齐齐。\n\n" * 30, encoding="utf-8")
    texts = real_texts(tmp_path, 100)
    assert [text[0] for text in texts] == ["乙"] * 5 + ["甲"] * 5


def test_operations_are_those_of_the_shipped_encoder() -> None:
    model = AutoModelForTokenClassification.from_pretrained(ROOT / "models/gangmu", local_files_only=True)
    products = [p for name, p in model.named_parameters() if p.ndim == 2 and not name.endswith("embeddings.weight")]
    weights = sum(p.numel() for p in products) - model.classifier.weight.numel()
    hidden, layers = model.config.hidden_size, model.config.num_hidden_layers
    assert operations(3, 100) == 2 * 300 * (weights + layers * 2 * hidden * 100)


def test_the_table_sets_each_way_beside_the_first_two(tmp_path: Path) -> None:
    contest = Contest(Path("x"), ["要抓好落实。会议召开。", "大家要努力。"], 2)
    assert (contest.sentences, len(list(contest.reports.iterdir()))) == (2, 1)
    rows = [Row("a", 10, 2, 900, 5), Row("b", 5, 2, 900, 5), Row("d", 1, 2, 300, 1, 0.9, 0.5)]
    write_results(rows, contest.sentences, "data", {"fp32": 2e11}, tmp_path)
    table = (tmp_path / "table.md").read_text(encoding="utf-8").splitlines()
    assert table[0].endswith("matrix products: 200 billion operations a second in fp32")
    assert table[-1].startswith("| d | 2 | 10.0 | 5.0 | 300 | 1.0 | ")
    assert table[-1].endswith("| 90% | 50% |")
    assert (tmp_path / "picture.svg").stat().st_size > 1000


def test_each_pair_of_sentences_is_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert all(split_sentences(text) for text in islice(pairs(), 4000))


@pytest.mark.slow
def test_growing_tables_are_labelled_whole(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    rows = grow(checkpoint, "torch", [3])
    write_scale(rows, tmp_path)
    sentences = sum(len(split_sentences(text)) for text in islice(pairs(), 3))
    assert (rows[0].reports, rows[0].sentences) == (3, sentences)
    assert f"| 3 | {sentences} |" in (tmp_path / "scale.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    few, many = (row.megabytes for row in grow(ROOT / "models/gangmu", "openvino", [1000, 6000]))
    assert many - few < 50
