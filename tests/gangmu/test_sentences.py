import time

import pytest

from gangmu.sentences import sentence_spans, split_sentences


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("一是抓项目；二是抓招商；三要抓落实。", ["一是抓项目；", "二是抓招商；", "三要抓落实。"]),
        ("要做到“谁主管、谁负责！”，不留死角。", ["要做到“谁主管、谁负责！”，不留死角。"]),
        ("他说：“要快。要准。”大家同意。", ["他说：“要快。", "要准。”", "大家同意。"]),
        ("印发《关于甲；乙的意见。》的通知。", ["印发《关于甲；乙的意见。》的通知。"]),
        ("谁来干？怎么干？！干到什么程度……大家议一议。", ["谁来干？", "怎么干？！", "干到什么程度……", "大家议一议。"]),
        ("……会议还听取了汇报。", ["……会议还听取了汇报。"]),
        ("“不能停。”，他喊道。", ["“不能停。”，他喊道。"]),
        ('要做到"谁主管!谁负责!",不留死角。', ['要做到"谁主管！谁负责！"，不留死角。']),
        ("增长3.5%;完成3,000户.", ["增长3.5%；", "完成3,000户."]),
        ("登录http://a.cn/?id=1;b=2查看！", ["登录http://a.cn/?id=1;b=2查看！"]),
        ("一、明确目标\n要锚定方向", ["一、明确目标", "要锚定方向"]),
        ("未闭合的“引号。还有一句。", ["未闭合的“引号。", "还有一句。"]),
        ("未闭合的《书名。还有一句。", ["未闭合的《书名。", "还有一句。"]),
        ("　　市委书记　出席。", ["市委书记 出席。"]),
        ("。”\n！？", ["。”", "！？"]),
        ("\n\n  \n", []),
    ],
)
def test_splits_as_the_guidelines_say(raw: str, expected: list[str]) -> None:
    assert [sentence.text for sentence in split_sentences(raw)] == expected


def test_paragraphs_count_lines_with_text() -> None:
    assert [s.paragraph for s in split_sentences("一。二。\n \n三。")] == [0, 0, 1]


@pytest.mark.parametrize(
    "piece",
    ["（一、《二“", "。", "！，", "”。", "“。", "“！", "（！）", "(", "“”", '"。', "《。》，", "a?b", "。 ", "（「！"],
)
def test_hostile_lines_cost_no_time(piece: str) -> None:
    text = piece * 20_000
    start = time.process_time()
    spans = sentence_spans(text)
    assert time.process_time() - start < 2
    assert "".join(text[i:j] for i, j in spans).replace(" ", "") == text.replace(" ", "")
