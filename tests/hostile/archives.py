"""Hostile archives, folders and plain files."""

import io
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.hostile.attack import REPORT, SECRET, Attack, Outcome, reading_paths


def _zip(folder: Path, *entries: tuple[str, str | bytes]) -> Path:
    path = folder / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def _overlapping(folder: Path) -> None:
    """List one member of 16 MB a thousand times."""
    content = _zip(folder, ("a.txt", b" " * 16_000_000)).read_bytes()
    end = content.rindex(b"PK\x05\x06")
    size, start = struct.unpack("<II", content[end + 12 : end + 20])
    directory = content[start : start + size] * 1000
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1000, 1000, len(directory), start, 0)
    (folder / "x.zip").write_bytes(content[:start] + directory + tail)


def _directory(folder: Path) -> None:
    """List 250 000 members that are not there, in a list of 12 MB."""
    record = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    listed = record * 250_000
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, len(listed), 4, 0)
    (folder / "x.zip").write_bytes(b"PK\x03\x04" + listed + tail)


def _nested(folder: Path) -> None:
    content = b"PK"
    for _ in range(5):
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.zip" if content != b"PK" else "a.txt", content)
        content = inner.getvalue()
    (folder / "x.zip").write_bytes(content)


def _traversal(folder: Path) -> None:
    names = ["../../a.txt", "/tmp/b.txt", "C:\\c.txt", "..\\..\\d.txt", "e/../../f.txt", "\\\\server\\g.txt"]
    _zip(folder, *((name, SECRET) for name in names), ("好.txt", REPORT))


def _nameless(folder: Path) -> None:
    content = _zip(folder, ("QAA.txt", SECRET), ("b.txt", REPORT)).read_bytes()
    (folder / "x.zip").write_bytes(content.replace(b"QAA.txt", b"\0AA.txt"))


def _link(folder: Path) -> None:
    (folder / ".secret").write_text(SECRET, encoding="utf-8")
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        info = zipfile.ZipInfo("a.txt")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, str(folder / ".secret"))
        archive.writestr("b.txt", REPORT)


def _encrypted(folder: Path) -> None:
    content = bytearray(_zip(folder, ("a.txt", SECRET), ("b.txt", REPORT)).read_bytes())
    content[content.index(b"PK\x03\x04") + 6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (folder / "x.zip").write_bytes(content)


def _steering(folder: Path) -> None:
    _zip(folder, ("\x1b]0;x\x07\x1b[2J\u202e.txt", REPORT))


def _damaged(folder: Path) -> None:
    content = bytearray(_zip(folder, ("a.txt", REPORT * 100), ("b.txt", REPORT)).read_bytes())
    content[45] ^= 0xFF
    (folder / "x.zip").write_bytes(content)


def _links(folder: Path) -> None:
    outside = folder.parent / f".{folder.name}"
    outside.write_text(SECRET, encoding="utf-8")
    (folder / "out.txt").symlink_to(outside)
    (folder / "loop.txt").symlink_to("loop.txt")
    (folder / "up").symlink_to(folder.parent)
    (folder / "好.txt").write_text(REPORT, encoding="utf-8")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "a.txt")
    (folder / "b.txt").write_text(REPORT, encoding="utf-8")


def _endless(folder: Path) -> Outcome:
    return reading_paths(["/dev/zero"])


def _text(content: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda folder: (folder / "x.txt").write_bytes(content())


SURROGATES = REPORT[:5].encode("utf-16-le") + b"\x00\xd8" + REPORT[5:].encode("utf-16-le")
ATTACKS = [
    Attack("zip: 16 GB in a list that overlaps", _overlapping, "ratio=200"),
    Attack("zip: 300 MB in 300 KB", lambda folder: _zip(folder, ("a.txt", b" " * 300_000_000)), "ratio=200"),
    Attack("zip: 250 000 files listed", _directory, "limit members"),
    Attack("zip: zips inside one another", _nested, "an archive inside an archive"),
    Attack("zip: paths that lead out", _traversal, "leads out of the archive", REPORT),
    Attack("zip: a member without a name", _nameless, "no name", REPORT),
    Attack("zip: a link", _link, "a link", REPORT),
    Attack("zip: a member with a password", _encrypted, "password", REPORT),
    Attack("zip: names that steer a terminal", _steering, "", REPORT),
    Attack("zip: a damaged member", _damaged, "damaged", REPORT),
    Attack("zip: cut off", lambda folder: os.truncate(_zip(folder, ("a.txt", REPORT)), 60), "not a zip file"),
    Attack("folder: links out of it, to itself and up", _links, "a link that leads out", REPORT),
    Attack("folder: a pipe nobody writes to", _pipe, "no plain file", REPORT),
    Attack("file: without an end", lambda folder: None, "megabytes=64", run=_endless),
    Attack("text: a line of 36 MB", _text(lambda: (REPORT[:-1] * 860_000).encode()), "characters=4000000"),
    Attack("text: 500 000 opening brackets", _text(lambda: ("《" * 500_000 + REPORT).encode()), "", REPORT),
    Attack("text: NUL", _text(lambda: f"{REPORT[:5]}\0\0{REPORT[5:]}".encode()), "", REPORT),
    Attack("text: nothing but NUL", _text(lambda: b"\0" * 1_000_000), "not text"),
    Attack("text: lone surrogates in UTF-8", _text(lambda: b"\xed\xa0\x80" + (REPORT * 3).encode()), "", REPORT),
    Attack("text: lone surrogates in UTF-16", _text(lambda: SURROGATES), "", REPORT[5:]),
    Attack("text: noise", _text(lambda: bytes((n * n * 7 + n // 3) % 256 for n in range(300_000))), "not text"),
]
