"""Labelled reports -> one self-contained HTML page, or text for a terminal."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from gangmu.labeller import LabelledReport, LabelledSentence
from gangmu.labels import LABELS, NAMES

# A line under each class beside the mark: told apart without colour, in print and by colour-blind readers.
LINES = {
    "goal": "2px solid #7a4b00",
    "method": "2px dotted #0b4f7a",
    "mechanism": "3px double #3d2380",
    "exhortation": "2px dashed #8a1f1d",
    "other": "none",
}
CHINESE = {label.name: label.chinese for label in LABELS}
MARKS = {label.name: label.mark for label in LABELS}
UNSAFE = re.compile(r"[^\w.-]+")
"""What some file system does not take in a name."""


@dataclass(frozen=True)
class Page:
    """What the template shows of one report."""

    name: str
    paragraphs: list[list[LabelledSentence]]
    counts: Counter[str]
    shares: dict[str, float]
    """Per cent of the sentences."""


def html_page(reports: Sequence[tuple[str, LabelledReport]], title: str) -> str:
    """Return one HTML page of named labelled reports; it needs no network and runs no script."""
    pages = [_page(name, report) for name, report in reports]
    model = reports[0][1].model if reports else "no model"
    context = {"labels": LABELS, "lines": LINES, "chinese": CHINESE, "marks": MARKS}
    return _template("report.html.j2").render(title=title, pages=pages, model=model, **context)


def page_name(shard: int, place: int, report: str) -> str:
    """Return the file name of a report's page: in the order of the input, whatever the report is called.

    >>> page_name(0, 11, "市委/常委会")
    '000000-011-市委_常委会.html'
    """
    return f"{shard:06}-{place:03}-{UNSAFE.sub('_', report)[:60]}.html"


def index_page(pages: Iterable[tuple[str, str, Sequence[int]]], model: str, title: str) -> str:
    """Return the HTML page that leads to pages: of each the file name, the report, and its sentences by label."""
    rows = [(quote(file), report, counts, sum(counts)) for file, report, counts in pages]
    totals = [sum(row[2][place] for row in rows) for place in range(len(NAMES))]
    return _template("index.html.j2").render(
        title=title, rows=rows, totals=totals, model=model, labels=LABELS, lines=LINES
    )


def plain_text(report: LabelledReport) -> str:
    """Return the report a sentence a line, each behind its Chinese label; a blank line between paragraphs."""
    blocks = []
    for _, sentences in groupby(report.sentences, key=lambda s: s.paragraph):
        lines = [f"{CHINESE[s.label]}{'?' if s.abstained else ' '} {s.score:.2f}  {s.text}\n" for s in sentences]
        blocks.append("".join(lines))
    return "\n".join(blocks)


def _page(name: str, report: LabelledReport) -> Page:
    counts = Counter(sentence.label for sentence in report.sentences)
    total = max(1, len(report.sentences))
    paragraphs = [list(group) for _, group in groupby(report.sentences, key=lambda s: s.paragraph)]
    return Page(name, paragraphs, counts, {label: 100 * counts[label] / total for label in NAMES})


@lru_cache
def _template(name: str) -> Template:
    loader = PackageLoader("gangmu", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(name)
