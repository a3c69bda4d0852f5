"""Damaged files of every format: whatever comes of them, it is a report or a fault."""

import io
import random
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from gangmu.errors import DataError, GangmuError
from gangmu.limits import Limits
from gangmu.parsers import Parsers
from gangmu.reading import read_reports
from gangmu.tables import Wanted
from tests.written import docx, paragraph, pdf

TEXT = "会议强调，要健全联席会议制度。"


def archive() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(4):
            packed.writestr(f"{number}.txt", TEXT * (number + 1))
        packed.writestr("t.csv", f"id,text\n1,{TEXT}\n")
    return written.getvalue()


def parquet() -> bytes:
    written = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"id": [1, 2], "text": [TEXT, TEXT]}), written)
    return written.getvalue()


FILES = {
    "x.zip": archive(),
    "x.jsonl": f'{{"text": "{TEXT}", "k": [1, {{"a": "b"}}]}}\n'.encode() * 5,
    "x.csv": f'id,k,text\n1,2,"{TEXT}"\n'.encode("gb18030") * 5,
    "x.txt": TEXT.encode("utf-16-le") * 5,
}
DOCUMENTS = {
    "pdf": pdf([[TEXT, TEXT], [TEXT]]),
    "docx": docx(paragraph(TEXT) * 3),
    "html": f"<html><title>x</title><p>{TEXT}<table><tr><td>{TEXT}</table>".encode(),
    "parquet": parquet(),
}


def damaged(content: bytes, order: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(order.choice([1, 1, 2, 4, 8])):
        place = order.randrange(len(changed))
        kind = order.random()
        if kind < 0.6:
            changed[place] = order.randrange(256)
        elif kind < 0.8:
            del changed[place : place + order.randrange(1, 40)]
        else:
            changed[place : place + 4] = order.choice([b"\xff\xff\xff\xff", bytes(4), b"\xff\xff\xff\x7f", b"9999"])
        changed = changed or bytearray(b"x")
    return bytes(changed)


@pytest.mark.parametrize("times", [60, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FILES)
def test_damaged_files(name: str, times: int, tmp_path: Path) -> None:
    order = random.Random(times)
    for _ in range(times):
        (tmp_path / name).write_bytes(damaged(FILES[name], order))
        faults: list[GangmuError] = []
        reports = list(read_reports([str(tmp_path / name)], faults, Wanted(keep=("k",))))
        assert reports or faults


@pytest.mark.parametrize("times", [40, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_damaged_documents(kind: str, times: int) -> None:
    order = random.Random(times)
    with Parsers(Limits()) as parsers:
        for _ in range(times):
            request = {"kind": kind, "path": None, "text_field": None, "keep": []}
            try:
                assert list(parsers.answers(request, damaged(DOCUMENTS[kind], order)))
            except DataError as fault:
                assert str(fault)
