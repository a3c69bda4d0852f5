"""Traditional -> simplified characters, paragraph by paragraph, with OpenCC."""

import re
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from opencc import OpenCC

from gangmu.edits import Edit


def traditional(text: str) -> list[Edit]:
    """Return edits that turn traditional characters into simplified ones.

    Only paragraphs that hold a traditional character are touched: by its phrases `t2s` takes 破坏土地 for 坏土 and
    首批覆盖 for 批覆. 著 becomes 着 there (著力), but not in the words that keep it: pages mix both scripts. A change
    that leaves the basic plane (晛 -> 𬀪) is not made. Source: DESIGN.md, choices.

    >>> from gangmu.cleaning import clean
    >>> clean("抓招商、著力做大做強,首批覆盖,成果显著").text, clean("首批覆盖，不能破坏土地").text
    ('抓招商、着力做大做强，首批覆盖，成果显著', '首批覆盖，不能破坏土地')
    """
    edits: list[Edit] = []
    end = 0
    while sign := _sign().search(text, end):
        start = text.rfind("\n", 0, sign.start()) + 1
        end = text.find("\n", start)
        end = len(text) if end == -1 else end
        edits += _changes(text[start:end], start)
    return edits


@lru_cache
def traditional_signs() -> str:
    """Return the traditional characters: those that `t2s` changes, within the basic plane."""
    characters = [chr(code) for code in (*range(0x3400, 0xA000), *range(0xF900, 0xFB00))]
    simple = _converter("t2s").convert("\n".join(characters)).split("\n")
    return "".join(a for a, b in zip(characters, simple, strict=True) if a != b and b <= "\uffff")


@lru_cache
def _sign() -> re.Pattern[str]:
    return re.compile(f"[{traditional_signs()}]")


@lru_cache
def _converter(name: str) -> OpenCC:
    return OpenCC(name)


def _changes(paragraph: str, start: int) -> list[Edit]:
    """Return the edits of one paragraph, which begins at `start`."""
    simple = _converter("t2s").convert(paragraph)
    if "著" in simple:
        taiwan = _converter("tw2s").convert(simple)
        simple = ATTACHED.sub(lambda match: taiwan[match.start()], simple)
    if len(simple) != len(paragraph):
        return []  # no entry of OpenCC 1.4 changes the length; one that did would shift every place behind it
    return [
        Edit(start + i, start + i + 1, simple[i])
        for i in np.flatnonzero(_codes(paragraph) != _codes(simple)).tolist()
        if simple[i] <= "\uffff" and not MISTAKEN.match(paragraph, i)
    ]


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


ATTACHED = re.compile("(?<![显卓昭土名原论专编译遗巨拙合])著(?![名作书述称录者])")
MISTAKEN = re.compile("坏|覆[盖蓋]")
