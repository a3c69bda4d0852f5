"""PDF -> text: pages without running heads and numbers, lines mended to paragraphs. Runs in a limited child process."""

import io
import re
from collections import Counter

from gangmu.errors import DataError
from gangmu.limits import Allow, Limits

OPERATIONS = 150_000
"""Drawing operations and their operands on one page at most; 2,500 characters set one by one take 40,000."""
EDGE = 2
"""Lines at the top and at the bottom of a page that may be a running head or a page number."""
DECORATED = re.compile(r"[-—–·•~]+ ?\d{1,4} ?[-—–·•~]+|第 ?\d{1,4} ?页(?:[ ,，/]?共 ?\d{1,4} ?页)?|\d{1,4} ?/ ?\d{1,4}")
BARE = re.compile(r"\d{1,4}")
DIGITS = re.compile(r"\d+")
STOP = re.compile("[。！？；]$")
ENDED = re.compile("[。！？；：!?;:…”’）)》]$")
BROKEN = re.compile("[，、,（《“]$")
"""A sentence does not end here, however short the line is."""
LATIN = re.compile("[0-9A-Za-z]")
LATIN_END = re.compile("[A-Za-z]$")
FULL = 0.8
"""A line of this share of the usual width runs on when nothing ends it."""


def pdf_text(raw: bytes, limits: Limits, allow: Allow) -> tuple[str, str]:
    """Return the text of a PDF, a paragraph a line, and an empty note; DataError when it has none or passes a limit.

    `allow` is told how many seconds of processor time are granted once the number of pages is known.
    """
    import pypdf

    with pypdf.apply_configuration(stream_parsing_work_maximum_count=OPERATIONS, jbig2dec_binary=None):
        reader = pypdf.PdfReader(io.BytesIO(raw))
        if reader.is_encrypted and not reader.decrypt(""):
            raise DataError("this PDF asks for a password; save it without one")
        if (count := len(reader.pages)) > limits.pages:
            raise DataError(f"{count} pages (limit pages={limits.pages})")
        allow(limits.seconds + limits.seconds * count // 10)
        pages: list[list[str]] = []
        length = 0
        for page in reader.pages:
            text = page.extract_text()
            length += len(text)
            if length > limits.characters:
                raise DataError(f"more than {limits.characters} characters (limit characters={limits.characters})")
            pages.append([line.strip() for line in text.split("\n") if line.strip()])
    if not any(pages):
        raise DataError("no text in this PDF: pages that are pictures need ocrmypdf -l chi_sim first")
    lines = [line for page in without_numbers(without_running_heads(pages)) for line in page]
    return "".join(f"{paragraph}\n" for paragraph in mended(lines)), ""


def without_running_heads(pages: list[list[str]]) -> list[list[str]]:
    """Return pages without the lines at their edges that come back, but for digits, on a third of them or more.

    >>> without_running_heads([["某市简报", "一"], ["某市简报", "二"], ["某市简报", "三"]])
    [['一'], ['二'], ['三']]
    """
    edges = [{_shape(line) for line in page[:EDGE] + page[-EDGE:] if not STOP.search(line)} for page in pages]
    shapes = Counter(shape for found in edges for shape in found)
    running = {shape for shape, times in shapes.items() if times >= max(3, len(pages) / 3) and DIGITS.sub("", shape)}
    kept = []
    for page in pages:
        first, last = 0, len(page)
        while first < min(EDGE, last) and _shape(page[first]) in running:
            first += 1
        while last > max(first, len(page) - EDGE) and _shape(page[last - 1]) in running:
            last -= 1
        kept.append(page[first:last])
    return kept


def without_numbers(pages: list[list[str]]) -> list[list[str]]:
    """Return pages without their numbers; a bare number is one only where most pages carry the number in its turn.

    >>> without_numbers([["— 1 —", "力争到"], ["2027", "年建成。", "— 2 —"]])
    [['力争到'], ['2027', '年建成。']]
    """
    offsets = Counter(
        offset for index, page in enumerate(pages) for offset in {int(n) - index for n in _bare(page)}
    ).most_common(1)
    if offsets and offsets[0][1] * 2 > len(pages):
        offset = offsets[0][0]
        pages = [_without_edge(page, str(index + offset)) for index, page in enumerate(pages)]
    kept = []
    for page in pages:
        first = bool(page) and bool(DECORATED.fullmatch(page[0]))
        last = len(page) > first and bool(DECORATED.fullmatch(page[-1]))
        kept.append(page[first : len(page) - last])
    return kept


def mended(lines: list[str]) -> list[str]:
    """Return paragraphs: a line that nothing ends and that is as wide as most goes on in the next.

    >>> mended(["关于做好防汛工作的通知", "会议强调，要健全市县两级联席会", "议制度，压实各方责任。", "要狠抓落实。"])
    ['关于做好防汛工作的通知', '会议强调，要健全市县两级联席会议制度，压实各方责任。', '要狠抓落实。']
    """
    widths = sorted(map(_width, lines))
    full = FULL * widths[len(widths) * 9 // 10] if widths else 0
    paragraphs: list[str] = []
    goes_on = False
    for line in lines:
        if goes_on:
            paragraphs[-1] += (" " if LATIN_END.search(paragraphs[-1]) and LATIN.match(line) else "") + line
        else:
            paragraphs.append(line)
        goes_on = bool(BROKEN.search(line)) or (_width(line) >= full and not ENDED.search(line))
    return paragraphs


def _width(line: str) -> int:
    """Return how wide a line is printed: a Chinese character takes the place of two others."""
    return sum(1 + (char > "\u2e7f") for char in line)


def _shape(line: str) -> str:
    return DIGITS.sub("0", "".join(line.split()))


def _bare(page: list[str]) -> list[str]:
    return [line for line in {*page[:1], *page[-1:]} if BARE.fullmatch(line)]


def _without_edge(page: list[str], number: str) -> list[str]:
    if page and page[-1] == number:
        return page[:-1]
    return page[1:] if page and page[0] == number else page
