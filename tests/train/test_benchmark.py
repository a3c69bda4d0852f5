from pathlib import Path

import pytest
from typer.testing import CliRunner

from train.benchmark import app, real_texts

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
