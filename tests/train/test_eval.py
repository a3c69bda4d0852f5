import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

import gangmu
from gangmu.checkpoint import load_checkpoint, save_texts
from gangmu.decision import Decision
from gangmu.errors import UsageError
from gangmu.labels import NAMES
from train import eval as eval_module
from train.dataset import read_labelled
from train.eval import SINGLE, UNTRAINED, Evaluation, evaluate, evaluate_file, main, write_evaluation
from train.page import mistakes

BASELINES = {"majority", "keyword rules", "TF-IDF + linear", "TF-IDF + linear, neighbours and position"}
HOSTILE = "</script><img src=x onerror=alert(1)>\"'"


def write(path: Path, *reports: dict[str, object]) -> Path:
    path.write_text("\n".join(json.dumps(report, ensure_ascii=False) for report in reports), encoding="utf-8")
    return path


def sentence(text: str, label: str, **keys: object) -> dict[str, object]:
    return {"paragraph": 0, "text": text, "label": label, **keys}


@pytest.fixture(scope="module")
def wrong(run_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled file on which the tiny classifier makes mistakes, hostile text in it."""
    reports = [json.loads(line) for line in (run_file.parent / "dev.jsonl").read_text(encoding="utf-8").splitlines()]
    first = reports[0]["sentences"]
    first[1] |= {"label": "other" if first[1]["label"] != "other" else "goal", "rule": 7}
    first[3] |= {"label": "method" if first[3]["label"] != "method" else "goal", "also": first[3]["label"]}
    if first[3]["also"] == "other":
        first[3]["also"] = None
    first[0]["text"] = HOSTILE + first[0]["text"]
    reports[0] |= {"id": "r0 " + HOSTILE, "title": HOSTILE, "topic": "教育" + HOSTILE}
    return write(tmp_path_factory.mktemp("wrong") / "wrong.jsonl", *reports)


@pytest.fixture(scope="module")
def evaluation(checkpoint: Path, wrong: Path, run_file: Path) -> Evaluation:
    return evaluate_file(gangmu.load(checkpoint), wrong, [run_file.parent / "train.jsonl"])


@pytest.fixture(scope="module")
def page(evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page") / "new"
    write_evaluation(evaluation, folder)
    assert {path.name for path in folder.iterdir()} == {"metrics.json", "evaluation.html"}
    assert json.loads((folder / "metrics.json").read_text(encoding="utf-8")) == evaluation.metrics
    return (folder / "evaluation.html").read_text(encoding="utf-8")


def test_metrics_follow_the_contract(finished_run: Path, run_file: Path) -> None:
    metrics = json.loads((finished_run / "metrics.json").read_text(encoding="utf-8"))
    assert set(metrics) >= {"model", "baselines", "sentences", "reports", "data", "checkpoint"}
    keys = {"macro_f1", "macro_f1_interval", "accuracy", "kappa", "ece", "per_class", "confusion"}
    assert set(metrics["model"]) >= keys
    assert set(metrics["baselines"]) == {*BASELINES, UNTRAINED}
    data = run_file.parent
    again = evaluate_file(gangmu.load(finished_run / "best"), data / "test.jsonl", [data / "train.jsonl"])
    assert again.metrics == metrics


def test_the_difference_is_to_the_best_baseline(evaluation: Evaluation) -> None:
    metrics = evaluation.metrics
    best = metrics["baselines"][metrics["best_baseline"]]
    assert best["macro_f1"] == max(metrics["baselines"][name]["macro_f1"] for name in BASELINES)
    assert best["difference"]["macro_f1"] == pytest.approx(metrics["model"]["macro_f1"] - best["macro_f1"])


def test_soft_score_takes_the_second_function(evaluation: Evaluation) -> None:
    model = evaluation.metrics["model"]
    soft = sum(mistake.also == mistake.predicted for mistake in mistakes(evaluation))
    count = evaluation.metrics["sentences"]
    assert model["soft"]["accuracy"] == pytest.approx(model["accuracy"] + soft / count)


def test_page_shows_every_error_escaped_and_runs_its_own_script_alone(page: str, evaluation: Evaluation) -> None:
    found = mistakes(evaluation)
    assert len(found) == round((1 - evaluation.metrics["model"]["accuracy"]) * evaluation.metrics["sentences"]) > 1
    assert page.count("<tr data-order=") == len(found)
    for mistake in found:
        assert mistake.text.replace("<", "&lt;").replace(">", "&gt;")[-8:] in page
        for label in (mistake.gold, mistake.predicted):
            assert f"{mistake.scores[label]:.2f}" in page
    assert "<img" not in page
    assert page.count("</script>") == 1
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL)
    assert script
    allowed = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//|@import|url\(", page)


def test_an_error_is_shown_between_its_neighbours(evaluation: Evaluation) -> None:
    reports = {report.id: report for report in evaluation.reports}
    for mistake in mistakes(evaluation):
        texts = reports[mistake.report].texts
        place = mistake.number - 1
        assert texts[place] == mistake.text
        assert (mistake.before.text if mistake.before else None) == (texts[place - 1] if place else None)
        assert (mistake.after.text if mistake.after else None) == (texts[place + 1] if place < 4 else None)
        assert mistake.margin > 0


def test_several_checkpoints_give_mean_and_spread(
    checkpoint: Path, wrong: Path, run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(checkpoint, tmp_path / "seed"))
    loaded = gangmu.load(copy).checkpoint
    never_goal = Decision(temperature=loaded.decision.temperature, bias=(-50, 0, 0, 0, 0))
    save_texts(copy, loaded.settings, never_goal, "")
    main(wrong, [checkpoint, copy, copy], tmp_path / "out", [run_file.parent / "train.jsonl"])
    metrics = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    seeds, first = metrics["seeds"], metrics["model"]["macro_f1"]
    worse = evaluate(gangmu.load(copy), read_labelled(wrong))["macro_f1"]
    assert seeds["macro_f1"]["values"] == pytest.approx([first, worse, worse])
    assert seeds["macro_f1"]["mean"] == pytest.approx((first + 2 * worse) / 3)
    assert (seeds["macro_f1"]["low"], seeds["macro_f1"]["high"]) == (worse, first)
    assert seeds["f1_goal"]["low"] == 0
    assert [name.partition("@")[0] for name in seeds["checkpoints"]] == ["best", "seed", "seed"]
    assert f"({worse:.3f}, {first:.3f})" in capsys.readouterr().out
    assert "3 seeds: mean" in (tmp_path / "out/evaluation.html").read_text(encoding="utf-8")


def test_the_single_sentence_baseline(checkpoint: Path, wrong: Path, run_file: Path, tmp_path: Path) -> None:
    labeller, train = gangmu.load(checkpoint), [run_file.parent / "train.jsonl"]
    with pytest.raises(UsageError, match=r"--single .*: trained with context report; train one with text.context=none"):
        evaluate_file(labeller, wrong, train, single=labeller)
    copy = Path(shutil.copytree(checkpoint, tmp_path / "alone"))
    save_texts(copy, labeller.checkpoint.settings.model_copy(update={"context": "none"}), Decision(), "")
    alone = gangmu.load(copy)
    metrics = evaluate_file(labeller, wrong, train, single=alone).metrics
    assert set(metrics["baselines"]) == {*BASELINES, SINGLE}
    assert metrics["baselines"][SINGLE]["accuracy"] == evaluate(alone, read_labelled(wrong))["accuracy"]


@pytest.mark.parametrize("labels", [["other"], ["goal"], ["other", "goal"], ["method", "method", "method"]])
def test_tiny_files_are_scored_and_what_cannot_be_is_said(
    labels: list[str], checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "t.jsonl", {"id": "a", "sentences": [sentence("各镇负责人参加会议。", x) for x in labels]})
    main(data, [checkpoint], tmp_path / "out", [data])
    printed = " ".join(capsys.readouterr().out.split())
    assert "Note: One report: no intervals" in printed
    assert "no cross-fitted calibration, which takes 3 or more" in printed
    assert "macro-F1 counts such a function as 0" in printed
    assert "1 of the reports are among those" in printed
    metrics = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert metrics["model"]["macro_f1_interval"] is None
    assert metrics["calibration"] is None
    assert "One report: no intervals" in (tmp_path / "out/evaluation.html").read_text(encoding="utf-8")


def test_three_reports_of_one_class_are_scored(checkpoint: Path, tmp_path: Path) -> None:
    rows = [{"id": f"r{i}", "sentences": [sentence("各镇负责人参加会议。", "other")] * 2} for i in range(3)]
    data = write(tmp_path / "t.jsonl", *rows)
    main(data, [checkpoint], tmp_path / "out", [data])
    metrics = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert metrics["calibration"]["cross_fitted"]["accuracy"] in (0, 1)
    assert [row["threshold"] for row in metrics["calibration"]["abstention"]] == [None] * 3


def test_the_page_is_opened_where_there_is_a_display(
    checkpoint: Path, wrong: Path, run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(eval_module.webbrowser, "open", opened.append)
    monkeypatch.setattr(eval_module.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    main(wrong, [checkpoint], None, [run_file.parent / "train.jsonl"], show=True)
    page = tmp_path / "runs/eval" / f"wrong-{load_checkpoint(checkpoint).name}" / "evaluation.html"
    assert page.is_file()
    assert not opened
    monkeypatch.setenv("DISPLAY", ":0")
    eval_module._show(page)
    assert opened == [page.as_uri()]


def test_labels_have_a_name_in_both_languages_on_the_page(page: str) -> None:
    for name in NAMES:
        assert f'<span lang="en">{name}</span>' in page
