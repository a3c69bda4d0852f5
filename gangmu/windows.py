"""Sentences -> windows: runs of neighbouring sentences that the model reads at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from gangmu.settings import TextSettings


@dataclass(frozen=True)
class Window:
    """Neighbouring sentences; those from `first` to before `last` are labelled here, the others are context."""

    sentences: tuple[str, ...]
    start: int
    """Number in the report of the first sentence labelled here."""
    first: int
    last: int


def windows(sentences: Sequence[str], settings: TextSettings) -> list[Window]:
    """Return the windows of a report; every sentence is labelled in exactly one.

    A sentence is counted by its characters, its `[MASK]`s and one `[SEP]`: a BERT tokenizer never makes more tokens
    than characters, so what is packed here fits the token budget whatever the vocabulary.

    >>> [(w.sentences, w.first, w.last) for w in windows(["一。", "二。", "三。"], TextSettings(context="neighbours"))]
    [(('一。', '二。'), 0, 1), (('一。', '二。', '三。'), 1, 2), (('二。', '三。'), 1, 2)]
    """
    if settings.context == "report":
        groups = _packed([len(sentence) + settings.marks for sentence in sentences], settings)
    else:
        groups = [(index, index + 1) for index in range(len(sentences))]
    overlap = 0 if settings.context == "none" else settings.overlap
    return [_window(sentences, start, stop, overlap) for start, stop in groups]


def _packed(lengths: list[int], settings: TextSettings) -> list[tuple[int, int]]:
    """Return (start, stop) of each run that fits with its context sentences beside it."""
    groups: list[tuple[int, int]] = []
    start = 0
    while start < len(lengths):
        stop = start + 1
        left = sum(lengths[max(0, start - settings.overlap) : start])
        while stop < len(lengths):
            right = sum(lengths[stop + 1 : stop + 1 + settings.overlap])
            if 1 + left + sum(lengths[start : stop + 1]) + right > settings.window:
                break
            stop += 1
        groups.append((start, stop))
        start = stop
    return groups


def _window(sentences: Sequence[str], start: int, stop: int, overlap: int) -> Window:
    low = max(0, start - overlap)
    high = min(len(sentences), stop + overlap)
    return Window(tuple(sentences[low:high]), start, start - low, stop - low)
