"""Encoders as users have them: tiny models in the file formats of the well-known Chinese BERTs."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import BertForMaskedLM, BertForPreTraining, BertTokenizer

import gangmu
from train.config import RunConfig
from train.description import load_config
from train.fit import build_model, fit


def old_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights under the names of 2018, as bert-base-chinese still has them."""
    return {k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v.clone()
            for k, v in state.items()}  # fmt: skip


def write_model(folder: Path, tiny: Path, style: str) -> Path:
    """Write a tiny model as bert-base-chinese, chinese-macbert-base or chinese-roberta-wwm-ext are written."""
    folder.mkdir()
    model = BertForMaskedLM.from_pretrained(tiny)
    config = {k: v for k, v in model.config.to_dict().items() if k not in ("dtype", "transformers_version")}
    config |= {"architectures": ["BertForMaskedLM"], "directionality": "bidi", "pooler_type": "first_token_transform"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text((tiny / "vocab.txt").read_text(encoding="utf-8"), encoding="utf-8")
    state = model.state_dict()
    if style == "bert-base-chinese":
        tokenizer = BertTokenizer.from_pretrained(tiny)
        tokenizer.save_pretrained(folder)
        (folder / "tokenizer_config.json").write_text('{"do_lower_case": false, "model_max_length": 512}')
        save_file(
            {k: v.contiguous() for k, v in old_names(state).items()}, folder / "model.safetensors", {"format": "pt"}
        )
    elif style == "chinese-macbert-base":
        (folder / "tokenizer_config.json").write_text('{"init_inputs": []}')
        (folder / "special_tokens_map.json").write_text('{"unk_token": "[UNK]", "mask_token": "[MASK]"}')
        torch.save(old_names(state), folder / "pytorch_model.bin")
    else:
        (folder / "added_tokens.json").write_text("{}")
        torch.save(BertForPreTraining(model.config).state_dict(), folder / "pytorch_model.bin")
    return folder


STYLES = ["bert-base-chinese", "chinese-macbert-base", "chinese-roberta-wwm-ext"]


@pytest.mark.parametrize("style", STYLES)
def test_fine_tunes_and_labels(style: str, tiny_encoder: Path, run_file: Path, tmp_path: Path) -> None:
    folder = write_model(tmp_path / style, tiny_encoder, style)
    overrides = [f"model.name={folder}", "training.epochs=1", "training.max_steps=2"]
    run = fit(load_config(run_file, overrides, RunConfig), runs=tmp_path / "runs")
    assert len(gangmu.load(run / "best").label("要健全制度。会议召开。").sentences) == 2


@pytest.mark.parametrize("style", STYLES[:2])
def test_the_weights_are_really_taken(style: str, tiny_encoder: Path, tmp_path: Path) -> None:
    folder = write_model(tmp_path / style, tiny_encoder, style)
    expected = BertForMaskedLM.from_pretrained(tiny_encoder).bert.state_dict()
    found = build_model(folder).bert.state_dict()  # type: ignore[attr-defined]
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
