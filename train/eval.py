"""Score a checkpoint on labelled reports, beside the baselines; write the scores and a page to read them.

python -m train.eval --model models/gangmu --data my-reports.jsonl --output scores
python -m train.eval --model runs/a/best --model runs/b/best --model runs/c/best --data my-reports.jsonl
"""

import json
import logging
import os
import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from gangmu.checkpoint import checkpoint_hash, file_hash
from gangmu.cli import run
from gangmu.decision import Decision
from gangmu.errors import DataError, UsageError
from gangmu.labeller import Labeller, load
from gangmu.labels import FUNCTIONS, ID_OF
from gangmu.writing import write_whole
from train.baselines import BASELINES
from train.calibration import calibration_error
from train.dataset import Gold, GoldReport, gold_of, read_labelled, read_together
from train.decide import FEWEST, cross_fitted, keeping
from train.metrics import SentenceMetric, differences, intervals, macro_f1, softened
from train.page import Evaluation, evaluation_page
from train.slices import sliced
from train.tables import print_metrics

log = logging.getLogger(__name__)
Ids = NDArray[np.int64]
SINGLE = "BERT on the single sentence"
UNTRAINED = "gangmu given the single sentence, not trained for it"
DEFAULT = [Path("models/gangmu")]
TRAIN = [Path("data/train.jsonl")]
SPREAD = ("macro_f1", "accuracy", "kappa", "ece")


def evaluate(labeller: Labeller, reports: Sequence[GoldReport]) -> dict[str, Any]:
    """Return the scores of a classifier on labelled reports: in the training loop, after it, and here."""
    return _evaluated(labeller.checkpoint.decision.scores(_logits(labeller, reports)), gold_of(reports))


def evaluate_baseline(name: str, train: Sequence[GoldReport], reports: Sequence[GoldReport]) -> dict[str, Any]:
    """Return the scores of one baseline of `BASELINES`, fitted on `train`, on `reports`."""
    return _scored(gold_of(reports), _baseline(name, train, reports))


def evaluate_file(
    labeller: Labeller, data: Path, train: Sequence[Path], more: Sequence[Labeller] = (), single: Labeller | None = None
) -> Evaluation:
    """Return all scores of a classifier on the labelled file `data`, beside baselines fitted on `train`.

    `more`: classifiers of other seeds, for mean and spread; `single`: one trained on single sentences.
    """
    reports = read_labelled(data)
    if missing := [str(path) for path in train if not path.is_file()]:
        raise DataError(f"{', '.join(missing)}: no such file; the baselines are fitted on it: give --train FILE.jsonl")
    taught = read_together(train)
    name, alone = _alone(labeller, single)
    gold, decision = gold_of(reports), labeller.checkpoint.decision
    logits = _logits(labeller, reports)
    probabilities = decision.scores(logits)
    labels = probabilities.argmax(axis=1)
    theirs = {baseline: _baseline(baseline, taught, reports) for baseline in BASELINES}
    theirs[name] = alone.checkpoint.decision.scores(_logits(alone, reports)).argmax(axis=1)
    found = _evaluated(probabilities, gold)
    metrics = {
        "model": found,
        "baselines": {
            name: _scored(gold, ids) | {"difference": differences(gold.label, labels, ids, gold.report)}
            for name, ids in theirs.items()
        },
        "best_baseline": max(set(theirs) - {UNTRAINED}, key=lambda name: (macro_f1(gold.label, theirs[name]), name)),
        "seeds": _seeds([found, *(evaluate(other, reports) for other in more)], [labeller, *more]) if more else None,
        "slices": sliced(reports, labels, labeller.checkpoint.settings, taught),
        "calibration": cross_fitted(logits, gold, decision) if len(reports) >= FEWEST else None,
        "promise": _promise(decision, probabilities, gold),
        "sentences": len(gold),
        "reports": len(reports),
        "data": file_hash(data),
        "checkpoint": checkpoint_hash(labeller.checkpoint.folder),
        "notes": [_fitted_on(train, taught), *_notes(gold, reports, taught)],
    }
    return Evaluation(metrics, labeller.checkpoint.name, str(data), reports, decision, probabilities)


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write metrics.json and evaluation.html into `folder`."""
    write_whole(folder / "metrics.json", json.dumps(evaluation.metrics, ensure_ascii=False, indent=2) + "\n")
    write_whole(folder / "evaluation.html", evaluation_page(evaluation))


def _logits(labeller: Labeller, reports: Sequence[GoldReport]) -> NDArray[np.float32]:
    return np.concatenate(labeller.logits([report.texts for report in reports]))


def _baseline(name: str, train: Sequence[GoldReport], reports: Sequence[GoldReport]) -> Ids:
    return np.array([ID_OF[label] for label in BASELINES[name](train, reports)])


def _alone(labeller: Labeller, single: Labeller | None) -> tuple[str, Labeller]:
    """Return the classifier of single sentences with its name; without one, ours shown no context."""
    if single is None:
        settings = labeller.checkpoint.settings.model_copy(update={"context": "none"})
        return UNTRAINED, Labeller(replace(labeller.checkpoint, settings=settings), labeller.engine)
    if (context := single.checkpoint.settings.context) != "none":
        folder = single.checkpoint.folder
        raise UsageError(f"--single {folder}: trained with context {context}; train one with text.context=none")
    return SINGLE, single


def _evaluated(probabilities: NDArray[np.float64], gold: Gold) -> dict[str, Any]:
    return _scored(gold, probabilities.argmax(axis=1)) | {"ece": calibration_error(probabilities, gold.label)}


def _scored(gold: Gold, predicted: Ids) -> dict[str, Any]:
    found = SentenceMetric(keep_in_memory=True).compute(predictions=predicted, references=gold.label)
    return {
        **found,
        **intervals(gold.label, predicted, gold.report),
        "soft": _soft(softened(gold.label, gold.also, predicted), predicted, gold.report),
    }


def _soft(gold: Ids, predicted: Ids, reports: Ids) -> dict[str, Any]:
    """Return macro-F1 and accuracy where `also` counts as right too."""
    ranges = intervals(gold, predicted, reports)
    kept = ("macro_f1_interval", "accuracy_interval")
    found = {"macro_f1": macro_f1(gold, predicted), "accuracy": float((gold == predicted).mean())}
    return found | {name: ranges[name] for name in kept}


def _seeds(scores: Sequence[dict[str, Any]], labellers: Sequence[Labeller]) -> dict[str, Any]:
    """Return mean, lowest, highest and standard deviation of the scores over checkpoints, with each one's."""
    values = {name: [found[name] for found in scores] for name in SPREAD}
    values |= {f"f1_{name}": [found["per_class"][name]["f1"] for found in scores] for name in ID_OF}
    spread = {
        name: {
            "mean": float(np.mean(found)),
            "low": min(found),
            "high": max(found),
            "deviation": float(np.std(found, ddof=1)),
            "values": found,
        }
        for name, found in values.items()
    }
    return {"checkpoints": [labeller.checkpoint.name for labeller in labellers], **spread}


def _promise(decision: Decision, probabilities: NDArray[np.float64], gold: Gold) -> dict[str, Any] | None:
    """Return what became here of the promise that decision.json makes; None when it makes none."""
    if decision.risk is None:
        return None
    kept = probabilities.max(axis=1) >= decision.abstain
    return {"risk": decision.risk, "threshold": decision.abstain, **keeping(probabilities, gold, kept)}


def _fitted_on(train: Sequence[Path], taught: Sequence[GoldReport]) -> str:
    """Return what the baselines learnt from: beside a classifier that learnt from more, they look worse."""
    sentences = sum(len(report.sentences) for report in taught)
    files = ", ".join(map(str, train))
    return f"Baselines are fitted on {files}: {sentences:,} sentences; for others, --train FILE.jsonl, once a file."


def _notes(gold: Gold, reports: Sequence[GoldReport], taught: Sequence[GoldReport]) -> list[str]:
    """Return what could not be computed, and what to bear in mind."""
    notes = []
    if len(reports) == 1:
        notes.append("One report: no intervals, which are drawn over reports.")
    if len(reports) < FEWEST:
        notes.append(f"{len(reports)} report(s): no cross-fitted calibration, which takes {FEWEST} or more.")
    if missing := [name for name in FUNCTIONS if ID_OF[name] not in gold.label]:
        notes.append(f"No sentence here is {', '.join(missing)}: macro-F1 counts such a function as 0.")
    if not (gold.also >= 0).any():
        notes.append("No sentence here has a second function (also): the soft score equals the strict one.")
    known = {tuple(report.texts) for report in taught}
    if doubled := sum(tuple(report.texts) in known for report in reports):
        notes.append(f"{doubled} of the reports are among those that the baselines are fitted on.")
    return notes


def _show(page: Path) -> None:
    """Open the page in the browser where there is a display; else only its path is printed."""
    display = sys.platform in ("darwin", "win32") or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))
    if display:
        webbrowser.open(page.resolve().as_uri())


def main(
    data: Annotated[Path, typer.Option(help="Labelled reports, JSON Lines.")],
    model: Annotated[
        list[Path], typer.Option(help="Checkpoint folder; several (one a seed) give mean and spread too.")
    ] = DEFAULT,
    output: Annotated[Path | None, typer.Option(help="Folder for metrics.json and evaluation.html.")] = None,
    train: Annotated[
        list[Path], typer.Option(help="What the baselines are fitted on; several are read as one.")
    ] = TRAIN,
    single: Annotated[Path | None, typer.Option(help="Checkpoint trained with text.context=none, a baseline.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Write to runs/eval without --output; open the page.")] = False,
) -> None:
    """Score a checkpoint on labelled reports, beside the baselines."""
    labellers = [load(folder) for folder in model]
    evaluation = evaluate_file(labellers[0], data, train, labellers[1:], load(single) if single else None)
    print_metrics(evaluation.metrics, f"{evaluation.name} on {data}")
    if show and not output:
        output = Path("runs/eval") / f"{data.stem}-{evaluation.name}"
    if output:
        write_evaluation(evaluation, output)
        log.warning("wrote %s and metrics.json", output / "evaluation.html")
    if output and show:
        _show(output / "evaluation.html")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command(epilog="Example:  python -m train.eval --model runs/base/best --data data/test.jsonl")(main)
    run(app)
