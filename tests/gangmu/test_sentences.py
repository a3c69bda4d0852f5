from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gangmu.cleaning import clean
from gangmu.sentences import split_sentences


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("一是抓项目；二是抓招商；三要抓落实。", ["一是抓项目；", "二是抓招商；", "三要抓落实。"]),
        ("要做到“谁主管、谁负责！”，不留死角。", ["要做到“谁主管、谁负责！”，不留死角。"]),
        ("他说：“要快。要准。”大家同意。", ["他说：“要快。", "要准。”", "大家同意。"]),
        ("印发《关于甲；乙的意见。》的通知。", ["印发《关于甲；乙的意见。》的通知。"]),
        ("要抓好（一是人；二是钱。）保障。", ["要抓好（一是人；二是钱。）保障。"]),
        ("谁来干？怎么干？！干到什么程度……大家议一议。", ["谁来干？", "怎么干？！", "干到什么程度……", "大家议一议。"]),
        ("要敢于“啃硬骨头”！", ["要敢于“啃硬骨头”！"]),
        ("增长3.5%;完成3,000户.", ["增长3.5%；", "完成3,000户."]),
        ("一、明确目标\n要锚定方向", ["一、明确目标", "要锚定方向"]),
        ("未闭合的“引号。还有一句。", ["未闭合的“引号。", "还有一句。"]),
        ("未闭合的《书名。还有一句。", ["未闭合的《书名。", "还有一句。"]),
        ("　　市委书记　出席。", ["市委书记 出席。"]),
        ("\n\n  \n", []),
    ],
)
def test_splits_as_the_guidelines_say(raw: str, expected: list[str]) -> None:
    assert [sentence.text for sentence in split_sentences(raw)] == expected


def test_paragraphs_count_lines_with_text() -> None:
    assert [s.paragraph for s in split_sentences("一。二。\n\n三。")] == [0, 0, 1]


def test_brackets_that_never_close_take_no_longer_than_others() -> None:
    assert len(split_sentences("（一、《二“" * 40_000 + "。")) == 1


@given(st.text(alphabet="要抓實会(huì)?？。；;,，“”《》（）()\n 　a1.\u200b\x00…", max_size=60))
def test_sentences_cover_every_character_once(raw: str) -> None:
    sentences = split_sentences(raw)
    covered = "".join(s.text for s in sentences).replace(" ", "")
    assert covered == clean(raw).text.replace(" ", "").replace("\n", "")
    places = [(s.start, s.end) for s in sentences]
    assert all(0 <= start < end <= len(raw) for start, end in places)
    assert all(before[1] <= after[0] for before, after in pairwise(places))
