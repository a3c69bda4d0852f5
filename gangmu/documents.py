"""Web pages and office files -> text, a paragraph, list entry or table cell a line. Runs in a limited child process."""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from typing import IO

from gangmu.decoding import decode
from gangmu.errors import DataError
from gangmu.limits import Limits

MAIN_TEXT_BYTES = 1 << 20
MAIN_TEXT_ELEMENTS = 10_000
"""A larger page is read whole: to look for the main text of 4 MB of <br> takes a minute."""
ANCHOR = 8
"""Characters by which a block is found again in the main text; shorter ones stand in menus too."""
ABOVE = 10
"""Blocks above the main text among which its heading is looked for."""
# fmt: off
SKIPPED = {
    "head", "script", "style", "noscript", "template", "nav", "footer", "aside", "button", "select", "textarea",
    "iframe", "svg", "math", "rt", "rp",  # the last two: a phonetic guide
}
INLINE = {
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "img", "ins",
    "kbd", "label", "mark", "nobr", "q", "ruby", "rb", "s", "samp", "small", "span", "strike", "strong", "sub", "sup",
    "time", "tt", "u", "var", "wbr", *SKIPPED,
}
# fmt: on
LONG_TAG = re.compile(rb"<[a-zA-Z][^<>]{20000,}")
QUOTED = re.compile(rb"\"[^\"]*\"|'[^']*'")
ATTRIBUTES = 2000
"""Attributes of one element of a page at most: libxml2 compares each with all the others."""
WRAP = re.compile(r"(?<=[\u2e80-\uffef])[ \t\r]*\n\s*(?=[\u2e80-\uffef])")
"""A line break of the source between two Chinese characters is no space."""
BLANK = re.compile(r"[ \t\r\n\f]+")
MAIN_PART = re.compile(r"word/document\d*\.xml")
WORD_TAGS = ["document", "p", "t", "tab", "br", "cr", "noBreakHyphen", "Fallback", "moveFrom", "rt"]
WORD_SKIPPED = {"Fallback", "moveFrom", "rt"}
WORD_SIGNS = {"tab": " ", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
Block = tuple[str, str]
"""The tag of a block element and its text."""


def html_text(raw: bytes, limits: Limits) -> tuple[str, str]:
    """Return the main text of a web page and a note about it; all of its text where no main text is found.

    Headings, paragraphs, list entries and table cells are in the order of the page, each on a line of its own.
    DataError when the page holds no text or goes past a limit.
    """
    decoded = decode(raw)
    page = decoded.text.encode()
    _check_markup(page, limits)
    blocks, title = _blocks(page, limits)
    if not blocks:
        raise DataError("no text on this page; one that scripts fill must be saved from the browser")
    notes = [decoded.note] if decoded.note else []
    first, last = _main_text(page, blocks)
    if last < first:
        notes.append("no main text found on this page: all of its text is read")
        first, last = 0, len(blocks) - 1
    else:
        first = _heading(blocks, first, title)
    return _lines(text for _, text in blocks[first : last + 1]), "; ".join(notes)


def docx_text(raw: bytes, limits: Limits) -> tuple[str, str]:
    """Return the text of a Word document and an empty note; paragraphs, list entries and table cells in order.

    Left out are page headers and footers, notes, comments, deleted text and phonetic guides. DataError past a limit.
    """
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        part = next((info for info in archive.infolist() if MAIN_PART.fullmatch(info.filename)), None)
        if part is None:
            raise DataError("no word/document.xml in this docx")
        if part.file_size > limits.bytes:
            size = part.file_size >> 20
            raise DataError(f"{part.filename} unpacks to {size} MiB (limit megabytes={limits.megabytes})")
        if part.file_size > limits.unpacked(part.compress_size):
            raise DataError(f"{part.filename} is packed too tightly to be a report (limit ratio={limits.ratio})")
        with archive.open(part) as stream:
            text = _lines(_paragraphs(stream, limits))
    if not text:
        raise DataError("no text in this document; for a scanned one: ocrmypdf -l chi_sim")
    return text, ""


def _lines(blocks: Iterable[str]) -> str:
    return "".join(f"{block}\n" for block in blocks)


def _check_markup(page: bytes, limits: Limits) -> None:
    """Raise DataError for what takes libxml2 long: too many elements, or attributes of one of them."""
    if (elements := page.count(b"<")) > limits.elements:
        raise DataError(f"{elements} tags on this page (limit elements={limits.elements})")
    for tag in LONG_TAG.finditer(page):
        if len(QUOTED.sub(b"", tag[0]).split()) > ATTRIBUTES:
            raise DataError(f"an element with more than {ATTRIBUTES} attributes on this page")


def _blocks(page: bytes, limits: Limits) -> tuple[list[Block], str]:
    """Return the blocks of text of a page in its order, and what its <title> says."""
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    root = etree.fromstring(page, parser)
    for entry in parser.error_log.filter_from_fatals():  # from there on libxml2 has dropped what it read
        raise DataError(f"line {entry.line} of this page: {entry.message.strip()}")
    if root is None:
        return [], ""
    found = _Blocks(limits)
    walker = etree.iterwalk(root, events=("start", "end"))
    for event, element in walker:
        name = str(element.tag)
        if event == "end":
            found.close(name, element.tail or "")
        elif name in SKIPPED or _hidden(element.get("style"), element.get("hidden")):
            found.open(name, "")
            walker.skip_subtree()
        else:
            found.open(name, element.text or "")
    return found.blocks, root.findtext(".//title") or ""


class _Blocks:
    """The blocks of a page, as its elements open and close one after the other."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.blocks: list[Block] = []
        self.pieces: list[str] = []
        self.names = ["html"]
        self.length = 0

    def open(self, name: str, text: str) -> None:
        self._next(name, text)
        self.names.append(self.names[-1] if name in INLINE else name)
        if len(self.names) > self.limits.depth:
            raise DataError(f"elements of this page lie too deep in one another (limit depth={self.limits.depth})")

    def close(self, name: str, tail: str) -> None:
        self._next(name, tail)
        self.names.pop()

    def _next(self, name: str, text: str) -> None:
        """Add text, to a new block where a block element begins or ends."""
        if name not in INLINE:
            before = "".join(self.pieces)
            self.length += len(before)
            if self.length > self.limits.characters:
                limit = self.limits.characters
                raise DataError(f"more than {limit} characters (limit characters={limit})")
            lines = before.split("\n") if "pre" in self.names else [WRAP.sub("", before)]
            self.blocks += [(self.names[-1], line) for raw in lines if (line := BLANK.sub(" ", raw).strip())]
            self.pieces = []
        self.pieces.append(text)


def _hidden(style: str | None, hidden: str | None) -> bool:
    return hidden is not None or (style is not None and "display:none" in style.replace(" ", "").lower())


def _main_text(page: bytes, blocks: list[Block]) -> tuple[int, int]:
    """Return the first and last block that trafilatura takes for the main text; (0, -1) when it finds none.

    All between them is kept: alone it drops headings and tables, and breaks a line at every <b>.
    """
    import trafilatura

    if len(page) > MAIN_TEXT_BYTES or page.count(b"<") > MAIN_TEXT_ELEMENTS:
        return 0, -1
    found = trafilatura.bare_extraction(page.decode(), include_comments=False, favor_recall=True)
    lines = {"".join(line.split()) for line in (getattr(found, "text", None) or "").split("\n")}
    runs = {line[i : i + ANCHOR] for line in lines for i in range(len(line) - ANCHOR + 1)}
    dense = ["".join(text.split()) for _, text in blocks]
    anchors = [i for i, text in enumerate(dense) if text in lines or (text[:ANCHOR] in runs and text[-ANCHOR:] in runs)]
    return (anchors[0], anchors[-1]) if anchors else (0, -1)


def _heading(blocks: list[Block], first: int, title: str) -> int:
    """Return where the heading above block `first` is, an <h1> or part of the title of the page; else `first`."""
    for index in range(first - 1, max(-1, first - 1 - ABOVE), -1):
        tag, text = blocks[index]
        if tag == "h1" or (len(text) >= ANCHOR and text in title):
            return index
    return first


def _paragraphs(stream: IO[bytes], limits: Limits) -> Iterator[str]:
    """Yield the lines of a word/document.xml that are not empty."""
    from lxml import etree

    tags = [f"{{*}}{name}" for name in WORD_TAGS]
    events = etree.iterparse(
        stream, events=("start", "end"), tag=tags, resolve_entities=False, load_dtd=False, no_network=True
    )
    open_paragraphs: list[list[str]] = [[]]
    skipping = 0
    for number, (event, element) in enumerate(events):
        name = element.tag.rpartition("}")[2]
        if number > 2 * limits.elements:
            raise DataError(f"more than {limits.elements} pieces of text (limit elements={limits.elements})")
        if name in WORD_SKIPPED:
            skipping += 1 if event == "start" else -1
        elif event == "start":
            if name == "document" and element.getroottree().docinfo.internalDTD is not None:
                raise DataError("its XML declares a document type, which no report needs")
            if name == "p":
                open_paragraphs.append([])
                if len(open_paragraphs) > limits.depth:
                    raise DataError(f"paragraphs too deep inside one another (limit depth={limits.depth})")
        elif name == "p":
            lines = "".join(open_paragraphs.pop()).split("\n")
            yield from (line.strip() for line in lines if line.strip())
            element.clear()  # what was read of a long document need not stay
            if (before := element.getprevious()) is not None:
                element.getparent().remove(before)
        elif not skipping:
            open_paragraphs[-1].append(WORD_SIGNS.get(name) or element.text or "")
