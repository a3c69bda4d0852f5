import numpy as np
import pytest
from scipy.stats import beta

from train.calibration import abstention_threshold, calibration, calibration_error, error_bound
from train.dataset import Gold


def gold_of(labels: np.ndarray, sentences: int = 10) -> Gold:
    return Gold(labels, np.full(len(labels), -1), np.arange(len(labels)) // sentences)


def sure(confidence: np.ndarray) -> np.ndarray:
    return np.column_stack([confidence, *[(1 - confidence) / 4] * 4])


def test_calibration_error_of_a_perfect_and_an_overconfident_classifier() -> None:
    certain = np.eye(5)[[0, 1, 2, 3]]
    assert calibration_error(certain, np.array([0, 1, 2, 3])) == 0
    assert calibration_error(certain, np.array([1, 2, 3, 4])) == 1


def test_figures_of_four_sentences_by_hand() -> None:
    probabilities = sure(np.array([0.9, 0.8, 0.7, 0.6]))
    found = calibration(probabilities, np.array([0, 1, 0, 1]))  # the second and the last are wrong
    assert found["aurc"] == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert found["risk_coverage"][-1] == [1.0, 0.5]
    assert found["error_at_80"] == pytest.approx(0.5)
    right, wrong = (1 - 0.9) ** 2 + 4 * 0.025**2, 0.8**2 + (1 - 0.05) ** 2 + 3 * 0.05**2
    third, last = (1 - 0.7) ** 2 + 4 * 0.075**2, 0.6**2 + (1 - 0.1) ** 2 + 3 * 0.1**2
    assert found["brier"] == pytest.approx((right + wrong + third + last) / 4)
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.05, 0.7, 0.1]).mean())
    assert sum(piece["sentences"] for piece in found["reliability"]) == 4


def test_bound_of_independent_errors_is_the_exact_one_and_of_one_report_none() -> None:
    wrong = np.zeros(2000, dtype=bool)
    wrong[::20] = True  # one in each report of 20: nothing to add for errors that go together
    exact = beta.ppf(0.95, 101, 1900)
    assert error_bound(wrong, np.arange(2000) // 20) == pytest.approx(exact, abs=0.001)
    assert error_bound(wrong, np.zeros(2000, dtype=int)) == 1


def test_bound_holds_where_errors_go_together() -> None:
    random = np.random.default_rng(0)
    reports = np.arange(800) // 20
    held = exact = 0
    for _ in range(200):
        rates = random.beta(0.5, 4.5, 40)  # mean 0.10, very unlike from report to report
        wrong = random.random(800) < rates[reports]
        held += error_bound(wrong, reports) >= 0.1
        exact += beta.ppf(0.95, wrong.sum() + 1, (~wrong).sum()) >= 0.1
    assert held >= 180
    assert exact < 170  # what counting sentences as independent would give


def test_abstention_keeps_its_promise_on_new_sentences() -> None:
    random = np.random.default_rng(0)
    confidence = random.uniform(0.3, 1, 4000)
    gold = gold_of(np.where(random.random(4000) < confidence, 0, 1))
    first, second = np.arange(2000), np.arange(2000, 4000)
    threshold = abstention_threshold(sure(confidence[first]), gold[first], 0.1)
    assert threshold is not None
    kept = confidence[second] >= threshold
    assert (gold.label[second][kept] != 0).mean() <= 0.1
    assert kept.mean() > 0.15
    stricter = abstention_threshold(sure(confidence[first]), gold[first], 0.05)
    assert stricter is None or stricter > threshold


def test_no_promise_without_evidence() -> None:
    assert abstention_threshold(sure(np.full(40, 0.95)), gold_of(np.zeros(40, dtype=int)), 0.1) is None
