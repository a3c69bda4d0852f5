import json
from pathlib import Path

import pytest

from train import compare as compare_module
from train.compare import _cells, _lines, compare, markdown, picture, subset
from train.config import CompareConfig
from train.dataset import read_labelled
from train.description import load_config

CURVE = Path(__file__).parent.parent.parent / "configs/compare/curve.yaml"


@pytest.fixture
def config(run_file: Path) -> CompareConfig:
    data = run_file.parent
    values = ["name=curve", f"base={run_file}", "shares=[0.2, 1.0]", "seeds=[1]"]
    loaded = load_config(CURVE, values, CompareConfig)
    tiny = {"gangmu": ["training.epochs=8"]}
    files = {"train": {"written": data / "train.jsonl"}, "test": {"held": data / "test.jsonl"}}
    return loaded.model_copy(update={"variants": tiny, **files})


def test_a_broken_comparison_goes_on_and_a_finished_one_runs_nothing(
    config: CompareConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = compare_module._fitted
    calls: list[int] = []

    def killed(*args):  # type: ignore[no-untyped-def]
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return fitted(*args)

    monkeypatch.setattr(compare_module, "_fitted", killed)
    with pytest.raises(KeyboardInterrupt):
        compare(config, tmp_path)
    monkeypatch.undo()
    results = tmp_path / "curve" / "results.jsonl"
    results.write_text(results.read_text(encoding="utf-8") + '{"key": "torn', encoding="utf-8")
    rows = compare(config, tmp_path)
    assert [(row["variant"], row["share"]) for row in rows] == [
        ("TF-IDF + linear", 0.2),
        ("TF-IDF + linear", 1.0),
        ("gangmu", 0.2),
        ("gangmu", 1.0),
    ]
    assert rows[-1]["scores"]["held"]["macro_f1"] > 0.9
    assert rows[-1]["sentences"] == 120
    monkeypatch.setattr(compare_module, "_fitted", killed)  # would raise
    again = compare(config, tmp_path)
    assert again == rows


def test_table_and_picture(config: CompareConfig, tmp_path: Path) -> None:
    rows = compare(config.model_copy(update={"shares": [0.2], "variants": {"a": ["training.epochs=1"]}}), tmp_path)
    second = json.loads(json.dumps(rows[-1]))
    second["scores"]["held"]["macro_f1"] = rows[-1]["scores"]["held"]["macro_f1"] + 0.2
    table = markdown([*rows, second])
    low = rows[-1]["scores"]["held"]["macro_f1"]
    assert f"| a | written | 25 | 2 | {low + 0.1:.3f} ({low:.3f} to {low + 0.2:.3f}) |" in table
    for axis in ("sentences", "tokens"):
        picture([*rows, second], tmp_path / f"{axis}.svg", axis)  # type: ignore[arg-type]
        assert "</svg>" in (tmp_path / f"{axis}.svg").read_text(encoding="utf-8")


def test_scores_stand_over_the_tokens_of_the_encoders() -> None:
    runs = [("random", 42, 0, 0.5), ("random", 43, 0, 0.6), ("large", 42, 2_000_000, 0.7), ("linear", 42, None, 0.65)]
    rows = [
        {"variant": name, "train": "written", "share": 1.0, "seed": seed, "tokens": tokens}
        | {"scores": {"held": {"macro_f1": score}}}
        for name, seed, tokens, score in runs
    ]
    assert _lines(rows, "held", "tokens") == {
        "fine-tuned, written": {0.0: [0.5, 0.6], 2.0: [0.7]},
        "linear": {None: [0.65]},
    }


def test_a_smaller_set_is_run_once_where_it_is_used_up(config: CompareConfig) -> None:
    more = config.model_copy(update={"train": {"first": Path("a"), "second": Path("b")}, "shares": [1.0, 0.5, 0.25]})
    cells = list(_cells(more, {"first": 100, "second": 40}))
    assert [(c.train, c.share) for c in cells if c.variant == "gangmu"] == [
        ("first", 0.25),
        ("first", 0.5),
        ("first", 1.0),
        ("second", 0.25),
        ("second", 0.5),
    ]


def test_a_subset_grows_from_the_smaller_one_and_is_drawn_by_the_seed(run_file: Path) -> None:
    reports = read_labelled(run_file.parent / "train.jsonl")
    small, large = ([r.id for r in subset(reports, size, 7)] for size in (30, 60))
    assert len(small) == 6
    assert large[:6] == small
    assert [r.id for r in subset(reports, 30, 8)] != small
    assert len(subset(reports, 10_000, 7)) == len(reports)
