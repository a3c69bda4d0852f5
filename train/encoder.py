"""The encoder in pre-training: its model, its optimisers, and how fast it learns when."""

import re
from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM, ModernBertConfig, ModernBertForMaskedLM, PreTrainedModel

from gangmu.encoding import Encoder
from gangmu.errors import CheckpointError, UsageError
from train.config import EncoderShape, PretrainingConfig
from train.muon import Muon

LAYER = re.compile(r"\.layers?\.\d+\.")
WORD_BIAS = 2.0
"""Nats."""


def special_ids(encoder: Encoder) -> dict[str, int]:
    """Return the special-token ids of a model's config."""
    begin, end = encoder.cls, encoder.sep
    return {
        "pad_token_id": encoder.pad,
        "bos_token_id": begin,
        "cls_token_id": begin,
        "eos_token_id": end,
        "sep_token_id": end,
    }


def build_model(shape: EncoderShape, encoder: Encoder, longest: int) -> ModernBertForMaskedLM:
    """Return a fresh encoder with its masked-language-model head.

    The default special-token ids of ModernBertConfig lie outside a Chinese vocabulary, so all are set.
    """
    config = ModernBertConfig(
        vocab_size=encoder.tokenizer.get_vocab_size(),
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        local_attention=shape.local_attention,
        global_attn_every_n_layers=2,
        max_position_embeddings=longest,
        attn_implementation="sdpa",
        **special_ids(encoder),
    )
    return ModernBertForMaskedLM(config)


def load_model(folder: Path, longest: int) -> PreTrainedModel:
    """Return the encoder of a Hugging Face folder with its masked-language-model head."""
    try:
        model = AutoModelForMaskedLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, dtype=torch.float32, attn_implementation="sdpa"
        )
    except (OSError, ValueError) as error:
        raise CheckpointError(f"start: {folder} is no encoder folder that can be read: {error}") from error
    if longest > (most := model.config.max_position_embeddings):
        raise UsageError(f"training.final_length: {longest} tokens, but {folder} reads at most {most}")
    return model


def take_vocabulary(model: PreTrainedModel, old: Encoder, new: Encoder) -> None:
    """Let `model`, which reads the tokens of `old`, read those of `new`: what it lacks begins as its characters' mean.

    So a start from characters goes on with words and keeps what its layers know (models/README.md, "Trials").
    A word's output bias is lower by WORD_BIAS, since it is rarer than its characters.
    """
    known, tokens = (encoder.tokenizer.get_vocab(with_added_tokens=True) for encoder in (old, new))
    ordered = sorted(tokens, key=tokens.__getitem__)
    parts = [[known[t]] if t in known else [known.get(char, old.unknown) for char in t] for t in ordered]
    rarer = torch.tensor([WORD_BIAS * (token not in known) for token in ordered])
    with torch.no_grad():
        vectors, biases = model.get_input_embeddings().weight.clone(), model.get_output_embeddings().bias.clone()
        model.resize_token_embeddings(len(ordered), mean_resizing=False)
        model.get_input_embeddings().weight.copy_(torch.stack([vectors[ids].mean(0) for ids in parts]))
        model.get_output_embeddings().bias.copy_(torch.stack([biases[ids].mean() for ids in parts]) - rarer)
    model.tie_weights()
    for role, index in special_ids(new).items():
        setattr(model.config, role, index)


def build_optimizers(model: PreTrainedModel, config: PretrainingConfig) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the layers and AdamW for embeddings, head and norms.

    From random weights, held-out loss after 3.1 M tokens: 4.43 with AdamW alone, 4.22 with Muon (models/README.md).
    """
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and LAYER.search(name)]
    known = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in known]
    decayed, plain = [p for p in others if p.ndim > 1], [p for p in others if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    muon = Muon(matrices, config.weight_decay)
    return [muon, torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)]


def attention(length: int, device: torch.device) -> str:
    """Return how attention is computed fastest in training: plain matrix products for short sequences on processors.

    Tokens a second on 2 cores with AMX, steps of 8,192 tokens: sequences of 128, 12.0 thousand against 7.5 with SDPA;
    of 512, 4.5 against 6.8.
    """
    return "eager" if device.type == "cpu" and length <= 256 else "sdpa"


def rate(step: int, steps: int, config: PretrainingConfig) -> float:
    """Return the learning rate of a step: warm-up, constant, then linear to zero over the last `decay` of the run."""
    left = (steps - step) / max(1, round(steps * config.decay))
    return config.learning_rate * min(1.0, (step + 1) / config.warmup_steps, left)
