"""What is wrong with labelled files, which labels are suspicious, how written reports differ from real ones.

python -m train.check data --suspects 50
python -m train.check data --real ../shared/reports/train.jsonl --output runs/check
python -m train.check data --corpus ../shared/corpus --reports ../shared/reports/reports.jsonl
"""

import logging
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

from gangmu.cli import run
from gangmu.errors import DataError
from gangmu.labels import ID_OF, NAMES
from train.baselines import out_of_fold
from train.copying import shared_runs
from train.corpus import corpus_files, documents
from train.dataset import GoldReport, read_labelled
from train.realism import compare_with_real

SPLITS = ("train.jsonl", "dev.jsonl", "test.jsonl")
GRAM = 5
NEAR = 0.8
"""Jaccard index of the sets of character 5-grams above which two texts are near-duplicates."""
SHORT = 16
"""Characters; shorter sentences (要抓好落实。) may stand in several reports."""


@dataclass(frozen=True)
class Place:
    """Where a report stands."""

    path: Path
    line: int
    report: GoldReport

    def at(self, sentence: int | None = None) -> str:
        """Return the place for a message: `data/train.jsonl:3: w003, sentence 7` (counted from 1)."""
        number = "" if sentence is None else f", sentence {sentence + 1}"
        return f"{self.path}:{self.line}: {self.report.id}{number}"


class Suspect(NamedTuple):
    """A label that a model trained on the other reports does not expect."""

    place: str
    label: str
    expected: str
    margin: float
    """Probability of the expected label minus that of the given one."""
    text: str


def read_places(paths: Sequence[Path], faults: list[str]) -> list[Place]:
    """Return every report of the files with its place; what cannot be read goes to `faults`, with its line."""
    places = []
    for path in paths:
        try:
            reports = read_labelled(path)
        except DataError as error:
            faults += str(error).split("\n")
            continue
        lines = path.read_text(encoding="utf-8-sig").split("\n")
        numbers = [number for number, line in enumerate(lines, 1) if line.strip()]
        places += [Place(path, number, report) for number, report in zip(numbers, reports, strict=True)]
    return places


def find_faults(places: Sequence[Place]) -> list[str]:
    """Return a line for each doubled id, doubled or nearly doubled text, and leak between splits."""
    return [*_doubled_ids(places), *_doubled_texts(places), *_leaks(places)]


def _doubled_ids(places: Sequence[Place]) -> Iterator[str]:
    first: dict[str, Place] = {}
    for place in places:
        other = first.setdefault(place.report.id, place)
        if other is not place:
            yield f"{place.at()}: this id stands already in {other.path}:{other.line}"


def _doubled_texts(places: Sequence[Place]) -> Iterator[str]:
    sentences = [
        (place.at(number), text)
        for place in places
        for number, text in enumerate(place.report.texts)
        if len(text) >= SHORT
    ]
    whole = [(place.at(), "".join(place.report.texts)) for place in places]
    for what, texts in (("sentence", sentences), ("report", whole)):
        for first, second, index in near_duplicates([text for _, text in texts]):
            how = "is the same as" if texts[first][1] == texts[second][1] else f"is {index:.0%} the same as"
            shown = "" if what == "report" else f": {texts[second][1][:40]}"
            yield f"{texts[second][0]}: this {what} {how} {texts[first][0]}{shown}"


def _leaks(places: Sequence[Place]) -> Iterator[str]:
    """Yield a line for each report of test.jsonl whose pair of topic and genre another split has too."""
    pairs = {(p.report.topic, p.report.genre): p for p in places if p.path.name in SPLITS[:2] and p.report.topic}
    for place in places:
        pair = (place.report.topic, place.report.genre)
        if place.path.name == "test.jsonl" and pair in pairs:
            yield f"{place.at()}: topic {pair[0]} with genre {pair[1]} stands also in {pairs[pair].at()}"


def near_duplicates(texts: Sequence[str], most: float = NEAR) -> list[tuple[int, int, float]]:
    """Return (first, second, Jaccard) of each pair of texts above `most`, by their sets of character 5-grams.

    Exact, by prefix filtering: two such sets share one of the rarest (1 - most) of their members (Bayardo et al.,
    WWW 2007).

    >>> near_duplicates(["各县区要完善值班值守制度。", "会议召开。", "各县区要完善值班值守制度。"])
    [(0, 2, 1.0)]
    """
    grams = [frozenset(text[i : i + GRAM] for i in range(max(1, len(text) - GRAM + 1))) for text in texts]
    frequency = Counter(gram for found in grams for gram in found)
    holders: dict[str, list[int]] = defaultdict(list)
    pairs = []
    for second, own in enumerate(grams):
        rarest = sorted(own, key=lambda gram: (frequency[gram], gram))
        prefix = rarest[: len(own) - int(np.ceil(most * len(own))) + 1]
        for first in sorted({holder for gram in prefix for holder in holders[gram]}):
            shared = len(own & grams[first])
            index = shared / (len(own) + len(grams[first]) - shared)
            if index > most:
                pairs.append((first, second, index))
        for gram in prefix:
            holders[gram].append(second)
    return pairs


def suspects(places: Sequence[Place]) -> list[Suspect]:
    """Return the sentences whose label confident learning doubts, the most doubtful first.

    A label is doubted when another label's out-of-fold probability passes the mean that label reaches on its own
    sentences, and is the highest that does (Northcutt et al., arXiv 1911.00068). The model is the linear baseline
    with probabilities, in 5 folds by report.
    """
    reports = [place.report for place in places]
    probabilities = out_of_fold(reports)
    gold = np.array([ID_OF[label] for report in reports for label in report.labels])
    thresholds = np.array([probabilities[gold == k, k].mean() if (gold == k).any() else 1.0 for k in range(len(NAMES))])
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    where = [(place, number) for place in places for number in range(len(place.report.sentences))]
    found = []
    for (place, number), row, allowed, label in zip(where, probabilities, confident, gold, strict=True):
        expected = int(allowed.argmax())
        if allowed[expected] > 0 and expected != label:
            text = place.report.texts[number]
            margin = float(row[expected] - row[label])
            found.append(Suspect(place.at(number), NAMES[label], NAMES[expected], margin, text))
    return sorted(found, key=lambda suspect: -suspect.margin)


def copied(places: Sequence[Place], corpus: Path, reports: Sequence[Path]) -> list[str]:
    """Return a line for each sentence that shares a run of 16 characters with real texts, set phrases excepted."""
    numbers = {place.report.id: place for place in places}
    found: dict[tuple[str, int], list[str]] = defaultdict(list)
    texts, real = (chain.from_iterable(map(documents, files)) for files in (corpus_files(corpus), reports))
    for shared in shared_runs([place.report for place in places], texts, real):
        found[shared.report, shared.sentence].append(shared.run)
    return [
        f"{numbers[report].at(sentence)}: shares {len(runs)} runs of 16 characters with real texts, first: {runs[0]}"
        for (report, sentence), runs in found.items()
    ]


def expand(paths: Sequence[Path]) -> list[Path]:
    """Return the files to check; of a folder its train.jsonl, dev.jsonl and test.jsonl."""
    files = []
    for path in paths:
        inside = [path / name for name in SPLITS if (path / name).is_file()] if path.is_dir() else [path]
        if not inside:
            raise DataError(f"{path}: no {', '.join(SPLITS)} in this folder; name the files to check")
        files += inside
    return files


def main(
    paths: Annotated[list[Path], typer.Argument(help="Labelled files, or a folder of train, dev and test.jsonl.")],
    most: Annotated[int, typer.Option("--suspects", help="List so many suspicious labels.", min=0)] = 0,
    real: Annotated[Path | None, typer.Option(help="Real labelled reports to compare with.")] = None,
    output: Annotated[Path, typer.Option(help="Folder for the table and picture of --real.")] = Path("runs/check"),
    corpus: Annotated[Path | None, typer.Option(help="Folder of real texts: list runs copied from them.")] = None,
    reports: Annotated[list[Path] | None, typer.Option(help="Real reports, JSON Lines, for --corpus.")] = None,
) -> None:
    """Name file, line and fault of labelled reports; exit 65 when there is one."""
    faults: list[str] = []
    places = read_places(expand(paths), faults)
    faults += find_faults(places)
    if corpus:
        faults += copied(places, corpus, reports or [])
    for suspect in suspects(places)[:most] if most else []:
        sys.stdout.write(
            f"{suspect.place}: {suspect.label}, expected {suspect.expected} ({suspect.margin:+.2f}): {suspect.text}\n"
        )
    if real:
        sys.stdout.write(compare_with_real([place.report for place in places], read_labelled(real), output))
    if faults:
        raise DataError(faults)
    count = sum(len(place.report.sentences) for place in places)
    sys.stdout.write(f"{len(places)} reports, {count} sentences: no fault\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command(epilog="Example:  python -m train.check data --suspects 50")(main)
    run(app)
