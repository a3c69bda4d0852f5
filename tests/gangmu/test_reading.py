import io
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gangmu.errors import GangmuError, UsageError
from gangmu.limits import Limits
from gangmu.reading import RawReport, read_reports
from gangmu.tables import Wanted
from tests.written import docx, paragraph, pdf

TEXT = "会议强调，要健全联席会议制度。"


def read(*paths: Path | str, wanted: Wanted | None = None) -> tuple[list[RawReport], list[str]]:
    faults: list[GangmuError] = []
    reports = list(read_reports([str(path) for path in paths], faults, wanted))
    return reports, [str(fault) for fault in faults]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One report in each format, named so that their order is known."""
    folder = tmp_path / "in"
    (folder / "乙").mkdir(parents=True)
    (folder / "a.txt").write_bytes(TEXT.encode("gb18030"))
    (folder / "b.md").write_bytes(TEXT.encode("utf-16"))
    (folder / "c.html").write_bytes(f"<!doctype html><p>{TEXT}".encode("gb18030"))
    (folder / "d.docx").write_bytes(docx(paragraph(TEXT)))
    (folder / "e.pdf").write_bytes(pdf([[TEXT]]))
    (folder / "f.jsonl").write_text(f'{{"text": "{TEXT}"}}\n', encoding="utf-8")
    (folder / "g.csv").write_text(f"text\n{TEXT}\n", encoding="utf-8-sig")
    (folder / "h.tsv").write_text(f"date\ttext\n2026\t{TEXT}\n", encoding="utf-8")
    (folder / "乙/i.TXT").write_text(TEXT, encoding="utf-8")
    (folder / ".hidden.txt").write_text(TEXT, encoding="utf-8")
    return folder


def test_every_format_of_a_folder_in_sorted_order(folder: Path) -> None:
    reports, faults = read(folder)
    assert faults == []
    assert [report.text.strip() for report in reports] == [TEXT] * 9
    assert [report.id for report in reports] == ["a", "b", "c", "d", "e", "f-1", "g-2", "h-2", "i"]
    assert [Path(report.path).name for report in reports][-1] == "i.TXT"


def test_a_zip_reads_as_its_folder_does(folder: Path) -> None:
    packed = Path(shutil.make_archive(str(folder.parent / "x"), "zip", folder))
    in_folder, _ = read(folder)
    in_zip, faults = read(packed)
    assert faults == []
    assert [(r.id, r.text) for r in in_zip] == [(r.id, r.text) for r in in_folder]
    assert in_zip[-1].path == f"{packed}/乙/i.TXT"


def test_names_in_gbk_of_a_zip_made_in_windows(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("AAAA.txt", TEXT)
    content = (tmp_path / "x.zip").read_bytes().replace(b"AAAA", "县报".encode("gbk"))
    (tmp_path / "x.zip").write_bytes(content)
    assert [report.id for report in read(tmp_path / "x.zip")[0]] == ["县报"]


def test_content_decides_against_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.doc").write_text(f"<html><body><p>{TEXT}</p>", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(pdf([[TEXT]]))
    (tmp_path / "c.doc").write_bytes(docx(paragraph(TEXT)))
    (tmp_path / "d.json").write_text(f'{{"text": "{TEXT}"}}', encoding="utf-8")
    reports, faults = read(tmp_path)
    assert ([report.text.strip() for report in reports], faults) == ([TEXT] * 4, [])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "soffice --convert-to docx a.doc"),
        ("a.wps", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "soffice --convert-to docx a.wps"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "one with a password"),
        ("a.rtf", b"{\\rtf1 x}", "soffice --convert-to docx a.rtf"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "tesseract -l chi_sim a.png"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "tesseract"),
        ("a.rar", b"Rar!\x1a\x07", "unpack it first"),
        ("a.xls", b"x", "soffice --convert-to csv a.xls"),
        ("a.pdf", b"no pdf", "its name ends in .pdf, but it is none"),
        ("a.docx", b"no docx", "its name ends in .docx, but it is none"),
        ("a.json", b'[{"text": 1}]', "jq -c '.[]' a.json"),
        ("a.txt", b" \n", "empty; expected the text of a report"),
    ],
)
def test_what_is_not_read_says_how_to_convert_it(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    reports, faults = read(tmp_path / name)
    assert reports == []
    assert words in faults[0]
    assert faults[0].startswith(str(tmp_path / name))


@pytest.mark.parametrize(
    ("part", "words"),
    [("xl/workbook.xml", "--convert-to csv"), ("ppt/x.xml", "--convert-to docx"), ("OFD.xml", "OFD viewer")],
)
def test_other_office_packages(tmp_path: Path, part: str, words: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("[Content_Types].xml", "")
        archive.writestr(part, "")
    assert words in read(tmp_path / "x.zip")[1][0]


def test_kept_columns_and_ids(tmp_path: Path) -> None:
    table = f'id,date,text\n甲,2026-01-02,{TEXT}\n甲,,"{TEXT}\n完。"\n,2026-03-04,{TEXT}\n'
    (tmp_path / "x.csv").write_bytes(table.encode("gb18030"))
    (tmp_path / "y.txt").write_text(TEXT, encoding="utf-8")
    reports, faults = read(tmp_path, wanted=Wanted(keep=("date",)))
    assert faults == []
    assert [(r.id, r.kept) for r in reports] == [
        ("甲", {"date": "2026-01-02"}),
        ("甲-2", {"date": ""}),
        ("x-5", {"date": "2026-03-04"}),
        ("y", {"date": None}),
    ]


def test_rows_and_files_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand rows through a pipe that gives one more only when the one before has come out."""

    class Pipe(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: "bytearray") -> int:  # type: ignore[override]
            row = f'{{"text": "{TEXT * 2000}"}}\n'.encode()
            self.given += 1
            buffer[: len(row)] = row
            return len(row) if self.given <= 1000 else 0

    pipe = Pipe()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(pipe, 100_000)))
    reports: Iterator[RawReport] = read_reports(["-"], [])
    for number in range(1000):
        assert next(reports).id == f"stdin-{number + 1}"
        assert pipe.given < number + 40  # as many as the buffers hold, at 90 KB a row
    assert next(reports, None) is None


def test_standard_input_is_read_by_its_content(monkeypatch: pytest.MonkeyPatch) -> None:
    for content, name in [
        (TEXT.encode("big5", "ignore"), "stdin"),
        (docx(paragraph(TEXT)), "stdin"),
        (f'{{"id": 7, "text": "{TEXT}"}}'.encode(), "7"),
    ]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        reports, faults = read("-")
        assert ([report.id for report in reports], faults) == ([name], [])
    with pytest.raises(UsageError, match="once only"):
        read("-", "-")


def test_folder_that_cannot_be_entered_costs_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: entered("/nowhere" if Path(path).name == "乙" else path))
    reports, faults = read(folder)
    assert len(reports) == 8
    assert faults == [f"{folder / '乙'}: No such file or directory"]


def test_limits_are_named_and_can_be_set(folder: Path) -> None:
    faults: list[GangmuError] = []
    assert len(list(read_reports([str(folder)], faults, limits=Limits(characters=10)))) == 0
    told = [str(fault) for fault in faults if "limit characters" in str(fault)]
    assert len({line.split(": ")[0].rstrip(":0123456789") for line in told}) == 9, faults
