"""An evaluation -> one self-contained HTML page: scores, diagrams, slices, and every error with its neighbours."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from numpy.typing import NDArray

from gangmu.decision import Decision
from gangmu.labels import ID_OF, LABELS, NAMES
from train.dataset import GoldReport

TEMPLATES = Path(__file__).parent / "templates"
RULES = {
    1: "main predicates, frames stripped",
    2: "parallel clauses",
    3: "goal or exhortation?",
    4: "method or mechanism?",
    5: "exhortation or method?",
    6: "why-statements",
    7: "narration",
    8: "inspection",
    9: "narrates and demands",
    10: "heading or lead phrase",
    11: "要深入学习 alone",
}
"""What each rule of data/GUIDE.md is about."""
KEYS = {
    "training": "是否训练过 in training",
    "topic": "主题 topic",
    "genre": "体裁 genre",
    "level": "层级 level",
    "source": "来源 source",
    "length": "句长（字） length in characters",
    "position": "在报道中的位置 position in the report",
    "window": "在窗口中的位置 place in the window",
    "rule": "判定规则 guideline rule",
}


@dataclass(frozen=True)
class Evaluation:
    """What metrics.json holds, and what the page shows beside it."""

    metrics: dict[str, Any]
    name: str
    """Of the checkpoint."""
    source: str
    """The labelled file."""
    reports: list[GoldReport]
    decision: Decision
    probabilities: NDArray[np.float64]
    """[sentences, 5]"""


class Neighbour(NamedTuple):
    """A sentence beside an error."""

    text: str
    label: str


class Mistake(NamedTuple):
    """A sentence whose predicted label is not the gold one."""

    order: int
    """Among the errors of the file."""
    report: str
    title: str | None
    number: int
    """In its report, from 1."""
    of: int
    before: Neighbour | None
    text: str
    after: Neighbour | None
    gold: str
    also: str | None
    predicted: str
    scores: dict[str, float]
    rule: int | None
    abstained: bool

    @property
    def margin(self) -> float:
        """By how much the wrong label is preferred."""
        return self.scores[self.predicted] - self.scores[self.gold]


class Axes(NamedTuple):
    """The plane of a diagram, 0 to 1 across and 0 to `top` upwards, in the units of its SVG."""

    top: float = 1.0
    left: float = 46.0
    upper: float = 10.0
    size: float = 290.0

    def x(self, value: float) -> float:
        """Return the place of a value across."""
        return round(self.left + self.size * value, 1)

    def y(self, value: float) -> float:
        """Return the place of a value upwards; what is above the top is shown at it."""
        return round(self.upper + self.size * (1 - min(value, self.top) / self.top), 1)

    @property
    def ticks(self) -> list[float]:
        """Values to mark upwards."""
        return [round(self.top * step / 5, 3) for step in range(6)]


def evaluation_page(evaluation: Evaluation) -> str:
    """Return the page; it needs no network, and runs no script but its own."""
    metrics = evaluation.metrics
    script = (TEMPLATES / "evaluation.js").read_text(encoding="utf-8")
    calibration = metrics["calibration"]
    curves = [calibration[name]["risk_coverage"] for name in ("raw", "cross_fitted")] if calibration else []
    highest = max((risk for curve in curves for _, risk in curve), default=0.2)
    return _template().render(
        m=metrics,
        name=evaluation.name,
        source=evaluation.source,
        decision=evaluation.decision,
        mistakes=sorted(mistakes(evaluation), key=lambda mistake: -mistake.margin),
        labels=LABELS,
        ids=ID_OF,
        label={label.name: label for label in LABELS},
        keys=KEYS,
        rules=RULES,
        square=Axes(),
        risk=Axes(top=max(0.2, np.ceil(10 * highest) / 10)),
        css=Markup((TEMPLATES / "evaluation.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def mistakes(evaluation: Evaluation) -> list[Mistake]:
    """Return every sentence whose predicted label is not the gold one, in the order of the file."""
    found = []
    rows = iter(evaluation.probabilities)
    for report in evaluation.reports:
        for place, (sentence, row) in enumerate(zip(report.sentences, rows)):  # noqa: B905
            predicted = NAMES[int(row.argmax())]
            if predicted == sentence.label:
                continue
            found.append(
                Mistake(
                    order=len(found),
                    report=report.id,
                    title=report.title,
                    number=place + 1,
                    of=len(report.sentences),
                    before=_neighbour(report, place - 1),
                    text=sentence.text,
                    after=_neighbour(report, place + 1),
                    gold=sentence.label,
                    also=sentence.also,
                    predicted=predicted,
                    scores={name: float(score) for name, score in zip(NAMES, row, strict=True)},
                    rule=sentence.rule,
                    abstained=bool(row.max() < evaluation.decision.abstain),
                )
            )
    return found


def _neighbour(report: GoldReport, place: int) -> Neighbour | None:
    if not 0 <= place < len(report.sentences):
        return None
    return Neighbour(report.sentences[place].text, report.sentences[place].label)


@lru_cache
def _template() -> Template:
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Callable[[float], str]] = {
        "score": lambda value: f"{value:.3f}",
        "signed": lambda value: f"{value:+.3f}".replace("-", "−"),
        "percent": lambda value: f"{100 * value:.1f} %",
    }
    environment.filters.update(filters)
    return environment.get_template("evaluation.html.j2")
