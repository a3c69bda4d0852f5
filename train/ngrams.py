"""Labelled reports -> the linear model on character n-grams that a checkpoint carries beside its encoder."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from gangmu.labels import NAMES
from gangmu.ngrams import BUCKETS, NgramModel, counts, tfidf
from train.dataset import GoldReport, gold_of

log = logging.getLogger(__name__)
STRENGTH = 10.0
"""Inverse of the regularisation: 3 gave up goals, 30 was no better (folds of real reports)."""


def fit_ngrams(reports: Sequence[GoldReport]) -> NgramModel:
    """Return a logistic regression on TF-IDF of hashed character n-grams, each sentence by itself."""
    texts = [text for report in reports for text in report.texts]
    seen = np.bincount(counts(texts)[1], minlength=BUCKETS)
    rarity = np.where(seen >= 2, np.log((1 + len(texts)) / (1 + seen)) + 1, 0).astype(np.float32)
    rows, buckets, values = tfidf(texts, rarity)
    features = csr_matrix((values, (rows, buckets)), shape=(len(texts), BUCKETS))
    found = LogisticRegression(C=STRENGTH, max_iter=300).fit(features, gold_of(reports).label)
    weights = np.zeros((BUCKETS, len(NAMES)), np.float32)
    bias = np.full(len(NAMES), -10.0, np.float32)  # of a label that no training sentence has
    if len(found.classes_) == 2:  # one row for two labels
        weights[:, found.classes_] = np.stack([-found.coef_[0], found.coef_[0]], axis=1) / 2
        bias[found.classes_] = np.array([-found.intercept_[0], found.intercept_[0]]) / 2
    else:
        weights[:, found.classes_] = found.coef_.T
        bias[found.classes_] = found.intercept_
    return NgramModel(weights, rarity, bias)


def ngrams_beside(encoder: NDArray[np.float32], train: Sequence[GoldReport], dev: Sequence[GoldReport]) -> NgramModel:
    """Return the linear model fitted on `train`, weighted for its place beside the encoder by its logits on `dev`."""
    model = fit_ngrams(train)
    alone = model.logits([text for report in dev for text in report.texts])
    weight = best_weight(encoder, alone, gold_of(dev).label)
    log.info("n-gram logits count %.2f times beside the encoder's", weight)
    return model.scaled(weight)


def best_weight(encoder: NDArray[np.float32], ngrams: NDArray[np.float32], gold: NDArray[np.int64]) -> float:
    """Return the weight of the n-gram logits beside the encoder's, both [n, 5], with the least log loss; not below 0.

    A temperature is fitted with it, so that the weight is of what the two say and not of how sure they are.
    """

    def loss(x: NDArray[np.float64]) -> float:
        joint = np.exp(x[0]) * (encoder + x[1] * ngrams)
        return -float(log_softmax(joint, axis=1)[np.arange(len(gold)), gold].mean())

    found = minimize(loss, np.array([0.0, 1.0]), method="L-BFGS-B", bounds=[(-3, 3), (0, 20)])
    return float(found.x[1])
