import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from gangmu.errors import DataError, GangmuError
from gangmu.limits import Limits
from gangmu.reading import read_reports
from gangmu.tables import Lines, Row, Wanted, csv_rows, json_rows

LONG = "会议强调，要健全联席会议制度，压实各方责任，每月通报一次进度。"


def rows(kind: str, content: str | bytes, text_field: str | None = None, keep: tuple[str, ...] = ()) -> list[Any]:
    """Return (number, row or the words of its fault) of each row of a table."""
    raw = content.encode() if isinstance(content, str) else content
    lines = Lines(io.BufferedReader(io.BytesIO(raw)), "\n" if kind == "jsonl" else "", Limits())  # type: ignore[arg-type]
    wanted = Wanted(text_field, keep)
    found = json_rows(lines, wanted, Limits()) if kind == "jsonl" else csv_rows(lines, kind == "tsv", wanted, Limits())
    return [(number, row if isinstance(row, Row) else str(row)) for number, row in found]


def texts(found: Sequence[tuple[int, Any]]) -> list[str]:
    return [row.text for _, row in found if isinstance(row, Row)]


def test_json_lines_of_texts_and_of_labelled_reports() -> None:
    report = {
        "id": "r1",
        "sentences": [
            {"paragraph": 0, "text": "会议召开。", "label": "other"},
            {"paragraph": 0, "text": "要抓实。", "label": "exhortation"},
            {"paragraph": 1, "text": "要健全制度。", "label": "mechanism"},
        ],
    }
    found = rows("jsonl", "\ufeff" + json.dumps(report) + "\r\n\r\n" + json.dumps({"sentences": ["标题", "要抓实。"]}))
    assert found == [(1, Row("r1", "会议召开。要抓实。\n要健全制度。", {})), (3, Row(None, "标题\n要抓实。", {}))]


def test_bad_lines_are_named_and_the_others_go_on() -> None:
    good = f'{{"text": "{LONG}"}}'
    found = rows("jsonl", "\n".join([good, '{"text": ', "[1]", '{"body": "x"}', '{"text": " "}', '{"text": 5}', good]))
    assert texts(found) == [LONG, LONG]
    assert found[1:6] == [
        (2, "not JSON: Expecting value at column 9"),
        (3, "expected an object, found 1"),
        (4, "'text' holds no text: None"),
        (5, "'text' is empty"),
        (6, "'text' holds no text: 5"),
    ]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le"])
def test_dialects_and_encodings_of_csv(delimiter: str, encoding: str) -> None:
    content = f'编号{delimiter}text\r\n1{delimiter}"{LONG}\r\n说“好{delimiter}""真""好”"\r\n2{delimiter}{LONG}\r\n'
    found = rows("csv", content.encode(encoding))
    assert found == [(2, Row(None, f'{LONG}\r\n说“好{delimiter}"真"好”', {})), (4, Row(None, LONG, {}))]


def test_the_column_is_guessed_when_there_is_one_candidate() -> None:
    assert texts(rows("csv", f"标题,正文\n县里开会,{LONG}\n")) == [LONG]
    with pytest.raises(DataError, match="several columns may hold the text; give --text-field one of '摘要', '正文'"):
        rows("csv", f"标题,摘要,正文\n开会,{LONG},{LONG}\n")
    with pytest.raises(DataError, match="no column holds long text; give --text-field one of '标题', '日期'"):
        rows("csv", "标题,日期\n开会,今天\n")
    assert texts(rows("csv", f"标题,摘要,正文\n开会,{LONG},要抓实。\n", text_field="正文")) == ["要抓实。"]
    with pytest.raises(DataError, match="no column 'body'; --text-field takes one of '标题', '正文'"):
        rows("csv", f"标题,正文\n开会,{LONG}\n", text_field="body")


def test_a_table_without_names_does_not_lose_its_first_row() -> None:
    with pytest.raises(DataError, match="first row must name the columns"):
        rows("csv", f"{LONG * 3},1\n{LONG},2\n")
    with pytest.raises(DataError, match="each once"):
        rows("csv", f"text,text\n{LONG},2\n")
    with pytest.raises(DataError, match="the table is empty"):
        rows("csv", "")


def test_kept_columns_must_be_there() -> None:
    with pytest.raises(DataError, match="no column 'dat' to keep; there are 'date', 'text'"):
        rows("csv", f"date,text\n1,{LONG}\n", keep=("dat",))
    found = rows(
        "jsonl", f'{{"text": "{LONG}"}}\n{{"text": "{LONG}", "tags": ["a"], "n": 1.5}}\n', keep=("tags", "n", "x")
    )
    assert [row.kept for _, row in found[:2]] == [
        {"tags": None, "n": None, "x": None},
        {"tags": '["a"]', "n": 1.5, "x": None},
    ]
    assert found[2] == (2, "no row up to this one has 'x' to keep")


def test_lines_that_are_not_in_the_encoding_are_counted() -> None:
    lines = Lines(io.BufferedReader(io.BytesIO(LONG.encode() + b"\n\xff\xfe" + LONG.encode())), "\n", Limits())  # type: ignore[arg-type]
    assert len(list(lines)) == 2
    assert lines.note == "1 lines hold U+FFFD: bytes that are not UTF-8, or lost before"


def test_parquet_streams_text_ids_and_kept_columns(tmp_path: Path) -> None:
    import datetime

    table = pyarrow.table(
        {
            "id": [f"p{number}" for number in range(200)],
            "正文": pyarrow.array([LONG] * 199 + [None]).dictionary_encode(),
            "date": [datetime.date(2026, 1, 2)] * 200,
            "score": [float("nan")] * 200,
            "title": ["开会"] * 200,
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet", row_group_size=50)
    faults: list[GangmuError] = []
    reports = list(read_reports([str(tmp_path)], faults, Wanted(keep=("date", "score"))))
    assert [report.id for report in reports] == [f"p{number}" for number in range(199)]
    assert reports[0].kept == {"date": "2026-01-02", "score": None}
    assert [str(fault) for fault in faults] == [f"{tmp_path / 'x.parquet'}:200: '正文' holds no text: None"]


def test_many_bad_rows_are_counted_not_listed(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(f'{{"text": "{LONG}"}}\n' + "x\n" * 3000, encoding="utf-8")
    faults: list[GangmuError] = []
    assert len(list(read_reports([str(tmp_path)], faults))) == 1
    assert len(faults) == 1001
    assert "2000 more rows that cannot be read" in str(faults[-1])
