import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

import gangmu
from gangmu.checkpoint import load_checkpoint, write_sums
from gangmu.errors import CheckpointError
from gangmu.labels import NAMES


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def test_plain_transformers_loads_it_in_fp32(checkpoint: Path) -> None:
    model = AutoModelForTokenClassification.from_pretrained(checkpoint, local_files_only=True)
    assert model.dtype == torch.float32
    assert [model.config.id2label[i] for i in range(5)] == list(NAMES)
    stored = load_file(checkpoint / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
    assert tokenizer(["要。", "要健全制度。"], padding=True)["input_ids"][0][-1] == tokenizer.pad_token_id
    answers = pipeline("token-classification", model=model, tokenizer=tokenizer)("要健全联席会议制度。")
    assert {answer["entity"] for answer in answers} <= set(NAMES)


@pytest.mark.parametrize("name", ["model.safetensors", "settings.json", "vocab.txt", "decision.json", "SHA256SUMS"])
def test_a_changed_byte_is_refused_by_name(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 0x81
    (copy / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        gangmu.load(copy)


@pytest.mark.parametrize("name", ["settings.json", "SHA256SUMS", "config.json", "model.safetensors"])
def test_a_missing_file_is_refused_by_name(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        gangmu.load(copy)


def test_a_folder_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="make train"):
        gangmu.load(tmp_path / "nothing")


def test_settings_with_another_label_set_show_both(copy: Path) -> None:
    settings = json.loads((copy / "settings.json").read_text())
    settings["labels"] = ["goal", "aim"]
    (copy / "settings.json").write_text(json.dumps(settings))
    write_sums(copy)
    with pytest.raises(CheckpointError, match=r"goal.*aim.*mechanism"):
        load_checkpoint(copy)


def test_sums_cannot_point_outside_the_folder(copy: Path) -> None:
    with (copy / "SHA256SUMS").open("a") as sums:
        sums.write("0" * 64 + "  ../elsewhere\n")
    with pytest.raises(CheckpointError, match="expected 'sha256"):
        load_checkpoint(copy)
