"""Scores of predicted labels, with 95 % intervals over reports. The one place where labels are scored."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)

from gangmu.labels import FUNCTIONS, ID_OF, NAMES

Labels = Sequence[int] | NDArray[np.int64]
Floats = NDArray[np.float64]
FUNCTION_IDS = [ID_OF[name] for name in FUNCTIONS]
RESAMPLES = 1000


class SentenceMetric(evaluate.Metric):
    """Accuracy, macro-F1 over the four functions, kappa, per-class scores and confusion, as evaluate.Metric.

    A subclass, because `evaluate.load` fetches code from the hub (FACTS.md section 0, finding 2).
    """

    def _info(self) -> evaluate.MetricInfo:
        features = datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")})
        return evaluate.MetricInfo(
            description="Scores of sentence functions.",
            citation="",
            inputs_description="Label ids in the order of gangmu.labels.NAMES.",
            features=features,
        )

    def _compute(self, predictions: Labels, references: Labels) -> dict[str, Any]:
        return scores(references, predictions)


def scores(gold: Labels, predicted: Labels) -> dict[str, Any]:
    """Return macro_f1, accuracy, kappa, per_class and confusion (rows gold, columns predicted) of label ids."""
    ids = list(range(len(NAMES)))
    precision, recall, f1, support = precision_recall_fscore_support(gold, predicted, labels=ids, zero_division=0.0)
    per_class = {
        name: {
            "precision": float(precision[i]),
            "recall": float(recall[i]),
            "f1": float(f1[i]),
            "support": int(support[i]),
        }
        for i, name in enumerate(NAMES)
    }
    return {
        "macro_f1": macro_f1(gold, predicted),
        "accuracy": float(accuracy_score(gold, predicted)),
        "kappa": kappa(gold, predicted),
        "per_class": per_class,
        "confusion": confusion_matrix(gold, predicted, labels=ids).tolist(),
    }


def macro_f1(gold: Labels, predicted: Labels) -> float:
    """Return the mean F1 of the four functions; one that is neither present nor predicted counts 0."""
    return float(f1_score(gold, predicted, labels=FUNCTION_IDS, average="macro", zero_division=0.0))


def kappa(gold: Labels, predicted: Labels) -> float:
    """Return Cohen's kappa over the five labels; 1 when both name one and the same label throughout."""
    if len(set(gold) | set(predicted)) == 1:
        return 1.0
    return float(cohen_kappa_score(gold, predicted))


def intervals(gold: Labels, predicted: Labels, reports: Labels) -> dict[str, list[float] | None]:
    """Return the 95 % intervals of macro-F1, accuracy and kappa by bootstrap over reports; None where one report is.

    `reports` holds the number of each sentence's report. Sentences of one report are not independent, so whole
    reports are drawn.
    """
    drawn = _drawn(gold, predicted, reports)
    return {f"{name}_interval": _interval(drawn and drawn[name]) for name in ("macro_f1", "accuracy", "kappa")}


def differences(gold: Labels, ours: Labels, theirs: Labels, reports: Labels) -> dict[str, Any]:
    """Return macro-F1 and accuracy of `ours` minus `theirs`, with 95 % intervals: the same draws for both."""
    mine, other = _drawn(gold, ours, reports), _drawn(gold, theirs, reports)
    found: dict[str, Any] = {
        "macro_f1": macro_f1(gold, ours) - macro_f1(gold, theirs),
        "accuracy": float(accuracy_score(gold, ours) - accuracy_score(gold, theirs)),
    }
    for name in list(found):
        found[f"{name}_interval"] = _interval(mine and other and mine[name] - other[name])
    return found


def softened(gold: NDArray[np.int64], also: NDArray[np.int64], predicted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the gold labels with `also` in place of the label where that was predicted: the soft score's gold."""
    return np.where(predicted == also, predicted, gold)


def _drawn(gold: Labels, predicted: Labels, reports: Labels) -> dict[str, Floats] | None:
    """Return each score in RESAMPLES draws of reports, the same draws for the same number of reports."""
    _, numbers = np.unique(np.asarray(reports), return_inverse=True)
    count = int(numbers.max()) + 1
    if count < 2:
        return None
    tables = np.zeros((count, len(NAMES), len(NAMES)))
    np.add.at(tables, (numbers, np.asarray(gold), np.asarray(predicted)), 1)
    chosen = np.random.default_rng(0).integers(0, count, (RESAMPLES, count))
    times = np.stack([np.bincount(row, minlength=count) for row in chosen])
    drawn = np.tensordot(times, tables, axes=1)
    right, rows, columns = np.diagonal(drawn, axis1=1, axis2=2), drawn.sum(axis=2), drawn.sum(axis=1)
    total = rows.sum(axis=1)
    accuracy, chance = right.sum(axis=1) / total, (rows * columns).sum(axis=1) / total**2
    f1 = _ratio(2 * right, rows + columns, 0.0)[:, FUNCTION_IDS]
    return {
        "macro_f1": f1.mean(axis=1),
        "accuracy": accuracy,
        "kappa": _ratio(accuracy - chance, 1 - chance, 1.0),
    }


def _ratio(above: Floats, below: Floats, otherwise: float) -> Floats:
    result: Floats = np.divide(above, below, out=np.full(above.shape, otherwise), where=below > 0)
    return result


def _interval(values: Floats | None) -> list[float] | None:
    return None if values is None else [float(value) for value in np.percentile(values, [2.5, 97.5])]
