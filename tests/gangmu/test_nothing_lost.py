"""What holds for any text: nothing lost, nothing made up, nothing but a documented error."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from gangmu.cleaning import RULES, changes, clean
from gangmu.cli import app
from gangmu.edits import CleanText
from gangmu.errors import GangmuError
from gangmu.labeller import Labeller, load
from gangmu.labels import NAMES
from gangmu.sentences import line_spans, sentence_spans, split_sentences

CHINESE = (
    "要抓好落实。|会议强调，|一是明确目标；|二是压实责任！|谁来干？|《实施方案（试行）》|2027年3.5%|首批覆盖|破坏土地"
)
TRADITIONAL = "會議強調,|著力|名著|論著|乾坤|瞭望|後來|喆|昇|𬀪|𠮷"
PINYIN = "會(huì)|議（yì）|(de)|?jiǎng)?chuàng)|?kāi)|(huì)|□(fā)|?fā)展|huì)|jia\u0300ng)|(app)|?"
MARKS = "“|”|‘|’|\"|'|「|」|《|》|（|）|(|)|【|】|〔|〕|〈|〉|。|！|？|…|；|，|、|：|,|;|:|?|!|.|—|·|+|=|/"
ENTITIES = (
    "&nbsp;|&nbsp|&amp;|&|amp;|amp|;|；|#|&ldquo;|&#8203;|&#x3000;|&#65;|&#65313;|&lt;|lt;|&#38;|&#13;|&AMP;|&#0;"
)
UNSEEN = "\x00|\x07|\x1f|\x7f|\u200b|\ufeff|\ufe0f|\u202e|\xad| |  |\t|\xa0|\u3000|\ue5e5"
ODD = "\ufffd|\ue123|\uf06c|\U000f0000|\U000e0001|😀|⽓|⻓|﹐|｡|Ａ|５|％|＆|ｌ"
LINES = "\n|\r\n|\r|\x0b|\x0c|\x1c|\x85|\u2028|\u2029|\n\n"
PAGES = (
    "责任编辑：小禾|来源：本网|来源：|上一篇：会议|打印本页|扫一扫|字号：大 中|当前位置：首页>要闻|分享到|审核：张三"
)
PIECES = "|".join((CHINESE, TRADITIONAL, PINYIN, MARKS, ENTITIES, UNSEEN, ODD, LINES, PAGES)).split("|")
pieces = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=24).map("".join)
raw_texts = st.lists(st.sampled_from(PIECES), max_size=24).map("".join) | pieces | st.text(max_size=80)


def solid(text: str) -> str:
    return "".join(text.split())


def every_character_is_in_one_sentence(raw: str) -> None:
    sentences = split_sentences(raw)
    text = clean(raw).text
    assert "".join(solid(sentence.text) for sentence in sentences) == solid(text)
    assert all(sentence.text == sentence.text.strip() != "" for sentence in sentences)
    assert {char for char in text if char.isspace()} <= {" ", "\n"}
    lines = [sentence.paragraph for sentence in sentences]
    assert lines == sorted(lines)
    assert sorted(set(lines)) == list(range(sum(bool(line.strip()) for line in text.split("\n"))))


def every_character_has_its_place(raw: str) -> None:
    """A sentence's range holds the raw characters it came from, and each is its raw one or put there by a change."""
    cleaned = clean(raw)
    made = changes(raw)
    places = cleaned.raw_ranges([(i, i + 1) for i in range(len(cleaned.text))])
    for char, (first, last) in zip(cleaned.text, places, strict=True):
        assert raw[first:last] == char or any(
            change.start <= first and last <= change.end and char in change.after for change in made
        )
    sentences = split_sentences(raw)
    seen: set[int] = set()
    for (start, end), sentence in zip(sentence_spans(cleaned.text), sentences, strict=True):
        assert 0 <= sentence.start < sentence.end <= len(raw)
        assert all(sentence.start <= first < last <= sentence.end for first, last in places[start:end])
        seen.update(*(range(first, last) for first, last in places[start:end]))
    assert all(before.end <= after.start for before, after in pairwise(sentences))
    # what is in no sentence is a blank, a line end, or listed
    listed = {place for change in made for place in range(change.start, change.end)}
    assert all(raw[place] in " \n" for place in set(range(len(raw))) - seen - listed)


def cleaning_is_done_once(raw: str) -> None:
    text = clean(raw).text
    assert changes(text) == []
    every_rule = CleanText(raw)
    for rule, _ in RULES:
        every_rule = every_rule.edited(rule(every_rule.text))
    assert every_rule.text == text


def paragraphs_are_cleaned_alone(raw: str) -> None:
    paragraphs = clean(raw).text.split("\n") + raw.splitlines()
    assert clean("\n".join(paragraphs)).text == "\n".join(clean(paragraph).text for paragraph in paragraphs)


def plain_lines_are_split_like_any_other(raw: str) -> None:
    text = clean(raw).text
    spans = []
    start = 0
    for line in text.split("\n"):
        spans += [(start + i, start + j) for i, j in line_spans(line)]
        start += len(line) + 1
    assert sentence_spans(text) == spans


PROPERTIES = (
    every_character_is_in_one_sentence,
    every_character_has_its_place,
    cleaning_is_done_once,
    paragraphs_are_cleaned_alone,
    plain_lines_are_split_like_any_other,
)
EXAMPLES = [pytest.param(200, id="fast"), pytest.param(10_000, id="slow", marks=pytest.mark.slow)]


@pytest.mark.parametrize("examples", EXAMPLES)
def test_nothing_is_lost_or_made_up(examples: int) -> None:
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(raw_texts)
    def all_hold(raw: str) -> None:
        for holds in PROPERTIES:
            holds(raw)

    all_hold()


@pytest.fixture(scope="module")
def labeller(checkpoint: Path) -> Labeller:
    return load(checkpoint)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_every_sentence_gets_one_label(labeller: Labeller, examples: int) -> None:
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(raw_texts)
    def holds(raw: str) -> None:
        labelled = labeller.label(raw).sentences
        split = split_sentences(raw)
        assert [(s.text, s.start, s.end, s.paragraph) for s in labelled] == [tuple(sentence) for sentence in split]
        assert all(s.label in NAMES and set(s.scores) == set(NAMES) for s in labelled)

    holds()


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_file_is_split_or_reported(tmp_path: Path, examples: int) -> None:
    """Whatever the bytes, the good file beside them is split, and a file without a sentence is reported by name."""
    good, odd = tmp_path / "a.txt", tmp_path / "odd.txt"
    good.write_text("会议召开。", encoding="utf-8")
    bytes_of_text = raw_texts.map(lambda raw: raw.encode("utf-8"))

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=60) | bytes_of_text | raw_texts.map(lambda raw: raw.encode("gb18030")))
    @example(b"")
    @example(b"\x00\xe2\x80\x8b")
    def holds(content: bytes) -> None:
        odd.write_bytes(content)
        result = CliRunner().invoke(app, ["split", str(tmp_path)])
        assert result.exception is None or isinstance(result.exception, GangmuError)
        assert '"report": "a", "sentence": 0, "text": "会议召开。"' in result.stdout
        if '"report": "odd"' not in result.stdout:
            assert isinstance(result.exception, GangmuError)
            assert result.exception.exit_code == 65
            assert "odd.txt" in str(result.exception)

    holds()
