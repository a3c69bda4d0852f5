"""Paths, folders and standard input -> raw reports."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gangmu.errors import DataError, InputOutputError, UsageError

SUFFIXES = (".txt", ".text", ".md")
CONVERSIONS = {
    ".doc": "soffice --convert-to 'txt:Text (encoded):UTF8'",
    ".docx": "soffice --convert-to 'txt:Text (encoded):UTF8'",
    ".wps": "soffice --convert-to 'txt:Text (encoded):UTF8'",
    ".pdf": "pdftotext",
}


@dataclass(frozen=True)
class RawReport:
    """A report as it was found: `id` is the file's stem, made unique among the reports read together."""

    id: str
    path: str
    text: str


def read_reports(paths: Sequence[str], faults: list[DataError]) -> Iterator[RawReport]:
    """Yield the reports at `paths`: files, folders (recursive, sorted) or `-` for standard input.

    A file that cannot be read as a report is added to `faults`, and the others go on. A path that does not exist
    raises UsageError before anything is read.
    """
    files = [file for path in paths for file in _files(path, faults)]
    seen: dict[str, int] = {}
    for file in files:
        try:
            text = _read(file)
        except DataError as fault:
            faults.append(fault)
            continue
        stem = "stdin" if file is None else file.stem
        seen[stem] = seen.get(stem, 0) + 1
        name = stem if seen[stem] == 1 else f"{stem}-{seen[stem]}"
        yield RawReport(name, "-" if file is None else str(file), text)


def _files(path: str, faults: list[DataError]) -> list[Path | None]:
    if path == "-":
        return [None]
    found = Path(path)
    if found.is_dir():
        inside = sorted(file for file in found.rglob("*") if file.is_file() and not file.name.startswith("."))
        faults += [
            DataError(f"{file}: skipped: only {', '.join(SUFFIXES)} files of a folder are read; {_conversion(file)}")
            for file in inside
            if file.suffix.lower() not in SUFFIXES
        ]
        reports: list[Path | None] = [file for file in inside if file.suffix.lower() in SUFFIXES]
        if not reports:
            raise UsageError(f"{path}: no {', '.join(SUFFIXES)} file in this folder; give reports as UTF-8 text")
        return reports
    if not found.exists():
        raise UsageError(f"{path}: no such file or folder; give the paths of reports, or - for standard input")
    return [found]


def _read(file: Path | None) -> str:
    name = "standard input" if file is None else str(file)
    try:
        raw = sys.stdin.buffer.read() if file is None else file.read_bytes()
    except OSError as error:
        raise InputOutputError(f"{name}: {error.strerror}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte 0x{raw[error.start]:02x} at {error.start}"
        raise DataError(f"{name}: not UTF-8 text ({found}); {_conversion(file)}") from None
    if not text.strip():
        raise DataError(f"{name}: empty; expected the text of a report")
    return text


def _conversion(file: Path | None) -> str:
    command = CONVERSIONS.get(file.suffix.lower() if file else "", "iconv -f GB18030 -t UTF-8")
    return f"convert it first: {command} {file.name if file else ''}".rstrip()
