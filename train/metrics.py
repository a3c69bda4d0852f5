"""Scores of predicted labels, with 95 % intervals over reports. The one place where figures are computed."""

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


def macro_f1_interval(gold: Labels, predicted: Labels, reports: Labels, seed: int = 0) -> list[float]:
    """Return the 95 % interval of macro-F1 by bootstrap over reports, whose number stands beside each sentence.

    Sentences of one report are not independent, so whole reports are drawn.
    """
    gold, predicted, reports = np.asarray(gold), np.asarray(predicted), np.asarray(reports)
    tables = np.stack([_table(gold[reports == r], predicted[reports == r]) for r in np.unique(reports)])
    drawn = np.random.default_rng(seed).integers(0, len(tables), (RESAMPLES, len(tables)))
    values = [_macro_f1(tables[rows].sum(axis=0)) for rows in drawn]
    return [float(value) for value in np.percentile(values, [2.5, 97.5])]


def _table(gold: NDArray[np.int64], predicted: NDArray[np.int64]) -> NDArray[np.int64]:
    table = np.zeros((len(NAMES), len(NAMES)), dtype=np.int64)
    np.add.at(table, (gold, predicted), 1)
    return table


def _macro_f1(table: NDArray[np.int64]) -> float:
    right = np.diag(table)[FUNCTION_IDS]
    total = (table.sum(axis=0) + table.sum(axis=1))[FUNCTION_IDS]
    return float(np.divide(2 * right, total, out=np.zeros(len(FUNCTION_IDS)), where=total > 0).mean())


def calibration_error(probabilities: NDArray[np.float64], gold: Labels, bins: int = 10) -> float:
    """Return the expected calibration error of [n, 5] probabilities: mean gap of confidence and accuracy.

    Bins of equal size by confidence (Nixon et al., arXiv 1904.01685), so that none is nearly empty.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == np.asarray(gold)
    pieces = np.array_split(np.argsort(confidence), min(bins, len(confidence)))
    gaps = [len(piece) * abs(float(confidence[piece].mean() - right[piece].mean())) for piece in pieces]
    return float(sum(gaps) / len(confidence))
