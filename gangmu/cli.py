"""The `gangmu` command: label, split, doctor. Data on stdout, everything else on stderr."""

import importlib.metadata
import io
import json
import logging
import os
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import track

from gangmu.checkpoint import checkpoint_hash
from gangmu.cleaning import changes
from gangmu.errors import DataError, GangmuError, InputOutputError, UsageError
from gangmu.labeller import Labeller, load
from gangmu.labels import LABELS
from gangmu.limits import parsed_limits
from gangmu.reading import RawReport, read_reports
from gangmu.sentences import split_sentences
from gangmu.tables import Wanted
from gangmu.writing import COLUMNS, WRITERS, Named, writing

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Say of every sentence of a Chinese meeting report: goal 目标, method 方法, mechanism 机制, "
    "exhortation 号召, or other 其他.",
    epilog="Exit codes: 0 done; 1 failure; 2 wrong usage or config; 65 bad data (what was readable is done, "
    "the rest is listed); 74 input/output; 130 interrupted.",
)
err = Console(stderr=True, highlight=False, soft_wrap=True)
Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH",
        help="Reports: txt, md, html, docx, pdf; tables of them: jsonl, csv, tsv, parquet; folders or zips of those; "
        "or - for stdin.",
    ),
]
TextField = Annotated[str | None, typer.Option(help="Column of a table that holds the reports; else guessed.")]
Keep = Annotated[str, typer.Option(help="Columns of a table to carry through to the rows: date,region.")]
Limit = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=NUMBER", help="What one file may cost, such as seconds=60: SECURITY.md lists them."),
]


class Format(StrEnum):
    """What `gangmu label` writes."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    html = "html"
    text = "text"


@app.command(
    epilog="Examples:  gangmu label report.txt   |   gangmu label reports/ --format html --output page.html   |   "
    "cat report.txt | gangmu label - --four --format text"
)
def label(
    paths: Paths,
    model: Annotated[
        Path | None, typer.Option(help="Checkpoint folder; else GANGMU_MODEL, else models/gangmu here.")
    ] = None,
    model_sha256: Annotated[
        str | None, typer.Option(help="Refuse a model whose hash is not this one; `gangmu doctor` shows it.")
    ] = None,
    format: Annotated[Format, typer.Option(help="Rows, one HTML page, or text.")] = Format.jsonl,
    output: Annotated[Path | None, typer.Option(help="File to write; stdout without it.")] = None,
    text_field: TextField = None,
    keep: Keep = "",
    limit: Limit = None,
    four: Annotated[bool, typer.Option("--four", help="Always answer with one of the four functions.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no notes and no summary.")] = False,
) -> None:
    """Label every sentence of reports."""
    wanted = _wanted(text_field, keep)
    limits = parsed_limits(limit or [])
    _show_notes(quiet)
    labeller = load(model_folder(model), four, model_sha256)
    if not quiet:
        checkpoint = labeller.checkpoint
        err.print(f"model {checkpoint.name}, sha256 {checkpoint_hash(checkpoint.folder)}", markup=False)
    faults: list[GangmuError] = []
    reports = read_reports(paths, faults, wanted, limits)
    if not quiet and err.is_terminal:
        reports = iter(track(reports, "labelling", total=None, console=err))
    tally = Tally()
    labelled = tally.counted(_labelled(labeller, reports, faults))
    if first := next(labelled, None):
        with writing(output) if output and str(output) != "-" else nullcontext(sys.stdout.buffer) as stream:
            WRITERS[format.value](chain([first], labelled), stream)
        if output and not quiet:
            err.print(f"wrote {output}", markup=False)
    if not quiet:
        err.print(tally.summary())
    if faults:
        raise DataError([str(fault) for fault in faults])


@app.command(epilog="Examples:  gangmu split report.txt   |   gangmu split report.txt --show-cleaning")
def split(
    paths: Paths,
    text_field: TextField = None,
    keep: Keep = "",
    limit: Limit = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="The text as it was read: what `start` and `end` count in.")
    ] = False,
    show_cleaning: Annotated[
        bool,
        typer.Option(
            "--show-cleaning",
            help="Show each change that cleaning makes instead, as JSON Lines: rule, start and end in the raw text, "
            "before, after.",
        ),
    ] = False,
) -> None:
    """Show the sentences of reports, cleaned, with their places in the raw text, as JSON Lines."""
    _show_notes(quiet=False)
    faults: list[GangmuError] = []
    reports = read_reports(paths, faults, _wanted(text_field, keep), parsed_limits(limit or []))
    if raw:
        _write_raw(reports)
    for report in reports:  # none is left after --raw
        sentences = split_sentences(report.text)
        if not sentences:
            faults.append(_no_sentence(report))
        if show_cleaning:
            _write_rows(report, (change._asdict() for change in changes(report.text)))
        else:
            _write_rows(report, ({"sentence": i, **sentence._asdict()} for i, sentence in enumerate(sentences)))
    if faults:
        raise DataError([str(fault) for fault in faults])


@app.command(epilog="Example:  gangmu doctor")
def doctor() -> None:
    """Show versions, processor and the checkpoint that would be used: what to send with a bug report."""
    for name in (
        "gangmu",
        "numpy",
        "tokenizers",
        "opencc",
        "torch",
        "transformers",
        "trafilatura",
        "lxml",
        "pypdf",
        "pyarrow",
    ):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = "not installed"
        typer.echo(f"{name:14}{version}")
    typer.echo(f"{'python':14}{platform.python_version()}")
    typer.echo(f"{'cores':14}{os.cpu_count()}")
    try:
        checkpoint = load(model_folder(None)).checkpoint
        typer.echo(f"{'checkpoint':14}{checkpoint.name}\n{'sha256':14}{checkpoint_hash(checkpoint.folder)}")
    except GangmuError as error:
        typer.echo(f"{'checkpoint':14}{error}")


def model_folder(given: Path | None) -> Path:
    """Return the checkpoint folder to use; UsageError says how to name one when there is none."""
    if given is not None:
        return given
    if named := os.environ.get("GANGMU_MODEL"):
        return Path(named)
    if Path("models/gangmu").is_dir():
        return Path("models/gangmu")
    raise UsageError("no model: give --model DIR, or set GANGMU_MODEL, or run where models/gangmu is")


def _wanted(text_field: str | None, keep: str) -> Wanted:
    kept = tuple(name.strip() for name in keep.split(",") if name.strip())
    if taken := [name for name in kept if name in COLUMNS or kept.count(name) > 1]:
        raise UsageError(
            f"--keep {', '.join(taken)}: the rows have a column of this name already; rename it in the table"
        )
    return Wanted(text_field, kept)


def _show_notes(quiet: bool) -> None:
    """Print what reading has to say of a file, such as an encoding that is not sure, on stderr."""
    handler = RichHandler(console=err, show_time=False, show_path=False, markup=False, highlighter=None)
    logging.getLogger("gangmu").handlers = [logging.NullHandler() if quiet else handler]


def _labelled(labeller: Labeller, reports: Iterator[RawReport], faults: list[GangmuError]) -> Iterator[Named]:
    """Yield each report with its labels; one that holds no sentence is a fault, never silence."""
    waiting: list[RawReport] = []

    def texts() -> Iterator[str]:
        for report in reports:
            waiting.append(report)
            yield report.text

    for labelled in labeller.label_many(texts()):
        report = waiting.pop(0)
        if labelled.sentences:
            yield report, labelled
        else:
            faults.append(_no_sentence(report))


def _no_sentence(report: RawReport) -> DataError:
    return DataError(f"{report.path}: no sentence in its {len(report.text)} characters")


def _write_rows(report: RawReport, rows: Iterable[dict[str, object]]) -> None:
    for row in rows:
        line = json.dumps({"report": report.id, **row, **report.kept}, ensure_ascii=False)
        # half of a character, which UTF-8 cannot hold, in the escaped form of JSON
        sys.stdout.write(line.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


def _write_raw(reports: Iterator[RawReport]) -> None:
    """Print one report as it is, several each behind a line with its id."""
    first, second = next(reports, None), next(reports, None)
    if first and not second:
        sys.stdout.write(first.text)
        return
    for report in chain([first] if first else [], [second] if second else [], reports):
        sys.stdout.write(f"== {report.id}\n{report.text.rstrip()}\n")


@dataclass
class Tally:
    """What was labelled so far."""

    reports: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def counted(self, labelled: Iterable[Named]) -> Iterator[Named]:
        """Yield what is given, counting it."""
        for named in labelled:
            self.reports += 1
            self.labels.update(sentence.label for sentence in named[1].sentences)
            yield named

    def summary(self) -> str:
        """Return the line that ends a run."""
        shares = ", ".join(f"{label.chinese} {label.name} {self.labels[label.name]}" for label in LABELS)
        return f"{self.reports} reports, {self.labels.total()} sentences: {shares}"


def run(command: Callable[[], object]) -> None:
    """Run a command; print its error without a traceback and leave with the documented exit code.

    Ctrl-C (130) and wrong usage (2) are typer's own.
    """
    try:
        command()
    except GangmuError as error:
        err.print("[bold red]error:[/] ", end="")
        err.print(str(error), markup=False)
        sys.exit(error.exit_code)
    except OSError as error:
        err.print(f"error: {error}", markup=False)
        sys.exit(InputOutputError.exit_code)


def main() -> None:
    """Entry point of the `gangmu` command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # whatever the locale: rows are UTF-8
    run(app)
