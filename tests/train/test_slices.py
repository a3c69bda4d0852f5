import numpy as np

from gangmu.settings import TextSettings
from train.dataset import GoldReport, gold_of
from train.slices import known, sliced


def report(number: int, labels: list[str], **keys: object) -> GoldReport:
    sentences = [{"paragraph": 0, "text": f"第{i}句要抓好。", "label": label} for i, label in enumerate(labels)]
    return GoldReport.model_validate({"id": f"r{number}", "sentences": sentences, **keys})


FOUR = ["goal", "method", "mechanism", "exhortation"]
REPORTS = [
    report(0, [*FOUR, "other"], topic="教育", genre="调研"),
    report(1, [*FOUR, "other"], topic="教育"),
    report(2, ["method", "other"], topic="水利"),
    report(3, ["other"]),
]


def test_slices_count_what_they_hold_and_skip_null() -> None:
    gold = gold_of(REPORTS).label
    predicted = gold.copy()
    predicted[10] = 4  # the method of the third report
    found = sliced(REPORTS, predicted, TextSettings(), [])
    assert list(found["topic"]) == ["教育", "水利"]
    first, second = found["topic"].values()
    assert (first["sentences"], first["reports"], first["accuracy"], first["macro_f1"]) == (10, 2, 1.0, 1.0)
    assert first["accuracy_interval"] == [1.0, 1.0]
    assert (second["sentences"], second["accuracy"], second["accuracy_interval"]) == (2, 0.5, None)
    assert second["macro_f1"] is None
    assert second["f1"]["goal"] is None
    assert second["f1"]["method"] == 0
    assert second["support"] == {"goal": 0, "method": 1, "mechanism": 0, "exhortation": 0, "other": 1}
    assert found["genre"]["调研"]["sentences"] == 5
    assert not {"level", "source", "rule"} & set(found)
    for key in ("length", "position", "window"):
        assert sum(row["sentences"] for row in found[key].values()) == 13


def test_place_in_the_report_and_in_the_window() -> None:
    gold = gold_of(REPORTS)
    found = sliced(REPORTS, gold.label, TextSettings(), [])
    assert {name: row["sentences"] for name, row in found["position"].items()} == {
        "first": 4,
        "first third": 2,
        "middle third": 2,
        "last third": 2,
        "last": 3,
    }
    assert {name: row["sentences"] for name, row in found["window"].items()} == {"edge": 6, "middle": 6, "alone": 1}
    alone = sliced(REPORTS, gold.label, TextSettings(context="none"), [])
    assert {name: row["sentences"] for name, row in alone["window"].items()} == {"alone": 13}
    assert np.array_equal(gold.report, [0] * 5 + [1] * 5 + [2] * 2 + [3])


def test_sentences_that_trained_are_known_again() -> None:
    taught = [
        report(0, ["other"]),
        GoldReport.model_validate(
            {
                "id": "r",
                "sentences": [
                    {"paragraph": 0, "text": "要深入排查管网隐患，逐个登记造册，逐个整改销号。", "label": "method"}
                ],
            }
        ),
    ]
    texts = [
        "第0句要抓好。",
        "第1句要抓好。",
        "要深入排查管网隐患，逐个登记造册，逐个整改销号，限期办结。",
        "要深入排查管网隐患，及时处置。",
    ]
    assert known(texts, taught) == ["known", "new", "new", "new"]
    assert known([texts[2][:-3]], taught) == ["known"]
    assert known(texts, []) == ["new"] * 4
