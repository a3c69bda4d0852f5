"""Labelled reports: read and checked, and as a datasets.Dataset of windows for training."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from gangmu.cleaning import clean_sentence
from gangmu.encoding import Encoder
from gangmu.errors import DataError
from gangmu.labels import FUNCTIONS, ID_OF, NAMES
from gangmu.settings import TextSettings
from gangmu.windows import Window, windows

IGNORED = -100


class GoldSentence(BaseModel):
    """A labelled sentence; `rule` is the guideline rule that decided it, where one was needed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paragraph: int = Field(ge=0, strict=True)
    text: str
    label: str
    also: str | None = None
    rule: int | None = Field(default=None, ge=1, le=11, strict=True)

    @field_validator("label")
    @classmethod
    def _known(cls, label: str) -> str:
        if label not in NAMES:
            raise ValueError(f"label {label!r} is not one of {', '.join(NAMES)}")
        return label

    @field_validator("also")
    @classmethod
    def _known_function(cls, also: str | None) -> str | None:
        if also is not None and also not in FUNCTIONS:
            raise ValueError(f"also {also!r} is not one of {', '.join(FUNCTIONS)} or null")
        return also

    @field_validator("text")
    @classmethod
    def _cleaned(cls, text: str) -> str:
        """Gold sentences pass the cleaning rules, and are never split, joined or dropped."""
        if not (cleaned := clean_sentence(text)):
            raise ValueError("the sentence has no text")
        return cleaned


class GoldReport(BaseModel):
    """A labelled report: DESIGN.md's contract of data/*.jsonl."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    title: str | None = None
    topic: str | None = None
    genre: str | None = None
    level: str | None = None
    source: str | None = None
    sentences: tuple[GoldSentence, ...] = Field(min_length=1)

    @property
    def texts(self) -> list[str]:
        """The clean sentences."""
        return [sentence.text for sentence in self.sentences]

    @property
    def labels(self) -> list[str]:
        """The gold labels."""
        return [sentence.label for sentence in self.sentences]


def read_labelled(path: Path) -> list[GoldReport]:
    """Return the labelled reports of a JSON Lines file; DataError lists every fault with its line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; give a .jsonl file of labelled reports") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    reports: list[GoldReport] = []
    faults: list[str] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            report = GoldReport.model_validate(json.loads(line))
        except ValidationError as error:
            faults += [f"{path}:{number}: {_fault(e)}" for e in error.errors()]
            continue
        except (ValueError, RecursionError) as error:
            faults.append(f"{path}:{number}: not one JSON object: {error}")
            continue
        if report.id in seen:
            faults.append(f"{path}:{number}: id {report.id!r} stands already in line {seen[report.id]}")
        seen[report.id] = number
        reports.append(report)
    if not reports and not faults:
        faults.append(f"{path}: no report; expected one JSON object a line")
    if faults:
        raise DataError(faults)
    return reports


def read_together(paths: Sequence[Path]) -> list[GoldReport]:
    """Return the labelled reports of several files; DataError when two of them give a report the same id."""
    reports = [(path, report) for path in paths for report in read_labelled(path)]
    first: dict[str, Path] = {}
    for path, report in reports:
        if first.setdefault(report.id, path) != path:
            raise DataError(f"{path}: id {report.id!r} stands in {first[report.id]} too; give each report its own")
    return [report for _, report in reports]


def _fault(error: Any) -> str:
    place = ".".join(map(str, error["loc"])) or "report"
    message = error["msg"].removeprefix("Value error, ")
    found = repr(error["input"])
    return f"{place}: {message} (got {found if len(found) <= 60 else found[:57] + '...'})"


def window_dataset(reports: Sequence[GoldReport], settings: TextSettings) -> Dataset:
    """Return the windows of reports with the label ids of the sentences each is to label."""
    rows = []
    for report in reports:
        ids = [ID_OF[label] for label in report.labels]
        for window in windows(report.texts, settings):
            labels = ids[window.start : window.start + window.last - window.first]
            rows.append({**vars(window), "labels": labels})
    return Dataset.from_list(rows)


@dataclass(frozen=True)
class Collator:
    """Rows of `window_dataset` -> tensors; encoding is the package's own."""

    encoder: Encoder
    settings: TextSettings
    hidden: float = 0.0
    """Share of the text's tokens that become `[MASK]`, drawn anew each time by torch's generator, which the Trainer
    saves with a checkpoint: no window is ever read twice alike, and a resumed run draws as an unbroken one."""

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Return input_ids, attention_mask [B, T], pool [B, S, T] and labels [B, S], -100 where there is none."""
        found = [Window(tuple(row["sentences"]), row["start"], row["first"], row["last"]) for row in rows]
        batch = self.encoder.encode(found, self.settings)
        labels = np.full(batch.pool.shape[:2], IGNORED, dtype=np.int64)
        for index, row in enumerate(rows):
            labels[index, : len(row["labels"])] = row["labels"]
        arrays = {**vars(batch), "labels": labels}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if self.hidden:
            ids = tensors["input_ids"]
            marks = torch.tensor([self.encoder.pad, self.encoder.cls, self.encoder.sep, self.encoder.mask])
            ids[(torch.rand(ids.shape) < self.hidden) & ~torch.isin(ids, marks)] = self.encoder.mask
        return tensors
