"""Rules for punctuation: half-width signs beside Chinese, brackets in pairs, signs that stand twice."""

import re

from gangmu.edits import Edit

HAN = "\u3400-\u9fff\uf900-\ufaff〇\U00020000-\U0003ffff"
STRENGTH = "。；：，、"
"""Of several such signs in a row the first of these stays."""


def narrow_brackets(text: str) -> list[Edit]:
    """Return edits that make a pair of half-width brackets full-width when Chinese stands in or beside it.

    >>> from gangmu.cleaning import clean
    >>> clean("網絡(5G),園區(三期);F(x)").text
    '网络（5G），园区（三期）；F(x)'
    """
    edits = []
    for match in BRACKETS.finditer(text):
        start, end = match.span()
        if CHINESE.search(text, max(0, start - 1), end + 1):
            edits += [Edit(start, start + 1, "（"), Edit(end - 1, end, "）")]
    return edits


def narrow_signs(text: str) -> list[Edit]:
    """Return edits that make half-width punctuation beside Chinese full-width; numbers keep theirs.

    >>> from gangmu.cleaning import clean
    >>> clean("會議強調,要抓好3,000個項目;12:30結束!?").text
    '会议强调，要抓好3,000个项目；12:30结束！？'
    """
    return [Edit(m.start(), m.end(), m[0].translate(FULL)) for m in HALF.finditer(text)]


def doubled_signs(text: str) -> list[Edit]:
    """Return edits that leave one of several commas, stops, semicolons or colons in a row: the weightiest.

    >>> from gangmu.cleaning import clean
    >>> clean("会议强调，,要抓实，。各部门：，照办。。").text
    '会议强调，要抓实。各部门：照办。'
    """
    return [Edit(m.start(), m.end(), min(m[0], key=f"{STRENGTH},".index)) for m in DOUBLED.finditer(text)]


FULL = str.maketrans(",;:?!", "，；：？！")
BRACKETS = re.compile(r"\([^()（）\n]{0,60}\)")
# Without the signs that these rules make, so that cleaning twice changes nothing more.
CHINESE = re.compile(f"[{HAN}“”‘’《》【】]")
CONTEXT = f"[{HAN}“”‘’《》〈〉「」『』（）【】、，。；：！？…—％]"
# A run of them with Chinese before or behind it; looked at from its first sign alone, which keeps long runs quick.
HALF = re.compile(f"[,;:?!](?<![,;:?!]{{2}})(?:(?<={CONTEXT}[,;:?!])|(?=[,;:?!]*+{CONTEXT}))[,;:?!]*")
DOUBLED = re.compile("[，。；：、][，,。；：、]+")
