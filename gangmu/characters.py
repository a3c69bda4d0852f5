"""Rules for single characters: line ends, invisible and unreadable characters, widths, entities, spaces."""

import html
import re
import unicodedata

from gangmu.edits import Edit, replaced

BOX = "□"
"""Stands where a character is lost."""


def line_ends(text: str) -> list[Edit]:
    r"""Return edits that make every line end a newline.

    >>> from gangmu.cleaning import clean
    >>> clean("一\r\n二\u2028三").text
    '一\n二\n三'
    """
    return replaced(text, LINE_END, "\n")


def invisible(text: str) -> list[Edit]:
    r"""Return edits that drop control and zero-width characters, marks of direction and byte order.

    >>> from gangmu.cleaning import clean
    >>> clean("要\u200b抓\x00实\ufeff").text
    '要抓实'
    """
    return replaced(text, INVISIBLE, "")


def unusual_forms(text: str) -> list[Edit]:
    """Return edits that make full-width letters, digits and signs half-width, radicals characters, small signs usual.

    >>> from gangmu.cleaning import clean
    >>> clean("２０２７年ＧＤＰ增长５％﹐⽓温⻓期偏高｡").text
    '2027年GDP增长5%，气温长期偏高。'
    """
    return [Edit(m.start(), m.end(), m[0].translate(USUAL)) for m in UNUSUAL.finditer(text)]


def entities(text: str) -> list[Edit]:
    """Return edits that put the character in place of an HTML entity, escaped once or several times.

    Letters and digits stay escaped: `&#65;` could complete another entity, and cleaning twice would change more.

    >>> from gangmu.cleaning import clean
    >>> clean("&ldquo;一网通办&rdquo;&amp;amp;nbsp;提速&#12288;AT&T").text
    '“一网通办” 提速 AT&T'
    """
    edits = []
    for match in ENTITY.finditer(text):
        start, end = match.span()
        sign = _decoded(match["name"] or "nbsp")
        if sign is None and match["escapes"]:
            sign, end = "&", match.end("escapes")
        if sign == "" and _in_entity(text[max(0, start - 1) : start]):
            sign = " "  # nothing would let what stands before it and behind it make an entity
        if sign is not None:
            edits.append(Edit(start, end, sign))
    return edits


def unreadable(text: str) -> list[Edit]:
    r"""Return edits that put □ for private-use characters, U+FFFD and halves of characters; known bullets stay bullets.

    >>> from gangmu.cleaning import clean
    >>> clean("要\ufffd\ufffd实\ue123，\uf06c一是").text
    '要□实□，●一是'
    """
    return [Edit(m.start(), m.end(), PRIVATE.get(m[0], BOX)) for m in UNREADABLE.finditer(text)]


def blanks(text: str) -> list[Edit]:
    r"""Return edits that make every blank, ideographic ones and tabs included, a space.

    >>> from gangmu.cleaning import clean
    >>> clean("市委书记\u3000陈某\xa0出席").text
    '市委书记 陈某 出席'
    """
    return replaced(text, BLANK, " ")


def doubled_spaces(text: str) -> list[Edit]:
    """Return edits that make a run of spaces one space.

    >>> from gangmu.cleaning import clean
    >>> clean("市委书记   陈某").text
    '市委书记 陈某'
    """
    return replaced(text, SPACES, " ")


def _decoded(name: str) -> str | None:
    """Return what an entity stands for; None for unknown ones, and for letters, digits and other parts of entities."""
    if ESCAPE.fullmatch(name):
        return "&"
    found = html.unescape(f"&{name};").translate(USUAL)
    if len(found) != 1 or _in_entity(found):
        return None
    return INVISIBLE.sub("", BLANK.sub(" ", LINE_END.sub("\n", found)))


def _in_entity(sign: str) -> bool:
    return sign.isascii() and (sign.isalnum() or sign in ("&", "#", ";"))


def _usual() -> dict[int, str]:
    """Return code point -> usual character, where Unicode calls one the compatible form of the other."""
    ranges = [(0x2F00, 0x2FD6), (0xFE35, 0xFE45), (0xFE50, 0xFE6C), (0xFF61, 0xFF66)]
    codes = [code for first, last in ranges for code in range(first, last)]
    signs = "０１２３４５６７８９％＋－＝／．＆＠＃＄＊" + "".join(
        chr(c) for c in (*range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))
    )
    codes += map(ord, signs)
    forms = {code: unicodedata.normalize("NFKC", chr(code)) for code in codes}
    radicals = dict(
        zip(
            "⺝⺠⺩⺪⺮⺶⺼⺾⻁⻄⻅⻆⻉⻋⻎⻓⻔⻘⻙⻚⻛⻜⻝⻢⻣⻤⻥⻦⻧⻨⻩⻪⻬⻮⻰⻳",
            "月民王疋竹羊肉艹虎西见角贝车辶长门青韦页风飞食马骨鬼鱼鸟卤麦黄黾齐齿龙龟",
            strict=True,
        )
    )
    return {code: form for code, form in forms.items() if len(form) == 1} | {ord(a): b for a, b in radicals.items()}


USUAL = _usual()
UNUSUAL = re.compile(f"[{''.join(map(chr, USUAL))}]+")
# The insides of character classes
BREAKS = "\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029"
HIDDEN = (
    "\x00-\x06\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"
)
# \x07 ends a cell of a Word table, \ue5e5 is the full-width space of some GBK fonts
BLANKS = "\t\x07\xa0\u1680\u2000-\u200a\u202f\u205f\u3000\ue5e5"
STRANGE = "\ue000-\ue5e4\ue5e6-\uf8ff\ud800-\udfff\ufdd0-\ufdef\ufffd-\uffff\U000f0000-\U0010ffff"
LINE_END = re.compile(f"\r\n|[{BREAKS}]")
INVISIBLE = re.compile(f"[{HIDDEN}]+")
UNREADABLE = re.compile(f"[{STRANGE}](?:(?<=\ufffd)\ufffd+)?")
BLANK = re.compile(f"[{BLANKS}]")
SPACES = re.compile("  +")
PRIVATE = dict(zip("\uf06c\uf06e\uf075\uf0a7\uf0b7\uf0d8\uf0fc", "●■◆▪•➢✓", strict=True))  # Wingdings and Symbol
NAME = r"#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31}"
ESCAPE = re.compile("amp|AMP|#0*38|#[xX]0*26")
ENTITY = re.compile(rf"&(?P<escapes>(?:(?:{ESCAPE.pattern})[;；])*)(?:(?P<name>{NAME})[;；]|nbsp(?![A-Za-z0-9]))")
