"""How well reports are split: on a gold of hard places, on labelled reports, and beside public splitters.

python -m train.splits
python -m train.splits --reports ../shared/reports/dev.jsonl --texts ../shared/reports/reports.jsonl
pip install pysbd ltp-extension; python -m train.splits --public
"""

import json
import logging
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gangmu.cleaning import clean
from gangmu.cli import run
from gangmu.errors import DataError, UsageError
from gangmu.sentences import sentence_spans, split_sentences
from train.dataset import GoldReport, read_labelled

GOLD = Path("tests/fixtures/sentences.txt")
Splitter = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class Case:
    """A clean text with hard places, and where sentences end inside it, counted in characters other than spaces."""

    place: str
    kind: str
    text: str
    ends: frozenset[int]


def read_gold(path: Path) -> list[Case]:
    """Return the cases of a gold file, one a line: `|` between sentences, `⏎` for a line end, `## kind` above.

    DataError where a sentence alone is cleaned to something else than in its case: its ends could not be compared.
    """
    cases = []
    kind = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("## "):
            kind = line[3:]
        elif line and not line.startswith("#"):
            sentences = line.replace("⏎", "\n").split("|")
            text = clean("".join(sentences)).text
            parts = [clean(sentence).text for sentence in sentences]
            if _solid("".join(parts)) != _solid(text):
                raise DataError(f"{path}:{number}: cleaned as a whole it is another text than cleaned by sentence")
            cases.append(Case(f"{path}:{number}", kind, text, inner_ends(parts)))
    return cases


def inner_ends(sentences: Sequence[str]) -> frozenset[int]:
    """Return where sentences but the last end, counted in characters other than spaces.

    >>> sorted(inner_ends(["一是抓；", "二是管。", "三"]))
    [4, 8]
    """
    ends = list(accumulate(len(_solid(sentence)) for sentence in sentences))
    return frozenset(ends[:-1]) - {0, *ends[-1:]}


def our_splitter(text: str) -> list[str]:
    """Return the sentences that Gangmu finds in clean text."""
    return [text[start:end] for start, end in sentence_spans(text)]


def public_splitters() -> dict[str, Splitter]:
    """Return two public splitters by name, each as it comes; UsageError when they are not installed."""
    try:
        import pysbd
        from ltp_extension.algorithms import StnSplit
    except ImportError as error:
        raise UsageError(f"--public compares with other splitters ({error}): pip install pysbd ltp-extension") from None
    segmenter = pysbd.Segmenter(language="zh", clean=False)
    ltp = StnSplit()
    return {"pySBD": segmenter.segment, "LTP StnSplit": ltp.split}


def scores(splitter: Splitter, cases: Sequence[Case]) -> tuple[float, float, float, float]:
    """Return the share of cases split as in the gold, and precision, recall and F1 of the ends inside them."""
    found = [inner_ends([s for line in case.text.split("\n") for s in splitter(line)]) for case in cases]
    right = sum(len(ends & case.ends) for ends, case in zip(found, cases, strict=True))
    precision = right / max(1, sum(map(len, found)))
    recall = right / max(1, sum(len(case.ends) for case in cases))
    whole = sum(ends == case.ends for ends, case in zip(found, cases, strict=True)) / len(cases)
    return whole, precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def wrong(cases: Sequence[Case]) -> Iterator[str]:
    """Yield a line for each case that Gangmu splits otherwise than the gold says."""
    for case in cases:
        sentences = our_splitter(case.text)
        if inner_ends(sentences) != case.ends:
            yield f"{case.place} ({case.kind}): {' | '.join(sentences)}"


def same_sentences(reports: Sequence[GoldReport], texts: dict[str, str] | None = None) -> tuple[int, int, list[str]]:
    """Return how many gold sentences come out of splitting, how many there are, and those that do not.

    Split are the texts, by id; without them the sentences of a paragraph joined, a line a paragraph.
    """
    same = total = 0
    others = []
    for report in reports:
        if texts is not None and report.id not in texts:
            continue
        gold = Counter(report.texts)
        made = Counter(s.text for s in split_sentences(texts[report.id] if texts else joined(report)))
        same += (gold & made).total()
        total += gold.total()
        others += [f"{report.id}: {text}" for text in (gold - made).elements()]
    return same, total, others


def joined(report: GoldReport) -> str:
    """Return the text of a labelled report, a line a paragraph."""
    paragraphs: dict[int, list[str]] = defaultdict(list)
    for sentence in report.sentences:
        paragraphs[sentence.paragraph].append(sentence.text)
    return "\n".join("".join(sentences) for sentences in paragraphs.values())


def _solid(text: str) -> str:
    return "".join(text.split())


def _gold_table(cases: Sequence[Case], splitters: dict[str, Splitter]) -> Table:
    plain = [case for case in cases if not set(";；") & set(case.text)]
    places = sum(len(case.ends) for case in cases)
    shown = Table(title=f"{len(cases)} cases with {places} ends inside them; {len(plain)} cases hold no semicolon")
    for column in ("", "cases right", "precision", "recall", "F1", "cases right, no ；", "F1, no ；"):
        shown.add_column(column, justify="left" if not column else "right")
    for name, splitter in splitters.items():
        whole, precision, recall, f1 = scores(splitter, cases)
        plain_whole, *_, plain_f1 = scores(splitter, plain)
        cells = (whole, precision, recall, f1, plain_whole, plain_f1)
        shown.add_row(name, *(f"{cell:.1%}" if i in (0, 4) else f"{cell:.3f}" for i, cell in enumerate(cells)))
    return shown


def main(
    gold: Annotated[Path, typer.Option(help="Gold of hard places.")] = GOLD,
    public: Annotated[bool, typer.Option("--public", help="Beside pySBD and LTP's StnSplit, if installed.")] = False,
    reports: Annotated[list[Path] | None, typer.Option(help="Labelled reports to split anew.")] = None,
    texts: Annotated[Path | None, typer.Option(help="Raw texts of --reports: JSON Lines with id and text.")] = None,
) -> None:
    """Score the splitter on a gold of hard places, and on labelled reports."""
    cases = read_gold(gold)
    splitters = {"gangmu": our_splitter} | (public_splitters() if public else {})
    Console().print(_gold_table(cases, splitters))
    for line in wrong(cases):
        sys.stdout.write(f"{line}\n")
    for path in reports or []:
        rows = map(json.loads, texts.read_text(encoding="utf-8").splitlines()) if texts else ()
        raw = {row["id"]: row["text"] for row in rows}
        for name, given in {"sentences joined": None, **({"raw texts": raw} if texts else {})}.items():
            same, total, others = same_sentences(read_labelled(path), given)
            sys.stdout.write(f"{path}, {name}: {same} of {total} sentences come out ({same / total:.2%})\n")
            sys.stdout.write("".join(f"  not {other}\n" for other in others))


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command(epilog="Example:  python -m train.splits --reports ../shared/reports/dev.jsonl")(main)
    run(app)
