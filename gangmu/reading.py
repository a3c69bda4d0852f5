"""Paths, folders and standard input -> raw reports."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from gangmu.errors import DataError, GangmuError, InputOutputError, UsageError

SUFFIXES = (".txt", ".text", ".md")
OFFICE = "soffice --convert-to 'txt:Text (encoded):UTF8'"
CONVERSIONS = {
    ".doc": OFFICE,
    ".docx": OFFICE,
    ".wps": OFFICE,
    ".html": OFFICE,
    ".htm": OFFICE,
    ".pdf": "pdftotext",
}


@dataclass(frozen=True)
class RawReport:
    """A report as it was found: `id` is the file's stem, made unique among the reports read together."""

    id: str
    path: str
    text: str


def read_reports(paths: Sequence[str], faults: list[GangmuError]) -> Iterator[RawReport]:
    """Yield the reports at `paths`: files, folders (recursive, sorted) or `-` for standard input.

    A file that cannot be read as a report is added to `faults`, and the others go on. A path that does not exist
    raises UsageError before anything is read.
    """
    files = [file for path in paths for file in _files(path, faults)]
    given: set[str] = set()
    for file in files:
        try:
            text = _read(file)
        except GangmuError as fault:
            faults.append(fault)
            continue
        name = _unique("stdin" if file is None else _printable(file.stem), given)
        yield RawReport(name, "-" if file is None else _printable(str(file)), text)


def _unique(stem: str, given: set[str]) -> str:
    """Return `stem`, or `stem-2`, `stem-3`, … the first that was not given yet."""
    names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    name = next(name for name in names if name not in given)
    given.add(name)
    return name


def _printable(name: str) -> str:
    """Return a file name that UTF-8 can hold; names in GBK, common in Chinese archives, come as lone surrogates."""
    return os.fsencode(name).decode("utf-8", "replace")


def _files(path: str, faults: list[GangmuError]) -> list[Path | None]:
    if path == "-":
        return [None]
    found = Path(path)
    if not found.exists():
        raise UsageError(f"{path}: no such file or folder; give the paths of reports, or - for standard input")
    if not found.is_dir():
        return [found]
    inside = [file for file in sorted(found.rglob("*")) if not file.is_dir() and not _hidden(file.relative_to(found))]
    reports: list[Path | None] = []
    for file in inside:
        if file.suffix.lower() in SUFFIXES:
            reports.append(file)
        else:
            faults.append(DataError(f"{file}: skipped: only {', '.join(SUFFIXES)} are read in a folder{_advice(file)}"))
    if not reports:
        raise UsageError(f"{path}: no {', '.join(SUFFIXES)} file in this folder; give reports as UTF-8 text")
    return reports


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read(file: Path | None) -> str:
    name = "standard input" if file is None else str(file)
    if file and file.suffix.lower() in CONVERSIONS:
        raise DataError(f"{name}: {file.suffix} files are not read{_advice(file)}")
    try:
        raw = sys.stdin.buffer.read() if file is None else file.read_bytes()
    except OSError as error:
        raise InputOutputError(f"{name}: {error.strerror}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte 0x{raw[error.start]:02x} at {error.start}"
        raise DataError(f"{name}: not UTF-8 text ({found}){_advice(file)}") from None
    if not text.strip():
        raise DataError(f"{name}: empty; expected the text of a report")
    return text


def _advice(file: Path | None) -> str:
    """Return how to make text of a file, where that is known."""
    suffix = file.suffix.lower() if file else ""
    if command := CONVERSIONS.get(suffix):
        return f"; convert it first: {command} {file.name if file else ''}".rstrip()
    return "; convert it first: iconv -f GB18030 -t UTF-8" if suffix in ("", *SUFFIXES) else ""
