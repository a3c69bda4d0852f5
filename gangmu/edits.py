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

    `offsets` [characters, 2]: start and end, in code points of the raw text, of what the character stands for.
    """

    text: str
    offsets: NDArray[np.uint32]

    @classmethod
    def untouched(cls, raw: str) -> "CleanText":
        """Return raw text as it is, each character in its own place."""
        places = np.arange(len(raw) + 1, dtype=np.uint32)
        return cls(raw, np.stack([places[:-1], places[1:]], axis=1))

    def raw_range(self, start: int, end: int) -> tuple[int, int]:
        """Return the raw code points that clean characters start..end came from."""
        return int(self.offsets[start, 0]), int(self.offsets[end - 1, 1])

    def edited(self, edits: Sequence[Edit]) -> "CleanText":
        """Return this text with the edits made."""
        pieces: list[str] = []
        done = 0
        for start, end, replacement in edits:
            pieces += self.text[done:start], replacement
            done = end
        pieces.append(self.text[done:])
        return CleanText("".join(pieces), self._moved([e for e in edits if e.end - e.start != len(e.replacement)]))

    def _moved(self, shorter: Sequence[Edit]) -> NDArray[np.uint32]:
        """Return the offsets after edits that shorten: what is left of an edit's characters stands for all of them."""
        if not shorter:
            return self.offsets
        offsets = self.offsets.copy()
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
