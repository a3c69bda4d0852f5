"""Labelled reports -> JSON Lines, CSV, Parquet, text or a page, and files that are there whole or not at all."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from gangmu.errors import InputOutputError, UsageError
from gangmu.labeller import LabelledReport, LabelledSentence
from gangmu.labels import NAMES
from gangmu.reading import RawReport
from gangmu.view import html_page, plain_text

COLUMNS = ("report", "path", *(field.name for field in fields(LabelledSentence)), "model")
FLAT = tuple(chain.from_iterable([f"score_{name}" for name in NAMES] if c == "scores" else [c] for c in COLUMNS))
ROWS_AT_ONCE = 10_000
FORMULA = re.compile("[=+\\-@\t\r\n\x00＝＋－＠]")
"""How a cell begins that spreadsheets compute instead of showing it."""
Named = tuple[RawReport, LabelledReport]


def rows(report: RawReport, labelled: LabelledReport) -> Iterator[dict[str, Any]]:
    """Yield a row a sentence: DESIGN.md's labelled sentence, in its order, then the kept columns of the report."""
    for sentence in labelled.sentences:
        yield {
            "report": report.id,
            "path": report.path,
            **asdict(sentence),
            "model": labelled.model,
            **report.kept,
        }


def write_json(labelled: Iterable[Named], stream: BinaryIO) -> None:
    """Write one line of JSON a sentence."""
    for report, sentences in labelled:
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows(report, sentences)]
        stream.write("".join(lines).encode())


def write_csv(labelled: Iterable[Named], stream: BinaryIO) -> None:
    """Write CSV in UTF-8 with a byte-order mark, as spreadsheets expect it; cells that are formulas get a ' before."""
    stream.write("\ufeff".encode())
    header: list[str] = []
    for report, sentences in labelled:
        text = io.StringIO()
        writer = csv.writer(text)
        if not header:
            header = [*FLAT, *report.kept]
            writer.writerow(map(guarded, header))
        writer.writerows(map(guarded, _flat(row).values()) for row in rows(report, sentences))
        stream.write(text.getvalue().encode())


def write_parquet(labelled: Iterable[Named], stream: BinaryIO) -> None:
    """Write Parquet of one report at least; kept columns become text: the next file may have them in another type."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(f"--format parquet needs {error.name}: pip install 'gangmu[parquet]'") from error
    labelled = iter(labelled)
    first = next(labelled)
    kept = tuple(first[0].kept)
    types = {name: pyarrow.int64() for name in ("paragraph", "sentence", "start", "end")}
    types |= {name: pyarrow.float64() for name in FLAT if name.startswith("score")} | {"abstained": pyarrow.bool_()}
    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in (*FLAT, *kept)])
    every = (_flat(row) for named in chain([first], labelled) for row in rows(*named))
    with pyarrow.parquet.ParquetWriter(stream, schema) as writer:
        while batch := list(islice(every, ROWS_AT_ONCE)):
            for row in batch:
                row.update({name: _text(row[name]) for name in kept})
            writer.write_table(pyarrow.Table.from_pylist(batch, schema))


def write_text(labelled: Iterable[Named], stream: BinaryIO) -> None:
    """Write the reports for a terminal; several each behind a line with its id."""
    labelled = iter(labelled)
    first, second = next(labelled), next(labelled, None)
    if second is None:
        stream.write(plain_text(first[1]).encode())
        return
    stream.write(f"== {first[0].id}\n{plain_text(first[1])}".encode())
    for report, sentences in chain([second], labelled):
        stream.write(f"\n== {report.id}\n{plain_text(sentences)}".encode())


def write_html(labelled: Iterable[Named], stream: BinaryIO) -> None:
    """Write one page, for which all reports must be there."""
    pages = [(report.id, sentences) for report, sentences in labelled]
    title = pages[0][0] if len(pages) == 1 else f"Gangmu 纲目: {len(pages)} reports"
    stream.write(html_page(pages, title).encode())


WRITERS: dict[str, Callable[[Iterable[Named], BinaryIO], None]] = {
    "jsonl": write_json,
    "csv": write_csv,
    "parquet": write_parquet,
    "text": write_text,
    "html": write_html,
}


def guarded(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula.

    >>> guarded("=HYPERLINK(1)"), guarded("－3℃"), guarded("要抓实"), guarded(-0.5)
    ("'=HYPERLINK(1)", "'－3℃", '要抓实', -0.5)
    """
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        flat |= {f"score_{label}": score for label, score in value.items()} if name == "scores" else {name: value}
    return flat


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path` as `writing` does."""
    with writing(path) as stream:
        stream.write(text.encode())


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes are at `path` when the block ends without an error; InputOutputError names the path.

    They go through a temporary file beside it. A link is followed, and what is no plain file (a pipe, /dev/null) is
    written to, not replaced.
    """
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.part")
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            yield stream
        temporary.replace(target)
    except OSError as error:
        raise InputOutputError(f"{path}: cannot be written: {error.strerror}; choose another --output") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
