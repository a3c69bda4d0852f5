"""Labelled reports -> JSON Lines, CSV, Parquet, text or a page, and files that are there whole or not at all."""

import csv
import errno
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from gangmu.errors import InputOutputError, UsageError
from gangmu.labeller import LabelledReport, LabelledSentence
from gangmu.labels import NAMES
from gangmu.reading import RawReport
from gangmu.view import plain_text

COLUMNS = ("report", "path", *(field.name for field in fields(LabelledSentence)), "model")
FLAT = tuple(chain.from_iterable([f"score_{name}" for name in NAMES] if c == "scores" else [c] for c in COLUMNS))
FORMULA = re.compile("[=+\\-@\t\r\n\x00＝＋－＠]")
"""How a cell begins that spreadsheets compute instead of showing it."""
UNFINISHED = re.compile(r"\.(.+)\.\d+\.part")
"""The temporary files of `writing`, and the names that they are to get."""
FULL = (errno.ENOSPC, errno.EDQUOT)
Named = tuple[RawReport, LabelledReport]


def rows(report: RawReport, labelled: LabelledReport) -> Iterator[dict[str, Any]]:
    """Yield a row a sentence: DESIGN.md's labelled sentence, in its order, then the kept columns of the report."""
    for sentence in labelled.sentences:
        yield {
            "report": report.id,
            "path": report.path,
            **vars(sentence),  # not asdict, which copies: a twentieth of the time of labelling
            "model": labelled.model,
            **report.kept,
        }


def json_part(labelled: Sequence[Named]) -> bytes:
    """Return one line of JSON a sentence."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for named in labelled for row in rows(*named)]
    return "".join(lines).encode()


def csv_part(labelled: Sequence[Named]) -> bytes:
    """Return CSV in UTF-8 with a byte-order mark, as spreadsheets expect it; cells that are formulas get a ' before."""
    header = [*FLAT, *labelled[0][0].kept]
    cells = (_flat(row).values() for named in labelled for row in rows(*named))
    return csv_lines(chain([header], cells)).encode("utf-8-sig")


def csv_lines(lines: Iterable[Iterable[object]]) -> str:
    """Return lines of CSV, each cell guarded."""
    text = io.StringIO()
    csv.writer(text).writerows(map(guarded, cells) for cells in lines)
    return text.getvalue()


def parquet_part(labelled: Sequence[Named]) -> bytes:
    """Return a Parquet file; kept columns become text: the next file may have them in another type."""
    pyarrow = _pyarrow()
    kept = tuple(labelled[0][0].kept)
    types = {name: pyarrow.int64() for name in ("paragraph", "sentence", "start", "end")}
    types |= {name: pyarrow.float64() for name in FLAT if name.startswith("score")} | {"abstained": pyarrow.bool_()}
    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in (*FLAT, *kept)])
    every = [_flat(row) | {name: _text(row[name]) for name in kept} for named in labelled for row in rows(*named)]
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(every, schema), stream)
    return stream.getvalue()


def text_part(labelled: Sequence[Named]) -> bytes:
    """Return the reports for a terminal, each behind a line with its id."""
    return "\n".join(f"== {report.id}\n{plain_text(found)}" for report, found in labelled).encode()


PARTS: dict[str, Callable[[Sequence[Named]], bytes]] = {
    "jsonl": json_part,
    "csv": csv_part,
    "parquet": parquet_part,
    "text": text_part,
}
"""Labelled reports of a shard, at least one -> a whole file of the format."""


def join(format: str, parts: Iterable[bytes], stream: BinaryIO) -> None:
    """Write as one file what several of the format hold, at least one."""
    if format == "parquet":
        _join_parquet(parts, stream)
        return
    head = 0
    for number, part in enumerate(parts):
        if number == 0:
            head = _head(part) if format == "csv" else 0
            stream.write(part)
        else:
            stream.write(b"\n" + part if format == "text" else part[head:])


def _head(part: bytes) -> int:
    """Return the bytes of a CSV file's mark and header, whose names may hold line breaks."""
    text = io.StringIO(part.decode("utf-8-sig"), newline="")
    next(csv.reader(text))
    return len(part) - len(text.read().encode())


def _join_parquet(parts: Iterable[bytes], stream: BinaryIO) -> None:
    pyarrow = _pyarrow()
    parts = iter(parts)
    table = pyarrow.parquet.read_table(io.BytesIO(next(parts)))
    with pyarrow.parquet.ParquetWriter(stream, table.schema) as writer:
        writer.write_table(table)
        for part in parts:
            writer.write_table(pyarrow.parquet.read_table(io.BytesIO(part)))


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(f"--format parquet needs {error.name}: pip install 'gangmu[parquet]'") from error
    return pyarrow


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


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` as `writing` does."""
    with writing(path) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


def drop_stale(path: Path) -> None:
    """Delete what runs that were killed left half written of `path`; for a run that alone may write it."""
    target = path.resolve()
    for beside in target.parent.iterdir():
        if (found := UNFINISHED.fullmatch(beside.name)) and found[1] == target.name:
            beside.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes are at `path` when the block ends without an error; InputOutputError names the path.

    They go through a temporary file beside it. A link is followed, and what is no plain file (a pipe, /dev/null) is
    written to, not replaced.
    """
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if path.exists() and not path.is_file():  # not `target`: /dev/stdout resolves to the name of no file
            with path.open("wb") as stream:
                yield stream
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())  # else a power cut can leave the name without the bytes
        temporary.replace(target)
        _sync(target.parent)
    except OSError as error:
        way_out = "make room and run it again" if error.errno in FULL else "choose another place"
        raise InputOutputError(f"{path}: cannot be written: {error.strerror}; {way_out}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _sync(folder: Path) -> None:
    """Make the names in a folder outlive a power cut, where the system can (Windows cannot open a folder)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
