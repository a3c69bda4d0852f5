"""Scores by parts of a labelled file: topic, genre, length, place in report and window, whether training saw them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gangmu.labels import FUNCTIONS, NAMES
from gangmu.settings import TextSettings
from gangmu.windows import windows
from train.copying import run_hashes
from train.dataset import Gold, GoldReport, gold_of
from train.metrics import intervals, scores, softened

Keys = dict[str, list[str | None]]
"""For each way to slice the name of each sentence's slice, None where it has none."""
LENGTHS = (15, 30, 60, 100)
"""Characters at most in each band but the last."""
PLACES = ("first", "first third", "middle third", "last third", "last")
RUN = 10
"""Characters of the runs by which a sentence is known again."""
KNOWN = 0.8
"""Share of its runs from which on it is."""
ORDERED = {
    "training": ["new", "known"],
    "length": [f"to {most}" for most in LENGTHS] + [f"over {LENGTHS[-1]}"],
    "position": list(PLACES),
    "window": ["edge", "middle", "alone"],
    "rule": [str(rule) for rule in range(1, 12)],
}
"""Slices shown in this order; those of other keys by size."""


def sliced(
    reports: Sequence[GoldReport], predicted: NDArray[np.int64], settings: TextSettings, taught: Sequence[GoldReport]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the scores of predicted label ids by key and slice; a key that no sentence has is left out.

    `taught`: the reports that trained.
    """
    gold = gold_of(reports)
    found = {}
    for key, names in slice_keys(reports, settings, taught).items():
        sizes = {name: names.count(name) for name in dict.fromkeys(names) if name is not None}
        order = ORDERED.get(key) or sorted(sizes, key=lambda name: (-sizes[name], name))
        array = np.array(names, dtype=object)
        if sizes:
            found[key] = {
                name: _scored(gold[array == name], predicted[array == name]) for name in order if name in sizes
            }
    return found


def _scored(gold: Gold, predicted: NDArray[np.int64]) -> dict[str, Any]:
    """Return the scores of a slice; macro-F1 and F1 are None where a function has no sentence to find."""
    found = scores(gold.label, predicted)
    ranges = intervals(gold.label, predicted, gold.report)
    classes = found["per_class"]
    whole = all(classes[name]["support"] for name in FUNCTIONS)
    return {
        "sentences": len(gold),
        "reports": len(np.unique(gold.report)),
        "accuracy": found["accuracy"],
        "accuracy_interval": ranges["accuracy_interval"],
        "soft_accuracy": float((softened(gold.label, gold.also, predicted) == predicted).mean()),
        "macro_f1": found["macro_f1"] if whole else None,
        "macro_f1_interval": ranges["macro_f1_interval"] if whole else None,
        "f1": {name: classes[name]["f1"] if classes[name]["support"] else None for name in NAMES},
        "support": {name: classes[name]["support"] for name in NAMES},
    }


def slice_keys(reports: Sequence[GoldReport], settings: TextSettings, taught: Sequence[GoldReport]) -> Keys:
    """Return for each key the slice of every sentence."""
    sentences = [(report, place) for report in reports for place in range(len(report.sentences))]
    keys: Keys = {"training": [*known([text for report in reports for text in report.texts], taught)]}
    for name in ("topic", "genre", "level", "source"):
        keys[name] = [getattr(report, name) for report, _ in sentences]
    keys["length"] = [length_band(report.sentences[place].text) for report, place in sentences]
    keys["position"] = [position(place, len(report.sentences)) for report, place in sentences]
    keys["window"] = [name for report in reports for name in window_places(report.texts, settings)]
    rules = [report.sentences[place].rule for report, place in sentences]
    keys["rule"] = [None if rule is None else str(rule) for rule in rules]
    return keys


def known(texts: Sequence[str], taught: Sequence[GoldReport]) -> list[str]:
    """Return of each sentence whether it, or nearly all of it, stands in training reports: "known" or "new"."""
    trained = [text for report in taught for text in report.texts]
    whole = set(trained)
    runs = np.unique(np.concatenate([np.zeros(0, np.uint64), *(run_hashes(text, RUN) for text in trained)]))
    found = []
    for text in texts:
        mine = run_hashes(text, RUN)
        places = np.searchsorted(runs, mine).clip(max=len(runs) - 1)
        again = len(mine) > 0 and len(runs) > 0 and (runs[places] == mine).mean() >= KNOWN
        found.append("known" if text in whole or again else "new")
    return found


def length_band(text: str) -> str:
    """Return the band of a sentence's length in characters.

    >>> length_band("要健全联席会议制度。"), length_band("要" * 61)
    ('to 15', 'to 100')
    """
    return next((f"to {most}" for most in LENGTHS if len(text) <= most), f"over {LENGTHS[-1]}")


def position(place: int, count: int) -> str:
    """Return where a sentence stands in a report of `count`.

    >>> [position(place, 5) for place in range(5)]
    ['first', 'first third', 'middle third', 'last third', 'last']
    """
    if place == 0:
        return PLACES[0]
    return PLACES[4] if place == count - 1 else PLACES[1 + 3 * place // (count - 1)]


def window_places(sentences: Sequence[str], settings: TextSettings) -> list[str]:
    """Return for each sentence whether it is at the edge of those its window labels, in the middle, or alone.

    >>> window_places(["一。", "二。", "三。"], TextSettings())
    ['edge', 'middle', 'edge']
    """
    found = []
    for window in windows(sentences, settings):
        count = window.last - window.first
        found += ["alone"] if count == 1 else ["edge", *["middle"] * (count - 2), "edge"]
    return found
