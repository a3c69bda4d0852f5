import json
import runpy
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import TrainerCallback

import gangmu
from gangmu.checkpoint import file_hash, write_sums
from gangmu.decision import Decision
from gangmu.errors import CheckpointError, UsageError
from gangmu.labeller import Labeller
from train import fit as fit_module
from train.config import RunConfig
from train.dataset import read_labelled
from train.description import load_config
from train.eval import evaluate
from train.fit import fit
from train.loop import newest_complete
from train.publish import publish

SHORT = ["training.epochs=3"]


def weights(run: Path) -> str:
    return file_hash(run / "best" / "model.safetensors")


def undecided(folder: Path) -> Labeller:
    """Return the labeller of a checkpoint as it is in the loop: before n-grams, temperature and priors are fitted."""
    loaded = gangmu.load(folder)
    return Labeller(replace(loaded.checkpoint, decision=Decision(), ngrams=None), loaded.engine)


def test_run_directory_holds_what_is_needed_to_repeat_it(finished_run: Path) -> None:
    names = {path.name for path in finished_run.iterdir()}
    files = {"config.yaml", "environment.json", "fingerprint", "log.json", "metrics.json", "evaluation.html"}
    assert names == files | {"best", "samples.html"}
    environment = json.loads((finished_run / "environment.json").read_text())
    assert environment["packages"]["torch"] == torch.__version__
    assert environment["threads"] == 1
    assert not list(finished_run.rglob("*.bin"))
    assert "会议强调，要健全联席会议制度。" in (finished_run / "samples.html").read_text(encoding="utf-8")


def test_overfits_saves_and_reloads_to_the_same_scores(finished_run: Path, run_file: Path) -> None:
    labeller = gangmu.load(finished_run / "best")
    scores = evaluate(labeller, read_labelled(run_file.parent / "train.jsonl"))
    assert scores["macro_f1"] == 1.0
    assert scores["accuracy"] == 1.0


def test_score_in_the_loop_equals_train_eval(finished_run: Path, run_file: Path) -> None:
    log = json.loads((finished_run / "log.json").read_text())
    best = max(log.values(), key=lambda scores: scores["macro_f1"])
    found = evaluate(undecided(finished_run / "best"), read_labelled(run_file.parent / "dev.jsonl"))
    assert found["macro_f1"] == pytest.approx(best["macro_f1"], abs=1e-9)


def test_masks_travel_with_the_checkpoint(run_file: Path, tmp_path: Path) -> None:
    longer = ["text.masks=2", "training.epochs=16", "training.learning_rate=0.01"]
    run = fit(load_config(run_file, longer, RunConfig), runs=tmp_path)
    labeller = gangmu.load(run / "best")
    assert labeller.checkpoint.settings.masks == 2
    dev = read_labelled(run_file.parent / "dev.jsonl")
    best = max(json.loads((run / "log.json").read_text()).values(), key=lambda scores: scores["macro_f1"])
    found = evaluate(undecided(run / "best"), dev)["macro_f1"]
    assert found == pytest.approx(best["macro_f1"], abs=1e-9)
    assert found > 0.6
    assert "`[MASK]` tokens" in (run / "best" / "README.md").read_text(encoding="utf-8")


def test_same_seed_gives_the_same_weights_and_another_does_not(run_file: Path, tmp_path: Path) -> None:
    runs = [fit(load_config(run_file, SHORT, RunConfig), runs=tmp_path / name) for name in ("a", "b")]
    other = fit(load_config(run_file, [*SHORT, "training.seed=1"], RunConfig), runs=tmp_path / "c")
    assert weights(runs[0]) == weights(runs[1]) != weights(other)


class KilledError(Exception):
    """Stands for a kill."""


class KillAtStep(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        if state.global_step == 30:
            raise KilledError


def test_interrupted_run_resumes_to_the_same_weights(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(run_file, SHORT, RunConfig)
    whole = fit(config, runs=tmp_path / "whole")
    build = fit_module.build_trainer

    def killed(*args):  # type: ignore[no-untyped-def]
        return build(*args[:-1], [*args[-1], KillAtStep()])

    monkeypatch.setattr(fit_module, "build_trainer", killed)
    with pytest.raises(KilledError):
        fit(config, runs=tmp_path / "broken")
    monkeypatch.undo()
    checkpoints = tmp_path / "broken" / "tiny" / "checkpoints"
    newest = max(checkpoints.iterdir(), key=lambda path: int(path.name.split("-")[1]))
    torn = checkpoints / "checkpoint-30"  # a kill in the middle of a save leaves this
    shutil.copytree(newest, torn)
    (torn / "trainer_state.json").write_text('{"epoch": 2.')
    assert weights(fit(config, runs=tmp_path / "broken")) == weights(whole)


def test_a_torn_checkpoint_is_passed_over(tmp_path: Path) -> None:
    for name in ("checkpoint-10", "checkpoint-9"):
        (tmp_path / name).mkdir()
        for file in ("trainer_state.json", "model.safetensors", "optimizer.pt", "scheduler.pt"):
            (tmp_path / name / file).write_text("{}")
    (tmp_path / "checkpoint-10" / "trainer_state.json").unlink()
    assert newest_complete(tmp_path) == str(tmp_path / "checkpoint-9")
    assert not (tmp_path / "checkpoint-10").exists()


def test_second_call_scores_again_and_another_config_is_refused(
    finished_run: Path, run_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = weights(finished_run)
    with caplog.at_level("INFO"):
        fit(load_config(run_file, [], RunConfig), runs=finished_run.parent)
    assert "is finished with this config and data" in caplog.text
    assert weights(finished_run) == before
    with pytest.raises(UsageError, match="--fresh"):
        fit(load_config(run_file, SHORT, RunConfig), runs=finished_run.parent)


def test_unknown_encoder_is_refused_before_anything_is_written(run_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"model.hub=true"):
        fit(load_config(run_file, ["model.name=bert-base-chinese"], RunConfig), runs=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_window_longer_than_the_encoder_reads_is_refused(run_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"text.window: 200 tokens, but .* reads at most 128"):
        fit(load_config(run_file, ["text.window=200"], RunConfig), runs=tmp_path)


def test_fresh_deletes_run_directories_only(run_file: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "precious.txt").write_text("x")
    with pytest.raises(UsageError, match="is no run directory"):
        fit(load_config(run_file, [], RunConfig), fresh=True, runs=tmp_path)
    assert (tmp_path / "tiny" / "precious.txt").exists()


def test_an_encoder_with_a_changed_byte_is_refused(run_file: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_encoder, tmp_path / "copy"))
    write_sums(copy)
    content = bytearray((copy / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model.safetensors: sha256"):
        fit(load_config(run_file, [f"model.name={copy}"], RunConfig), runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("module", "arguments", "code", "words"),
    [
        ("train.eval", ["--model", "{best}", "--data", "{bad}"], 65, "bad.jsonl:1: sentences.0.label: label '措施'"),
        ("train.eval", ["--model", "nowhere", "--data", "{bad}"], 2, "nowhere: no such folder"),
        (
            "train.eval",
            ["--model", "{best}", "--data", "{good}", "--train", "{good}", "--output", "{good}"],
            74,
            "good.jsonl",
        ),
        ("train.fit", ["nowhere.yaml"], 2, "nowhere.yaml: No such file"),
    ],
)
def test_commands_leave_with_the_documented_code(
    finished_run: Path, run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], module: str, arguments: list[str], code: int, words: str,
) -> None:  # fmt: skip
    places = {"best": finished_run / "best", "bad": tmp_path / "bad.jsonl", "good": tmp_path / "good.jsonl"}
    places["good"].write_text((run_file.parent / "dev.jsonl").read_text(encoding="utf-8"), encoding="utf-8")
    bad = {"id": "x", "sentences": [{"paragraph": 0, "text": "甲。", "label": "措施"}]}
    places["bad"].write_text(json.dumps(bad, ensure_ascii=False), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", [module, *(a.format(**places) for a in arguments)])
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module(module, run_name="__main__")
    assert stopped.value.code == code
    assert words in " ".join(capsys.readouterr().err.split())


def test_publish_copies_a_whole_checkpoint_with_its_card(finished_run: Path, tmp_path: Path) -> None:
    publish(finished_run, tmp_path / "mine")
    labelled = gangmu.load(tmp_path / "mine").label("要健全联席会议制度。")
    assert labelled.model.startswith("mine@")
    assert "macro-F1" in (tmp_path / "mine" / "README.md").read_text(encoding="utf-8")
