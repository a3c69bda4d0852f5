"""Shards of labelled reports on disk: what is done outlives a kill, a full disk, a torn file, and is not done again.

A shard is a file, there whole or not at all, and a line of the manifest with its hash, written after it. A shard counts
as done when both are there, agree, and are of the same input; anything else is computed again. So a second run of the
same command ends with the same bytes, whatever stopped the first.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from gangmu.errors import InputOutputError, InUseError, UsageError
from gangmu.reading import RawReport
from gangmu.sources import MANIFEST
from gangmu.writing import write_whole, writing

log = logging.getLogger(__name__)
LOCK = ".lock"
ERRORS = "errors.jsonl"
ERRORS_LOCK = "errors.jsonl.lock"
OURS = re.compile(
    r"\.(manifest\.jsonl|index\.html)\.\d+\.part|\.?part-\d{6}\.\w+(\.\d+\.part)?|\.?\d{6}-\d{3}[^/]*\.html(\.\d+\.part)?"
)
"""Names of shards and pages, and of those that were cut off while they were written."""
EMPTY = re.compile(r"errors\.jsonl(\.lock)?|\.manifest\.jsonl\.\d+\.part")
"""Names that may lie in a folder in which nothing was begun; a shard's may not, scraped pages have such names too."""
UNLABELLED = "cannot be labelled"
"""In the fault of a report that broke the labelling; it is tried again by the next run."""


@dataclass(frozen=True)
class Done:
    """What came of a shard."""

    shard: int
    input: str
    """Hash of its reports, see `input_hash`."""
    counts: list[tuple[str, str, list[int]]]
    """Id and path of each report that was labelled, and how many sentences got each label, in the order of NAMES."""
    faults: list[str]
    """Reports without a label, and why."""
    files: list[str]
    """Names in the folder of shards; none where the rows went elsewhere or there were none."""
    sha256: str


def input_hash(reports: Sequence[RawReport]) -> str:
    """Return a hash of all that a shard's rows depend on besides the model and the options."""
    found = hashlib.sha256()
    for report in reports:
        found.update(json.dumps([report.id, report.path, report.text, dict(report.kept)]).encode())
    return found.hexdigest()[:32]


def content_hash(contents: Sequence[bytes]) -> str:
    """Return the hash of the files of a shard, one after the other."""
    return hashlib.sha256(b"".join(contents)).hexdigest()


class Shards:
    """The folder of the shards of one run; used by one process at a time."""

    def __init__(self, folder: Path, run: dict[str, object], kept: bool) -> None:
        """`run`: what the rows depend on besides the input. `kept`: the folder is the user's, not to be emptied."""
        self.folder = folder
        self.run = json.loads(json.dumps(run))
        self.kept = kept
        self.lock = FileLock(folder / LOCK)
        self.places: dict[int, int] = {}
        """Where in the manifest the newest line of each shard begins."""

    def __enter__(self) -> "Shards":
        """Lock the folder and read its manifest; InUseError when another process has it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.lock.acquire(timeout=0)
        except Timeout:
            self._in_use()
        except OSError as error:
            raise InputOutputError(
                f"{self.folder}: cannot be written: {error.strerror}; choose another --output"
            ) from error
        if not (self.folder / LOCK).exists():  # its owner ended, and deleted it, between our opening and locking it
            self._in_use()
        try:
            self._read()
        except BaseException:
            self.lock.release()
            (self.folder / LOCK).unlink(missing_ok=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock.release()

    def _in_use(self) -> None:
        raise InUseError(f"{self.folder}: another process writes there; wait for it, or choose another --output")

    def _read(self) -> None:
        path = self.folder / MANIFEST
        run, places, end = _scanned(path)
        begun = run is not None and "gangmu" in run
        foreign = [name for name in _names(self.folder) if not EMPTY.fullmatch(name) and name != MANIFEST]
        if self.kept and not begun and (foreign or (path.exists() and path.stat().st_size)):
            what = foreign[0] if foreign else MANIFEST
            raise UsageError(f"{self.folder}: not empty, and no output of gangmu ({what}); choose another --output")
        if begun and run != self.run:
            what = "another model or with other options"
            if self.kept:
                raise UsageError(f"{self.folder}: made with {what}; choose another --output, or delete it")
            log.warning("%s: begun with %s; starting anew", self.folder, what)
            begun = False
        if not begun:
            write_whole(path, json.dumps(self.run, ensure_ascii=False) + "\n")
            return
        if path.stat().st_size > end:
            os.truncate(path, end)
        self.places = places

    def found(self, number: int, input: str) -> Done | None:
        """Return what came of a shard when it was done, of this input, and its files are as they were written."""
        if number not in self.places:
            return None
        done = self.line(number)
        if done.input != input or any(UNLABELLED in fault for fault in done.faults):
            return None
        try:
            contents = [(self.folder / name).read_bytes() for name in done.files]
        except OSError:
            return None
        return done if content_hash(contents) == done.sha256 else None

    def add(self, done: Done) -> None:
        """Note a shard whose files are there."""
        path = self.folder / MANIFEST
        try:
            with path.open("ab") as stream:
                place = stream.tell()
                try:
                    stream.write(_json_line(done))
                    stream.flush()
                    os.fsync(stream.fileno())
                except OSError:
                    with suppress(OSError):
                        stream.truncate(place)
                    raise
        except OSError as error:
            raise InputOutputError(
                f"{path}: cannot be written: {error.strerror}; make room and run it again"
            ) from error
        self.places[done.shard] = place

    def close(self, count: int) -> list[Path]:
        """Return the files of the `count` shards of the run, in order; what earlier runs left is deleted.

        The manifest is written anew, a line a shard in order, whatever was done twice.
        """
        names: list[str] = []
        places: dict[int, int] = {}
        with writing(self.folder / MANIFEST) as stream:
            stream.write((json.dumps(self.run, ensure_ascii=False) + "\n").encode())
            for number in range(count):
                done = self.line(number)
                names += done.files
                places[number] = stream.tell()
                stream.write(_json_line(done))
        self.places = places
        self._drop(names)
        return [self.folder / name for name in names]

    def delete(self) -> None:
        """Delete the folder, the lock last: who opens it until then finds it locked."""
        self._drop([])
        (self.folder / MANIFEST).unlink()
        with suppress(PermissionError):  # Windows, where filelock deletes it
            (self.folder / LOCK).unlink()
        with suppress(OSError):  # another process has locked it already
            self.folder.rmdir()

    def _drop(self, kept: Sequence[str]) -> None:
        """Delete the files of shards but those; never any that is not named as they are."""
        for name in set(_names(self.folder)) - set(kept):
            if OURS.fullmatch(name):
                (self.folder / name).unlink()

    def line(self, number: int) -> Done:
        """Return what came of a shard that is in the manifest."""
        with (self.folder / MANIFEST).open("rb") as stream:
            stream.seek(self.places[number])
            return Done(**json.loads(stream.readline()))


def write_shard(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files of a shard, each whole or not at all."""
    for name, content in files.items():
        write_whole(folder / name, content)


def _json_line(done: Done) -> bytes:
    return (json.dumps(asdict(done), ensure_ascii=False) + "\n").encode()


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != LOCK)


def _scanned(path: Path) -> tuple[dict[str, object] | None, dict[int, int], int]:
    """Return the first line of a manifest, where each shard's newest line begins, and where the last whole line ends.

    It is read a line at a time: that of 10 million reports takes 750 MB.
    """
    run, places, end = None, dict[int, int](), 0
    if not path.is_file():
        return run, places, end
    with path.open("rb") as stream:
        for line in stream:
            if not line.endswith(b"\n"):  # cut off while it was written
                break
            try:
                row = json.loads(line)
            except ValueError:
                log.warning("%s: a broken line; what it and the lines after it say is done again", path)
                break
            if not isinstance(row, dict):
                break
            if run is None:
                run = row
            else:
                places[row["shard"]] = end
            end += len(line)
    return run, places, end
