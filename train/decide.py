"""Temperature and thresholds of a classifier, fitted on labelled reports -> its decision.json."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import beta

from gangmu.decision import Decision
from gangmu.labeller import Labeller
from gangmu.labels import FUNCTIONS, ID_OF
from train.dataset import GoldReport

RISK = 0.10
"""Share of wrong labels promised among those not abstained from."""
CONFIDENCE = 0.95
LEAST_ALSO = 0.15
"""A second function scored below this is never named, whatever agrees best: nobody could defend it."""
FEWEST = 50
"""A promise about fewer kept sentences than this is not made."""


def fit_decision(labeller: Labeller, reports: Sequence[GoldReport]) -> Decision:
    """Return the decision that suits labelled reports the classifier was not trained on."""
    logits = np.concatenate(labeller.logits([report.texts for report in reports]))
    gold = np.array([ID_OF[label] for report in reports for label in report.labels])
    also = [sentence.also for report in reports for sentence in report.sentences]
    temperature = fit_temperature(logits, gold)
    probabilities = Decision(temperature=temperature).scores(logits)
    threshold = abstention_threshold(probabilities, gold)
    return Decision(
        temperature=temperature,
        also=also_threshold(probabilities, also),
        abstain=threshold if threshold is not None else 0.0,
        risk=RISK if threshold is not None else None,
    )


def fit_temperature(logits: NDArray[np.float32], gold: NDArray[np.int64]) -> float:
    """Return the temperature with the least negative log-likelihood (Guo et al., arXiv 1706.04599)."""

    def loss(log_temperature: float) -> float:
        scores = Decision(temperature=float(np.exp(log_temperature))).scores(logits)
        return -float(np.log(scores[np.arange(len(gold)), gold] + 1e-12).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.2), np.log(10)), method="bounded")
    return round(float(np.exp(found.x)), 4)


def also_threshold(probabilities: NDArray[np.float64], also: Sequence[str | None]) -> float:
    """Return the score from which naming a second function agrees best (F1) with the annotated ones; 1: never."""
    functions = probabilities[:, : len(FUNCTIONS)].copy()
    first = probabilities.argmax(axis=1)
    inside = first < len(FUNCTIONS)
    functions[inside, first[inside]] = -1
    second, score = functions.argmax(axis=1), functions.max(axis=1)
    right = np.array([name is not None and ID_OF[name] == s for name, s in zip(also, second, strict=True)])
    wanted = sum(name is not None for name in also)
    best, threshold = 0.0, 1.0
    for candidate in np.arange(LEAST_ALSO, 0.5, 0.01):
        named = score >= candidate
        f1 = 2 * (right & named).sum() / max(1, named.sum() + wanted)
        if f1 > best:
            best, threshold = float(f1), round(float(candidate), 2)
    return threshold


def abstention_threshold(probabilities: NDArray[np.float64], gold: NDArray[np.int64]) -> float | None:
    """Return the lowest score from which at most RISK of the labels are wrong, at 95 % confidence; None if none is.

    The bound is Clopper and Pearson's, over sentences. Candidates are tried from the strictest on and the first
    that fails ends the search, so that trying many does not weaken the promise (fixed-sequence testing).
    """
    confidence = probabilities.max(axis=1)
    wrong = probabilities.argmax(axis=1) != gold
    threshold = None
    for candidate in np.arange(0.99, 0.2, -0.01):
        kept = confidence >= candidate
        if kept.sum() < FEWEST:
            continue
        errors = int(wrong[kept].sum())
        if beta.ppf(CONFIDENCE, errors + 1, kept.sum() - errors) > RISK:
            break
        threshold = round(float(candidate), 2)
    return threshold
