"""The `gangmu` command: label, split, doctor. Data on stdout, everything else on stderr."""

import io
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from gangmu.bulk import Job, Result, no_sentence, results
from gangmu.checkpoint import COMPILED, checkpoint_hash, load_checkpoint
from gangmu.choice import EngineName, name_of
from gangmu.cleaning import changes
from gangmu.cluster import ray_workers
from gangmu.compiled import Kind, compile_checkpoint
from gangmu.doctor import facts, model_folder
from gangmu.errors import DataError, GangmuError, InputOutputError, UsageError
from gangmu.limits import parsed_limits
from gangmu.output import Format, Output, summarised
from gangmu.progress import Tally, shown
from gangmu.reading import Meter, RawReport, read_reports
from gangmu.sentences import split_sentences
from gangmu.shards import Shards
from gangmu.sources import total_size
from gangmu.tables import Wanted
from gangmu.workers import local_workers
from gangmu.writing import COLUMNS, FLAT, FULL

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Say of every sentence of a Chinese meeting report: goal 目标, method 方法, mechanism 机制, "
    "exhortation 号召, or other 其他.",
    epilog="Exit codes: 0 done; 1 failure; 2 wrong usage or config; 65 bad data (what was readable is done, "
    "the rest is listed); 74 input/output; 75 output in use; 130 interrupted.",
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
    engine: Annotated[
        EngineName, typer.Option(help="What computes; auto: the fastest that is installed and gives torch's labels.")
    ] = "auto",
    format: Annotated[
        Format | None, typer.Option(help="Rows, one HTML page, or text; else by the ending of --output, else jsonl.")
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            help="File to write, or folder with a / at the end, which keeps the parts; stdout without it. A run that "
            "was stopped goes on where it was when started again."
        ),
    ] = "-",
    summary: Annotated[
        Path | None, typer.Option(help="CSV file for a row a report: sentences, and count and share of each function.")
    ] = None,
    cluster: Annotated[
        str, typer.Option(help="Ray cluster to label on: an address, or auto for the one of this machine.")
    ] = "",
    workers: Annotated[
        int, typer.Option(help="Processes, which share the cores; more than 1 where there are many.", min=1)
    ] = 1,
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
    target = Output(output, summary)
    job = Job(model_folder(model), (format or target.format).value, four, model_sha256, engine, workers=workers)
    labeller = job.labeller()
    job = replace(job, engine=name_of(labeller.engine))
    faults: list[GangmuError] = []
    tally, meter = Tally(), Meter()
    reports = read_reports(paths, faults, wanted, limits, meter, target.written)
    target.check(paths)
    checkpoint = labeller.checkpoint
    sha256 = checkpoint_hash(checkpoint.folder)
    if not quiet:
        err.print(f"model {checkpoint.name}, sha256 {sha256}, engine {labeller.engine.name}", markup=False)
    total = None if quiet else total_size(paths, target.written)

    def found(job: Job, kept: Shards | None) -> Iterator[Result]:
        workers = ray_workers(job, labeller, cluster) if cluster else local_workers(job, labeller)
        labelled = results(reports, meter, workers, kept)
        return summarised(shown(labelled, tally, total, None if quiet else err), summary)

    run: dict[str, object] = {
        "gangmu": version("gangmu"),
        "model": checkpoint.name,
        "sha256": sha256,
        "engine": labeller.engine.name,
    }
    run |= {"format": job.format, "four": four, "keep": list(wanted.keep)}
    written = target.write(job, found, run)
    every = [*map(str, faults), *tally.faults]
    target.list_errors(every)
    if not quiet:
        if written and output != "-":
            err.print(f"wrote {output}", markup=False)
        elif Path(output).is_file():
            err.print(f"{output} is what it was: nothing could be labelled", markup=False)
        err.print(tally.summary(len(every)))
    if every:
        raise DataError(every)


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
            faults.append(no_sentence(report))
        if show_cleaning:
            _write_rows(report, (change._asdict() for change in changes(report.text)))
        else:
            _write_rows(report, ({"sentence": i, **sentence._asdict()} for i, sentence in enumerate(sentences)))
    if faults:
        raise DataError([str(fault) for fault in faults])


@app.command("compile", epilog="Example:  gangmu compile models/gangmu --output small/ --engine onnx")
def compile_model(
    model: Annotated[Path, typer.Argument(help="Checkpoint folder.")],
    output: Annotated[Path, typer.Option(help="Folder to write; a model to label with, without torch.")],
    engine: Annotated[Kind, typer.Option(help="openvino: the fastest; onnx: the smallest.")] = "onnx",
) -> None:
    """Make a folder for an engine that needs no torch; refused unless it gives torch's labels."""
    checkpoint = load_checkpoint(model)
    if (model / COMPILED).is_file():
        raise UsageError(f"{model}: compiled already; give the checkpoint")
    if output.exists() and not (output / COMPILED).is_file():
        raise UsageError(f"{output}: is there, and was not made by gangmu compile; choose another --output")
    _show_notes(quiet=False)
    err.print(compile_checkpoint(checkpoint, engine, output).line(), markup=False)
    err.print(f"wrote {output}: gangmu label REPORT --model {output}", markup=False)


@app.command(epilog="Example:  gangmu doctor")
def doctor() -> None:
    """Show versions, processor and the checkpoint that would be used: what to send with a bug report."""
    for name, value in facts():
        typer.echo(f"{name:14}{value}")


def _wanted(text_field: str | None, keep: str) -> Wanted:
    kept = tuple(name.strip() for name in keep.split(",") if name.strip())
    if taken := [name for name in kept if name in (*COLUMNS, *FLAT) or kept.count(name) > 1]:
        raise UsageError(
            f"--keep {', '.join(taken)}: the rows have a column of this name already; rename it in the table"
        )
    return Wanted(text_field, kept)


def _show_notes(quiet: bool) -> None:
    """Print what reading has to say of a file, such as an encoding that is not sure, on stderr."""
    handler = RichHandler(console=err, show_time=False, show_path=False, markup=False, highlighter=None)
    logging.getLogger("gangmu").propagate = False  # onnxruntime gives the root logger a handler
    logging.getLogger("gangmu").handlers = [logging.NullHandler() if quiet else handler]


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


def run(command: Callable[[], object]) -> None:
    """Run a command; print its error without a traceback and leave with the documented exit code.

    Ctrl-C (130), wrong usage (2) and a reader of standard output that has gone (1) are typer's own.
    """
    try:
        try:
            command()
        finally:
            sys.stdout.flush()  # else a full disk is met when the interpreter ends, which leaves with 120
    except GangmuError as error:
        err.print("[bold red]error:[/] ", end="")
        err.print(str(error), markup=False)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        _drop_output()
        sys.exit(GangmuError.exit_code)
    except OSError as error:
        words = str(error)
        if error.errno in FULL and error.filename is None:  # files have names, and errors of their own
            _drop_output()
            words = f"standard output: {error.strerror}; make room and run it again"
        err.print(f"error: {words}", markup=False)
        sys.exit(InputOutputError.exit_code)


def _drop_output() -> None:
    """Let what standard output still holds go nowhere: it cannot be written, now or when the interpreter ends."""
    with suppress(OSError):  # it is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Entry point of the `gangmu` command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # whatever the locale: rows are UTF-8
    run(app)
