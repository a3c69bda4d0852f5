import time

import pytest

from gangmu.cleaning import changes, clean, clean_sentence

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
        "瞭望台、覆盖面、借此机会、征文、首批覆盖、破坏土地、三重覆盖、打坏机器",
        "“一个中心”、《关于…的意见》；A、B两级，AT&T和R&D，x?y:z",
        "市长陈某 出席□会议",
        "",
        "\n\n",
    ],
)
def test_clean_text_is_not_changed(text: str) -> None:
    assert clean(text).text == text
    assert changes(text) == []


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("會議指出，成效顯著。", "会议指出，成效显著。"),
        ("要認真學(xué)习，成效显著，抓招商、著力补短板。", "要认真学习，成效显著，抓招商、着力补短板。"),
        ("原著《論著》，沿著道路，著名學者", "原著《论著》，沿着道路，著名学者"),
        ("首批覆蓋十鎮,答覆來函,不得破壞土地", "首批覆盖十镇，答复来函，不得破坏土地"),
        ("首批覆盖十镇，來函照收", "首批覆盖十镇，来函照收"),
    ],
)
def test_mixed_scripts(raw: str, expected: str) -> None:
    assert clean(raw).text == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("要&nbsp;抓&amp;nbsp;好&ldquo;三农&rdquo;&#12288;工作&#x3002;", "要 抓 好“三农” 工作。"),
        ("抓&nbsp 好&nbsp；&AMP;lt;5&amp;#62;3", "抓 好 <5>3"),
        ("A&amp;B&copy;2027&foo;&#65;&am&#8203;p;", "A&B©2027&foo;&#65;&am p;"),
        ("第一\r\n第二\u2028第三\x85第四", "第一\n第二\n第三\n第四"),
        ("要\u200b抓\x00实\ufeff，\u202e稳\ufe0f中", "要抓实，稳中"),
        ("学时\x07学分\t备注\u3000\u3000\xa0无", "学时 学分 备注 无"),
        ("增长５％，ＧＤＰ﹙现价﹚，⽓温⻓期偏高｡", "增长5%，GDP（现价），气温长期偏高。"),
        ("要\ufffd\ufffd\ufffd实\ue123，\uf06c一是\ud800", "要□实□，●一是□"),
        ("强调，,要抓实，。各镇：，照办。。好；，行、、", "强调，要抓实。各镇：照办。好；行、"),
        (
            "会议(扩大)强调,要抓好3,000个项目;12:30结束!?F(x),y",
            "会议（扩大）强调，要抓好3,000个项目；12:30结束！？F(x),y",
        ),
    ],
)
def test_rules(raw: str, expected: str) -> None:
    assert clean(raw).text == expected


def test_every_clean_character_knows_its_raw_range() -> None:
    cleaned = clean(REPORT)
    assert cleaned.offsets is not None
    assert cleaned.offsets.shape == (len(cleaned.text), 2)
    restored, kept = cleaned.text.index("创"), cleaned.text.index("会议")
    (one, two) = cleaned.raw_ranges([(restored, restored + 1), (kept, kept + 2)])
    assert REPORT[slice(*one)] == "?jiǎng)?chuàng)"
    assert clean(REPORT[slice(*two)]).text == "会议"


def test_changes_name_rule_place_and_both_texts() -> None:
    raw = "會(huì)議&nbsp;召開,\ufffd"
    assert [tuple(change) for change in changes(raw)] == [
        ("entities", 7, 13, "&nbsp;", " "),
        ("unreadable", 16, 17, "\ufffd", "□"),
        ("pinyin_glosses", 1, 6, "(huì)", ""),
        ("traditional", 0, 1, "會", "会"),
        ("traditional", 6, 7, "議", "议"),
        ("traditional", 14, 15, "開", "开"),
        ("narrow_signs", 15, 16, ",", "，"),
    ]


def test_gold_sentence_loses_its_line_ends_and_nothing_else() -> None:
    assert clean_sentence(" 要抓好\n落实。 ") == "要抓好 落实。"
    assert clean_sentence("責任編輯:小禾") == "责任编辑：小禾"


@pytest.mark.parametrize(
    "piece",
    [
        "&amp;",
        "&",
        "&#38;",
        "&am&#112;",
        "(huì)",
        "會(",
        "?huì)",
        "?huì",
        "(",
        "，,",
        ",",
        "\ufffd",
        "著",
        "\n",
        "来源：网 ",
    ],
)
def test_hostile_text_costs_no_time(piece: str) -> None:
    start = time.process_time()
    clean(piece * 20_000)
    assert time.process_time() - start < 2
