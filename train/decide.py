"""Temperature, class priors and thresholds of a classifier, fitted on labelled reports -> its decision.json.

python -m train.decide --model models/gangmu --data my-reports.jsonl
"""

import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.model_selection import GroupKFold

from gangmu.checkpoint import replacing, save_texts
from gangmu.cli import run
from gangmu.decision import Decision
from gangmu.errors import DataError
from gangmu.labeller import Labeller, load
from gangmu.labels import FUNCTIONS, NAMES
from gangmu.writing import write_whole
from train.calibration import Floats, abstention_threshold, calibration, log_loss
from train.card import decision_section, with_decision
from train.dataset import Gold, GoldReport, gold_of, read_labelled
from train.metrics import scores
from train.tables import print_decision

log = logging.getLogger(__name__)
Logits = NDArray[np.float32]
FOLDS = 5
RISK = 0.10
"""Share of wrong labels promised among those not abstained from, in decision.json."""
RISKS = (0.05, RISK, 0.15)
FEWEST = 3
"""Reports that `cross_fitted` needs: two to fit on, one to measure on."""
NEVER = 2.0
"""A threshold that no score reaches."""
LEAST_ALSO = 0.15
"""A second function scored below this is never named, whatever agrees best: nobody could defend it."""
METHODS = {"temperature": False, "temperature and priors": True}
"""Whether the class priors are fitted too. Tried on real reports and left out: a scale for each class beside them (log
loss on others 0.696 against 0.677 when fitted on 5 reports, 0.620 against 0.630 on 234), and priors estimated without
labels (Saerens et al., Neural Computation 14, 2002), with which macro-F1 fell from 0.614 to 0.584."""


@dataclass(frozen=True)
class Fitted:
    """A decision, and what was found on the way to it."""

    decision: Decision
    method: str
    thresholds: dict[float, float | None]
    """For each of RISKS the score from which no more labels are wrong, with 95 % confidence; None: no promise."""


def fit_decision(logits: Logits, reports: Sequence[GoldReport]) -> Decision:
    """Return the decision that suits labelled reports the classifier was not trained on, from their logits [n, 5]."""
    if len(reports) < 2:
        log.warning("a decision is fitted in folds by report; with one report scores stay uncalibrated")
        return Decision()
    return decide(logits, gold_of(reports)).decision


def decide(logits: Logits, gold: Gold) -> Fitted:
    """Return the decision fitted on the sentence logits [n, 5] of two reports or more.

    The method is the one with the better out-of-fold likelihood: macro-F1 hangs on single sentences where a function
    is rare, and scores are to be believed. The thresholds are fitted on the out-of-fold scores of that method.
    """
    found = {method: out_of_fold(logits, gold, method) for method in METHODS}
    method = min(METHODS, key=lambda name: log_loss(found[name], gold.label))
    thresholds = {risk: abstention_threshold(found[method], gold, risk) for risk in RISKS}
    abstain = thresholds[RISK]
    decided = {
        "also": also_threshold(found[method], gold.also),
        "abstain": 0.0 if abstain is None else abstain,
        "risk": None if abstain is None else RISK,
    }
    return Fitted(fit_scores(logits, gold.label, method).model_copy(update=decided), method, thresholds)


def fit_scores(logits: Logits, gold: NDArray[np.int64], method: str) -> Decision:
    """Return temperature and, by `method`, class priors with the least negative log-likelihood.

    Temperature: Guo et al., arXiv 1706.04599. The priors have a normal prior of spread 1 around none, so that few
    sentences move them little, and a class without a sentence is not ruled out.
    """
    unit = np.eye(len(NAMES))[gold]
    wide = logits.astype(np.float64)
    free = METHODS[method]

    def loss(x: Floats) -> tuple[float, Floats]:
        probabilities = _decision(x, free).scores(logits)
        residual = probabilities - unit
        scale = -float((residual * wide).sum()) * np.exp(-x[0])
        shifts = (residual.sum(axis=0) + x[1:]) * free
        value = len(gold) * log_loss(probabilities, gold) + float(x[1:] @ x[1:]) / 2
        return value, np.concatenate([[scale], shifts])

    bounds = [(np.log(0.2), np.log(10)), *[(-10, 10)] * len(NAMES)]
    return _decision(minimize(loss, np.zeros(1 + len(NAMES)), jac=True, bounds=bounds).x, free, digits=4)


def _decision(x: Floats, free: bool, digits: int = 12) -> Decision:
    temperature, *shifts = (round(float(value), digits) for value in (np.exp(x[0]), *x[1:]))
    return Decision(temperature=temperature, bias=tuple(shifts) if free else Decision().bias)


def out_of_fold(logits: Logits, gold: Gold, method: str) -> Floats:
    """Return [n, 5] probabilities, each fitted on the reports of the other folds."""
    found = np.zeros(logits.shape)
    for rest, held in folds(gold):
        found[held] = fit_scores(logits[rest], gold.label[rest], method).scores(logits[held])
    return found


def folds(gold: Gold) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the rows of the other folds and those of each fold: 5 by report, fewer where there are fewer reports."""
    count = min(FOLDS, len(np.unique(gold.report)))
    yield from GroupKFold(count, shuffle=True, random_state=0).split(gold.label, groups=gold.report)


def also_threshold(probabilities: Floats, also: NDArray[np.int64]) -> float:
    """Return the score from which naming a second function agrees best (F1) with the annotated ones; 1: never.

    `also` holds the id of each sentence's second function, -1 where there is none.
    """
    second, score = _second(probabilities)
    best, threshold = 0.0, 1.0
    for candidate in np.arange(LEAST_ALSO, 0.5, 0.01):
        f1 = _also_scores(np.where(score >= candidate, second, -1), also)["f1"]
        if f1 > best:
            best, threshold = f1, round(float(candidate), 2)
    return threshold


def _second(probabilities: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return the best function beside the label, and its score."""
    functions = probabilities[:, : len(FUNCTIONS)].copy()
    first = probabilities.argmax(axis=1)
    inside = first < len(FUNCTIONS)
    functions[inside, first[inside]] = -1
    return functions.argmax(axis=1), functions.max(axis=1)


def _also_scores(named: NDArray[np.int64], also: NDArray[np.int64]) -> dict[str, float]:
    right = int(((named == also) & (also >= 0)).sum())
    given, wanted = int((named >= 0).sum()), int((also >= 0).sum())
    return {
        "precision": right / max(1, given),
        "recall": right / max(1, wanted),
        "f1": 2 * right / max(1, given + wanted),
        "support": wanted,
    }


def cross_fitted(logits: Logits, gold: Gold, current: Decision) -> dict[str, Any]:
    """Return what `decide` is worth on three reports or more, beside no decision and the `current` one.

    Everything is fitted on four fifths of the reports, its choices included, and measured on the last, in turn.
    """
    fitted = decide(logits, gold)
    probabilities, named = np.zeros(logits.shape), np.full(len(gold), -1)
    kept = {risk: np.zeros(len(gold), dtype=bool) for risk in RISKS}
    for rest, held in folds(gold):
        found = decide(logits[rest], gold[rest])
        probabilities[held] = found.decision.scores(logits[held])
        second, score = _second(probabilities[held])
        named[held] = np.where(score >= found.decision.also, second, -1)
        for risk, threshold in found.thresholds.items():
            kept[risk][held] = probabilities[held].max(axis=1) >= (NEVER if threshold is None else threshold)
    return {
        "method": fitted.method,
        "decision": fitted.decision.model_dump(mode="json"),
        "raw": worth(Decision().scores(logits), gold),
        "current": worth(current.scores(logits), gold),
        "cross_fitted": worth(probabilities, gold),
        "methods": {method: worth(out_of_fold(logits, gold, method), gold, diagrams=False) for method in METHODS},
        "abstention": [
            {"risk": risk, "threshold": fitted.thresholds[risk], **keeping(probabilities, gold, kept[risk])}
            for risk in RISKS
        ],
        "also": {"threshold": fitted.decision.also, **_also_scores(named, gold.also)},
    }


def worth(probabilities: Floats, gold: Gold, diagrams: bool = True) -> dict[str, Any]:
    """Return the figures of `calibration`, and macro-F1 and accuracy of the labels that come with them."""
    found = calibration(probabilities, gold.label)
    labels = scores(gold.label, probabilities.argmax(axis=1))
    shown = {name: value for name, value in found.items() if diagrams or not isinstance(value, list)}
    return {"macro_f1": labels["macro_f1"], "accuracy": labels["accuracy"], **shown}


def keeping(probabilities: Floats, gold: Gold, kept: NDArray[np.bool_]) -> dict[str, float | None]:
    """Return the coverage of the sentences `kept`, and how many of their labels are wrong; None where none is kept."""
    wrong = probabilities.argmax(axis=1) != gold.label
    error = float(wrong[kept].mean()) if kept.any() else None
    return {"coverage": float(kept.mean()), "error": error}


def write_decision(labeller: Labeller, decision: Decision, section: str) -> None:
    """Put the decision in the labeller's checkpoint, and the section in its card; whole or not at all."""
    checkpoint = labeller.checkpoint
    folder = checkpoint.folder.resolve()
    with replacing(folder) as part:
        shutil.copytree(folder, part, dirs_exist_ok=True)
        card = part / "README.md"
        text = card.read_text(encoding="utf-8") if card.is_file() else ""
        save_texts(part, checkpoint.settings, decision, with_decision(text, section))


def main(
    data: Annotated[Path, typer.Option(help="Labelled reports the classifier was not trained on, JSON Lines.")],
    model: Annotated[Path, typer.Option(help="Checkpoint folder.")] = Path("models/gangmu"),
    output: Annotated[Path | None, typer.Option(help="Folder for decision.json, in place of the checkpoint.")] = None,
) -> None:
    """Fit temperature, class priors and thresholds; print what they are worth out of fold; write decision.json."""
    labeller = load(model)
    reports = read_labelled(data)
    if len(reports) < FEWEST:
        raise DataError(f"{data}: {len(reports)} reports; to fit and judge in folds by report takes {FEWEST} or more")
    logits, gold = np.concatenate(labeller.logits([report.texts for report in reports])), gold_of(reports)
    figures = cross_fitted(logits, gold, labeller.checkpoint.decision)
    decision = Decision.model_validate(figures["decision"])
    size = f"{len(reports)} reports, {len(gold)} sentences"
    print_decision(figures, f"{labeller.checkpoint.name} on {data}: {size}")
    if output:
        write_whole(output / "decision.json", decision.model_dump_json(indent=2) + "\n")
        write_whole(output / "calibration.json", json.dumps(figures, indent=2) + "\n")
    else:
        write_decision(labeller, decision, decision_section(decision, figures, f"`{data.name}`, {size}"))
    log.warning("wrote %s", (output or model) / "decision.json")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command(epilog="Example:  python -m train.decide --model models/gangmu --data my-reports.jsonl")(main)
    run(app)
