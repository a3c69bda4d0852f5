"""Labelled reports: read and checked, and as a datasets.Dataset of windows for training."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gangmu.cleaning import clean_sentence
from gangmu.encoding import Encoder
from gangmu.errors import DataError
from gangmu.labels import FUNCTIONS, ID_OF, NAMES
from gangmu.settings import TextSettings
from gangmu.windows import Window, windows

TARGET_SUM = 0.02
"""How far a teacher's scores, which are rounded, may be from adding up to 1."""


class GoldSentence(BaseModel):
    """A labelled sentence; `rule` is the guideline rule that decided it, where one was needed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paragraph: int = Field(ge=0, strict=True)
    text: str
    label: str
    also: str | None = None
    rule: int | None = Field(default=None, ge=1, le=11, strict=True)
    scores: dict[str, float] | None = None
    """What a teacher makes of it (train.distil): training aims at these in place of the label."""

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

    @model_validator(mode="after")
    def _second_is_another(self) -> "GoldSentence":
        if self.also == self.label:
            raise ValueError(f"also {self.also!r} is the label itself; name another function or null")
        return self

    @field_validator("scores")
    @classmethod
    def _of_every_label(cls, scores: dict[str, float] | None) -> dict[str, float] | None:
        if scores is not None and (
            set(scores) != set(NAMES) or min(scores.values()) < 0 or abs(sum(scores.values()) - 1) > TARGET_SUM
        ):
            raise ValueError(f"scores need one for each of {', '.join(NAMES)}, which add up to 1")
        return scores

    def target(self, also: float) -> list[float]:
        """Return what training aims at, a probability for each label; a second function gets the share `also`.

        >>> GoldSentence(paragraph=0, text="要健全制度。", label="mechanism", also="method").target(0.2)
        [0.0, 0.2, 0.8, 0.0, 0.0]
        """
        if self.scores:
            return [self.scores[name] for name in NAMES]
        second = also if self.also else 0.0
        return [(name == self.label) * (1 - second) + (name == self.also) * second for name in NAMES]

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
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; give a .jsonl file of labelled reports") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    reports: list[GoldReport] = []
    faults: list[str] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found: list[str] = []
        values = _parsed(line, found)
        name = values.get("id") if isinstance(values, dict) else None
        if isinstance(name, str) and (first := seen.setdefault(name, number)) != number:
            found.append(f"id {name!r} stands already in line {first}")
        try:
            if values is not None:
                reports.append(GoldReport.model_validate(values))
        except ValidationError as error:
            found += _faults(error)
        faults += [f"{path}:{number}: {fault}" for fault in found]
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


def _parsed(line: bytes, faults: list[str]) -> Any:
    """Return what a line of JSON says, None when it is broken; what is wrong goes to `faults`."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(key for key, _ in pairs)
        faults.extend(f"key {key!r} stands {count} times; keep one" for key, count in counts.items() if count > 1)
        return dict(pairs)

    try:
        return json.loads(line.decode("utf-8"), object_pairs_hook=once)
    except UnicodeDecodeError as error:
        faults.append(f"not UTF-8 text at byte {error.start + 1} of the line; save the file as UTF-8")
    except json.JSONDecodeError as error:
        faults.append(f"not one JSON object: {error.msg} at character {error.pos + 1}")
    except (ValueError, RecursionError) as error:
        faults.append(f"not one JSON object: {error}")
    return None


def _faults(error: ValidationError) -> list[str]:
    """Return a line for each fault; that no sentence is left where each has its own fault is none."""
    errors = error.errors()
    inside = any(len(e["loc"]) > 1 and e["loc"][0] == "sentences" for e in errors)
    return [_fault(e) for e in errors if not (inside and e["loc"] == ("sentences",))]


def _fault(error: Any) -> str:
    place = ".".join(map(str, error["loc"])) or "report"
    message = error["msg"].removeprefix("Value error, ")
    found = repr(error["input"])
    shown = f"{place}: {message} (got {found if len(found) <= 60 else found[:57] + '...'})"
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")  # half a character cannot be printed


@dataclass(frozen=True)
class Gold:
    """The labels of reports as arrays, a row a sentence: what scores are computed from."""

    label: NDArray[np.int64]
    also: NDArray[np.int64]
    """-1: none."""
    report: NDArray[np.int64]
    """Number of the sentence's report."""

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: NDArray[Any]) -> "Gold":
        return Gold(self.label[rows], self.also[rows], self.report[rows])


def gold_of(reports: Sequence[GoldReport]) -> Gold:
    """Return the labels of `reports` as arrays."""
    sentences = [(number, sentence) for number, report in enumerate(reports) for sentence in report.sentences]
    return Gold(
        np.array([ID_OF[sentence.label] for _, sentence in sentences]),
        np.array([-1 if sentence.also is None else ID_OF[sentence.also] for _, sentence in sentences]),
        np.array([number for number, _ in sentences]),
    )


def window_dataset(reports: Sequence[GoldReport], settings: TextSettings, also: float = 0.0) -> Dataset:
    """Return the windows of reports with the target of each sentence to label; `also`: see `GoldSentence.target`."""
    rows = []
    for report in reports:
        targets = [sentence.target(also) for sentence in report.sentences]
        for window in windows(report.texts, settings):
            own = targets[window.start : window.start + window.last - window.first]
            rows.append({**vars(window), "targets": own})
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
        """Return input_ids, attention_mask [B, T], pool [B, S, T], targets [B, S, 5], zeros where there is none."""
        found = [Window(tuple(row["sentences"]), row["start"], row["first"], row["last"]) for row in rows]
        batch = self.encoder.encode(found, self.settings)
        targets = np.zeros((*batch.pool.shape[:2], len(NAMES)), dtype=np.float32)
        for index, row in enumerate(rows):
            targets[index, : len(row["targets"])] = row["targets"]
        arrays = {**vars(batch), "targets": targets}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if self.hidden:
            ids = tensors["input_ids"]
            marks = torch.tensor([self.encoder.pad, self.encoder.cls, self.encoder.sep, self.encoder.mask])
            ids[(torch.rand(ids.shape) < self.hidden) & ~torch.isin(ids, marks)] = self.encoder.mask
        return tensors
