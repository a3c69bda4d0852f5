"""Paths, folders, archives and standard input -> raw reports, whatever their format; a bad file costs itself alone."""

import io
import logging
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from gangmu.decoding import decode, without_surrogates
from gangmu.errors import DataError, GangmuError, InputOutputError, UsageError
from gangmu.formats import DOCUMENTS, TABLES, kind_of, package_kind
from gangmu.limits import Limits
from gangmu.parsers import Parsers
from gangmu.sources import Source, check, members, opened_archive, size_of, sources, whole
from gangmu.tables import HEAD, Lines, Numbered, Row, Wanted, csv_rows, json_rows, parquet_row

log = logging.getLogger(__name__)
LISTED = 1000
"""Bad rows of one table that are listed one by one; of the others the number is given."""
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError)
"""What zipfile and the decoders raise for damaged content."""
Parsed = Future[tuple[str, str]]


@dataclass(frozen=True)
class RawReport:
    """A report as it was found: `id` is the file's stem or the row's id, made unique among those read together."""

    id: str
    path: str
    text: str
    kept: Mapping[str, Any] = field(default_factory=dict)
    """The columns of a table that were asked for; null for reports that come from no table."""


@dataclass
class Meter:
    """Bytes on disk that were read so far, for a progress bar."""

    done: int = 0
    inside: int = 0
    """Of a table that is being read."""

    @property
    def read(self) -> int:
        """Return all of them."""
        return self.done + self.inside


def read_reports(
    paths: Sequence[str],
    faults: list[GangmuError],
    wanted: Wanted | None = None,
    limits: Limits | None = None,
    meter: Meter | None = None,
    without: Sequence[Path] = (),
) -> Iterator[RawReport]:
    """Return the reports at `paths`: files, folders (recursive, sorted), zips of those, or `-` for standard input.

    Memory grows with the number of reports only by their ids. What cannot be read is added to `faults`, and the others
    go on. A path that does not exist raises UsageError at the call, before anything is read. Files and folders
    `without`, whole paths, are passed over in folders.
    """
    if paths.count("-") > 1:
        raise UsageError("-: standard input can be read once only")
    for path in paths:
        check(path)
    found = (source for path in paths for source in sources(path, faults, without))
    return _read(found, faults, wanted or Wanted(), limits or Limits(), meter or Meter())


def _read(
    found: Iterator[Source], faults: list[GangmuError], wanted: Wanted, limits: Limits, meter: Meter
) -> Iterator[RawReport]:
    with ThreadPoolExecutor(limits.children) as threads, Parsers(limits) as parsers:
        yield from _Reader(faults, wanted, limits, parsers, threads, meter).read(found)


class _Reader:
    def __init__(
        self,
        faults: list[GangmuError],
        wanted: Wanted,
        limits: Limits,
        parsers: Parsers,
        threads: ThreadPoolExecutor,
        meter: Meter,
    ) -> None:
        self.faults = faults
        self.wanted = wanted
        self.limits = limits
        self.parsers = parsers
        self.threads = threads
        self.meter = meter
        self.names = _Names()

    def read(self, found: Iterator[Source], archived: bool = False) -> Iterator[RawReport]:
        """Yield the reports of sources in their order; documents are parsed ahead, in the children."""
        waiting: deque[tuple[Source, Parsed]] = deque()
        for source in found:
            try:
                with source.open() as stream:
                    kind, content = self._looked_at(source, stream)
                    if kind in DOCUMENTS:
                        waiting.append((source, self.threads.submit(self._parsed, kind, content)))
                    else:
                        yield from self._finished(waiting, 0)
                        yield from self._opened(source, stream, kind, content, archived)
            except (GangmuError, OSError, *UNREADABLE) as error:
                self._fault(source, error)
            if source.file:
                self.meter.done += size_of(source.file)
                self.meter.inside = 0
            yield from self._finished(waiting, self.limits.children)
        yield from self._finished(waiting, 0)

    def _looked_at(self, source: Source, stream: io.BufferedReader) -> tuple[str, bytes]:
        """Return what a source is, and its content unless it is streamed."""
        kind = kind_of(stream.peek(HEAD)[:HEAD], source.name)
        streamed = kind in TABLES or (kind == "zip" and source.file)
        content = b"" if streamed else whole(stream, self.limits)
        if kind == "zip":
            with self._zip(source, stream, content) as archive:
                kind = package_kind(archive.namelist())
            if kind == "docx" and source.file:
                stream.seek(0)
                content = whole(stream, self.limits)
        return kind, content

    def _parsed(self, kind: str, content: bytes) -> tuple[str, str]:
        text, note = "", ""
        for answer in self.parsers.answers({"kind": kind}, content):
            text, note = without_surrogates(str(answer.get("text", ""))), str(answer.get("note", ""))
        return text, note

    def _finished(self, waiting: deque[tuple[Source, Parsed]], most: int) -> Iterator[RawReport]:
        """Yield the reports of documents that were sent to the children, until `most` are waiting."""
        while len(waiting) > most:
            source, parsed = waiting.popleft()
            try:
                yield self._report(source, *parsed.result())
            except (GangmuError, OSError) as error:
                self._fault(source, error)

    def _opened(
        self, source: Source, stream: io.BufferedReader, kind: str, content: bytes, archived: bool
    ) -> Iterator[RawReport]:
        if kind == "zip":
            yield from self._archive(source, stream, content, archived)
        elif kind in TABLES:
            yield from self._table(source, stream, kind)
        else:
            decoded = decode(content)
            utf8 = decoded.encoding.startswith("utf-8")  # which has no way to write one
            text = decoded.text if utf8 else without_surrogates(decoded.text)
            yield self._report(source, text, decoded.note)

    def _report(self, source: Source, text: str, note: str) -> RawReport:
        if not text.strip():
            raise DataError("empty; expected the text of a report")
        if len(text) > self.limits.characters:
            raise DataError(f"{len(text)} characters (limit characters={self.limits.characters})")
        self._note(source, note)
        kept = dict.fromkeys(self.wanted.keep)
        return RawReport(self.names.unique(source.stem), source.path, text, kept)

    def _archive(
        self, source: Source, stream: io.BufferedReader, content: bytes, archived: bool
    ) -> Iterator[RawReport]:
        if archived:
            raise DataError("an archive inside an archive; unpack it first")
        with self._zip(source, stream, content) as archive:
            inside = list(members(archive, source.path, self.limits, self.faults))
            if not inside:
                raise DataError("no file in this archive that is read")
            yield from self.read(iter(inside), archived=True)

    def _zip(
        self, source: Source, stream: io.BufferedReader, content: bytes
    ) -> AbstractContextManager[zipfile.ZipFile]:
        if source.file:
            return opened_archive(stream, source.file.stat().st_size, self.limits)
        return opened_archive(io.BytesIO(content), len(content), self.limits)

    def _table(self, source: Source, stream: io.BufferedReader, kind: str) -> Iterator[RawReport]:
        bad = 0
        counted = source.file is not None and stream.seekable()  # a pipe has no place
        try:
            for number, row in self._rows(source, stream, kind):
                if counted:
                    self.meter.inside = stream.tell()
                if isinstance(row, Row):
                    name = self.names.unique(row.id or f"{source.stem}-{number}")
                    yield RawReport(name, source.path, row.text, row.kept)
                    continue
                bad += 1
                if bad <= LISTED:
                    self.faults.append(DataError(f"{source.path}:{number}: {row}"))
        finally:
            if bad > LISTED:
                self.faults.append(DataError(f"{source.path}: {bad - LISTED} more rows that cannot be read"))

    def _rows(self, source: Source, stream: io.BufferedReader, kind: str) -> Iterator[Numbered]:
        if kind == "parquet":
            request = {"kind": kind, "path": str(source.file.resolve()) if source.file else None, **vars(self.wanted)}
            content = b"" if source.file else whole(stream, self.limits)
            yield from (parquet_row(answer["row"]) for answer in self.parsers.answers(request, content))
            return
        lines = Lines(stream, "\n" if kind == "jsonl" else "", self.limits)
        if kind == "jsonl":
            yield from json_rows(lines, self.wanted, self.limits)
        else:
            yield from csv_rows(lines, kind == "tsv", self.wanted, self.limits)
        self._note(source, lines.note)

    def _note(self, source: Source, note: str) -> None:
        if note:
            log.warning("%s: %s", source.shown, note)

    def _fault(self, source: Source, error: Exception) -> None:
        if isinstance(error, OSError):
            self.faults.append(InputOutputError(f"{source.shown}: {error.strerror or error}"))
        elif isinstance(error, GangmuError):
            self.faults.append(type(error)(f"{source.shown}: {error}"))
        else:
            self.faults.append(DataError(f"{source.shown}: damaged: {error}"))


class _Names:
    """The ids given so far."""

    def __init__(self) -> None:
        self.given: set[str] = set()
        self.numbers: dict[str, int] = {}

    def unique(self, stem: str) -> str:
        """Return `stem`, or `stem-2`, `stem-3`, … the first that was not given yet."""
        for number in count(self.numbers.get(stem, 1)):
            name = stem if number == 1 else f"{stem}-{number}"
            if name not in self.given:
                break
        self.numbers[stem] = number + 1
        self.given.add(name)
        return name
