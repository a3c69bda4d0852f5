import numpy as np
import pytest
from sklearn.metrics import f1_score

from gangmu.labels import NAMES
from train.metrics import SentenceMetric, calibration_error, macro_f1, macro_f1_interval, scores

GOLD = [0, 0, 1, 1, 2, 3, 4, 4]
PREDICTED = [0, 1, 1, 1, 2, 4, 4, 0]


def test_metric_works_offline_and_equals_the_function() -> None:
    found = SentenceMetric(keep_in_memory=True).compute(predictions=PREDICTED, references=GOLD)
    assert found == scores(GOLD, PREDICTED)
    assert found["macro_f1"] == pytest.approx((0.5 + 0.8 + 1 + 0) / 4)
    assert found["accuracy"] == pytest.approx(5 / 8)
    assert found["per_class"]["method"] == {"precision": pytest.approx(2 / 3), "recall": 1, "f1": 0.8, "support": 2}
    assert np.array(found["confusion"]).sum() == 8
    assert found["confusion"][3][4] == 1


def test_other_does_not_enter_macro_f1() -> None:
    assert macro_f1([0, 1, 2, 3, 4], [0, 1, 2, 3, 4]) == 1
    assert macro_f1([4, 4, 0], [4, 4, 0]) == 0.25


def test_interval_holds_the_score_and_narrows_with_reports() -> None:
    random = np.random.default_rng(1)
    gold = random.integers(0, 5, 4000)
    predicted = np.where(random.random(4000) < 0.7, gold, random.integers(0, 5, 4000))
    few, many = np.arange(4000) // 200, np.arange(4000) // 10
    low, high = macro_f1_interval(gold, predicted, many)
    assert low < f1_score(gold, predicted, labels=[0, 1, 2, 3], average="macro") < high
    assert high - low < 0.06
    assert macro_f1_interval(gold, predicted, few)[0] > 0.5


def test_calibration_error_of_a_perfect_and_an_overconfident_classifier() -> None:
    sure = np.eye(5)[[0, 1, 2, 3]]
    assert calibration_error(sure, [0, 1, 2, 3]) == 0
    assert calibration_error(sure, [1, 2, 3, 4]) == 1


def test_kappa_of_one_class_throughout_is_one() -> None:
    assert scores([4, 4], [4, 4])["kappa"] == 1.0
    assert len(NAMES) == 5
