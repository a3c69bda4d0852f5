import random

import pytest
from opencc import OpenCC

from gangmu.decoding import decode, guess
from gangmu.errors import DataError

SENTENCES = [
    "昨日，全县春季农业生产现场会在柳河镇召开，各乡镇负责人参加会议。",
    "会议指出，去年粮食产量达到36.5万吨，连续三年增长。",
    "要把水利设施修缮放在前面，四月底以前完成塘坝清淤。",
    "围绕茶叶、香菇、生猪三条产业链，引进龙头企业(不少于5家)。",
    "建立县领导包镇、镇干部包村的责任制，每月通报一次进度！",
    "力争到2028年建成高标准农田20万亩，农民人均收入突破3万元。",
    "大家要振奋精神，以等不起的紧迫感投入春耕。",
    "对推诿扯皮的，一律严肃问责；对成绩突出的，给予表彰。",
    "App“惠农通”注册用户已有12,000人，GDP增速为6.1%。",
    "城管、公安、交通三部门联合执法，整治占道经营；",
    "《防汛应急预案》已经印发，请认真贯彻落实。",
    "孩子们的午餐安全，是学校的第一责任。",
    "会上，陈思远同志作了题为《从源头抓起》的发言：",
    "深入推进“放管服”改革，让群众办事最多跑一次。",
    "完善考核办法，把考核结果同评先评优挂钩。",
]
TRADITIONAL = [OpenCC("s2tw").convert(sentence) for sentence in SENTENCES]
LENGTHS = (10, 20, 30, 60, 100, 300)
ENCODINGS = [
    ("utf-8", SENTENCES),
    ("utf-8-sig", TRADITIONAL),
    ("gb18030", SENTENCES),
    ("gb18030", TRADITIONAL),
    ("big5", TRADITIONAL),
    ("utf-16-le", SENTENCES),
    ("utf-16-le", TRADITIONAL),
    ("utf-16-be", SENTENCES),
    ("utf-16-be", TRADITIONAL),
    ("utf-16", SENTENCES),
]
EACH = 30


def text(order: random.Random, length: int, sentences: list[str]) -> str:
    """Return a run of `length` characters out of sentences in random order, with a line break here and there."""
    run = "".join(order.choice(sentences) + order.choice(["", "", "\n"]) for _ in range(length // 15 + 3))
    start = order.randrange(20)
    return run[start : start + length]


def test_encodings_are_found_in_all_but_one_case_of_a_thousand() -> None:
    order = random.Random(20)
    wrong = []
    cases = 0
    for length in LENGTHS:
        for encoding, sentences in ENCODINGS:
            for _ in range(EACH):
                written = text(order, length, sentences)
                cases += 1
                if decode(written.encode(encoding)).text != written:
                    wrong.append((encoding, written))
    assert cases == 1800
    assert len(wrong) <= 1, wrong


def test_what_is_unsure_is_said_and_what_is_broken_is_counted() -> None:
    assert decode("会议".encode("gb18030")).note == ""
    assert "taken for GB18030, not sure" in decode("龃龉".encode("gb18030")).note
    torn = decode(("会议强调，" * 20).encode()[:-1])
    assert (torn.text[-2:], torn.broken) == ("调\ufffd", 1)
    assert "1 places are not UTF-8" in torn.note


def test_offsets_count_from_behind_the_mark_and_newlines_stay() -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        assert decode("一\r\n二\r三".encode(encoding)).text == "一\r\n二\r三"


def test_ascii_before_the_first_chinese_does_not_decide() -> None:
    page = b"<html><head><style>" + b"p { margin: 0 } " * 5000 + b"</style>"
    assert guess(page + "会议强调，要健全制度。".encode("gb18030")) == ("gb18030", True)


@pytest.mark.parametrize(
    "raw", [b"\x00" * 64, bytes(range(256)) * 4, b"\x89PNG\r\n\x1a\n" + bytes(range(0, 250, 7)) * 9]
)
def test_what_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(DataError, match="not text in UTF-8, GB18030, Big5, UTF-16"):
        decode(raw)
