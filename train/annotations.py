"""Labels of real reports, kept without their text: read from data/annotations.jsonl, put to the text of a corpus.

python -m train.annotations --corpus ../shared/corpus --output runs/annotated
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict, ValidationError

from gangmu.cli import run
from gangmu.errors import DataError
from gangmu.sentences import split_sentences
from gangmu.writing import write_whole
from train.corpus import corpus_files, raw_documents, source_name
from train.dataset import GoldReport, GoldSentence

log = logging.getLogger(__name__)
HELD_OUT = 8
"""Every so many documents one is not for training."""
NOT_CHINESE = re.compile("[^\u3400-\u9fff]")


class Annotation(BaseModel):
    """The labels of one document of a corpus, by hashes of its text and of its sentences."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    """The corpus file, as `corpus.weights` names it."""
    document: str
    """`text_hash` of the document as it stands in the corpus."""
    labels: tuple[tuple[str, str, str | None], ...]
    """(`sentence_hash`, label, also) of its sentences, in order."""


def text_hash(text: str) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a document."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_held_out(document: str) -> bool:
    """Return whether the document of a `text_hash` measures and never trains; more annotations move none."""
    return int(document[-1], 16) % HELD_OUT == 0


def sentence_hash(text: str) -> str:
    """Return a hash of a sentence's Chinese characters, which no rule for signs and widths changes.

    >>> sentence_hash("要抓落实；") == sentence_hash("要抓落实。")
    True
    """
    return hashlib.sha256((NOT_CHINESE.sub("", text) or text).encode()).hexdigest()[:8]


def annotate(source: str, text: str, labels: Sequence[tuple[str, str | None]]) -> Annotation:
    """Return the annotation of a document from the (label, also) of each sentence of `split_sentences`."""
    hashes = [sentence_hash(sentence.text) for sentence in split_sentences(text)]
    pairs = zip(hashes, labels, strict=True)
    return Annotation(source=source, document=text_hash(text), labels=tuple((h, *label) for h, label in pairs))


def read_annotations(path: Path) -> list[Annotation]:
    """Return the annotations of a JSON Lines file; DataError names the first line that is none."""
    annotations = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            annotations.append(Annotation.model_validate(json.loads(line)))
        except (ValidationError, ValueError) as error:
            raise DataError(f"{path}:{number}: no annotation: {error}") from None
    return annotations


def labelled_reports(annotations: Sequence[Annotation], corpus: Path) -> Iterator[GoldReport]:
    """Yield the labelled report of each annotation whose document `corpus` holds, in the corpus's order.

    A sentence that is split otherwise now than when it was labelled has no label and is left out; how many is logged.
    """
    wanted = {(found.source, found.document): found for found in annotations}
    sources = {found.source for found in annotations}
    lost = kept = reports = 0
    for path in corpus_files(corpus):
        name = source_name(path, corpus)
        for text in raw_documents(path) if name in sources else ():
            if (annotation := wanted.pop((name, text_hash(text)), None)) is None:
                continue
            labels = {key: (label, also) for key, label, also in annotation.labels}
            sentences = [
                GoldSentence(paragraph=s.paragraph, text=s.text, label=labels[key][0], also=labels[key][1])
                for s in split_sentences(text)
                if (key := sentence_hash(s.text)) in labels
            ]
            kept += len(sentences)
            lost += len(annotation.labels) - len(sentences)
            reports += bool(sentences)
            if sentences:
                yield GoldReport(id=annotation.document, source=name, sentences=tuple(sentences))
    log.info("%d reports, %d labelled sentences; %d labels without their sentence", reports, kept, lost)
    if wanted:
        log.warning("%s does not hold %d of the %d annotated documents", corpus, len(wanted), len(annotations))


def main(
    output: Annotated[Path, typer.Option(help="Folder for train.jsonl and dev.jsonl: real text, not to be passed on.")],
    corpus: Annotated[Path, typer.Option(help="Folder of the corpus.")] = Path("../shared/corpus"),
    annotations: Annotated[Path, typer.Option(help="Labels without text.")] = Path("data/annotations.jsonl"),
) -> None:
    """Write the labelled reports of annotated documents: those to train on, and those held out, for dev."""
    lines: dict[bool, list[str]] = {True: [], False: []}
    for report in labelled_reports(read_annotations(annotations), corpus):
        lines[is_held_out(report.id)].append(report.model_dump_json() + "\n")
    if not any(lines.values()):
        raise DataError(f"{corpus}: holds none of the documents of {annotations}")
    write_whole(output / "train.jsonl", "".join(lines[False]))
    write_whole(output / "dev.jsonl", "".join(lines[True]))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command(epilog="Example:  python -m train.annotations --output runs/annotated")(main)
    run(app)
