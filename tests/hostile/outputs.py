"""Hostile reports, and what must not come of them in our own files and pages; hostile places to run in."""

import csv
import io
import os
from itertools import product
from pathlib import Path

from lxml import html

from gangmu.labeller import LabelledReport, LabelledSentence
from gangmu.labels import NAMES
from gangmu.reading import RawReport
from gangmu.view import html_page
from gangmu.writing import csv_part
from tests.hostile.attack import CANARY, REPORT, SECRET, Attack, Outcome, reading
from tests.written import docx, paragraph

TRIGGERS = "=+-@\t\r\n\0＝＋－＠"
SCRIPTS = [
    "<script>alert(1)</script>",
    "</p></span><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "</title><script>alert(1)</script>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "<iframe src='//evil'></iframe><link rel=stylesheet href=//evil>",
]


def labelled(text: str) -> LabelledReport:
    """Return a report of one sentence."""
    scores = dict.fromkeys(NAMES, 0.2)
    return LabelledReport((LabelledSentence(0, 0, 0, len(text), text, "goal", 0.2, scores, None, False),), text)


def _formulas(folder: Path) -> Outcome:
    """Write cells that begin with every trigger into every column that takes text from outside."""
    reports = []
    for trigger, tail in product(TRIGGERS, ["1+1", "cmd|' /C calc'!A0", 'HYPERLINK("http://evil")']):
        cell = trigger + tail
        reports.append((RawReport(cell, cell, cell, {"date": cell}), labelled(cell)))
    written = csv_part(reports).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(written, newline="")))
    cells = [cell for row in rows for cell in row]
    assert sum(cell.startswith("'") for cell in cells) == 5 * len(reports)
    return [REPORT], [f"a formula: {cell!r}" for cell in cells if cell[:1] in TRIGGERS and cell]


def _scripts(folder: Path) -> Outcome:
    """Put scripts into every place of a page that takes text from outside; look for them as a browser would."""
    page = html.document_fromstring(html_page([(text, labelled(text)) for text in SCRIPTS], SCRIPTS[5]))
    faults = [
        f"<{tag}>" for tag in ("script", "img", "iframe", "svg[@onload]", "link", "object") if page.xpath(f"//{tag}")
    ]
    for element in page.iter():
        faults += [f"{name}={value}" for name, value in element.items() if name.startswith("on")]
        faults += [v for k, v in element.items() if k in ("href", "src") and not v.startswith("#")]
    if not page.xpath(
        "//meta[@http-equiv='Content-Security-Policy' and starts-with(@content, \"default-src 'none'\")]"
    ):
        faults.append("no Content-Security-Policy")
    shown = page.text_content()
    return [REPORT], faults + [f"not shown: {text}" for text in SCRIPTS if text not in shown]


def _planted(folder: Path) -> None:
    """Plant modules that a parser would import in the folder from which Gangmu is run."""
    for name in ("lxml", "trafilatura", "zipfile", "json", "gangmu", "resource", "sitecustomize"):
        (folder / f"{name}.py").write_text(f"open({str(folder / CANARY)!r}, 'w')\n", encoding="utf-8")
    (folder / "reports").mkdir()
    (folder / "reports/x.docx").write_bytes(docx(paragraph(REPORT)))


def _reading_there(folder: Path) -> Outcome:
    before = Path.cwd()
    os.chdir(folder)
    try:
        return reading(Path("reports"))
    finally:
        os.chdir(before)


def _named(folder: Path) -> None:
    """Name files like switches, formulas and pages."""
    for name in ("--model.txt", "=1+1.txt", "<img src=x onerror=alert(1)>.txt", "a\nb.txt", f".{SECRET}.txt"):
        (folder / name).write_text(REPORT, encoding="utf-8")
    with open(os.fsencode(folder) + b"/\xbb\xe1.txt", "w", encoding="utf-8") as stream:  # noqa: PTH123
        stream.write(REPORT)


def _nothing(folder: Path) -> None:
    """Write no file: the attack is in what is labelled."""


ATTACKS = [
    Attack("output: formulas in CSV", _nothing, "", REPORT, run=_formulas),
    Attack("output: scripts in a page", _nothing, "", REPORT, run=_scripts),
    Attack("place: modules planted in the current folder", _planted, "", REPORT, run=_reading_there, child="docx"),
    Attack("place: names of files", _named, "", REPORT),
]
