import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet
import pytest
from filelock import FileLock

from gangmu import bulk, labeller, workers
from gangmu.errors import InputOutputError
from gangmu.labeller import LabelledReport, Labeller
from gangmu.output import Output

TEXTS = ["要深入排查管网隐患。大家要奋勇争先。", "会议于昨日下午召开。", "要健全联席会议制度；力争到明年建成三个园区。"]


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of eight reports, three to a shard."""
    monkeypatch.setattr(labeller, "SHARD_REPORTS", 3)
    path = tmp_path / "in" / "reports.jsonl"
    path.parent.mkdir()
    rows = [{"id": f"r{number}", "text": TEXTS[number % 3]} for number in range(8)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the shards that were computed, not found."""
    seen: list[int] = []
    real = workers.label_shard

    def noted(labeller: Labeller, job: bulk.Job, shard: bulk.Shard) -> bulk.Result:
        seen.append(shard.number)
        return real(labeller, job, shard)

    monkeypatch.setattr(workers, "label_shard", noted)
    return seen


@pytest.fixture
def label(gangmu, reports: Path, checkpoint: Path, tmp_path: Path) -> Callable[..., tuple[int, bytes, str]]:  # type: ignore[no-untyped-def]
    """Label the reports into a file; return exit code, its bytes, stderr."""

    def command(*arguments: str | Path, output: str = "out.jsonl") -> tuple[int, bytes, str]:
        code, _, err = gangmu("label", reports, "--model", checkpoint, "--output", tmp_path / output, *arguments)
        path = tmp_path / output
        return code, path.read_bytes() if path.is_file() else b"", err

    return command


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_bytes(
    label, computed, tmp_path, monkeypatch, format
) -> None:  # type: ignore[no-untyped-def]
    _, whole, _ = label("--format", format)
    assert computed == [0, 1, 2]
    real = bulk.write_shard

    def full(folder: Path, files: dict[str, bytes]) -> str:
        if any("000001" in name for name in files):
            raise InputOutputError("no room")
        return real(folder, files)

    with monkeypatch.context() as patch:
        patch.setattr(bulk, "write_shard", full)
        assert label("--format", format, output="again")[0] == 74
    assert (tmp_path / f"again.parts/part-000000.{format}").exists()
    computed.clear()
    code, again, err = label("--format", format, output="again")
    assert (code, again, computed) == (0, whole, [1, 2])
    assert "3 reports of them by an earlier run" in err
    assert [path.name for path in tmp_path.glob("again*")] == ["again"]


def test_what_was_torn_or_changed_is_done_again(label, reports, computed, tmp_path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "out"
    folder.mkdir()
    assert label(output="out")[0] == 0
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(kept) == [".lock", "manifest.jsonl", *(f"part-00000{number}.jsonl" for number in range(3))]
    computed.clear()
    assert label(output="out")[0] == 0
    assert computed == []
    for name, shard in (("part-000001.jsonl", [1]), ("manifest.jsonl", [2])):
        (folder / name).write_bytes(kept[name][:-7])
        computed.clear()
        assert label(output="out")[0] == 0
        assert computed == shard
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
    lines = reports.read_text(encoding="utf-8").splitlines()
    reports.write_text("\n".join(lines[:4]).replace("会议于", "会于"), encoding="utf-8")
    computed.clear()
    assert label(output="out")[0] == 0
    assert computed == [0, 1]
    assert sorted(path.name for path in folder.glob("part*")) == ["part-000000.jsonl", "part-000001.jsonl"]


def test_a_poisoned_report_costs_itself_alone(label, reports, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    real = Labeller.label_shard

    def breaks(self: Labeller, texts: Sequence[str]) -> Iterator[LabelledReport]:
        if any("毒" in text for text in texts):
            raise ValueError("a text that breaks the model")
        yield from real(self, texts)

    monkeypatch.setattr(Labeller, "label_shard", breaks)
    rows = reports.read_text(encoding="utf-8").replace('"r4", "text": "', '"r4", "text": "毒')
    reports.write_text(rows, encoding="utf-8")
    code, out, err = label()
    assert code == 65
    assert list(dict.fromkeys(json.loads(line)["report"] for line in out.splitlines())) == [
        f"r{number}" for number in range(8) if number != 4
    ]
    assert "report r4 cannot be labelled: ValueError: a text that breaks the model" in err
    listed = [json.loads(line) for line in (tmp_path / "errors.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["output"] for row in listed] == ["out.jsonl"]
    assert "r4" in listed[0]["error"]
    reports.write_text(rows.replace("毒", ""), encoding="utf-8")
    assert label()[0] == 0
    assert not (tmp_path / "errors.jsonl").exists()


def test_errors_of_another_output_stay(label, reports, tmp_path) -> None:  # type: ignore[no-untyped-def]
    good = reports.read_text(encoding="utf-8")
    reports.write_text(good + "{\n", encoding="utf-8")
    assert label(output="a.jsonl")[0] == 65
    assert label(output="b.jsonl")[0] == 65
    reports.write_text(good, encoding="utf-8")
    assert label(output="a.jsonl")[0] == 0
    listed = (tmp_path / "errors.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["output"] for line in listed] == ["b.jsonl"]


def test_what_killed_runs_left_is_deleted(label, reports, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "out[1].jsonl.parts").mkdir()
    stale = [".out[1].jsonl.123.part", ".summary.csv.123.part", "out[1].jsonl.parts/.manifest.jsonl.123.part"]
    others = [".other.jsonl.123.part", ".out[1].jsonl.csv.123.part"]
    for name in [*stale, *others]:
        (tmp_path / name).write_text("half a row", encoding="utf-8")
    assert label("--summary", str(tmp_path / "summary.csv"), output="out[1].jsonl")[0] == 0
    left = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert left == [*others, "out[1].jsonl", "summary.csv"]
    assert not (tmp_path / "out[1].jsonl.parts").exists()


def test_runs_that_end_at_once_all_list_their_errors(tmp_path: Path) -> None:
    outputs = [Output(str(tmp_path / f"{number}.jsonl")) for number in range(8)]
    with ThreadPoolExecutor(len(outputs)) as pool:
        for _ in range(10):
            list(pool.map(lambda output: output.list_errors([output.name]), outputs))
            listed = (tmp_path / "errors.jsonl").read_text(encoding="utf-8").splitlines()
            assert {json.loads(line)["error"] for line in listed} == {output.name for output in outputs}
            (tmp_path / "errors.jsonl").unlink()
    assert not list(tmp_path.iterdir())


def test_two_processes_cannot_write_one_output(label, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "out.jsonl.parts").mkdir()
    with FileLock(tmp_path / "out.jsonl.parts/.lock"):
        code, out, err = label()
    assert (code, out) == (75, b"")
    assert "another process writes there" in err
    assert label()[0] == 0


def test_a_folder_that_holds_something_else_is_refused(label, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("x")
    code, _, err = label(output="mine")
    assert code == 2
    assert "not empty, and no output of gangmu (thesis.txt)" in err
    (tmp_path / "out").mkdir()
    assert label(output="out")[0] == 0
    code, _, err = label("--four", output="out")
    assert code == 2
    assert "made with another model or with other options" in err


@pytest.mark.parametrize("name", ["part-000007.jsonl", "202603-001会议.html", "index.html"])
def test_reports_named_as_shards_and_pages_are_not_deleted(gangmu, label, checkpoint, tmp_path, name) -> None:  # type: ignore[no-untyped-def]
    theirs = tmp_path / "theirs" / name
    theirs.parent.mkdir()
    theirs.write_text("要抓好落实。" * 9, encoding="utf-8")
    code, _, err = label(output="theirs")
    assert (code, "not empty, and no output of gangmu" in err) == (2, True)
    for read in (theirs.parent, theirs):
        code, _, err = gangmu("label", read, "--model", checkpoint, "--output", theirs.parent)
        assert (code, "the reports are read from there" in err) == (2, True)
    assert theirs.read_text(encoding="utf-8") == "要抓好落实。" * 9


def test_without_any_report_what_was_labelled_before_stays(gangmu, label, checkpoint, tmp_path) -> None:  # type: ignore[no-untyped-def]
    summary = ("--summary", tmp_path / "summary.csv")
    (tmp_path / "out").mkdir()
    assert label(*summary, output="out")[0] == 0
    before = {path: path.read_bytes() for path in [*(tmp_path / "out").iterdir(), summary[1]]}
    (tmp_path / "none").mkdir()
    assert gangmu("label", tmp_path / "none", "--model", checkpoint, "--output", tmp_path / "out", *summary)[0] != 65
    assert {path: path.read_bytes() for path in [*(tmp_path / "out").iterdir(), summary[1]]} == before


def test_two_runs_cannot_write_one_summary(label, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with FileLock(tmp_path / ".summary.csv.lock"):
        code, out, err = label("--summary", tmp_path / "summary.csv")
    assert (code, out) == (75, b"")
    assert "another process writes it" in err


def test_parts_of_a_run_with_other_options_are_not_mixed_in(label, computed, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    with monkeypatch.context() as patch:
        patch.setattr(bulk, "_result", lambda waited, kept: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            label()
    computed.clear()
    _, four, _ = label("--four")
    assert computed == [0, 1, 2]
    assert b'"label": "other"' not in four


def test_pages_and_their_index(label, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "pages").mkdir()
    code, _, _ = label("--format", "html", output="pages")
    assert code == 0
    index = (tmp_path / "pages/index.html").read_text(encoding="utf-8")
    linked = re.findall('href="([^"]+)"', index)
    assert linked == [f"{number // 3:06}-{number % 3:03}-r{number}.html" for number in range(8)]
    assert all("。" in (tmp_path / "pages" / name).read_text(encoding="utf-8") for name in linked)
    assert "all 合计" in index


def test_summary_has_a_row_a_report(label, tmp_path) -> None:  # type: ignore[no-untyped-def]
    label("--summary", tmp_path / "summary.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "summary.csv").read_text(encoding="utf-8-sig"), newline="")))
    assert [row["report"] for row in rows] == [f"r{number}" for number in range(8)]
    assert (rows[0]["sentences"], rows[0]["method"], rows[0]["share_exhortation"]) == ("2", "1", "0.5")
    code, _, err = label("--summary", tmp_path / "out.jsonl")
    assert code == 2
    assert "this is --output too" in err


def test_what_is_written_is_not_read(gangmu, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "甲.txt").write_text(TEXTS[0], encoding="utf-8")
    arguments = ("label", tmp_path, "--model", checkpoint, "--output", tmp_path / "out.jsonl")
    for _ in range(2):
        code, _, err = gangmu(*arguments, "--summary", tmp_path / "summary.csv")
        assert code == 0
        assert "1 reports, 2 sentences" in err


def test_two_workers_and_standard_output_give_the_bytes_of_one(  # type: ignore[no-untyped-def]
    gangmu, label, reports, checkpoint, tmp_path, monkeypatch
) -> None:
    _, one, _ = label()
    (tmp_path / "pickle.py").write_text("open('ran', 'w').close()\nraise SystemExit('code of this folder was run')")
    monkeypatch.chdir(tmp_path)
    assert label("--workers", "2", output="two.jsonl")[1] == one
    assert not (tmp_path / "ran").exists()  # not by what multiprocessing starts beside the workers either
    assert "PYTHONSAFEPATH" not in os.environ
    assert gangmu("label", reports, "--model", checkpoint)[1].encode() == one


def test_any_number_of_threads_gives_the_same_logits(checkpoint: Path) -> None:
    texts = [[f"要深入排查管网隐患{'，要抓好' * number}。" for number in range(40)] for _ in range(5)]
    one, three = (labeller.load(checkpoint, threads=threads).logits(texts) for threads in (1, 3))
    assert all((a == b).all() for a, b in zip(one, three, strict=True))


def test_any_batch_gives_the_same_scores(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [[f"要深入排查管网隐患{'，要抓好' * (number % 9)}。" for number in range(12)] for _ in range(6)]
    loaded = labeller.load(checkpoint)
    many = loaded.logits(texts)
    monkeypatch.setattr(labeller, "BATCH_TOKENS", 64)
    few = loaded.logits(texts)
    alone = [loaded.logits([report])[0] for report in texts]
    scores = loaded.checkpoint.decision.scores
    for a, b, c in zip(many, few, alone, strict=True):
        assert abs(scores(a) - scores(b)).max() <= 1e-5
        assert abs(scores(a) - scores(c)).max() <= 1e-5


def test_reports_are_not_written_over(gangmu, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for name in ("甲.txt", "乙.txt"):
        (tmp_path / name).write_text(TEXTS[0], encoding="utf-8")
    report = tmp_path / "甲.txt"
    pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS}), tmp_path / "丙.parquet")
    (tmp_path / "丁.html").write_text(f'<!doctype html>\n<html lang="zh"><p>{TEXTS[0]}', encoding="utf-8")
    tries = [
        (report, "--output", report),
        (tmp_path, "--output", tmp_path / "乙.txt"),
        (tmp_path, "--output", tmp_path / "丙.parquet"),
        (tmp_path, "--output", tmp_path / "丁.html"),
        (report, "--output", tmp_path / "out.jsonl", "--summary", report),
        (report, "--output", tmp_path / "errors.jsonl"),
        (report, "--output", tmp_path / "out.jsonl", "--summary", tmp_path / "errors.jsonl"),
    ]
    for arguments in tries:
        code, _, err = gangmu("label", *arguments, "--model", checkpoint)
        assert code == 2, err
    (tmp_path / "errors.jsonl").write_text("mine\n")
    code, _, err = gangmu("label", report, "--output", tmp_path / "out.jsonl", "--model", checkpoint)
    assert code == 2
    assert "not written by gangmu" in err
    assert [path.read_text(encoding="utf-8") for path in sorted(tmp_path.glob("*.txt"))] == [TEXTS[0]] * 2


def test_a_manifest_of_something_else_is_left_alone(label, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "mine").mkdir()
    for text in ("[1]\n", '{"name": "app"}\n'):
        (tmp_path / "mine/manifest.jsonl").write_text(text)
        (tmp_path / "mine/part-000042.csv").write_text("x")
        assert label(output="mine")[0] == 2
        assert (tmp_path / "mine/manifest.jsonl").read_text() == text
        assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["manifest.jsonl", "part-000042.csv"]


def test_pages_of_changed_reports_are_made_anew(label, reports, computed, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "pages").mkdir()
    assert label("--format", "html", output="pages")[0] == 0
    reports.write_text(reports.read_text(encoding="utf-8").replace("会议于", "会于", 1), encoding="utf-8")
    computed.clear()
    assert label("--format", "html", output="pages")[0] == 0
    assert computed == [0]
    (tmp_path / "pages/000001-001-r4.html").unlink()
    assert label("--format", "html", output="pages")[0] == 0
    assert (tmp_path / "pages/000001-001-r4.html").exists()


def test_an_engine_that_fails_ends_the_run_and_no_report_is_given_up(label, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    real = Labeller.label_shard
    calls: list[int] = []

    def fails(self: Labeller, texts: Sequence[str]) -> Iterator[LabelledReport]:
        calls.append(len(texts))
        if len(calls) > 1:
            raise RuntimeError("out of memory")
        yield from real(self, texts)

    with monkeypatch.context() as patch:
        patch.setattr(Labeller, "label_shard", fails)
        code, _, err = label()
    assert code == 1
    assert "torch fp32 does not work: RuntimeError: out of memory" in " ".join(err.split())
    assert (tmp_path / "out.jsonl.parts/part-000000.jsonl").exists()
    assert label()[0] == 0


def test_what_is_done_stays_when_nothing_can_be_read_now(label, reports, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "out").mkdir()
    good = reports.read_bytes()
    assert label(output="out")[0] == 0
    kept = sorted(path.name for path in (tmp_path / "out").iterdir())
    reports.write_bytes(b"{\n")
    code, _, _ = label(output="out")
    assert code == 65
    assert sorted(path.name for path in (tmp_path / "out").glob("*")) == sorted([*kept, "errors.jsonl"])
    assert label()[0] == 65
    (tmp_path / "out.jsonl").write_text("rows of before")
    code, out, err = label()
    assert (code, out) == (65, b"rows of before")
    assert "out.jsonl is what it was: nothing could be labelled" in " ".join(err.split())
    reports.write_bytes(good)
    assert label(output="out")[0] == 0


def test_reports_that_can_be_read_no_more_leave_nothing_doubled(label, reports, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "out").mkdir()
    lines = reports.read_text(encoding="utf-8").splitlines(keepends=True)
    assert label(output="out")[0] == 0
    for broken in (3, 1):  # a shard less, and as many shards as before
        reports.write_text("".join(["{\n"] * broken + lines[broken:]), encoding="utf-8")
        assert label(output="out")[0] == 65
        parts = sorted((tmp_path / "out").glob("part*"))
        labelled = [json.loads(line)["report"] for part in parts for line in part.read_bytes().splitlines()]
        assert list(dict.fromkeys(labelled)) == [f"r{number}" for number in range(broken, 8)]
        assert len(labelled) == len(label(output=f"{broken}.jsonl")[1].splitlines())
        assert len((tmp_path / "out/errors.jsonl").read_bytes().splitlines()) == broken


def test_what_earlier_runs_wrote_is_no_report(gangmu, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "甲.txt").write_text(TEXTS[0], encoding="utf-8")
    mine = json.dumps({"report": TEXTS[1], "path": "乙"}, ensure_ascii=False)
    (tmp_path / "mine.jsonl").write_text(mine, encoding="utf-8")
    names = ("rows.jsonl", "rows.csv", "rows.parquet", "page.html", "text.txt", "pages/")
    for name in names:
        options = ("--format", "html") if name == "pages/" else ()
        options += ("--summary", tmp_path / f"summary.{name[:4]}.csv")
        command = ("label", tmp_path, "--model", checkpoint, "--text-field", "report", *options)
        code, _, err = gangmu(*command, "--output", f"{tmp_path}/{name}")
        assert (code, "2 reports, 3 sentences" in err) == (0, True), err
    assert "rows.csv: written by gangmu label, not read as reports" in " ".join(err.split())
    assert err.count("written by") == 5 + 2  # outputs and summaries
    code, _, err = gangmu("label", tmp_path / "text.txt", "--model", checkpoint)
    assert code == 0
    assert "1 reports, " in err


def test_a_fault_that_passes_changes_no_row(label, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    _, whole, _ = label()
    real = Labeller.label_shard
    calls: list[int] = []

    def fails_once(self: Labeller, texts: Sequence[str]) -> Iterator[LabelledReport]:
        calls.append(len(texts))
        if len(calls) == 1:
            raise MemoryError
        yield from real(self, texts)

    monkeypatch.setattr(Labeller, "label_shard", fails_once)
    assert label(output="again.jsonl")[:2] == (0, whole)
    assert calls == [3, 3, 3, 2]


def test_two_processes_cannot_write_one_page(label, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / ".page.html.123.part").write_text("half a page")
    with FileLock(tmp_path / ".page.html.lock"):
        code, _, err = label(output="page.html")
    assert code == 75
    assert "another process writes it" in " ".join(err.split())
    assert label(output="page.html")[0] == 0
    assert sorted(path.name for path in tmp_path.glob(".page*")) == []
