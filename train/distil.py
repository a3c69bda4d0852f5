"""Unlabelled reports -> labelled ones with the mean scores of teachers, for a pupil to learn from.

python -m train.distil configs/distil/base.yaml

The pupil aims at the scores, not at the labels (Hinton et al., arXiv 1503.02531), so it learns what is doubtful too.
"""

import logging
from collections.abc import Iterator, Sequence
from itertools import compress, islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gangmu.cli import run
from gangmu.errors import DataError, UsageError
from gangmu.labeller import Labeller, load
from gangmu.labels import ID_OF, NAMES
from gangmu.sentences import Sentence, split_sentences
from gangmu.writing import write_whole
from train.annotations import is_held_out, read_annotations, text_hash
from train.config import DistilConfig
from train.corpus import corpus_files, raw_documents, source_name
from train.dataset import GoldReport, GoldSentence
from train.description import load_config
from train.fit import RUNS

log = logging.getLogger(__name__)
AT_ONCE = 64
"""Documents that the teachers read together."""
DIGITS = 3
Scores = NDArray[np.float64]


def distil(config: DistilConfig, runs: Path = RUNS) -> Path:
    """Return the file of the reports that the teachers labelled and are sure enough of."""
    teachers = [load(folder) for folder in config.teachers]
    found = candidates(config)
    kept: list[GoldReport] = []
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    read = 0
    with Progress(*columns) as bar:
        task = bar.add_task("reports", total=config.documents)
        while len(kept) < config.documents and (chunk := list(islice(found, AT_ONCE))):
            read += len(chunk)
            kept += taught(chunk, teachers, config)
            bar.update(task, completed=min(len(kept), config.documents))
    if not kept:
        asked = f"sentences={list(config.sentences)}, demands={config.demands}, sure={config.sure}"
        raise DataError(f"{config.corpus}: none of {read} documents fits {asked}; ask for less")
    kept = kept[: config.documents]
    sentences = sum(len(report.sentences) for report in kept)
    log.info("%d reports of %d read, %d sentences", len(kept), read, sentences)
    write_whole(runs / config.name / "train.jsonl", "".join(report.model_dump_json() + "\n" for report in kept))
    return runs / config.name / "train.jsonl"


def candidates(config: DistilConfig) -> Iterator[tuple[str, str]]:
    """Yield (source, text) of the documents without labels that are not held out, in an order drawn by the seed."""
    files = {source_name(path, config.corpus): path for path in corpus_files(config.corpus)}
    if absent := sorted(set(config.sources) - set(files)):
        raise UsageError(f"sources: {config.corpus} has no {', '.join(absent)}; it has {', '.join(files)}")
    done = {found.document for found in read_annotations(config.without)} if config.without else set()
    texts = [(name, text) for name in config.sources for text in raw_documents(files[name])]
    for place in np.random.default_rng(config.seed).permutation(len(texts)):
        name, text = texts[place]
        document = text_hash(text)
        if document not in done and not is_held_out(document):
            yield name, text


def taught(
    documents: Sequence[tuple[str, str]], teachers: Sequence[Labeller], config: DistilConfig
) -> Iterator[GoldReport]:
    """Yield the fitting documents that hold demands and that the teachers are sure of, with their mean scores.

    Whether a document holds demands the first teacher says alone: most texts of a corpus the others need not read.
    """
    fewest, most = config.sentences
    split = [(name, text, split_sentences(text)) for name, text in documents]
    fitting = [found for found in split if fewest <= len(found[2]) <= most]
    own = _opinions(teachers[0], fitting)
    demanding = [(scores.argmax(axis=1) != ID_OF["other"]).mean() >= config.demands for scores in own]
    kept = list(compress(fitting, demanding))
    opinions = [compress(own, demanding), *(_opinions(teacher, kept) for teacher in teachers[1:])]
    for (name, text, sentences), *found in zip(kept, *opinions, strict=True):
        scores: Scores = np.mean(found, axis=0)
        if scores.max(axis=1).mean() >= config.sure:
            yield GoldReport(id=text_hash(text), source=name, sentences=tuple(map(_gold, sentences, scores)))


def _opinions(teacher: Labeller, documents: Sequence[tuple[str, str, list[Sentence]]]) -> list[Scores]:
    """Return the teacher's scores [n, 5] of the sentences of each document."""
    logits = teacher.logits([[sentence.text for sentence in sentences] for *_, sentences in documents])
    return [teacher.checkpoint.decision.scores(rows) for rows in logits]


def _gold(sentence: Sentence, scores: Scores) -> GoldSentence:
    return GoldSentence(
        paragraph=sentence.paragraph,
        text=sentence.text,
        label=NAMES[scores.argmax()],
        scores=dict(zip(NAMES, scores.round(DIGITS).tolist(), strict=True)),
    )


def main(
    config: Annotated[Path, typer.Argument(help="What to label, such as configs/distil/base.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, such as documents=200.")] = None,
) -> None:
    """Label reports of a corpus with the mean scores of teachers, for the training of a pupil."""
    log.info("wrote %s", distil(load_config(config, overrides or [], DistilConfig)))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    app = typer.Typer(pretty_exceptions_enable=False)
    example = (
        "Example:  python -m train.distil configs/distil/base.yaml teachers=[runs/a/best,runs/b/best] documents=200"
    )
    app.command(epilog=example)(main)
    run(app)
