"""Raw text -> clean text with an offset map. One small named function per rule.

A rule takes text and returns the edits it asks for. Cleaning clean text changes nothing, and every rule looks
only at one paragraph, so a report and its paragraphs come out the same.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from opencc import OpenCC

HAN = "\u3400-\u9fff\uf900-\ufaff〇"
CONTEXT = f"{HAN}“”‘’《》〈〉「」『』（）【】、，。；：！？…—％"
TONED = "āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜńňǹḿ"
PINYIN = f"[a-zü{TONED}]{{1,7}}"
# Toneless syllables that converters print; any other toneless bracket, (app) or (gdp), is content.
NEUTRAL = "de|le|men|zi|me|zhe|ma|ba|ne|tou|shang|li"


@dataclass(frozen=True)
class Edit:
    """Replace text[start:end]."""

    start: int
    end: int
    replacement: str


@dataclass(frozen=True)
class CleanText:
    """Clean text, and for each of its characters the range of raw text it came from."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def raw_range(self, start: int, end: int) -> tuple[int, int]:
        """Return the raw code points that clean characters start..end came from."""
        return self.starts[start], self.ends[end - 1]

    def edited(self, edits: Iterable[Edit]) -> "CleanText":
        """Return this text with the edits, which are in order and do not overlap, made."""
        edits = list(edits)
        if not edits:
            return self
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        done = 0
        for edit in edits:
            pieces += [self.text[done : edit.start], edit.replacement]
            starts += self.starts[done : edit.start]
            ends += self.ends[done : edit.start]
            if len(edit.replacement) == edit.end - edit.start:
                starts += self.starts[edit.start : edit.end]
                ends += self.ends[edit.start : edit.end]
            else:
                starts += [self.starts[edit.start]] * len(edit.replacement)
                ends += [self.ends[edit.end - 1]] * len(edit.replacement)
            done = edit.end
        pieces.append(self.text[done:])
        starts += self.starts[done:]
        ends += self.ends[done:]
        return CleanText("".join(pieces), starts, ends)


Rule = Callable[[str], list[Edit]]


def clean(raw: str) -> CleanText:
    """Return the clean text of a report and where each character of it was.

    >>> clean("要明確(què)目標(biāo),狠抓落實(shí)").text
    '要明确目标，狠抓落实'
    """
    cleaned = CleanText(raw, range(len(raw)), range(1, len(raw) + 1))
    for rule in RULES:
        cleaned = cleaned.edited(rule(cleaned.text))
    return cleaned


def clean_sentence(raw: str) -> str:
    """Return the clean text of one sentence that somebody else split: gold data.

    >>> clean_sentence(" 會(huì)議指出,要創(chuàng)新方法。 ")
    '会议指出，要创新方法。'
    """
    return " ".join(clean(raw).text.split())


def line_ends(text: str) -> list[Edit]:
    r"""Return edits that make every line end a newline.

    >>> clean("一\r\n二\u2028三").text
    '一\n二\n三'
    """
    return _replaced(LINE_END, text, "\n")


def invisible(text: str) -> list[Edit]:
    r"""Return edits that drop control, zero-width and byte-order characters.

    >>> clean("要\u200b抓\x00实\ufeff").text
    '要抓实'
    """
    return _replaced(INVISIBLE, text, "")


def spaces(text: str) -> list[Edit]:
    r"""Return edits that make a run of spaces, ideographic ones included, one space.

    >>> clean("市委书记\u3000\u3000陈某\xa0 出席").text
    '市委书记 陈某 出席'
    """
    return _replaced(SPACES, text, " ")


def lost_characters(text: str) -> list[Edit]:
    """Return edits that restore characters a converter destroyed, from the table of known ones.

    >>> clean("要?jiǎng)?chuàng)新方法").text
    '要创新方法'
    """
    return [Edit(m.start(), m.end(), LOST[m[0]]) for m in LOST_RUN.finditer(text) if m[0] in LOST]


def pinyin_glosses(text: str) -> list[Edit]:
    """Return edits that drop a pinyin gloss after its character; other brackets stay.

    >>> clean("會(huì)議發(fā)布了(app)和（GDP）").text
    '会议发布了（app）和（GDP）'
    """
    return _replaced(GLOSS, text, "")


def traditional(text: str) -> list[Edit]:
    """Return edits that turn traditional characters into simplified ones, paragraph by paragraph.

    `tw2s` (著力 -> 着力) runs only where `t2s` finds something, and not on the words that keep 著: pages mix both
    scripts. A change that leaves the basic plane is undone. Source: DESIGN.md, choices.

    >>> clean("抓招商、著力做大做強,成效顯著、成果显著").text, clean("成效显著").text
    ('抓招商、着力做大做强，成效显著、成果显著', '成效显著')
    """
    edits: list[Edit] = []
    start = 0
    whole_changes = _converter("t2s").convert(text) != text
    for paragraph in text.split("\n") if whole_changes else ():
        edits += [Edit(e.start + start, e.end + start, e.replacement) for e in _simplified(paragraph)]
        start += len(paragraph) + 1
    return edits


def wide_letters(text: str) -> list[Edit]:
    """Return edits that make full-width letters, digits and signs half-width.

    >>> clean("２０２７年ＧＤＰ增长５％").text
    '2027年GDP增长5%'
    """
    return [Edit(m.start(), m.end(), m[0].translate(NARROW)) for m in WIDE.finditer(text)]


def narrow_brackets(text: str) -> list[Edit]:
    """Return edits that make a pair of half-width brackets full-width when Chinese stands in or beside it.

    >>> clean("網絡(5G),園區(三期);F(x)").text
    '网络（5G），园区（三期）；F(x)'
    """
    edits = []
    for match in BRACKETS.finditer(text):
        start, end = match.span()
        if CHINESE.search(text[max(0, start - 1) : end + 1]):
            edits += [Edit(start, start + 1, "（"), Edit(end - 1, end, "）")]
    return edits


def narrow_punctuation(text: str) -> list[Edit]:
    """Return edits that make half-width punctuation beside Chinese full-width; numbers keep theirs.

    >>> clean("會議強調,要抓好3,000個項目;12:30結束!?").text
    '会议强调，要抓好3,000个项目；12:30结束！？'
    """
    return [Edit(m.start(), m.end(), m[0].translate(FULL)) for m in HALF.finditer(text)]


def doubled_commas(text: str) -> list[Edit]:
    """Return edits that leave one of a doubled comma, stop, semicolon or colon.

    >>> clean("会议强调，,要抓实。。").text
    '会议强调，要抓实。'
    """
    return [Edit(m.start(), m.end(), m[1]) for m in DOUBLED.finditer(text)]


def _replaced(pattern: re.Pattern[str], text: str, replacement: str) -> list[Edit]:
    return [Edit(m.start(), m.end(), replacement) for m in pattern.finditer(text)]


@lru_cache
def _converter(name: str) -> OpenCC:
    return OpenCC(name)


def _simplified(paragraph: str) -> list[Edit]:
    simple = _converter("t2s").convert(paragraph)
    if simple == paragraph:
        return []
    edits = []
    taiwan = _converter("tw2s").convert(simple)
    for match in AUTHORED.finditer(simple) if len(taiwan) == len(simple) else ():
        taiwan = taiwan[: match.start()] + match[0] + taiwan[match.end() :]
    simple = taiwan
    for tag, i, j, k, m in _opcodes(paragraph, simple):
        if tag != "equal" and all(char <= "\uffff" for char in simple[k:m]):
            edits.append(Edit(i, j, simple[k:m]))
    return edits


def _opcodes(before: str, after: str) -> Iterable[tuple[str, int, int, int, int]]:
    """Return difflib opcodes; character by character where nothing moved, which is nearly always."""
    if len(before) != len(after):
        return SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes()
    return [("replace", i, i + 1, i, i + 1) for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]


LINE_END = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]+")
SPACES = re.compile("[ \t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]{2,}|[\t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
LOST = {"?jiǎng)?chuàng)": "创"}
LOST_RUN = re.compile(rf"(?:[?？]{PINYIN}[)）])+")
GLOSS = re.compile(rf"(?<=[{HAN}])[(（](?:(?=[a-zü]{{0,6}}[{TONED}]){PINYIN}|{NEUTRAL})[)）]")
AUTHORED = re.compile("[显卓昭土名原论专编译遗巨拙]著|著[名作书述称录者]")
WIDE = re.compile("[０-９Ａ-Ｚａ-ｚ％＋－＝／．＆＠＃＄＊]+")
NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
FULL = str.maketrans(",;:?!", "，；：？！")
BRACKETS = re.compile(r"\([^()（）\n]{0,60}\)")
# Without the signs that narrow_punctuation makes, so that cleaning twice changes nothing more.
CHINESE = re.compile(f"[{HAN}“”‘’《》【】]")
HALF = re.compile(f"(?<=[{CONTEXT}])[,;:?!]+|[,;:?!]+(?=[{CONTEXT}])")
DOUBLED = re.compile("([，。；：])[，,。；：]+")
RULES: tuple[Rule, ...] = (
    line_ends,
    invisible,
    spaces,
    lost_characters,
    pinyin_glosses,
    traditional,
    wide_letters,
    narrow_brackets,
    narrow_punctuation,
    doubled_commas,
)
