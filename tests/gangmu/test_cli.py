import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

from gangmu.cli import run

COLUMNS = ["report", "path", "paragraph", "sentence", "start", "end", "text", "label", "score", "scores"]
COLUMNS += ["also", "abstained", "model"]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "县里 的报道.txt"
    path.write_text("會(huì)議于昨日下午召開。\n要健全聯席會議制度;大家要奋勇争先。\n", encoding="utf-8")
    return path


def test_jsonl_has_the_contract_columns(gangmu, report: Path, checkpoint: Path) -> None:
    code, out, err = gangmu("label", report, "--model", checkpoint)
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [list(row) for row in rows] == [COLUMNS] * 3
    assert [row["label"] for row in rows] == ["other", "mechanism", "exhortation"]
    assert {row["report"] for row in rows} == {"县里 的报道"}
    assert "1 reports, 3 sentences" in err


def test_stdin_folder_and_file_give_the_same_rows(gangmu, report: Path, checkpoint: Path) -> None:
    def labels(text: str) -> list[tuple[str, float]]:
        return [(row["text"], row["score"]) for row in map(json.loads, text.splitlines())]

    _, by_file, _ = gangmu("label", report, "--model", checkpoint)
    _, by_folder, _ = gangmu("label", report.parent, "--model", checkpoint)
    _, by_stdin, _ = gangmu("label", "-", "--model", checkpoint, stdin=report.read_text(encoding="utf-8"))
    assert labels(by_file) == labels(by_folder) == labels(by_stdin)


def test_text_and_html(gangmu, report: Path, checkpoint: Path, tmp_path: Path) -> None:
    _, out, _ = gangmu("label", report, "--model", checkpoint, "--format", "text", "--quiet")
    assert [line[:2] for line in out.splitlines() if line] == ["其他", "机制", "号召"]
    page = tmp_path / "out" / "页.html"
    code, out, _ = gangmu("label", report, "--model", checkpoint, "--format", "html", "--output", page)
    assert (code, out) == (0, "")
    assert "要健全联席会议制度；" in page.read_text(encoding="utf-8")


def test_same_stem_twice_gets_two_ids(gangmu, report: Path, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    shutil.copy(report, tmp_path / "b")
    shutil.copy(report, tmp_path / "b" / "县里 的报道-2.txt")
    _, out, _ = gangmu("label", tmp_path, "--model", checkpoint)
    found = {json.loads(line)["report"] for line in out.splitlines()}
    assert found == {"县里 的报道", "县里 的报道-2", "县里 的报道-3"}


def test_bad_files_are_listed_and_the_others_are_done(gangmu, report: Path, checkpoint: Path) -> None:
    (report.parent / "empty.txt").write_text(" \n")
    (report.parent / "gbk.txt").write_bytes("会议召开。".encode("gb18030"))
    (report.parent / "nul.txt").write_bytes(bytes(40))
    (report.parent / "invisible.txt").write_text("\u200b\u200b\ufeff", encoding="utf-8")
    (report.parent / "old.doc").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    (report.parent / "x.log").write_text("x")
    code, out, err = gangmu("label", report.parent, "--model", checkpoint)
    assert code == 65
    assert len(out.splitlines()) == 4
    for words in (
        "empty.txt: empty",
        "nul.txt: not text in UTF-8, GB18030",
        "invisible.txt: no sentence",
        "old.doc: this is an old Office file",
        "soffice --convert-to docx old.doc",
        "x.log: skipped",
    ):
        assert words in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["label", "nowhere.txt"], 2, "nowhere.txt: no such file or folder"),
        (["label", "."], 2, "no file in this folder that is read: .txt"),
        (["label", "x.txt", "--model", "nowhere"], 2, "nowhere: no such folder"),
        (["label", "x.txt", "--model", "."], 2, "not a Gangmu classifier: no config.json"),
        (["label", "x.txt", "--format", "pdf"], 2, "'pdf' is not one of"),
    ],
)
def test_wrong_usage(gangmu, checkpoint, tmp_path, monkeypatch, arguments, code, words) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    if "--model" not in arguments:
        arguments = [*arguments, "--model", str(checkpoint)]
    found, out, err = gangmu(*arguments)
    assert (found, out) == (code, "")
    assert words in " ".join(err.split())


def test_no_model_says_the_three_ways(gangmu, report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(report.parent)
    monkeypatch.delenv("GANGMU_MODEL", raising=False)
    code, _, err = gangmu("label", report)
    assert code == 2
    assert all(words in err for words in ("--model DIR", "GANGMU_MODEL", "models/gangmu"))


def test_output_that_cannot_be_written(gangmu, report: Path, checkpoint: Path) -> None:
    code, _, err = gangmu("label", report, "--model", checkpoint, "--output", report / "below" / "x.jsonl")
    assert code == 74
    assert "cannot be written" in err


def test_split_shows_sentences_with_places(gangmu, report: Path) -> None:
    code, out, _ = gangmu("split", report)
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["text"] for row in rows] == ["会议于昨日下午召开。", "要健全联席会议制度；", "大家要奋勇争先。"]
    assert rows[0]["start"] == 0


def test_doctor_names_versions_and_checkpoint(gangmu, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANGMU_MODEL", str(checkpoint))
    code, out, _ = gangmu("doctor")
    assert code == 0
    assert "transformers" in out
    assert "best@" in out
    assert re.search(r"sha256 +\w{64}", out)


def test_a_file_name_that_is_no_utf_8_costs_nothing(gangmu, report: Path, checkpoint: Path, tmp_path: Path) -> None:
    name = os.fsencode(report.parent) + b"/\xbb\xe1.txt"
    with open(name, "wb") as stream:  # noqa: PTH123
        stream.write("会议召开。".encode())
    code, out, _ = gangmu("label", report.parent, "--model", checkpoint)
    assert code == 0
    assert len(out.splitlines()) == 4


def test_csv_has_a_mark_flat_scores_and_kept_columns_without_formulas(gangmu, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "=1+1。要抓实。", "date": "@SUM(1)"}\n', encoding="utf-8")
    output = tmp_path / "out.csv"
    code, _, _ = gangmu(
        "label", tmp_path, "--model", checkpoint, "--format", "csv", "--keep", "date", "--output", output
    )
    assert code == 0
    assert output.read_bytes().startswith(b"\xef\xbb\xbfreport,path,")
    rows = list(csv.DictReader(io.StringIO(output.read_text(encoding="utf-8-sig"), newline="")))
    assert list(rows[0])[-3:] == ["abstained", "model", "date"]
    assert [(row["text"], row["date"]) for row in rows] == [("'=1+1。", "'@SUM(1)"), ("要抓实。", "'@SUM(1)")]
    assert 0 <= float(rows[0]["score_other"]) <= 1


def test_parquet_holds_the_rows_of_jsonl(gangmu, report: Path, checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    gangmu("label", report, "--model", checkpoint, "--format", "parquet", "--output", output, "--keep", "date")
    _, out, _ = gangmu("label", report, "--model", checkpoint, "--keep", "date")
    lines = [json.loads(line) for line in out.splitlines()]
    found = pyarrow.parquet.read_table(output).to_pylist()
    assert [row | {"date": None} for row in found] == found
    assert [(row["text"], row["score_goal"], row["also"]) for row in found] == [
        (line["text"], line["scores"]["goal"], line["also"]) for line in lines
    ]


def test_columns_that_are_taken_cannot_be_kept(gangmu, report: Path, checkpoint: Path) -> None:
    code, _, err = gangmu("label", report, "--model", checkpoint, "--keep", "date,label")
    assert code == 2
    assert "--keep label: the rows have a column of this name already" in err
    assert gangmu("label", report, "--model", checkpoint, "--keep", "score_goal")[0] == 2


def test_another_model_than_the_one_named_is_refused(gangmu, report: Path, checkpoint: Path) -> None:
    _, _, err = gangmu("label", report, "--model", checkpoint)
    told = re.search(r"model best@\w+, sha256 (\w{64})", err)
    assert told
    assert gangmu("label", report, "--model", checkpoint, "--model-sha256", told[1].upper())[0] == 0
    code, out, err = gangmu("label", report, "--model", checkpoint, "--model-sha256", "0" * 64)
    assert (code, out) == (2, "")
    assert f"its hash is {told[1]}" in err


def test_raw_text_is_what_the_places_count_in(gangmu, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes("會(huì)議召開。\r\n要抓實。".encode("big5", "ignore"))
    _, raw, _ = gangmu("split", tmp_path / "x.txt", "--raw")
    _, out, _ = gangmu("split", tmp_path / "x.txt")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [raw[row["start"] : row["end"]] for row in rows] == ["會(hu)議召開。", "要抓實。"]


def test_notes_are_told_unless_quiet_is_asked(gangmu, report: Path, checkpoint: Path) -> None:
    report.write_bytes("会议召开。".encode()[:-1])
    assert "became U+FFFD" in gangmu("label", report, "--model", checkpoint)[2]
    assert gangmu("label", report, "--model", checkpoint, "--quiet")[2] == ""


def test_a_limit_that_is_none_lists_those_there_are(gangmu, report: Path) -> None:
    code, _, err = gangmu("split", report, "--limit", "secs=5")
    assert code == 2
    assert "seconds=10" in err


def test_output_through_a_link_and_into_a_pipe(gangmu, report: Path, checkpoint: Path, tmp_path: Path) -> None:
    target, link = tmp_path / "target.jsonl", tmp_path / "link.jsonl"
    target.write_text("old")
    link.symlink_to(target)
    gangmu("label", report, "--model", checkpoint, "--output", link)
    assert link.is_symlink()
    assert len(target.read_text(encoding="utf-8").splitlines()) == 3
    gangmu("label", report, "--model", checkpoint, "--output", "/dev/null")
    assert Path("/dev/null").is_char_device()


def test_the_ending_of_the_output_says_the_format(gangmu, report: Path, checkpoint: Path, tmp_path: Path) -> None:
    wanted = {
        "a.csv": b"\xef\xbb\xbfreport,",
        "a.parquet": b"PAR1",
        "a.html": b"<!doctype",
        "a.txt": b"",
        "a.dat": b"{",
    }
    for name, start in wanted.items():
        assert gangmu("label", report, "--model", checkpoint, "--output", tmp_path / name)[0] == 0
        assert (tmp_path / name).read_bytes().startswith(start)
    assert " ".join((tmp_path / "a.txt").read_text(encoding="utf-8").split()).endswith("大家要奋勇争先。")
    gangmu("label", report, "--model", checkpoint, "--output", tmp_path / "b.csv", "--format", "jsonl")
    assert (tmp_path / "b.csv").read_bytes().startswith(b'{"report"')


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_standard_output_that_is_full_or_closed(report: Path, checkpoint: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    program = "from gangmu.cli import main; main()"
    commands = {
        "split": ["split", str(report)],
        "label": ["label", str(report), f"--model={checkpoint}", "--engine=torch", "--quiet"],
    }
    for arguments in commands.values():
        command = [sys.executable, "-c", program, *arguments]
        for variables in (environment, environment | {"PYTHONUNBUFFERED": "1"}):
            with Path("/dev/full").open("w") as full:
                found = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=variables)
            assert found.returncode == 74
            assert "standard output: No space left on device; make room" in " ".join(found.stderr.split())
            read, write = os.pipe()
            os.close(read)
            found = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, env=variables)
            os.close(write)
            assert (found.returncode, found.stderr) == (1, "")
        piped = subprocess.run(
            [*command, *["--output", "/dev/stdout"] * (arguments[0] == "label")], capture_output=True
        )
        assert piped.returncode == 0
        assert len(piped.stdout.splitlines()) == 3


def test_an_error_of_a_library_is_told_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    def breaks() -> None:
        raise OSError("no weights named pytorch_model.bin")

    with pytest.raises(SystemExit) as stopped:
        run(breaks)
    assert (stopped.value.code, capsys.readouterr().err) == (74, "error: no weights named pytorch_model.bin\n")


def test_split_show_cleaning_lists_each_change(gangmu, report: Path) -> None:
    raw = report.read_text(encoding="utf-8")
    code, out, _ = gangmu("split", report, "--show-cleaning")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert rows[0] == {
        "report": "县里 的报道",
        "rule": "pinyin_glosses",
        "start": 1,
        "end": 6,
        "before": "(huì)",
        "after": "",
    }
    assert {row["rule"] for row in rows} == {"pinyin_glosses", "traditional", "narrow_signs"}
    assert all(raw[row["start"] : row["end"]] == row["before"] for row in rows)


@pytest.mark.parametrize("command", ["label", "split"])
def test_a_text_without_a_sentence_is_a_fault_and_the_others_go_on(
    gangmu, report: Path, checkpoint: Path, command
) -> None:  # type: ignore[no-untyped-def]
    (report.parent / "0-unseen.txt").write_text("\u200b\u2060", encoding="utf-8")
    (report.parent / "页脚.txt").write_text("打印本页\n上一篇：会议召开\n", encoding="utf-8")
    code, out, err = gangmu(command, report.parent, *(["--model", checkpoint] if command == "label" else []))
    assert code == 65
    assert len(out.splitlines()) == 3
    assert "0-unseen.txt: no sentence in its 2 characters" in err
    assert "页脚.txt: no sentence in its 14 characters" in err
