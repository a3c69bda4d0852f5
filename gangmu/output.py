"""Where labelled shards go: standard output, one file, or a folder; and the list of what could not be labelled."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain, combinations
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from gangmu.bulk import Job, Result
from gangmu.errors import InUseError, UsageError
from gangmu.formats import is_own
from gangmu.labels import NAMES
from gangmu.shards import ERRORS, ERRORS_LOCK, Shards
from gangmu.sources import printable
from gangmu.view import html_page, index_page
from gangmu.writing import Named, csv_lines, drop_stale, join, write_whole, writing

Found = Callable[[Job, Shards | None], Iterator[Result]]
"""Labels: given the job and the folder of what is done already."""


class Format(StrEnum):
    """What `gangmu label` writes."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    html = "html"
    text = "text"


ENDINGS = {
    ".csv": Format.csv,
    ".parquet": Format.parquet,
    ".html": Format.html,
    ".htm": Format.html,
    ".txt": Format.text,
}


@dataclass(frozen=True)
class Output:
    """Where rows go: `-` is standard output; a name that ends in `/`, or a folder that is there, keeps the shards."""

    name: str
    summary: Path | None = None
    """CSV file for a row a report."""

    @property
    def format(self) -> Format:
        """What its name asks for: rows in CSV for `labelled.csv`; JSON Lines where it says nothing."""
        return Format.jsonl if self.is_folder else ENDINGS.get(Path(self.name).suffix.lower(), Format.jsonl)

    @property
    def is_folder(self) -> bool:
        """Whether each shard, or each page, stays a file of its own."""
        return self.name.endswith(("/", "\\")) or Path(self.name).is_dir()

    @property
    def parts(self) -> Path:
        """The folder of the shards."""
        path = Path(self.name)
        return path if self.is_folder else path.with_name(path.name + ".parts")

    @property
    def files(self) -> dict[str, Path]:
        """The files that are written, whole paths, by what a message calls them."""
        named = {"--output": None if self.is_folder or not self.errors else Path(self.name)}
        named |= {"--summary": self.summary, ERRORS: self.errors}
        return {name: path.resolve() for name, path in named.items() if path}

    @property
    def written(self) -> list[Path]:
        """All that is written, whole paths: a folder of reports that holds it is read without it."""
        return [*self.files.values(), *([self.parts.resolve()] if self.errors else [])]

    @property
    def errors(self) -> Path | None:
        """The file that lists what could not be labelled; None for standard output and devices."""
        path = Path(self.name)
        if self.is_folder:
            return path / ERRORS
        return path.parent / ERRORS if self._plain() else None

    def check(self, paths: Sequence[str]) -> None:
        """Raise UsageError when what is to be written is a report, another output too, or not what gangmu wrote."""
        for (one, first), (two, second) in combinations(self.files.items(), 2):
            if first == second:
                raise UsageError(f"{two} {second}: this is {one} too; choose another name")
        inputs = [Path(path).resolve() for path in paths if path != "-"]
        folder = self.parts.resolve()
        if self.is_folder and any(one.is_relative_to(folder) for one in inputs):
            raise UsageError(f"--output {folder}: the reports are read from there; choose another folder")
        for name, path in self.files.items():
            if path in inputs or (any(path.is_relative_to(one) for one in inputs) and _foreign(path)):
                raise UsageError(f"{name} {path}: this is one of the reports; choose another name")
        errors = self.errors
        if errors and errors.is_file() and errors.stat().st_size and not errors.read_bytes().startswith(b'{"output": '):
            raise UsageError(f"{errors}: not written by gangmu, which would list faults there; choose another --output")

    def write(self, job: Job, found: Found, run: dict[str, object]) -> bool:
        """Write what `found` yields and return whether there was anything; `run` says what the rows depend on.

        Where no report can be read at all, what an earlier run did is left alone.
        """
        path = Path(self.name)
        if not self.is_folder and (job.format in ("html", "text") or not self._plain()):
            return self._stream(job, found)
        job = replace(job, folder=self.parts.resolve(), pages=job.format == "html")
        with Shards(self.parts, run, kept=self.is_folder) as kept:
            if not self.is_folder:
                drop_stale(path)
            before = len(kept.places)
            count = sum(1 for _ in found(job, kept))
            if before and not count:
                return False
            parts = kept.close(count)
            if not self.is_folder:
                if parts:
                    with writing(path) as stream:
                        join(job.format, (part.read_bytes() for part in parts), stream)
                kept.delete()
            elif job.format == "html":
                write_whole(path / "index.html", _index(kept, count, path.name, str(run["model"])))
        return bool(parts)

    def list_errors(self, faults: Sequence[str]) -> None:
        """Write the faults of this output to errors.jsonl, where those of other outputs beside it stay."""
        path = self.errors
        if path is None or not (faults or path.is_file()):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(ERRORS_LOCK)
        with _locked(lock):  # runs with other outputs in the folder list theirs there too
            _list_errors(path, printable(Path(self.name).name), faults)

    def _plain(self) -> bool:
        path = Path(self.name)
        return self.name != "-" and (path.is_file() or not path.exists())

    def _stream(self, job: Job, found: Found) -> bool:
        """Write as one stream; nothing is opened until something is labelled."""
        results = (result for result in found(job, None) if result.files or result.named)
        if (first := next(results, None)) is None:
            return False
        with self._opened() as stream:
            _write_all(job.format, chain([first], results), stream)
        return True

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        """Yield standard output, a device, or a file that no other process writes."""
        path = Path(self.name)
        if self.name == "-":
            yield sys.stdout.buffer
            return
        if not self._plain():
            with writing(path) as stream:
                yield stream
            return
        with _alone(path), writing(path) as stream:
            yield stream


@contextmanager
def _locked(lock: Path, timeout: float = -1) -> Iterator[None]:
    """Hold a lock, and delete its file at the end: who waits for it sees that, and makes it anew."""
    with FileLock(lock, timeout=timeout):
        try:
            yield
        finally:
            with suppress(PermissionError):  # Windows, where filelock deletes it
                lock.unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of a file, so that no other process writes it; InUseError when one does."""
    lock = path.with_name(f".{path.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(lock, timeout=0):
            drop_stale(path)
            yield
    except Timeout:
        raise InUseError(f"{path}: another process writes it; wait for it, or choose another name") from None


def _list_errors(path: Path, output: str, faults: Sequence[str]) -> None:
    drop_stale(path)
    mine = {"output": output}
    start = (json.dumps(mine, ensure_ascii=False)[:-1] + ",").encode()
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    kept = [line for line in lines if not line.startswith(start)]
    rows = [json.dumps(mine | {"error": fault}, ensure_ascii=False).encode() for fault in faults]
    if kept + rows == lines:
        return
    if not kept + rows:
        path.unlink()
        return
    write_whole(path, b"".join(line + b"\n" for line in kept + rows))


def _write_all(format: str, results: Iterable[Result], stream: BinaryIO) -> None:
    if format != "html":
        join(format, (part for result in results for part in result.files.values()), stream)
        return
    named: list[Named] = [report for result in results for report in result.named]
    title = named[0][0].id if len(named) == 1 else f"Gangmu 纲目: {len(named)} reports"
    stream.write(html_page([(report.id, found) for report, found in named], title).encode())


def _index(kept: Shards, count: int, name: str, model: str) -> str:
    every = (kept.line(number) for number in range(count))
    pages = [
        (file, report, counts)
        for done in every
        for file, (report, _, counts) in zip(done.files, done.counts, strict=True)
    ]
    return index_page(pages, model, f"{name}: {len(pages)} reports")


class _NothingError(Exception):
    """No report was labelled: what was begun is not put in the place of what is there."""


def summarised(results: Iterable[Result], path: Path | None) -> Iterator[Result]:
    """Yield the results, and write a row a report to the CSV file at `path`: sentences, counts and shares by label.

    Where nothing is labelled, an earlier file stays.
    """
    if path is None:
        yield from results
        return
    header = ["report", "path", "sentences", *NAMES, *(f"share_{name}" for name in NAMES)]
    labelled = False
    with _alone(path), suppress(_NothingError), writing(path) as stream:
        stream.write(csv_lines([header]).encode("utf-8-sig"))
        for result in results:
            labelled |= bool(result.done.counts)
            rows = []
            for report, place, counts in result.done.counts:
                total = sum(counts)
                rows.append([report, place, total, *counts, *(round(count / total, 4) for count in counts)])
            stream.write(csv_lines(rows).encode())
            yield result
        if not labelled:
            raise _NothingError


def _foreign(path: Path) -> bool:
    """Return whether a file is there that is not ours."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return not is_own(stream)
