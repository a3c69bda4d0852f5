import pytest

from gangmu.cleaning import changes, clean
from gangmu.glosses import LOST_TABLE


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("會(huì)議（yì）發(fā)布了(app)和（GDP）", "会议发布了（app）和（GDP）"),
        ("我們(men)的(de)路(lu)", "我们的路（lu）"),
        ("長(zhǎng)(cháng)期", "长期"),
        ("女(nǚ)兒(e\u0301r)、綠(lǜ)洲", "女儿、绿洲"),
        ("見於卷(三),詳見(附件)", "见于卷（三），详见（附件）"),
    ],
)
def test_only_glosses_go(raw: str, expected: str) -> None:
    assert clean(raw).text == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("要?jiǎng)?chuàng)新方法", "要创新方法"),
        ("全體?huì)議,?fā)展(zhǎn)經(jīng)濟(jì)", "全体会议，发展经济"),
        ("要?(huì)議、?chǎn)?yè)鏈(liàn)", "要会议、□业链"),
        ("真的嗎?(huì)", "真的吗□"),
        ("他?mào)然", "他□然"),
        ("是谁?怎么办?)", "是谁？怎么办？)"),
    ],
)
def test_lost_characters_come_back_where_that_is_sure(raw: str, expected: str) -> None:
    assert clean(raw).text == expected


def test_places_that_stay_lost_are_listed() -> None:
    listed = [change for change in changes("縣裡要?mào)事") if change.rule == "lost_characters"]
    assert [(change.start, change.end, change.before, change.after) for change in listed] == [(3, 8, "?mào)", "□")]


def test_table_says_one_thing_of_a_place() -> None:
    rows = [row.split("\t") for row in LOST_TABLE.read_text(encoding="utf-8").splitlines() if not row.startswith("#")]
    for column in (2, 3):
        places = [(row[0], neighbour) for row in rows for neighbour in row[column]]
        assert len(places) == len(set(places))
