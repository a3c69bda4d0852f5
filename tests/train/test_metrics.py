import numpy as np
import pytest
from sklearn.metrics import f1_score

from gangmu.labels import NAMES
from train.metrics import SentenceMetric, differences, intervals, macro_f1, scores, softened

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


def sample(sentences: int, right: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    gold = random.integers(0, 5, sentences)
    return gold, np.where(random.random(sentences) < right, gold, random.integers(0, 5, sentences))


def test_interval_holds_the_score_and_narrows_with_reports() -> None:
    gold, predicted = sample(4000, 0.7)
    few, many = np.arange(4000) // 200, np.arange(4000) // 10
    low, high = intervals(gold, predicted, many)["macro_f1_interval"]
    assert low < f1_score(gold, predicted, labels=[0, 1, 2, 3], average="macro") < high
    assert high - low < 0.06
    assert intervals(gold, predicted, few)["macro_f1_interval"][0] > 0.5


def test_drawn_scores_are_those_of_the_metric() -> None:
    gold, predicted = GOLD * 6, PREDICTED * 6
    found = scores(gold, predicted)
    ranges = intervals(gold, predicted, np.arange(48) // 8)  # reports alike: every draw has the scores of one
    for name in ("macro_f1", "accuracy", "kappa"):
        assert ranges[f"{name}_interval"] == pytest.approx([found[name]] * 2)


def test_one_report_has_no_interval() -> None:
    assert set(intervals(GOLD, PREDICTED, [3] * 8).values()) == {None}
    assert differences(GOLD, GOLD, PREDICTED, [3] * 8)["macro_f1_interval"] is None


def test_difference_is_paired() -> None:
    gold, theirs = sample(3000, 0.6)
    reports = np.arange(3000) // 20
    ours = theirs.copy()
    ours[::30] = gold[::30]  # a little better, on the same sentences
    found = differences(gold, ours, theirs, reports)
    assert found["accuracy"] == pytest.approx((ours == gold).mean() - (theirs == gold).mean())
    low, high = found["accuracy_interval"]
    assert 0 < low < found["accuracy"] < high
    alone = intervals(gold, ours, reports)["accuracy_interval"]
    assert high - low < (alone[1] - alone[0]) / 2
    assert differences(gold, ours, ours, reports)["macro_f1_interval"] == [0, 0]


def test_a_second_function_counts_in_the_soft_score_alone() -> None:
    gold, also, predicted = np.array([0, 1, 2]), np.array([1, -1, 3]), np.array([1, 2, 2])
    assert softened(gold, also, predicted).tolist() == [1, 1, 2]


def test_kappa_of_one_class_throughout_is_one() -> None:
    assert scores([4, 4], [4, 4])["kappa"] == 1.0
    assert len(NAMES) == 5
