"""The `gangmu` command: label, split, doctor. Data on stdout, everything else on stderr."""

import importlib.metadata
import io
import json
import os
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from gangmu.cleaning import changes
from gangmu.errors import DataError, GangmuError, InputOutputError, UsageError
from gangmu.labeller import LabelledReport, Labeller, load
from gangmu.labels import LABELS
from gangmu.reading import RawReport, read_reports
from gangmu.sentences import split_sentences
from gangmu.view import html_page, plain_text
from gangmu.writing import json_lines, write_whole

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Say of every sentence of a Chinese meeting report: goal 目标, method 方法, mechanism 机制, "
    "exhortation 号召, or other 其他.",
    epilog="Exit codes: 0 done; 1 failure; 2 wrong usage or config; 65 bad data (what was readable is done, "
    "the rest is listed); 74 input/output; 130 interrupted.",
)
err = Console(stderr=True, highlight=False, soft_wrap=True)
Paths = Annotated[list[str], typer.Argument(metavar="PATH", help="Text files, folders of them, or - for stdin.")]


class Format(StrEnum):
    """What `gangmu label` writes."""

    jsonl = "jsonl"
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
    format: Annotated[Format, typer.Option(help="JSON Lines, one HTML page, or text.")] = Format.jsonl,
    output: Annotated[Path | None, typer.Option(help="File to write; stdout without it.")] = None,
    four: Annotated[bool, typer.Option("--four", help="Always answer with one of the four functions.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no summary.")] = False,
) -> None:
    """Label every sentence of reports."""
    labeller = load(model_folder(model), four)
    faults: list[GangmuError] = []
    reports = read_reports(paths, faults)
    if not quiet and err.is_terminal:
        reports = iter(track(list(reports), "labelling", console=err))
    labelled = list(_labelled(labeller, reports, faults))
    if labelled:
        _write(WRITERS[format](labelled), output)
        if output and not quiet:
            err.print(f"wrote {output}", markup=False)
    if not quiet:
        _summary(labelled)
    if faults:
        raise DataError([str(fault) for fault in faults])


@app.command(epilog="Examples:  gangmu split report.txt   |   gangmu split report.txt --show-cleaning")
def split(
    paths: Paths,
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
    faults: list[GangmuError] = []
    for report in read_reports(paths, faults):
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
    for name in ("gangmu", "numpy", "tokenizers", "opencc", "torch", "transformers"):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = "not installed"
        typer.echo(f"{name:14}{version}")
    typer.echo(f"{'python':14}{platform.python_version()}")
    typer.echo(f"{'cores':14}{os.cpu_count()}")
    try:
        typer.echo(f"{'checkpoint':14}{load(model_folder(None)).checkpoint.name}")
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


Named = tuple[RawReport, LabelledReport]


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
        line = json.dumps({"report": report.id, **row}, ensure_ascii=False)
        # half of a character, which UTF-8 cannot hold, in the escaped form of JSON
        sys.stdout.write(line.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


def _json(labelled: list[Named]) -> str:
    return "".join(json_lines(sentences, report.id, report.path) for report, sentences in labelled)


def _text(labelled: list[Named]) -> str:
    if len(labelled) == 1:
        return plain_text(labelled[0][1])
    return "\n".join(f"== {report.id}\n{plain_text(sentences)}" for report, sentences in labelled)


def _html(labelled: list[Named]) -> str:
    title = labelled[0][0].id if len(labelled) == 1 else f"Gangmu 纲目: {len(labelled)} reports"
    return html_page([(report.id, sentences) for report, sentences in labelled], title)


WRITERS: dict[Format, Callable[[list[Named]], str]] = {Format.jsonl: _json, Format.text: _text, Format.html: _html}


def _write(text: str, output: Path | None) -> None:
    if output is None or str(output) == "-":
        sys.stdout.write(text)
    else:
        write_whole(output, text)


def _summary(labelled: list[Named]) -> None:
    counts = Counter(sentence.label for _, report in labelled for sentence in report.sentences)
    shares = ", ".join(f"{label.chinese} {label.name} {counts[label.name]}" for label in LABELS)
    err.print(f"{len(labelled)} reports, {counts.total()} sentences: {shares}")


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
