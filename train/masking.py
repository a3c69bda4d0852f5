"""Sequences -> masked inputs -> loss: the objective of pre-training, the same on one processor or many."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import BertForMaskedLM, ModernBertForMaskedLM, PreTrainedModel

from gangmu.encoding import SPECIALS, Encoder
from train.config import PretrainingConfig
from train.corpus import IGNORED, Corpus, Ids
from train.processes import in_bf16


@dataclass(frozen=True)
class HeldOut:
    """Scores on held-out text."""

    loss: float
    """Nats a masked token."""
    accuracy: float


def masked(ids: Ids, encoder: Encoder, config: PretrainingConfig, number: int) -> tuple[Ids, Ids]:
    """Return (inputs, labels) of sequences numbered from `number` on: spans hidden, labels -100 elsewhere.

    Of the chosen characters 80 % become `[MASK]`, 10 % a random one, 10 % stay (BERT, arXiv 1810.04805). What is
    hidden depends on the seed and the sequence's number in the run alone, not on the process that computes it.
    """
    inputs = ids.copy()
    labels = np.full_like(ids, IGNORED)
    for row in range(len(ids)):
        random = np.random.default_rng([config.seed, number + row])
        chosen = _spans(ids[row], encoder, config, random)
        labels[row, chosen] = ids[row, chosen]
        action = random.random(len(chosen))
        inputs[row, chosen[action < 0.8]] = encoder.mask
        swapped = chosen[(action >= 0.8) & (action < 0.9)]
        inputs[row, swapped] = random.integers(len(SPECIALS), encoder.tokenizer.get_vocab_size(), len(swapped))
    return inputs, labels


def _spans(ids: Ids, encoder: Encoder, config: PretrainingConfig, random: np.random.Generator) -> Ids:
    """Return the positions to predict: spans of 1 to `longest_span`, never a special token."""
    allowed = (ids != encoder.cls) & (ids != encoder.sep) & (ids != encoder.pad)
    wanted = int(config.mask * allowed.sum())
    hidden = np.zeros(len(ids), dtype=bool)
    starts = random.permutation(len(ids))
    lengths = random.integers(1, config.longest_span + 1, len(ids))
    for start, length in zip(starts, lengths, strict=True):
        if hidden.sum() >= wanted:
            break
        hidden[start : start + length] |= allowed[start : start + length]
    return np.flatnonzero(hidden)


def masked_logits(
    model: torch.nn.Module, inputs: Ids, labels: Ids, precision: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (logits [n, vocabulary], wanted ids [n]) of the n masked tokens.

    Of ModernBERT and BERT the output layer is computed there alone. ModernBERT's own sparse_prediction, which does so
    too, wants the labels and then computes a loss that nobody asked for: 11 against 14 thousand tokens a second on 2
    cores with AMX.
    """
    device = next(model.parameters()).device
    ids, target = torch.from_numpy(inputs).to(device), torch.from_numpy(labels).to(device)
    chosen = target != IGNORED
    with torch.autocast(device.type, torch.bfloat16, enabled=in_bf16(precision, device)):
        if not isinstance(model, ModernBertForMaskedLM | BertForMaskedLM):
            return model(input_ids=ids).logits[chosen], target[chosen]
        hidden = model.base_model(input_ids=ids).last_hidden_state[chosen]
        logits = model.cls(hidden) if isinstance(model, BertForMaskedLM) else model.decoder(model.head(hidden))
        return logits, target[chosen]


def masked_loss(
    model: torch.nn.Module, inputs: Ids, labels: Ids, config: PretrainingConfig, count: int
) -> torch.Tensor:
    """Return the cross entropy summed over these masked tokens and divided by `count`, those of the whole step."""
    loss = _compiled_loss() if config.compile else _summed_loss
    return loss(*masked_logits(model, inputs, labels, config.precision)) / count


def _summed_loss(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return cross_entropy(logits.float(), wanted, reduction="sum")


@cache
def _compiled_loss() -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return the same as one kernel: the logits, 16 k a token, are read twice, not six times (14 to 16 k tokens/s)."""
    return torch.compile(_summed_loss, dynamic=True)


def held_out_scores(model: PreTrainedModel, corpus: Corpus, config: PretrainingConfig) -> HeldOut:
    """Return loss and accuracy at the same masked tokens of the held-out text every time."""
    inputs, labels = masked(corpus.held_out_sequences(config.length), corpus.encoder, config, 0)
    model.eval()
    loss = right = count = 0.0
    with torch.inference_mode():
        for start in range(0, len(inputs), 32):
            rows = slice(start, start + 32)
            logits, wanted = masked_logits(model, inputs[rows], labels[rows], config.precision)
            loss += float(_summed_loss(logits, wanted))
            right += float((logits.argmax(-1) == wanted).sum())
            count += len(wanted)
    model.train()
    return HeldOut(loss / count, right / count)
