"""Raw text -> clean text with an offset map, by one small named rule after the other.

A rule takes text and returns the edits it asks for. Cleaning clean text changes nothing, and every rule looks
only at one paragraph, so a report and its paragraphs come out the same.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gangmu import characters, glosses
from gangmu.boilerplate import boilerplate_lines
from gangmu.edits import CleanText, Edit, Rule
from gangmu.glosses import lost_characters, pinyin_glosses
from gangmu.punctuation import doubled_signs, narrow_brackets, narrow_signs
from gangmu.traditional import traditional, traditional_signs

Signs = str | Callable[[], str]
"""The inside of a character class, or what makes it: a text with none of them is not changed by the rule."""


class Change(NamedTuple):
    """What a rule did at start..end of the raw text: the text as the rule found it and as it left it."""

    rule: str
    start: int
    end: int
    before: str
    after: str


def clean(raw: str) -> CleanText:
    """Return the clean text of a report and where each character of it was.

    >>> clean("要明確(què)目標(biāo),狠抓落實(shí)").text
    '要明确目标，狠抓落实'
    """
    return _cleaned(raw, len(RULES))


def clean_sentence(raw: str) -> str:
    """Return the clean text of one sentence that somebody else split: gold data, of which no sentence may be emptied.

    >>> clean_sentence(" 會(huì)議指出,要創(chuàng)新方法。 "), clean_sentence("責任編輯:小禾")
    ('会议指出，要创新方法。', '责任编辑：小禾')
    """
    return " ".join(_cleaned(raw, SENTENCE_RULES).text.split())


def changes(raw: str) -> list[Change]:
    """Return all that cleaning does to a report, rule by rule.

    >>> for change in changes("全會?mào)"):
    ...     print(*change)
    traditional 1 2 會 会
    lost_characters 2 7 ?mào) □
    """
    found = []
    for rule, before, edits, _ in _steps(raw, len(RULES)):
        places = before.raw_ranges([(edit.start, edit.end) for edit in edits])
        for (start, end), edit in zip(places, edits, strict=True):
            found.append(Change(rule.__name__, start, end, before.text[edit.start : edit.end], edit.replacement))
    return found


def _cleaned(raw: str, rules: int) -> CleanText:
    cleaned = CleanText(raw)
    for step in _steps(raw, rules):
        cleaned = step[-1]
    return cleaned


def _steps(raw: str, rules: int) -> Iterator[tuple[Rule, CleanText, Sequence[Edit], CleanText]]:
    """Yield each of the first rules that has edits to make, with the text it found, its edits and the text it left."""
    cleaned = CleanText(raw)
    present, concerned = _concerned(raw)
    number = 0
    while ahead := concerned >> number & (1 << rules - number) - 1:
        number += (ahead & -ahead).bit_length()  # of the lowest bit: the next rule concerned, counted from 1
        rule, _ = RULES[number - 1]
        if edits := rule(cleaned.text):
            found, cleaned = cleaned, cleaned.edited(edits)
            present |= _concerned("".join({edit.replacement for edit in edits}))[0]
            concerned = present  # signs may stand in a row now that did not before
            yield rule, found, edits, cleaned


def _concerned(text: str) -> tuple[int, int]:
    """Return a bit for each rule with a sign in the text, and one for each that may have something to change.

    One look at each character takes the place of one a rule.
    """
    rules = _rules_of_units()[np.frombuffer(text.encode("utf-16-le", "surrogatepass"), "<u2")]
    present = int(np.bitwise_or.reduce(rules))
    rows = int(np.bitwise_or.reduce(rules[1:] & rules[:-1]))
    return present, present & ~IN_A_ROW | rows & IN_A_ROW


@lru_cache
def _rules_of_units() -> NDArray[np.uint16]:
    """Return [65536]: for each unit of UTF-16 a bit for each rule that has it among its signs."""
    units = "".join(map(chr, range(1 << 16)))
    table = np.zeros(1 << 16, np.uint16)
    for number, (_, signs) in enumerate(RULES):
        found = re.findall(f"[{signs() if callable(signs) else signs}]", units)
        table[list(map(ord, found))] |= 1 << number
    return table


RULES: tuple[tuple[Rule, Signs], ...] = (
    (characters.line_ends, characters.BREAKS),
    (characters.invisible, characters.HIDDEN + "\ud800-\udfff"),
    (characters.unusual_forms, "".join(map(chr, characters.USUAL))),
    (characters.entities, "&"),
    (characters.unreadable, characters.STRANGE),
    (characters.blanks, characters.BLANKS),
    (characters.doubled_spaces, " "),
    (pinyin_glosses, glosses.LETTER),
    (traditional, traditional_signs),
    (lost_characters, glosses.TONED),
    (narrow_brackets, "("),
    (narrow_signs, ",;:?!"),
    (doubled_signs, "，。；：、"),
    (boilerplate_lines, r"\s\S"),
)
SENTENCE_RULES = len(RULES) - 1
IN_A_ROW = sum(1 << i for i, (rule, _) in enumerate(RULES) if rule in (characters.doubled_spaces, doubled_signs))
"""The rules that need two of their signs side by side."""
