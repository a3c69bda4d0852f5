"""Labeller: raw text -> labelled sentences."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gangmu.checkpoint import Checkpoint, load_checkpoint
from gangmu.choice import EngineName, load_engine
from gangmu.encoding import Row, sentence_logits
from gangmu.engine import Engine
from gangmu.labels import NAMES
from gangmu.sentences import split_sentences
from gangmu.windows import windows

BATCH_TOKENS = 4096
"""Tokens a batch at most, padding included; larger ones are no faster on a CPU."""
SHARD_REPORTS = 256
SHARD_CHARACTERS = 2_000_000
"""A shard is so many reports, or fewer with so many characters: its windows are sorted by length together, and no batch
reaches beyond it, so that what a report gets depends on nothing else."""
T = TypeVar("T")


@dataclass(frozen=True)
class LabelledSentence:
    """A sentence with its function; the columns are DESIGN.md's labelled sentence."""

    paragraph: int
    sentence: int
    start: int
    end: int
    text: str
    label: str
    score: float
    scores: dict[str, float]
    also: str | None
    abstained: bool


@dataclass(frozen=True)
class LabelledReport:
    """The labelled sentences of one report, and the checkpoint that labelled them."""

    sentences: tuple[LabelledSentence, ...]
    model: str


class Labeller:
    """A checkpoint ready to label reports."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        engine: Engine,
        four: bool = False,
        threads: int | None = None,
    ) -> None:
        """`threads`: batches computed at a time, each by one thread; None: one at a time, as the engine is set."""
        self.checkpoint = checkpoint
        self.engine = engine
        self.four = four
        self.pool = ThreadPoolExecutor(threads, initializer=engine.start_thread) if threads else None
        self.stopped = threading.Event()
        """Set by who no longer waits for an answer; the next batch raises InterruptedError."""

    def label(self, text: str) -> LabelledReport:
        """Return the labelled sentences of one raw report."""
        return next(self.label_many([text]))

    def label_many(self, texts: Iterable[str]) -> Iterator[LabelledReport]:
        """Yield a labelled report for each raw text, in order; memory does not grow with their number."""
        for shard in shards(texts, len):
            yield from self.label_shard(shard)

    def label_shard(self, texts: Sequence[str]) -> Iterator[LabelledReport]:
        """Yield a labelled report for each raw text of a shard, whose windows are computed together."""
        split = [split_sentences(text) for text in texts]
        logits = self.logits([[s.text for s in sentences] for sentences in split])
        for sentences, rows in zip(split, logits, strict=True):
            labelled = []
            for number, (sentence, row) in enumerate(
                zip(sentences, self.checkpoint.decision.scores(rows), strict=True)
            ):
                label, also, abstained = self.checkpoint.decision.label(row, self.four)
                scores = {name: round(float(score), 4) for name, score in zip(NAMES, row, strict=True)}
                place = (sentence.paragraph, number, sentence.start, sentence.end)
                labelled.append(LabelledSentence(*place, sentence.text, label, scores[label], scores, also, abstained))
            yield LabelledReport(tuple(labelled), self.checkpoint.name)

    def logits(self, reports: Sequence[Sequence[str]]) -> list[NDArray[np.float32]]:
        """Return the sentence logits [n, 5] of each report, given as clean sentences.

        Evaluation and labelling both come through here, so they cannot disagree.
        """
        settings, encoder = self.checkpoint.settings, self.checkpoint.encoder
        places = [
            (report, window) for report, sentences in enumerate(reports) for window in windows(sentences, settings)
        ]
        rows = encoder.rows([window for _, window in places], settings)
        order = sorted(range(len(places)), key=lambda place: -len(rows[place].ids))
        batches = list(_batches([rows[place] for place in order]))
        computed = self.pool.map(self._batch_logits, batches) if self.pool else map(self._batch_logits, batches)
        found: dict[tuple[int, int], NDArray[np.float32]] = {}
        for place, logits in zip(order, (row for batch in computed for row in batch), strict=True):
            report, window = places[place]
            found[report, window.start] = logits[: window.last - window.first]
        parts: list[list[NDArray[np.float32]]] = [[np.zeros((0, len(NAMES)), np.float32)] for _ in reports]
        for (report, _), logits in sorted(found.items(), key=lambda item: item[0]):
            parts[report].append(logits)
        whole = [np.concatenate(pieces) for pieces in parts]
        if (ngrams := self.checkpoint.ngrams) is None:
            return whole
        return [logits + ngrams.logits(sentences) for logits, sentences in zip(whole, reports, strict=True)]

    def _batch_logits(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        """Return the logits [B, S, 5] of the sentences of a batch of windows."""
        if self.stopped.is_set():
            raise InterruptedError("labelling was stopped")
        batch = self.checkpoint.encoder.batch(rows)
        return sentence_logits(batch.pool, self.engine.logits(batch))


def load(
    folder: str | Path,
    four: bool = False,
    sha256: str | None = None,
    threads: int | None = None,
    engine: EngineName | None = None,
) -> Labeller:
    """Return the labeller of a checkpoint folder; CheckpointError when it is not whole or not the one of `sha256`.

    `threads`: processor cores to use, all without it. The labels and scores are the same for any number. `engine`: see
    `gangmu.choice.load_engine`; a compiled folder has its own.
    """
    checkpoint = load_checkpoint(Path(folder), sha256)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # every core has a batch; they would wait for one another
    threads = threads or cores()
    return Labeller(checkpoint, load_engine(checkpoint, engine, threads), four, threads)


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shards(reports: Iterable[T], length: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield the reports in runs of SHARD_REPORTS, shorter ones where they have SHARD_CHARACTERS by `length`."""
    shard: list[T] = []
    characters = 0
    for report in reports:
        shard.append(report)
        characters += length(report)
        if len(shard) == SHARD_REPORTS or characters >= SHARD_CHARACTERS:
            yield shard
            shard, characters = [], 0
    if shard:
        yield shard


def _batches(rows: list[Row]) -> Iterator[list[Row]]:
    """Yield runs of windows, longest first, whose padded size stays within the token budget."""
    start = 0
    while start < len(rows):
        count = max(1, BATCH_TOKENS // len(rows[start].ids))
        yield rows[start : start + count]
        start += count
