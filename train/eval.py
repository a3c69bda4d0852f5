"""Score a checkpoint on labelled reports, beside the baselines.

python -m train.eval --model models/gangmu --data my-reports.jsonl --output scores
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from gangmu.checkpoint import checkpoint_hash, file_hash
from gangmu.cli import run
from gangmu.errors import DataError
from gangmu.labeller import Labeller, load
from gangmu.labels import ID_OF, NAMES
from gangmu.writing import write_whole
from train.baselines import BASELINES
from train.dataset import GoldReport, read_labelled, read_together
from train.metrics import SentenceMetric, calibration_error, macro_f1_interval

log = logging.getLogger(__name__)


def evaluate(labeller: Labeller, reports: Sequence[GoldReport]) -> dict[str, Any]:
    """Return the scores of a classifier on labelled reports: in the training loop, after it, and here."""
    logits = np.concatenate(labeller.logits([report.texts for report in reports]))
    probabilities = labeller.checkpoint.decision.scores(logits)
    gold = _gold(reports)
    return _scored(reports, probabilities.argmax(axis=1)) | {"ece": calibration_error(probabilities, gold)}


def evaluate_baselines(train: Sequence[GoldReport], reports: Sequence[GoldReport]) -> dict[str, dict[str, Any]]:
    """Return the scores of each baseline, fitted on `train`, on `reports`."""
    return {name: evaluate_baseline(name, train, reports) for name in BASELINES}


def evaluate_baseline(name: str, train: Sequence[GoldReport], reports: Sequence[GoldReport]) -> dict[str, Any]:
    """Return the scores of one baseline of `BASELINES`, fitted on `train`, on `reports`."""
    labels = BASELINES[name](train, [text for report in reports for text in report.texts])
    return _scored(reports, np.array([ID_OF[label] for label in labels]))


def full_metrics(labeller: Labeller, data: Path, train: Sequence[Path]) -> dict[str, Any]:
    """Return the content of metrics.json for a classifier on the labelled file `data`."""
    reports = read_labelled(data)
    if missing := [str(path) for path in train if not path.is_file()]:
        raise DataError(f"{', '.join(missing)}: no such file; the baselines are fitted on it: give --train FILE.jsonl")
    return {
        "model": evaluate(labeller, reports),
        "baselines": evaluate_baselines(read_together(train), reports),
        "sentences": sum(len(report.sentences) for report in reports),
        "reports": len(reports),
        "data": file_hash(data),
        "checkpoint": checkpoint_hash(labeller.checkpoint.folder),
    }


def table(metrics: dict[str, Any], title: str) -> Table:
    """Return the scores as a table for the terminal, the classifier first."""
    shown = Table(title=f"{title}: {metrics['reports']} reports, {metrics['sentences']} sentences")
    for column in (
        "",
        "macro-F1 of the four",
        "95 % interval",
        "accuracy",
        "kappa",
        *(f"F1 {n}" for n in NAMES),
        "ECE",
    ):
        shown.add_column(column, justify="left" if not column else "right")
    for name, found in [("gangmu", metrics["model"]), *metrics["baselines"].items()]:
        low, high = found["macro_f1_interval"]
        cells = [
            f"{found['macro_f1']:.3f}",
            f"{low:.3f}-{high:.3f}",
            f"{found['accuracy']:.3f}",
            f"{found['kappa']:.3f}",
        ]
        cells += [f"{found['per_class'][label]['f1']:.3f}" for label in NAMES]
        shown.add_row(name, *cells, f"{found['ece']:.3f}" if "ece" in found else "")
    support = [str(metrics["model"]["per_class"][label]["support"]) for label in NAMES]
    shown.add_row("sentences", "", "", "", "", *support, "", style="dim")
    return shown


def write_metrics(metrics: dict[str, Any], folder: Path) -> None:
    """Write metrics.json and the picture of the confusion matrix into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    confusion_picture(metrics["model"]["confusion"], folder / "confusion.png")
    write_whole(folder / "metrics.json", json.dumps(metrics, ensure_ascii=False, indent=2) + "\n")


def confusion_picture(confusion: list[list[int]], path: Path) -> None:
    """Write a picture of the confusion matrix: counts, shaded by share of the gold label."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    counts = np.array(confusion)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    figure, axes = pyplot.subplots(figsize=(5.5, 4.8), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.55 else "black"
        label = f"{count}\n{shares[row, column]:.0%}"
        axes.text(column, row, label, ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(NAMES)), NAMES, rotation=30, ha="right")
    axes.set_yticks(range(len(NAMES)), NAMES)
    axes.set_xlabel("predicted")
    axes.set_ylabel("gold")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _gold(reports: Sequence[GoldReport]) -> np.ndarray:
    return np.array([ID_OF[label] for report in reports for label in report.labels])


def _scored(reports: Sequence[GoldReport], predicted: np.ndarray) -> dict[str, Any]:
    gold = _gold(reports)
    numbers = np.repeat(np.arange(len(reports)), [len(report.sentences) for report in reports])
    found = SentenceMetric(keep_in_memory=True).compute(predictions=predicted, references=gold)
    return {**found, "macro_f1_interval": macro_f1_interval(gold, predicted, numbers)}


def main(
    data: Annotated[Path, typer.Option(help="Labelled reports, JSON Lines.")],
    model: Annotated[Path, typer.Option(help="Checkpoint folder.")] = Path("models/gangmu"),
    output: Annotated[Path | None, typer.Option(help="Folder for metrics.json and confusion.png.")] = None,
    train: Annotated[
        list[Path] | None, typer.Option(help="What the baselines are fitted on; else data/train.jsonl.")
    ] = None,
) -> None:
    """Score a checkpoint on labelled reports, beside the baselines."""
    labeller = load(model)
    metrics = full_metrics(labeller, data, train or [Path("data/train.jsonl")])
    Console(width=max(150, Console().width)).print(table(metrics, f"{labeller.checkpoint.name} on {data}"))
    if output:
        write_metrics(metrics, output)
        log.info("wrote %s", output / "metrics.json")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command(epilog="Example:  python -m train.eval --model runs/base/best --data data/test.jsonl")(main)
    run(app)
