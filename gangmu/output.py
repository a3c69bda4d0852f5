"""Where labelled shards go: standard output, one file, or a folder; and the list of what could not be labelled."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from gangmu.bulk import Job, Result
from gangmu.errors import UsageError
from gangmu.labels import NAMES
from gangmu.shards import Shards
from gangmu.view import html_page, index_page
from gangmu.writing import Named, guarded, join, write_whole, writing

Found = Callable[[Job, Shards | None], Iterator[Result]]
"""Labels: given the job and the folder of what is done already."""
ERRORS = "errors.jsonl"


@dataclass(frozen=True)
class Output:
    """Where rows go: `-` is standard output; a name that ends in `/`, or a folder that is there, keeps the shards."""

    name: str

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
    def written(self) -> list[Path]:
        """All that is written, whole paths: a folder of reports that holds it is read without it."""
        if self.errors is None:
            return []
        return [path.resolve() for path in (Path(self.name), self.parts, self.errors)]

    @property
    def errors(self) -> Path | None:
        """The file that lists what could not be labelled; None for standard output and devices."""
        path = Path(self.name)
        if self.is_folder:
            return path / ERRORS
        return path.parent / ERRORS if self._plain() else None

    def write(self, job: Job, found: Found, run: dict[str, object]) -> bool:
        """Write what `found` yields and return whether there was anything; `run` says what the rows depend on."""
        path = Path(self.name)
        if not self.is_folder and (job.format in ("html", "text") or not self._plain()):
            return self._stream(job, found)
        job = replace(job, folder=self.parts.resolve(), pages=job.format == "html")
        with Shards(self.parts, run, kept=self.is_folder) as kept:
            count = sum(1 for _ in found(job, kept))
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
        if (path := self.errors) is None:
            return
        mine = {"output": Path(self.name).name}
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        others = [line for line in lines if not line.startswith(json.dumps(mine, ensure_ascii=False)[:-1] + ",")]
        rows = [json.dumps(mine | {"error": fault}, ensure_ascii=False) for fault in faults]
        if others + rows:
            write_whole(path, "".join(line + "\n" for line in others + rows))
        elif path.is_file():
            path.unlink()

    def _plain(self) -> bool:
        path = Path(self.name)
        return self.name != "-" and (path.is_file() or not path.exists())

    def _stream(self, job: Job, found: Found) -> bool:
        """Write as one stream; nothing is opened until something is labelled."""
        results = (result for result in found(job, None) if result.files or result.named)
        if (first := next(results, None)) is None:
            return False
        with nullcontext(sys.stdout.buffer) if self.name == "-" else writing(Path(self.name)) as stream:
            _write_all(job.format, chain([first], results), stream)
        return True


def _write_all(format: str, results: Iterable[Result], stream: BinaryIO) -> None:
    if format != "html":
        join(format, (part for result in results for part in result.files.values()), stream)
        return
    named: list[Named] = [report for result in results for report in result.named]
    title = named[0][0].id if len(named) == 1 else f"Gangmu 纲目: {len(named)} reports"
    stream.write(html_page([(report.id, found) for report, found in named], title).encode())


def _index(kept: Shards, count: int, name: str, model: str) -> str:
    pages = [
        (file, report, counts)
        for number in range(count)
        for file, (report, _, counts) in zip(kept.line(number).files, kept.line(number).counts, strict=True)
    ]
    return index_page(pages, model, f"{name}: {len(pages)} reports")


def summarised(results: Iterable[Result], path: Path | None) -> Iterator[Result]:
    """Yield the results, and write a row a report to the CSV file at `path`: sentences, counts and shares by label."""
    if path is None:
        yield from results
        return
    header = ["report", "path", "sentences", *NAMES, *(f"share_{name}" for name in NAMES)]
    with writing(path) as stream:
        stream.write(("\ufeff" + _csv([header])).encode())
        for result in results:
            rows = []
            for report, place, counts in result.done.counts:
                total = sum(counts)
                rows.append([report, place, total, *counts, *(round(count / total, 4) for count in counts)])
            stream.write(_csv(rows).encode())
            yield result


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([guarded(cell) for cell in row] for row in rows)
    return text.getvalue()


def check_outputs(output: Output, summary: Path | None) -> None:
    """Raise UsageError when two files that are written are the same."""
    if summary and not output.is_folder and output.name != "-" and summary.resolve() == Path(output.name).resolve():
        raise UsageError(f"--summary {summary}: this is --output too; choose another name")
