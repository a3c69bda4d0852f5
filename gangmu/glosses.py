"""Rules for pinyin that a converter printed behind characters, and for the characters it destroyed on the way."""

import re
import unicodedata
from functools import lru_cache
from pathlib import Path

from gangmu.characters import BOX
from gangmu.edits import Edit, replaced
from gangmu.punctuation import HAN

LOST_TABLE = Path(__file__).with_name("lost.txt")
KNOWN = {"?jiǎng)?chuàng)": "创"}
"""Runs that stand for another number of characters than they have syllables."""


def pinyin_glosses(text: str) -> list[Edit]:
    """Return edits that drop pinyin glosses behind a character; other brackets stay.

    >>> from gangmu.cleaning import clean
    >>> clean("會(huì)議發(fā)布了(app)和（GDP）").text
    '会议发布了（app）和（GDP）'
    """
    return replaced(text, GLOSSES, "")


def lost_characters(text: str) -> list[Edit]:
    """Return edits that restore characters of which only the pinyin is left, or put □ where that is not sure.

    >>> from gangmu.cleaning import clean
    >>> clean("要?jiǎng)?chuàng)新方法，?kāi)展?mào)事").text
    '要创新方法，开展□事'
    """
    edits: list[Edit] = []
    for run in LOST_RUN.finditer(text):
        if known := KNOWN.get(run[0].translate(HALF_MARKS)):
            edits.append(Edit(run.start(), run.end(), known))
            continue
        for lost in LOST.finditer(text, run.start(), run.end()):
            start, end = lost.span()
            joined = bool(edits) and edits[-1].end == start
            before = edits[-1].replacement if joined else text[max(0, start - 1) : start]
            edits.append(Edit(start, end, _restored(lost["syllables"], before, text[end : end + 1])))
    return edits


def _restored(syllables: str, before: str, after: str) -> str:
    """Return the character that a syllable stands for between its neighbours, or □."""
    syllable = unicodedata.normalize("NFC", syllables.strip("()（）").translate(HALF_MARKS))
    following, preceding = _table()
    found = {following.get((syllable, after)), preceding.get((syllable, before))} - {None}
    return found.pop() or BOX if len(found) == 1 else BOX


@lru_cache
def _table() -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], str]]:
    """Return {(syllable, neighbour): character} of following and of preceding neighbours."""
    following: dict[tuple[str, str], str] = {}
    preceding: dict[tuple[str, str], str] = {}
    for line in LOST_TABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            syllable, character, behind, ahead = line.split("\t")
            following |= dict.fromkeys(((syllable, neighbour) for neighbour in behind), character)
            preceding |= dict.fromkeys(((syllable, neighbour) for neighbour in ahead), character)
    return following, preceding


HALF_MARKS = str.maketrans("？）（□ɑɡ", "?)(?ag")
TONED = "āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜńňǹḿ\u0300\u0301\u0304\u030c"
LETTER = f"a-züɑɡ\u0308{TONED}"
TONE = f"(?=[a-züɑɡ]{{0,6}}[{TONED}])[{LETTER}]{{1,8}}"
# Toneless syllables that converters print; any other toneless bracket, (app) or (gdp), is content.
NEUTRAL = "de|le|men|zi|me|zhe|ma|ba|ne|tou|shang|li"
GLOSS = f"[(（](?:{TONE}|{NEUTRAL})[)）]"
GLOSSES = re.compile(rf"[(（](?<=[{HAN}][(（])(?:{TONE}|{NEUTRAL})[)）](?:{GLOSS})*")
# Whatever pinyin follows is part of it, so that nothing stays that would be lost anew.
LOST = re.compile(rf"[?？{BOX}](?P<syllables>[(（]?{TONE}[)）](?:{GLOSS}|{TONE}[)）])*)")
LOST_RUN = re.compile(rf"(?:{LOST.pattern.replace('?P<syllables>', '?:')})+")
