"""Where reports lie: files, folders, members of archives, standard input."""

import io
import logging
import os
import re
import stat
import sys
import zipfile
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import BinaryIO

from gangmu.decoding import decode
from gangmu.errors import DataError, GangmuError, InputOutputError, UsageError
from gangmu.formats import CONVERSIONS, KINDS, is_own, suffix_of
from gangmu.limits import Limits
from gangmu.tables import HEAD

log = logging.getLogger(__name__)
FIRST = 1 << 16
"""Bytes that nearly every report is within."""
MANIFEST = "manifest.jsonl"
"""Of a folder of labelled shards."""
ENCRYPTED = 0x1
UTF8_NAME = 0x800
HIDDEN = re.compile(r"\.(?!\.$)|__MACOSX$")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
DIRECTORY = 200
"""Bytes of an archive's list of files for each of them, more than a long Chinese path takes."""


@dataclass(frozen=True)
class Source:
    """Something with bytes: `path` is what rows call it, `name` its last part, empty for standard input."""

    path: str
    name: str
    open: Callable[[], io.BufferedReader]
    file: Path | None = None
    """Where it lies on disk, if it does."""

    @property
    def shown(self) -> str:
        """What messages call it."""
        return "standard input" if self.path == "-" else self.path

    @property
    def stem(self) -> str:
        """The name without its ending; `stdin` for standard input."""
        return PureWindowsPath(self.name).stem or "stdin"


def sources(path: str, faults: list[GangmuError], without: Sequence[Path] = ()) -> Iterator[Source]:
    """Yield what lies at `path`: a file, standard input for `-`, or the files of a folder, sorted, with those below.

    Files of a folder that are not read, links that lead out of it and what is no plain file are faults. Files and
    folders `without` are passed over when a folder holds them: what is written is not read. What earlier runs wrote
    there is no report either, and is noted.
    """
    if path == "-":
        yield Source("-", "", lambda: io.BufferedReader(sys.stdin.buffer, HEAD))  # type: ignore[arg-type]
        return
    root = Path(path)
    if not root.is_dir():
        yield _file(root)
        return
    for file, is_ours in _inside(root, faults, without):
        if is_ours:
            words = "written by gangmu label, not read as reports; give its path to have it read"
            log.warning("%s: %s", printable(str(file)), words)
        else:
            yield _file(file)


def _inside(root: Path, faults: list[GangmuError], without: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield the files of a folder that can be read, and whether gangmu wrote them; a folder of its shards as one."""
    inside = root.resolve()
    ours: dict[Path, bool] = {}
    for file in walk(root, faults, {root / out.relative_to(inside) for out in without if out.is_relative_to(inside)}):
        if file.parent not in ours:
            ours[file.parent] = _is_own(file.parent / MANIFEST)
            if ours[file.parent]:
                yield file.parent, True
        if ours[file.parent]:
            continue
        if fault := _unfit(file, inside):
            faults.append(DataError(f"{printable(str(file))}: skipped: {fault}"))
        else:
            yield file, _is_own(file)


def size_of(file: Path) -> int:
    """Return the bytes of a file, 0 when it has gone or is none."""
    try:
        return file.stat().st_size if file.is_file() else 0
    except OSError:
        return 0


def total_size(paths: Sequence[str], without: Sequence[Path] = ()) -> int | None:
    """Return the bytes of the files at `paths` that are read; None with standard input, whose size nobody knows."""
    if "-" in paths:
        return None
    total = 0
    for root in map(Path, paths):
        files = (file for file, is_ours in _inside(root, [], without) if not is_ours) if root.is_dir() else [root]
        total += sum(map(size_of, files))
    return total


def check(path: str) -> None:
    """Raise UsageError when nothing lies at `path`, or a folder without a file that is read."""
    if path == "-":
        return
    root = Path(path)
    if not root.exists():
        raise UsageError(f"{path}: no such file or folder; give the paths of reports, or - for standard input")
    if root.is_dir() and not any(_unfit(file, root.resolve()) == "" for file in walk(root, [])):
        raise UsageError(f"{path}: no file in this folder that is read: {', '.join(KINDS)}")


def walk(folder: Path, faults: list[GangmuError], without: Container[Path] = ()) -> Iterator[Path]:
    """Yield the files below `folder`, sorted, but hidden ones and those `without`; links to folders are files here."""
    waiting = [(folder, True)]
    while waiting:
        path, is_folder = waiting.pop()
        if path in without:
            continue
        if not is_folder:
            yield path
            continue
        try:
            with os.scandir(path) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError as error:
            faults.append(InputOutputError(f"{printable(str(path))}: {error.strerror}"))
            continue
        kept = sorted((pair for pair in found if not pair[0].startswith(".")), reverse=True)
        waiting += [(path / name, below) for name, below in kept]


def printable(name: str) -> str:
    """Return a file name that UTF-8 and a terminal can hold.

    Names in GBK, common in Chinese archives, come as lone surrogates; control characters may steer a terminal.
    """
    if name.isprintable():  # neither surrogates nor control characters
        return name
    return CONTROL.sub("\ufffd", os.fsencode(name).decode("utf-8", "replace"))


def whole(stream: BinaryIO, limits: Limits) -> bytes:
    """Return all bytes of a stream; DataError when they are more than `limits.megabytes`."""
    content = stream.read(FIRST)
    if len(content) == FIRST:  # room is made for all that is asked for, so little is asked for first
        content += stream.read(limits.bytes + 1 - FIRST)
    if len(content) > limits.bytes:
        raise DataError(f"more than {limits.megabytes} MiB (limit megabytes={limits.megabytes})")
    return content


@contextmanager
def opened_archive(stream: BinaryIO, size: int, limits: Limits) -> Iterator[zipfile.ZipFile]:
    """Yield the zip in `stream`; DataError when it is none or its list of files promises more than the limits allow."""
    try:
        archive = zipfile.ZipFile(_Guarded(stream, limits.members * DIRECTORY))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
        raise DataError(f"cannot be read as zip: {error}") from None
    with archive:
        members = archive.infolist()
        if len(members) > limits.members:
            raise DataError(f"{len(members)} files in this archive (limit members={limits.members})")
        promised = sum(member.file_size for member in members)
        if promised > limits.unpacked(size):
            raise DataError(f"unpacks to {promised >> 20} MiB from {size >> 10} KiB (limit ratio={limits.ratio})")
        yield archive


def members(archive: zipfile.ZipFile, path: str, limits: Limits, faults: list[GangmuError]) -> Iterator[Source]:
    """Yield the files of an archive, sorted by name; nothing is ever unpacked to disk.

    Links, paths that lead out of the archive, encrypted members and those past the limits are faults.
    """
    named = sorted(((_member_name(member), member) for member in archive.infolist()), key=lambda pair: pair[0])
    for name, member in named:
        parts = PureWindowsPath(name).parts
        if name.endswith("/") or any(HIDDEN.match(part) for part in parts):
            continue
        shown = f"{path}/{name}"
        if fault := _unfit_member(name, member, limits):
            faults.append(DataError(f"{shown}: skipped: {fault}"))
        else:
            yield Source(shown, parts[-1], partial(_member, archive, member))


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> io.BufferedReader:
    return io.BufferedReader(archive.open(member), HEAD)  # type: ignore[arg-type]


def _file(file: Path) -> Source:
    return Source(printable(str(file)), printable(file.name), partial(_opened, file), file)


def _opened(file: Path) -> io.BufferedReader:
    raw = io.FileIO(file)
    size = os.fstat(raw.fileno()).st_size
    return io.BufferedReader(
        raw, min(HEAD, max(size, io.DEFAULT_BUFFER_SIZE))
    )  # a large buffer costs more than a report


def _is_own(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return is_own(stream)
    except OSError:  # a fault when it is to be read
        return False


def _unfit(file: Path, inside: Path) -> str:
    """Return why a file of a folder is not read; empty when it is."""
    if not file.is_file():
        return "no plain file"
    if file.is_symlink() and not file.resolve().is_relative_to(inside):
        return "a link that leads out of the folder; give its path to have it read"
    return _unfit_name(file.name)


def _unfit_name(name: str) -> str:
    suffix = suffix_of(name)
    if suffix in KINDS or suffix in CONVERSIONS:
        return ""
    return f"in a folder or archive only {', '.join(KINDS)} are read"


def _member_name(member: zipfile.ZipInfo) -> str:
    """Return the name of a member; archives made in Chinese Windows hold it in GBK and say nothing of it."""
    name = member.filename
    if not member.flag_bits & UTF8_NAME:
        try:
            name = decode(name.encode("cp437")).text
        except (UnicodeError, DataError):
            return printable(name)
    return printable(name)


def _unfit_member(name: str, member: zipfile.ZipInfo, limits: Limits) -> str:
    path = PureWindowsPath(name)
    if not path.parts:
        return "it has no name"
    if path.anchor or ".." in path.parts:
        return "a path that leads out of the archive"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "a link"
    if member.flag_bits & ENCRYPTED:
        return "it asks for a password"
    if member.file_size > limits.bytes:
        return f"unpacks to {member.file_size >> 20} MiB (limit megabytes={limits.megabytes})"
    if member.file_size > limits.unpacked(member.compress_size):
        return f"packed too tightly to be a report (limit ratio={limits.ratio})"
    return _unfit_name(name)


class _Guarded:
    """A stream that reads no more than `most` bytes at once: zipfile reads its list of files whole."""

    def __init__(self, stream: BinaryIO, most: int) -> None:
        self.stream = stream
        self.most = most

    def read(self, size: int = -1) -> bytes:
        if size > self.most:
            raise DataError(f"its list of files takes {size >> 10} KiB (limit members)")
        return self.stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        return self.stream.tell()

    def seekable(self) -> bool:
        return True
