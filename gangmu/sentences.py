"""Clean text -> sentences, as data/GUIDE.md defines them, each with its place in the raw text."""

import re
from bisect import bisect_right
from collections import defaultdict
from typing import NamedTuple

from gangmu.cleaning import clean

QUOTED_LIMIT = 60
"""A quotation up to this long is short: of the stops in it only 。 ends a sentence."""
BRACKETS = {"》": "《", "〉": "〈", "）": "（", ")": "(", "】": "【", "〕": "〔"}
QUOTATIONS = {"”": "“", "’": "‘", "」": "「", "』": "『"}
OPENING = BRACKETS | QUOTATIONS
STOPS = "。！？!?…；;"
WORDLESS = STOPS + "".join(OPENING) + ' "'
MARKS = WORDLESS.replace(" ", "") + "".join(OPENING.values())
COMMAS = tuple("，、：,:")
PLAIN = f"[^{re.escape(MARKS)}\n]"
INNER = f"《{PLAIN}*+》|（{PLAIN}*+）"
PAIR = f"“(?:{PLAIN}++|{INNER})*+”|{INNER}"
# A sentence whose marks are plain pairs and its stop, as most are, or the rest of the line.
SIMPLE_OR_LINE = re.compile(
    f"[ \n]*+(?:((?:(?! ){PLAIN}|{PAIR})(?:{PLAIN}++|{PAIR})*+"
    f"(?:[。！？…；]++(?! *+[{re.escape(WORDLESS)}{''.join(COMMAS)}])|(?<! )(?=\n|\\Z)))|([^\n]+))"
)
# A mark, or a plain pair, in which nothing matters.
MARK = re.compile(f"[{re.escape(MARKS)}](?:(?<=“){PLAIN}*+”|(?<=《){PLAIN}*+》|(?<=（){PLAIN}*+）)?+")
STRAIGHT = re.compile('"([^"]*)"')
# of an address, or any other Latin text
LATIN_STOP = re.compile("(?<=[0-9A-Za-z/=&])[?!;](?=[0-9A-Za-z/=&%])")
ENDING = re.compile(f"[{re.escape(WORDLESS[:-1])}]+")


class Sentence(NamedTuple):
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
    text = cleaned.text
    spans = sentence_spans(text)
    sentences = []
    paragraph = last = 0
    for (start, end), (raw_start, raw_end) in zip(spans, cleaned.raw_ranges(spans), strict=True):
        if start != last and last and "\n" in text[last:start]:
            paragraph += 1
        sentences.append(Sentence(text[start:end], raw_start, raw_end, paragraph))
        last = end
    return sentences


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the (start, end) of each sentence of clean text, without the spaces around it.

    >>> sentence_spans("一是抓；二是管。\\n三")
    [(0, 4), (4, 8), (9, 10)]
    """
    spans = []
    for match in SIMPLE_OR_LINE.finditer(text):
        if match.lastindex == 1:
            spans.append(match.span(1))
        else:
            offset = match.start(2)
            spans += [(offset + start, offset + end) for start, end in line_spans(match[2])]
    return spans


def line_spans(line: str) -> list[tuple[int, int]]:
    """Return the (start, end) of each sentence of one line, whatever is in it.

    Stops in a row and the closing marks behind them end one sentence. No sentence begins with a comma, and none
    holds marks alone: at the beginning of a line, as in ……会议还听取了汇报, they belong to what follows.
    """
    if '"' in line:
        line = STRAIGHT.sub(r"“\1”", line)
    spans: list[tuple[int, int]] = []
    start = end = 0
    for stop in _live_stops(line):
        if stop >= end and (run := ENDING.match(line, stop)):
            end = run.end()
            if line[end : end + 1] not in COMMAS and _has_words(line[start:stop]):
                spans.append((start, end))
                start = end
    if spans and not _has_words(line[start:]):
        start = spans.pop()[0]
    spans.append((start, len(line)))
    return [trimmed for span in spans if (trimmed := _trimmed(line, *span))]


def _live_stops(line: str) -> list[int]:
    """Return the places of the stops that end something: of those in brackets none, in a short quotation only 。."""
    stops: list[int] = []
    opened: dict[str, list[int]] = defaultdict(list)
    for match in MARK.finditer(line):
        mark, place = match[0], match.start()
        if len(mark) > 1:
            continue
        if mark in STOPS:
            if not (mark.isascii() and LATIN_STOP.match(line, place)):
                stops.append(place)
        elif mark not in OPENING:
            opened[mark].append(place)
        elif opened[OPENING[mark]]:
            opening = opened[OPENING[mark]].pop()
            if stops and stops[-1] > opening and (mark in BRACKETS or place - opening <= QUOTED_LIMIT + 1):
                inner = bisect_right(stops, opening)
                stops[inner:] = [stop for stop in stops[inner:] if line[stop] == "。" and mark in QUOTATIONS]
    return stops


def _has_words(text: str) -> bool:
    return bool(text.strip(WORDLESS))


def _trimmed(line: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and line[start] == " ":
        start += 1
    while end > start and line[end - 1] == " ":
        end -= 1
    return (start, end) if start < end else None
