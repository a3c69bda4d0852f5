"""How far scores can be trusted: calibration, risk and coverage, and the threshold that keeps a promise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, t

from train.dataset import Gold

Floats = NDArray[np.float64]
BINS = 10
CONFIDENCE = 0.95
CURVE = 100
"""Points of a risk-coverage curve at most."""


def calibration(probabilities: Floats, gold: NDArray[np.int64]) -> dict[str, Any]:
    """Return what [n, 5] probabilities are worth as such: ece, brier, log_loss, aurc, and the two diagrams.

    brier: mean squared distance to the gold label's unit vector, 0 to 2. aurc: area under the risk-coverage curve, the
    mean share of wrong labels over all coverages (Geifman and El-Yaniv, NeurIPS 2017). error_at_80: that share among
    the surest 80 %.
    """
    unit = np.eye(probabilities.shape[1])[gold]
    risks = _risks(probabilities, gold)
    return {
        "ece": calibration_error(probabilities, gold),
        "brier": float(((probabilities - unit) ** 2).sum(axis=1).mean()),
        "log_loss": log_loss(probabilities, gold),
        "aurc": float(risks.mean()),
        "error_at_80": float(risks[int(np.ceil(0.8 * len(risks))) - 1]),
        "reliability": reliability(probabilities, gold),
        "risk_coverage": risk_coverage(risks),
    }


def log_loss(probabilities: Floats, gold: NDArray[np.int64]) -> float:
    """Return the mean negative log-likelihood of the gold labels, in nats."""
    return -float(np.log(probabilities[np.arange(len(gold)), gold] + 1e-12).mean())


def calibration_error(probabilities: Floats, gold: NDArray[np.int64]) -> float:
    """Return the expected calibration error of [n, 5] probabilities: mean gap of confidence and accuracy.

    Bins of equal size by confidence (Nixon et al., arXiv 1904.01685), so that none is nearly empty.
    """
    gaps = [b["sentences"] * abs(b["confidence"] - b["accuracy"]) for b in reliability(probabilities, gold)]
    return float(sum(gaps) / len(gold))


def reliability(probabilities: Floats, gold: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return mean confidence and accuracy, with its 95 % interval, of each tenth of the sentences by confidence."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == gold
    found = []
    for piece in np.array_split(np.argsort(confidence, kind="stable"), min(BINS, len(confidence))):
        hits, size = int(right[piece].sum()), len(piece)
        low = beta.ppf(0.025, hits, size - hits + 1) if hits else 0.0
        high = beta.ppf(0.975, hits + 1, size - hits) if hits < size else 1.0
        found.append(
            {
                "confidence": float(confidence[piece].mean()),
                "accuracy": hits / size,
                "accuracy_interval": [float(low), float(high)],
                "sentences": size,
            }
        )
    return found


def _risks(probabilities: Floats, gold: NDArray[np.int64]) -> Floats:
    """Return the share of wrong labels among the surest 1, 2, … n sentences."""
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    wrong = (probabilities.argmax(axis=1) != gold)[order]
    result: Floats = wrong.cumsum() / np.arange(1, len(wrong) + 1)
    return result


def risk_coverage(risks: Floats) -> list[list[float]]:
    """Return [coverage, share of wrong labels] at CURVE coverages or fewer, the whole file last."""
    count = len(risks)
    counts = np.unique(np.ceil(np.linspace(1, count, min(CURVE, count))).astype(int))
    return [[round(int(n) / count, 4), round(float(risks[n - 1]), 4)] for n in counts]


def error_bound(wrong: NDArray[np.bool_], reports: NDArray[np.int64]) -> float:
    """Return what the share of wrong labels does not exceed, at 95 % confidence, on reports like these.

    Errors of one report go together, so the sentences count for fewer: Clopper and Pearson's bound at the effective
    sample size (Korn and Graubard, Survey Methodology 24, 1998). 1 where there is but one report.
    """
    _, numbers = np.unique(reports, return_inverse=True)
    size, clusters = len(wrong), int(numbers.max()) + 1
    share = float(wrong.mean())
    if clusters < 2 or share == 1:
        return 1.0
    spread = np.bincount(numbers, weights=wrong - share)
    variance = clusters / (clusters - 1) * float((spread**2).sum()) / size**2
    effect = max(1.0, variance / (share * (1 - share) / size)) if share else 1.0
    degrees = float(t.ppf(CONFIDENCE, size - 1) / t.ppf(CONFIDENCE, clusters - 1)) ** 2
    effective = size / effect * degrees
    return float(beta.ppf(CONFIDENCE, share * effective + 1, (1 - share) * effective))


def abstention_threshold(probabilities: Floats, gold: Gold, risk: float) -> float | None:
    """Return the lowest score from which at most `risk` of the labels are wrong, at 95 % confidence; None if none is.

    Candidates are tried from the strictest on that leaves enough sentences to tell, and the first that fails ends the
    search, so that trying many does not weaken the promise (fixed-sequence testing).
    """
    confidence = probabilities.max(axis=1)
    wrong = probabilities.argmax(axis=1) != gold.label
    threshold = None
    for candidate in np.arange(0.99, 0.2, -0.01):
        kept = confidence >= candidate
        if kept.sum() < 10 / risk:  # fewer would not pass with half the errors allowed
            continue
        if error_bound(wrong[kept], gold.report[kept]) > risk:
            break
        threshold = round(float(candidate), 2)
    return threshold
