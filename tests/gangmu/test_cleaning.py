import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gangmu.cleaning import clean, clean_sentence

REPORT = (
    "昨日,全縣春耕備耕工作會(huì)議召開,縣(xiàn)長林启文強(qiáng)調(diào),"
    "要?jiǎng)?chuàng)新方法,抓招商、著力補短板.\r\n"
)


def test_scraped_report_is_mended() -> None:
    assert clean(REPORT).text == "昨日，全县春耕备耕工作会议召开，县长林启文强调，要创新方法，抓招商、着力补短板.\n"


@pytest.mark.parametrize(
    "text",
    [
        "会议强调，要“敢拼、敢干！”；成效显著，著作等身。",
        "2027年3月1日12:30，GDP增长5.3%，共3,000个项目（含App和AI类）。",
        "瞭望台、覆盖面、借此机会、征文",
        "“一个中心”、《关于…的意见》；A、B两级",
        "",
        "\n\n",
    ],
)
def test_clean_text_is_not_changed(text: str) -> None:
    assert clean(text).text == text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("會議指出，成效顯著。", "会议指出，成效显著。"),
        ("要認真學(xué)习，成效显著，抓招商、著力补短板。", "要认真学习，成效显著，抓招商、着力补短板。"),
        ("原著《論著》，沿著道路，著名學者", "原著《论著》，沿着道路，著名学者"),
    ],
)
def test_mixed_scripts_keep_the_character_of_authorship(raw: str, expected: str) -> None:
    assert clean(raw).text == expected


@given(st.text(alphabet="要抓實會著(huì)（jiǎng）?？!。；;:,，“”《》 　a1.５Ａ％\u200b\x00…\n\r乾", max_size=40))
@example(REPORT)
def test_cleaning_twice_changes_nothing_more(raw: str) -> None:
    once = clean(raw).text
    assert clean(once).text == once


def test_every_clean_character_knows_its_raw_range() -> None:
    cleaned = clean(REPORT)
    assert len(cleaned.starts) == len(cleaned.ends) == len(cleaned.text)
    place = cleaned.text.index("创")
    start, end = cleaned.raw_range(place, place + 1)
    assert REPORT[start:end] == "?jiǎng)?chuàng)"
    place = cleaned.text.index("会议")
    start, end = cleaned.raw_range(place, place + 2)
    assert clean(REPORT[start:end]).text == "会议"


def test_brackets_that_are_no_gloss_stay() -> None:
    assert clean("推广(app)和(GDP)统计").text == "推广（app）和（GDP）统计"
    assert clean("見於卷(三)").text == "见于卷（三）"


def test_gold_sentence_loses_its_line_ends() -> None:
    assert clean_sentence(" 要抓好\n落实。 ") == "要抓好 落实。"
