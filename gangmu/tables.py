"""JSON Lines, CSV, TSV and Parquet -> one report a row. Rows are streamed; a bad one costs itself alone."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from gangmu.decoding import NAMES, guess, without_surrogates
from gangmu.errors import DataError
from gangmu.limits import Allow, Limits

SAMPLE = 20
"""Rows that are looked at to find the column of the text."""
TRIED = 1000
"""Rows of which at least one must be readable, or the table is given up."""
LONG = 30
"""Characters that the values of such a column have on average."""
LONGEST_NAME = 60
"""Characters of a column's name; a longer one is the first row of a table without names."""
HEAD = 1 << 18
"""Bytes that are looked at to find the encoding."""
DELIMITERS = ",\t;|"
BATCH = 64
"""Rows of Parquet read at once."""
Values = Mapping[str, Any]
Record = tuple[int, Values | DataError]
"""A row behind its number, from 1 in the file (CSV and JSON Lines: its line), or what is wrong with it."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of a table: the column of the text, None to guess it, and the columns to carry through."""

    text_field: str | None = None
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A report of a table: its id where it has one, its text, and its kept columns."""

    id: str | None
    text: str
    kept: dict[str, Any]


Numbered = tuple[int, Row | DataError]


class Lines:
    """The lines of a stream, decoded by our own rule; one that is too long loses its end, and `cut` is true."""

    def __init__(self, stream: io.BufferedReader, newline: str, limits: Limits) -> None:
        self.encoding, self.sure = guess(stream.peek(HEAD)[:HEAD])
        self.text = io.TextIOWrapper(stream, self.encoding, "replace", newline=newline)
        self.longest = 2 * limits.characters
        self.cut = False
        self.broken = 0

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self.text.readline(self.longest)
        if not line:
            raise StopIteration
        self.cut = len(line) == self.longest and not line.endswith("\n")
        more = line
        while self.cut and more and not more.endswith("\n"):
            more = self.text.readline(self.longest)
        self.broken += "\ufffd" in line
        return line

    @property
    def note(self) -> str:
        """What a reader of the rows should know; empty when there is nothing to say."""
        notes = [] if self.sure else [f"taken for {NAMES[self.encoding]}, not sure"]
        if self.broken:
            notes.append(f"{self.broken} lines hold U+FFFD: bytes that are not {NAMES[self.encoding]}, or lost before")
        return "; ".join(notes)


def json_rows(lines: Lines, wanted: Wanted, limits: Limits) -> Iterator[Numbered]:
    """Yield the reports of JSON Lines, one in the key `text`, `sentences` or `wanted.text_field` of each line."""
    return _rows(_json_records(lines), None, wanted, limits)


def csv_rows(lines: Lines, tabs: bool, wanted: Wanted, limits: Limits) -> Iterator[Numbered]:
    """Yield the reports of a CSV table whose first row names the columns; DataError when it names none."""
    first = next(lines, "")
    if not first.strip():
        raise DataError("no row of column names: the table is empty")
    delimiter = "\t" if tabs else max(DELIMITERS, key=first.count)
    csv.field_size_limit(limits.characters)  # a setting of the process; Python's own, 131072, is a short report
    reader = csv.reader(chain([first], lines), delimiter=delimiter)
    try:
        names = [name.strip() for name in next(reader)]
    except (StopIteration, csv.Error) as error:
        raise DataError(f"no row of column names: {error}") from None
    if len(set(names)) < len(names) or not all(0 < len(name) <= LONGEST_NAME for name in names):
        raise DataError(f"the first row must name the columns, each once; found {_shown(names)}")
    return _rows(_csv_records(reader, lines, names), names, wanted, limits)


def parquet_answers(source: str | bytes, wanted: Wanted, limits: Limits, allow: Allow) -> Iterator[dict[str, Any]]:
    """Yield {"row": [...]} of each report of a Parquet file, a list for JSON; `parquet_row` turns it back.

    `allow` is told how many seconds of processor time each batch of rows is granted.
    """
    import pyarrow.parquet

    size = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
    file = pyarrow.parquet.ParquetFile(io.BytesIO(source) if isinstance(source, bytes) else source)
    names = list(file.schema_arrow.names)
    columns = [wanted.text_field] if wanted.text_field else [f.name for f in file.schema_arrow if _holds_text(f)]
    columns = list(dict.fromkeys(columns + [n for n in names if n in wanted.keep or n.lower() == "id"]))

    def records() -> Iterator[Record]:
        number = 0
        for batch in file.iter_batches(BATCH, columns=columns, use_threads=False):
            allow(limits.seconds)
            for values in batch.to_pylist():
                number += 1
                yield number, values

    total = 0
    for number, row in _rows(records(), names, wanted, limits):
        total += 0 if isinstance(row, DataError) else len(row.text)
        if total > limits.unpacked(size):
            raise DataError(f"row {number}: more text than a file of this size holds (limit ratio={limits.ratio})")
        yield {"row": [number, str(row)] if isinstance(row, DataError) else [number, *astuple(row)]}


def _holds_text(field: Any) -> bool:
    """Return whether a column of Parquet can be the one of the text; others need not be read."""
    return "string" in str(field.type) and (field.name == "sentences" or "<item" not in str(field.type))


def parquet_row(answer: Sequence[Any]) -> Numbered:
    """Return the row that `parquet_answers` sent."""
    number, *values = answer
    return number, DataError(values[0]) if len(values) == 1 else Row(*values)


def _json_records(lines: Lines) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if lines.cut:
            yield number, DataError(f"a line of more than {lines.longest} characters (limit characters)")
        elif not line.isspace():
            try:
                values = json.loads(line.strip())
            except RecursionError:
                yield number, DataError("JSON too deep inside itself")
            except json.JSONDecodeError as error:
                yield number, DataError(f"not JSON: {error.msg} at column {error.colno}")
            except ValueError as error:  # a number of more than 4300 digits
                yield number, DataError(f"not JSON: {error}")
            else:
                yield (
                    number,
                    values if isinstance(values, dict) else DataError(f"expected an object, found {_shown(values)}"),
                )


def _csv_records(reader: Any, lines: Lines, names: list[str]) -> Iterator[Record]:
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, DataError(f"{error} (limit characters, or a quotation mark that is not closed)")
            continue
        if lines.cut:
            yield number, DataError(f"a line of more than {lines.longest} characters (limit characters)")
        elif len(row) == len(names):
            yield number, dict(zip(names, row, strict=True))
        elif row:
            yield number, DataError(f"{len(row)} fields where the first row names {len(names)}")


def _rows(records: Iterator[Record], names: list[str] | None, wanted: Wanted, limits: Limits) -> Iterator[Numbered]:
    """Yield each record as a report; `names` are the columns where the table names them."""
    first: list[Record] = []
    good: list[Values] = []
    for number, values in records:
        first.append((number, values))
        if not isinstance(values, DataError):
            good.append(values)
        if len(good) == SAMPLE or (not good and len(first) == TRIED):
            break
    found = names if names is not None else list(dict.fromkeys(name for values in good for name in values))
    if not good:
        yield from ((number, fault) for number, fault in first if isinstance(fault, DataError))
        raise DataError(f"none of the first {len(first)} rows of this table can be read")
    field = text_column(found, good, wanted.text_field)
    missing = set(wanted.keep) - set(found)
    if missing and names is not None:
        raise DataError(f"no column {_shown(sorted(missing))} to keep; there are {_shown(found)}")
    identity = next((name for name in found if name.lower() == "id"), None)
    for number, values in chain(first, records):
        if isinstance(values, DataError):
            yield number, values
        else:
            missing -= values.keys()
            yield number, _row(values, field, identity, wanted.keep, limits)
    if missing:
        yield number, DataError(f"no row up to this one has {_shown(sorted(missing))} to keep")


def text_column(names: Sequence[str], sample: Sequence[Values], asked: str | None) -> str:
    """Return the column that holds the reports; DataError names the candidates when that is not clear.

    It is `text` or `sentences` where there is one of these, else the only column of long strings.

    >>> text_column(["标题", "正文"], [{"标题": "县里开会", "正文": "会议强调，要健全联席会议制度。" * 3}], None)
    '正文'
    """
    if asked is not None:
        if asked not in names:
            raise DataError(f"no column {asked!r}; --text-field takes one of {_shown(names)}")
        return asked
    for name in ("text", "sentences"):
        if name in names:
            return name
    lengths = {n: [len(v) for values in sample if isinstance(v := values.get(n), str) and v] for n in names}
    long = [name for name, values in lengths.items() if sum(values) > LONG * len(values)]
    if len(long) != 1:
        problem = "several columns may hold the text" if long else "no column holds long text"
        raise DataError(f"{problem}; give --text-field one of {_shown(long or names)}")
    return long[0]


def _row(values: Values, field: str, identity: str | None, keep: Sequence[str], limits: Limits) -> Row | DataError:
    text = values.get(field)
    if isinstance(text, list):
        text = _joined(text)
    if not isinstance(text, str):
        return DataError(f"{field!r} holds no text: {_shown(values.get(field))}")
    if not text.strip():
        return DataError(f"{field!r} is empty")
    if len(text) > limits.characters:
        return DataError(f"{len(text)} characters (limit characters={limits.characters})")
    name = values.get(identity) if identity else None
    known = isinstance(name, str | int) and str(name).strip()
    try:
        kept = {key: _plain(values.get(key)) for key in keep}
    except RecursionError:
        return DataError("a kept column lies too deep inside itself")
    return Row(without_surrogates(str(known)) if known else None, without_surrogates(text), kept)


def _joined(sentences: Sequence[Any]) -> str | None:
    """Return the text of a report that comes as sentences: strings, or objects with `text` and maybe `paragraph`."""
    pieces: list[str] = []
    before: object = None
    for number, sentence in enumerate(sentences):
        piece, paragraph = sentence, number
        if isinstance(sentence, Mapping):
            piece, paragraph = sentence.get("text"), sentence.get("paragraph", number)
        if not isinstance(piece, str):
            return None
        pieces += ["\n" if pieces and paragraph != before else "", piece]
        before = paragraph
    return "".join(pieces)


def _plain(value: Any) -> Any:
    """Return a kept value as text, number, true, false or null; lists and objects as their JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return without_surrogates(str(value))


def _shown(value: object) -> str:
    try:
        text = ", ".join(map(repr, value)) if isinstance(value, list) else repr(value)
    except RecursionError:
        return "something too deep inside itself"
    return text if len(text) <= 300 else f"{text[:300]}…"
