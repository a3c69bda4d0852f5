import numpy as np
import pytest

from gangmu.decision import Decision
from train.decide import abstention_threshold, also_threshold, fit_temperature

RANDOM = np.random.default_rng(0)


def test_temperature_of_logits_that_are_three_times_too_large() -> None:
    true = RANDOM.normal(size=(6000, 5)) * 2
    scores = Decision().scores(true)
    gold = np.array([RANDOM.choice(5, p=row) for row in scores])
    assert fit_temperature((true * 3).astype(np.float32), gold) == pytest.approx(3, rel=0.1)


def test_abstention_keeps_its_promise_on_new_sentences() -> None:
    confidence = RANDOM.uniform(0.3, 1, 4000)
    probabilities = np.column_stack([confidence, *[(1 - confidence) / 4] * 4])
    gold = np.where(RANDOM.random(4000) < confidence, 0, 1)
    threshold = abstention_threshold(probabilities[:2000], gold[:2000])
    assert threshold is not None
    kept = probabilities[2000:].max(axis=1) >= threshold
    assert (gold[2000:][kept] != 0).mean() <= 0.1
    assert kept.mean() > 0.15


def test_no_promise_without_evidence() -> None:
    probabilities = np.full((40, 5), 0.2)
    assert abstention_threshold(probabilities, np.zeros(40, dtype=np.int64)) is None


def test_also_threshold_finds_the_annotated_seconds() -> None:
    probabilities = np.array([[0.5, 0.4, 0.1, 0, 0]] * 5 + [[0.8, 0.1, 0.1, 0, 0]] * 5)
    also = ["method"] * 5 + [None] * 5
    threshold = also_threshold(probabilities, also)
    assert 0.1 < threshold <= 0.4
    assert also_threshold(probabilities, [None] * 10) == 1.0
