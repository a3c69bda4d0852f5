"""Hostile tables."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet

from tests.hostile.attack import REPORT, Attack

Build = Callable[[Path], object]
GOOD = json.dumps({"text": REPORT}, ensure_ascii=False).encode()


def _jsonl(*lines: Callable[[], bytes]) -> Build:
    return lambda folder: (folder / "x.jsonl").write_bytes(b"\n".join([*(line() for line in lines), GOOD]))


def _csv(*rows: Callable[[], str]) -> Build:
    return lambda folder: (folder / "x.csv").write_text("\n".join([*(row() for row in rows), REPORT]), encoding="utf-8")


def _parquet(folder: Path, column: object, **options: object) -> bytes:
    path = folder / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": column}), path, **options)
    return path.read_bytes()


def _dictionary(folder: Path) -> None:
    """Write one text of 1 MB that 100 000 rows share: 100 GB in 40 KB."""
    shared = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 100_000), [REPORT * 20_000])
    _parquet(folder, shared, compression="zstd")


def _huge_row(folder: Path) -> None:
    _parquet(folder, [REPORT * 300_000, REPORT], compression="zstd", use_dictionary=False)


def _huge_batch(folder: Path) -> None:
    """Write a text of 30 MB that 64 rows of one batch share: 2 GB, more than a child may hold."""
    _parquet(folder, pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 64), ["x" * 30_000_000]))


def _deep(folder: Path) -> None:
    kind = pyarrow.string()
    value: object = REPORT
    for _ in range(90):
        kind, value = pyarrow.list_(kind), [value]
    _parquet(folder, pyarrow.array([value], kind))


def _cut(folder: Path) -> None:
    (folder / "x.parquet").write_bytes(_parquet(folder, [REPORT] * 100)[:-50])


def _flipped(folder: Path) -> None:
    """Write 60 copies, each with three bytes of its own changed."""
    content = _parquet(folder, [REPORT * n for n in range(1, 40)])
    (folder / "x.parquet").unlink()
    for number in range(60):
        changed = bytearray(content)
        for place in (number * 131, number * 977 + 5, len(content) - 9 - number * 7):
            changed[place % (len(content) - 8)] ^= 1 + number * 37 % 255
        (folder / f"{number}.parquet").write_bytes(changed)
    (folder / "zz.txt").write_text(REPORT, encoding="utf-8")


def _noise(folder: Path) -> None:
    (folder / "x.parquet").write_bytes(b"PAR1" + bytes(range(256)) * 99 + b"PAR1")


ATTACKS = [
    Attack("jsonl: 100 000 brackets deep", _jsonl(lambda: b'{"text": ' + b"[" * 100_000), "too deep", REPORT),
    Attack("jsonl: deep in a key nobody reads", _jsonl(lambda: b'{"x":' * 100_000), "too deep", REPORT),
    Attack("jsonl: a million digits", _jsonl(lambda: b'{"text": ' + b"9" * 1_000_000 + b"}"), "not JSON", REPORT),
    Attack("jsonl: a line of 50 MB", _jsonl(lambda: b'{"text": "' + b"x" * 50_000_000), "limit characters", REPORT),
    Attack("jsonl: lone surrogates", _jsonl(lambda: b'{"text": "\\ud800' + REPORT.encode() + b'"}'), "", REPORT),
    Attack("jsonl: NUL", _jsonl(lambda: b'{"text": "\\u0000' + REPORT.encode() + b'"}'), "", REPORT),
    Attack("jsonl: no objects", _jsonl(lambda: b'[1]\nnull\n"x"\nNaN'), "expected an object", REPORT),
    Attack("csv: a field of 20 MB", _csv(lambda: "text", lambda: "x" * 20_000_000), "limit", REPORT),
    Attack(
        "csv: a quotation mark that never closes",
        _csv(lambda: "text", lambda: '"' + (REPORT * 1000 + "\n") * 290),
        "not closed",
        REPORT,
    ),
    Attack("csv: a million columns", _csv(lambda: "text," * 1_000_000), "first row must name"),
    Attack("csv: a row of a million fields", _csv(lambda: "text", lambda: "a," * 1_000_000), "fields where", REPORT),
    Attack("csv: NUL", _csv(lambda: "text", lambda: f"\0{REPORT}"), "", REPORT),
    Attack("parquet: 100 GB in a dictionary", _dictionary, "ratio=200", REPORT, child="parquet"),
    Attack("parquet: a text of 4.5 million characters", _huge_row, "characters=4000000", REPORT, child="parquet"),
    Attack("parquet: 2 GB at once", _huge_batch, "memory=1024", child="parquet"),
    Attack("parquet: 90 lists deep", _deep, "deeply nested", child="parquet"),
    Attack("parquet: cut off", _cut, "cannot be read as parquet", child="parquet"),
    Attack("parquet: 60 files with flipped bytes", _flipped, ".parquet", REPORT, child="parquet"),
    Attack("parquet: noise", _noise, "cannot be read as parquet", child="parquet"),
]
