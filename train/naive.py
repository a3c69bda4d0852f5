"""What people write first, for train.benchmark to be set beside: reports in a folder -> labelled sentences.

python -m train.naive pipeline reports/ models/gangmu out.jsonl --batch-size 32
"""

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from gangmu.cli import run
from gangmu.labels import NAMES
from gangmu.sentences import split_sentences

Row = dict[str, Any]


class Way(StrEnum):
    """How the sentences are computed."""

    pipeline = "pipeline"
    trainer = "trainer"


def read(folder: Path) -> Iterator[Row]:
    """Yield the sentences of the text files of a folder."""
    for path in sorted(folder.glob("*.txt")):
        for number, sentence in enumerate(split_sentences(path.read_text(encoding="utf-8"))):
            yield {"report": path.stem, "sentence": number, "text": sentence.text}


def by_pipeline(rows: list[Row], model: Path, batch_size: int) -> Iterator[np.ndarray]:
    """Yield the mean token scores of each sentence from transformers' pipeline; batch size 1 asks one by one."""
    from transformers import pipeline

    found = pipeline("token-classification", model=str(model), batch_size=batch_size, ignore_labels=[])
    texts = [row["text"] for row in rows]
    answers = found(texts) if batch_size > 1 else (found(text) for text in texts)
    for tokens in answers:
        scores = np.zeros(len(NAMES))
        for token in tokens:
            scores[NAMES.index(token["entity"])] += token["score"]
        yield scores


def by_trainer(rows: list[Row], model: Path, batch_size: int) -> Iterator[np.ndarray]:
    """Yield the mean token logits of each sentence from Trainer.predict, padded as its collator pads."""
    from datasets import Dataset
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        Trainer,
        TrainingArguments,
    )

    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    encoded = Dataset.from_list(rows).map(
        lambda row: tokenizer(row["text"], truncation=True, max_length=512), remove_columns=list(rows[0])
    )
    arguments = TrainingArguments("runs/bench/trainer", per_device_eval_batch_size=batch_size, report_to=[])
    classifier = AutoModelForTokenClassification.from_pretrained(model, local_files_only=True)
    trainer = Trainer(classifier, arguments, data_collator=DataCollatorForTokenClassification(tokenizer))
    logits = trainer.predict(encoded).predictions
    for row, sentence in zip(encoded, logits, strict=True):
        yield sentence[: len(row["input_ids"])].mean(axis=0)


def main(
    way: Way,
    folder: Path,
    model: Path,
    output: Path,
    batch_size: Annotated[int, typer.Option(min=1)] = 1,
) -> None:
    """Label the sentences of the text files of a folder without Gangmu's engines."""
    rows = list(read(folder))
    compute = by_pipeline if way is Way.pipeline else by_trainer
    with output.open("w", encoding="utf-8") as stream:
        for row, scores in zip(rows, compute(rows, model, batch_size), strict=True):
            row |= {"label": NAMES[int(scores.argmax())], "scores": dict(zip(NAMES, scores.tolist(), strict=True))}
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command(epilog="Example:  python -m train.naive pipeline data/samples models/gangmu out.jsonl")(main)
    run(app)
