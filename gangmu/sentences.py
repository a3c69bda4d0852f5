"""Clean text -> sentences, as data/GUIDE.md defines them, each with its place in the raw text."""

import re
from dataclasses import dataclass

from gangmu.cleaning import clean

STOPS = "。！？!?…；;"
CLOSERS = "”’）)》〉」』】]"
QUOTED_LIMIT = 60
"""A quotation up to this long is short: ；！？ inside it end nothing."""
BRACKETS = {"《": "》", "（": "）", "(": ")", "〈": "〉", "【": "】"}
SIGN = re.compile(f"[{STOPS}“「《（(〈【]")
BRACKET = re.compile("[《》（）()〈〉【】]")
TAIL = re.compile(f"[{STOPS}{re.escape(CLOSERS)} ]*")


@dataclass(frozen=True)
class Sentence:
    """A sentence of a report: clean text, its range in the raw text in code points, its paragraph from 0."""

    text: str
    start: int
    end: int
    paragraph: int


def split_sentences(raw: str) -> list[Sentence]:
    """Return the sentences of a raw report, in order, covering all of its clean text but spaces.

    >>> [s.text for s in split_sentences("會議強調,要明確目標;要“敢拼、敢干!”。\\n要狠抓落實")]
    ['会议强调，要明确目标；', '要“敢拼、敢干！”。', '要狠抓落实']
    """
    cleaned = clean(raw)
    sentences = []
    paragraph = position = 0
    for line in cleaned.text.split("\n"):
        spans = [(position + i, position + j) for i, j in sentence_spans(line)]
        for i, j in spans:
            start, end = cleaned.raw_range(i, j)
            sentences.append(Sentence(cleaned.text[i:j], start, end, paragraph))
        paragraph += bool(spans)
        position += len(line) + 1
    return sentences


def sentence_spans(line: str) -> list[tuple[int, int]]:
    """Return the (start, end) of each sentence of one line of clean text, without the spaces around it.

    >>> sentence_spans("一是抓；二是管。")
    [(0, 4), (4, 8)]
    """
    spans = []
    start = position = 0
    closings: dict[int, int] | None = None
    while match := SIGN.search(line, position):
        sign = match[0]
        position = match.end()
        if sign in BRACKETS:
            closings = _closings(line) if closings is None else closings
            position = closings.get(match.start(), position)
        elif sign in "“「":
            position = _after_short_quotation(line, match.start())
        else:
            tail = TAIL.match(line, position)
            position = tail.end() if tail else position
            spans.append((start, position))
            start = position
    spans.append((start, len(line)))
    return [trimmed for span in spans if (trimmed := _trimmed(line, *span))]


def _closings(line: str) -> dict[int, int]:
    """Return, for each opening bracket that is closed, the place behind its closing one; nesting counts by kind."""
    opened: dict[str, list[int]] = {closing: [] for closing in BRACKETS.values()}
    closings = {}
    for match in BRACKET.finditer(line):
        sign = match[0]
        if sign in BRACKETS:
            opened[BRACKETS[sign]].append(match.start())
        elif opened[sign]:
            closings[opened[sign].pop()] = match.end()
    return closings


def _after_short_quotation(line: str, opening: int) -> int:
    """Return where to go on after “…”: behind it when it is short and holds no 。, else just inside it.

    A quotation that holds 。 is speech, and its sentences end as usual; so do those of a long one.
    """
    closing = line.find("”" if line[opening] == "“" else "」", opening, opening + QUOTED_LIMIT + 1)
    if closing == -1 or "。" in line[opening:closing]:
        return opening + 1
    return closing + 1


def _trimmed(line: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and line[start] == " ":
        start += 1
    while end > start and line[end - 1] == " ":
        end -= 1
    return (start, end) if start < end else None
