import json
import lzma
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, AutoModelForTokenClassification

from gangmu.checkpoint import file_hash, verify
from gangmu.errors import DataError, UsageError
from train import pretrain as pretrain_module
from train.config import PretrainConfig, load_config
from train.corpus import IGNORED, Corpus, masked
from train.pretrain import Run, newest, pretrain, rate

CONFIG = Path(__file__).parent.parent.parent / "configs/pretrain/base.yaml"
DOCUMENT = "要健全联席会议制度；要深入排查隐患。\n各镇负责人参加会议，去年新增就业两千人。"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    text = "\n\n".join(f"第{i}号文件。\n{DOCUMENT}" for i in range(700))
    (folder / "甲.txt").write_text(text, encoding="utf-8")
    (folder / "乙.txt.xz").write_bytes(lzma.compress(text[:3000].encode()))
    return folder


def config(corpus: Path, output: Path, *more: str) -> PretrainConfig:
    shape = ["shape.hidden=32", "shape.layers=2", "shape.heads=2", "shape.intermediate=32"]
    training = ["tokens=2560", "step_tokens=128", "length=32", "final_length=64", "warmup_steps=4", "threads=1"]
    values = [f"corpus.path={corpus}", f"output={output}", "corpus.vocabulary=200", *shape]
    return load_config(
        CONFIG, [*values, "corpus.weights.乙=0.5", *(f"training.{x}" for x in training), *more], PretrainConfig
    )


def test_encoder_is_a_hugging_face_folder_that_fine_tuning_takes(corpus: Path, tmp_path: Path) -> None:
    run = pretrain(config(corpus, tmp_path / "out"))
    assert run.step == 20
    folder = tmp_path / "out" / "encoder"
    verify(folder)
    model = AutoModelForMaskedLM.from_pretrained(folder, local_files_only=True)
    assert model.config.pad_token_id == 0
    assert all(getattr(model.config, name) < 200 for name in ("cls_token_id", "sep_token_id", "eos_token_id"))
    AutoModelForTokenClassification.from_pretrained(folder, local_files_only=True)
    history = json.loads((folder / "pretraining.json").read_text(encoding="utf-8"))["history"]
    assert history[-1]["loss"] < math.log(200)


def test_broken_run_resumes_to_the_same_weights(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretrain(config(corpus, tmp_path / "whole"))
    settings = config(corpus, tmp_path / "broken", "training.save_minutes=1e-9")
    step = Run.train_step

    def killed(run: Run, steps: int) -> float:
        if run.step == 17:
            raise KeyboardInterrupt
        return step(run, steps)

    monkeypatch.setattr(pretrain_module.Run, "train_step", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain(settings)
    monkeypatch.undo()
    checkpoints = tmp_path / "broken" / "checkpoints"
    (checkpoints / "checkpoint-99.part").mkdir()  # what a kill in the middle of a save leaves
    found = newest(checkpoints)
    assert found is not None
    assert found.name == "checkpoint-17"
    pretrain(settings)
    name = "encoder/model.safetensors"
    assert file_hash(tmp_path / "broken" / name) == file_hash(tmp_path / "whole" / name)


def test_a_run_goes_on_from_the_stable_weights_of_another(corpus: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    pretrain(config(corpus, first))
    more = config(corpus, tmp_path / "second", f"start={first / 'stable'}")
    stable = load_file(first / "stable" / "model.safetensors")
    begun = dict(Run(more).model.named_parameters())
    assert all(torch.equal(begun[name].half(), tensor) for name, tensor in stable.items() if name in begun)
    pretrain(more)
    record = json.loads((tmp_path / "second" / "encoder" / "pretraining.json").read_text(encoding="utf-8"))
    assert [run["tokens"] for run in record["before"]] == [2048]
    card = (tmp_path / "second" / "encoder" / "README.md").read_text(encoding="utf-8")
    assert "on 0.0 M tokens" in card
    assert card.count("| 2 | 0.0 |") == 1
    with pytest.raises(UsageError, match="not of the shape described"):
        Run(config(corpus, tmp_path / "third", f"start={first / 'stable'}", "shape.hidden=64"))


def test_masks_hide_spans_of_characters_and_never_special_tokens(corpus: Path, tmp_path: Path) -> None:
    settings = config(corpus, tmp_path)
    found = Corpus(settings.corpus, tmp_path / "cache")
    ids = found.sequences(0, 40, 32, 1)
    inputs, labels = masked(ids, found.encoder, settings.training, 0)
    chosen = labels != IGNORED
    assert 0.2 < chosen.mean() < 0.3
    assert not np.isin(ids[chosen], [found.encoder.cls, found.encoder.sep]).any()
    assert (labels[chosen] == ids[chosen]).all()
    assert (inputs[~chosen] == ids[~chosen]).all()
    assert 0.7 < (inputs[chosen] == found.encoder.mask).mean() < 0.9
    again, _ = masked(ids, found.encoder, settings.training, 0)
    assert (again == inputs).all()


def test_sequences_cover_an_epoch_once_and_start_with_cls(corpus: Path, tmp_path: Path) -> None:
    found = Corpus(config(corpus, tmp_path).corpus.model_copy(update={"weights": {}}), tmp_path / "cache")
    size = sum(len(ids) // 31 for ids in found.tokens)
    epoch = found.sequences(0, size, 32, 7)
    assert (epoch[:, 0] == found.encoder.cls).all()
    expected = np.concatenate([ids[: len(ids) // 31 * 31] for ids in found.tokens])
    assert sorted(epoch[:, 1:].flatten()) == sorted(expected)


def test_rate_rises_stays_and_falls() -> None:
    settings = load_config(CONFIG, ["training.warmup_steps=10", "training.decay=0.2"], PretrainConfig).training
    rates = [rate(step, 100, settings) for step in range(100)]
    assert rates[0] == pytest.approx(settings.learning_rate / 10)
    assert rates[10:80] == [settings.learning_rate] * 70
    assert rates[90] == pytest.approx(settings.learning_rate / 2)
    assert 0 < rates[99] < settings.learning_rate / 10


def test_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no .txt or .txt.xz file"):
        Corpus(config(tmp_path, tmp_path).corpus, tmp_path / "cache")


def test_a_few_documents_are_enough(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(3):
        (folder / f"2024.{number}.txt").write_text("\n\n".join([DOCUMENT * 3] * 20), encoding="utf-8")
    found = Corpus(config(folder, tmp_path).corpus, tmp_path / "cache")
    assert found.names == ["2024.0", "2024.1", "2024.2"]
    assert all(len(ids) > 500 for ids in found.tokens)
    assert len(found.held_out_sequences(32)) >= 1


def test_an_output_folder_of_another_corpus_is_refused(corpus: Path, tmp_path: Path) -> None:
    Run(config(corpus, tmp_path / "out"))
    (corpus / "丙.txt").write_text(DOCUMENT, encoding="utf-8")
    with pytest.raises(UsageError, match="another corpus"):
        Run(config(corpus, tmp_path / "out"))
