import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gangmu.errors import DataError, GangmuError
from gangmu.limits import Limits
from gangmu.parsers import PROGRAM, Parsers
from gangmu.reading import read_reports
from tests.written import docx, paragraph

TEXT = "会议强调，要健全联席会议制度。"
SLOW = f"<p/{'/'.join(f'a{n}' for n in range(40_000))}>{TEXT}".encode()
"""Attributes without spaces between them, which libxml2 compares each with each: seconds, and no limit but time."""
LOADED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import gangmu.child
from gangmu.documents import docx_text, html_text
from gangmu.limits import Limits
docx_text(Path(sys.argv[2]).read_bytes(), Limits())
html_text(b"<p>x", Limits())
print(*sorted({"torch", "transformers"} & set(sys.modules)))
"""


def parsed(parsers: Parsers, kind: str, content: bytes) -> str:
    return "".join(answer["text"] for answer in parsers.answers({"kind": kind}, content))


def test_a_child_that_takes_too_long_costs_its_file_and_not_the_next() -> None:
    with Parsers(Limits(seconds=1)) as parsers:
        with pytest.raises(DataError, match=r"more than 1 s of processor time \(limit seconds=1\)"):
            parsed(parsers, "html", SLOW * 3)
        assert parsed(parsers, "docx", docx(paragraph(TEXT))) == TEXT + "\n"


def test_a_child_that_needs_too_much_memory_says_so() -> None:
    with Parsers(Limits(memory=200)) as parsers:
        with pytest.raises(DataError, match=r"needs more memory than a child may have \(limit memory=200\)"):
            parsed(parsers, "html", b"<p>" + b"x" * 60_000_000)
        assert parsed(parsers, "docx", docx(paragraph(TEXT))) == TEXT + "\n"


def test_a_child_that_dies_is_replaced_and_one_that_lives_is_kept() -> None:
    with Parsers(Limits()) as parsers:
        assert parsed(parsers, "docx", docx(paragraph(TEXT)))
        (first,) = parsers._all
        assert parsed(parsers, "docx", docx(paragraph(TEXT)))
        assert parsers._all == [first]
        os.kill(first.process.pid, signal.SIGSEGV)
        with pytest.raises(DataError, match="its parser died"):
            parsed(parsers, "docx", docx(paragraph(TEXT)))
        assert parsed(parsers, "docx", docx(paragraph(TEXT)))
        (second,) = parsers._all
    assert second is not first
    assert second.process.returncode is not None


def test_a_child_can_write_no_file(tmp_path: Path) -> None:
    code = f"from gangmu.child import *; from pathlib import *; confine(Limits()); {tmp_path / 'x'!r}.write_text('x')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr
    assert (tmp_path / "x").stat().st_size == 0


def test_children_load_no_torch(tmp_path: Path) -> None:
    (tmp_path / "x.docx").write_bytes(docx(paragraph(TEXT)))
    command = [sys.executable, "-c", LOADED, str(Path.cwd()), str(tmp_path / "x.docx")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_many_documents_come_out_in_order(tmp_path: Path) -> None:
    for number in range(12):
        content = paragraph(f"第{number}份。") * (2000 if number % 3 == 0 else 1)
        (tmp_path / f"{number:02}.docx").write_bytes(docx(content))
    (tmp_path / "05.docx").write_bytes(b"PK\x03\x04 broken")
    faults: list[GangmuError] = []
    reports = list(read_reports([str(tmp_path)], faults))
    assert [report.id for report in reports] == [f"{number:02}" for number in range(12) if number != 5]
    assert "05.docx: cannot be read as zip" in str(faults[0])


def test_a_run_that_is_left_early_leaves_no_child_behind(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.docx").write_bytes(docx(paragraph(TEXT)))
    reports = read_reports([str(tmp_path)], [])
    before = children()  # of other tests, such as the resource tracker of multiprocessing
    next(reports)
    running = children() - before
    assert running
    reports.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 10
    while children() & running and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not children() & running


def children() -> set[str]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("kind", "needs", "extra"), [("docx", "lxml", "docs"), ("pdf", "pypdf", "docs"), ("parquet", "pyarrow", "parquet")]
)
def test_a_missing_extra_is_named(kind: str, needs: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gangmu.parsers.PROGRAM", f"import sys\nsys.modules[{needs!r}] = None\n{PROGRAM}")
    request = {"kind": kind, "path": None, "text_field": None, "keep": []}
    with (
        Parsers(Limits()) as parsers,
        pytest.raises(DataError, match=rf"needs {needs}.*: pip install 'gangmu\[{extra}\]'"),
    ):
        list(parsers.answers(request, docx(paragraph(TEXT))))
