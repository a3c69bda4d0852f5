"""Written reports against real texts: which long runs of characters stand in both, and are no set phrase."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.dataset import GoldReport

RUN = 16
"""Characters of a run: shorter ones of official language are mostly set phrases (issue 3)."""
SET_PHRASE = 5
"""Documents of the corpus in which a run must stand to be a set phrase."""
BASE = 0x9E3779B97F4A7C15
"""Odd multiplier of the hash; with 64 bits two of 1e8 runs meet by chance with probability 3e-4."""
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class SharedRun:
    """A run that a written sentence shares with real texts, and in how many documents of the corpus it stands."""

    report: str
    sentence: int
    run: str
    documents: int


def run_hashes(text: str, length: int = RUN) -> Hashes:
    """Return a 64-bit hash of each run of `length` characters of a text, in order.

    >>> one, two = run_hashes("要完善机制，要完善机制", 5)[[0, 6]]
    >>> bool(one == two), len(run_hashes("要完善", 5))
    (True, 0)
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    if len(codes) < length:
        return np.zeros(0, np.uint64)
    hashes = np.zeros(len(codes) - length + 1, np.uint64)
    for offset in range(length):
        hashes = hashes * np.uint64(BASE) + codes[offset : offset + len(hashes)]
    # the low bits of a product depend on the low bits alone: mix once
    return hashes ^ (hashes >> np.uint64(29))


def shared_runs(
    written: Sequence[GoldReport], corpus: Iterable[Sequence[str]], reports: Iterable[Sequence[str]]
) -> list[SharedRun]:
    """Return the runs of written sentences that a document of the corpus or a real report contains too.

    Documents and reports are clean paragraphs. Runs found in SET_PHRASE or more documents of the corpus are set
    phrases and left out.
    """
    places = [
        (int(value), report.id, number, text[start : start + RUN])
        for report in written
        for number, text in enumerate(report.texts)
        for start, value in enumerate(run_hashes(text))
    ]
    ours = np.unique(np.array([place[0] for place in places], np.uint64))
    counts = np.zeros(len(ours), np.int64)
    for document in corpus:
        counts[_found(document, ours)] += 1
    in_reports = np.zeros(len(ours), bool)
    for report in reports:
        in_reports[_found(report, ours)] = True
    copied = (in_reports | (counts > 0)) & (counts < SET_PHRASE)
    found = []
    for value, identifier, number, run in places:
        index = int(np.searchsorted(ours, np.uint64(value)))
        if copied[index]:
            found.append(SharedRun(identifier, number, run, int(counts[index])))
    return found


def _found(paragraphs: Sequence[str], ours: Hashes) -> NDArray[np.int64]:
    """Return the positions in the sorted `ours` of the runs that a document contains, each once."""
    hashes = np.unique(np.concatenate([np.zeros(0, np.uint64), *map(run_hashes, paragraphs)]))
    places = np.searchsorted(ours, hashes)
    places[places == len(ours)] = 0
    return np.unique(places[ours[places] == hashes]) if len(ours) else places
