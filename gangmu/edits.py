"""Edits of a text, and clean text that knows where in the raw text each of its characters was."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Edit(NamedTuple):
    """Replace text[start:end] by a text that is no longer than it."""

    start: int
    end: int
    replacement: str


Rule = Callable[[str], Sequence[Edit]]
"""A rule of cleaning: text -> the edits it asks for, in order, without overlaps."""


@dataclass(frozen=True, eq=False)
class CleanText:
    """Clean text, and the place of each of its characters in the raw text.

    `offsets` [characters, 2]: start and end, in code points of the raw text, of what the character stands for; None
    while every character stands where it stood.
    """

    text: str
    offsets: NDArray[np.uint32] | None = None

    def raw_ranges(self, spans: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
        """Return for each (start, end) of clean text, none of them empty, that of the raw text it came from."""
        if self.offsets is None or not spans:
            return spans
        places = np.array(spans)
        starts, ends = self.offsets[places[:, 0], 0].tolist(), self.offsets[places[:, 1] - 1, 1].tolist()
        return list(zip(starts, ends, strict=True))

    def edited(self, edits: Sequence[Edit]) -> "CleanText":
        """Return this text with the edits made."""
        pieces: list[str] = []
        done = 0
        for start, end, replacement in edits:
            pieces += self.text[done:start], replacement
            done = end
        pieces.append(self.text[done:])
        return CleanText("".join(pieces), self._moved([e for e in edits if e.end - e.start != len(e.replacement)]))

    def _moved(self, shorter: Sequence[Edit]) -> NDArray[np.uint32] | None:
        """Return the offsets after edits that shorten: what is left of an edit's characters stands for all of them."""
        if not shorter:
            return self.offsets
        places = np.arange(len(self.text) + 1, dtype=np.uint32)
        offsets = np.stack([places[:-1], places[1:]], axis=1) if self.offsets is None else self.offsets.copy()
        kept = np.ones(len(offsets), np.bool_)
        for start, end, replacement in shorter:
            rest = start + len(replacement)
            if replacement:
                offsets[start:rest] = offsets[start, 0], offsets[end - 1, 1]
            kept[rest:end] = False
        return offsets[kept]


def replaced(text: str, pattern: re.Pattern[str], replacement: str) -> list[Edit]:
    """Return the edits that put `replacement` in place of each match."""
    return [Edit(m.start(), m.end(), replacement) for m in pattern.finditer(text)]
