"""Clean text -> sentences, as data/GUIDE.md defines them, each with its place in the raw text."""

import re
from collections import defaultdict
from dataclasses import dataclass

from gangmu.cleaning import clean

QUOTED_LIMIT = 60
"""A quotation up to this long is short: ；！？… inside it end nothing."""
BRACKETS = {"》": "《", "〉": "〈", "）": "（", ")": "(", "】": "【", "〕": "〔"}
QUOTATIONS = {"”": "“", "’": "‘", "」": "「", "』": "『", '"': '"'}
OPENING = BRACKETS | QUOTATIONS
WEAK = "！？!?…；;"
STOPS = f"。{WEAK}"
CLOSERS = "”’）)》〉」』】〕]"
STOP = re.compile(f"[{STOPS}]")
WEAK_STOP = re.compile(f"[{WEAK}]")
PAIRED = re.compile(f"[{re.escape(''.join((*OPENING, *OPENING.values())))}\n]")
# of an address, or any other Latin text
LATIN_STOP = re.compile("(?<=[0-9A-Za-z/=&])[?!;](?=[0-9A-Za-z/=&%])")
# A straight mark that nothing opened closes when the line ends behind it. No sentence begins with a comma.
END = re.compile(f'\\n|[{STOPS}](?:[{STOPS}{re.escape(CLOSERS)} ]|"(?![^\\n]))*+(?![，、：,:])')


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
    text = cleaned.text
    sentences: list[Sentence] = []
    paragraph = last = 0
    for start, end in sentence_spans(text):
        if sentences and "\n" in text[last:start]:
            paragraph += 1
        sentences.append(Sentence(text[start:end], *cleaned.raw_range(start, end), paragraph))
        last = end
    return sentences


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the (start, end) of each sentence of clean text, without the spaces around it.

    >>> sentence_spans("一是抓；二是管。\\n三")
    [(0, 4), (4, 8), (9, 10)]
    """
    spans = []
    start = 0
    for match in END.finditer(_without_inner_stops(text)):
        # stops at the beginning, as in ……会议还听取了汇报, belong to what follows them
        if match[0] == "\n" or text[start : match.start()].strip(f" {STOPS}{CLOSERS}"):
            spans.append((start, match.end()))
            start = match.end()
    spans.append((start, len(text)))
    return [trimmed for span in spans if (trimmed := _trimmed(text, *span))]


def _without_inner_stops(text: str) -> str:
    """Return the text with x for stops that end nothing, and curved marks for pairs of straight ones.

    Those are all stops in brackets, all but 。 in short quotations: one that holds 。 is speech.
    """
    shown = {match.start(): "x" for match in LATIN_STOP.finditer(text)}
    opened: dict[str, list[int]] = defaultdict(list)
    for match in PAIRED.finditer(text):
        sign, place = match[0], match.start()
        if sign == "\n":
            opened.clear()
        elif sign in OPENING and opened[OPENING[sign]]:
            opening = opened[OPENING[sign]].pop()
            if sign in BRACKETS:
                shown |= dict.fromkeys((stop.start() for stop in STOP.finditer(text, opening, place)), "x")
            elif place - opening <= QUOTED_LIMIT + 1:
                shown |= dict.fromkeys((stop.start() for stop in WEAK_STOP.finditer(text, opening, place)), "x")
            if sign == '"':
                shown |= {opening: "“", place: "”"}
        elif sign not in BRACKETS:
            opened[sign].append(place)
    pieces = []
    done = 0
    for place in sorted(shown):
        pieces += text[done:place], shown[place]
        done = place + 1
    return "".join((*pieces, text[done:]))


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and text[start] in " \n":
        start += 1
    while end > start and text[end - 1] in " \n":
        end -= 1
    return (start, end) if start < end else None
