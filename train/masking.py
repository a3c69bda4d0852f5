"""Sequences -> masked inputs -> loss: the objective of pre-training, the same on one processor or many."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

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

    ModernBERT computes its output layer there alone (sparse_prediction); other encoders compute it everywhere.
    """
    device = next(model.parameters()).device
    target = torch.from_numpy(labels).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=in_bf16(precision, device)):
        # ModernBERT is sparse only when it is given labels
        logits = model(input_ids=torch.from_numpy(inputs).to(device), labels=target).logits
    chosen = target != IGNORED
    return (logits if logits.ndim == 2 else logits[chosen]).float(), target[chosen]


def masked_loss(model: torch.nn.Module, inputs: Ids, labels: Ids, precision: str, count: int) -> torch.Tensor:
    """Return the cross entropy summed over these masked tokens and divided by `count`, those of the whole step."""
    logits, wanted = masked_logits(model, inputs, labels, precision)
    return cross_entropy(logits, wanted, reduction="sum") / count


def held_out_scores(model: PreTrainedModel, corpus: Corpus, config: PretrainingConfig) -> HeldOut:
    """Return loss and accuracy at the same masked tokens of the held-out text every time."""
    inputs, labels = masked(corpus.held_out_sequences(config.length), corpus.encoder, config, 0)
    model.eval()
    loss = right = count = 0.0
    with torch.inference_mode():
        for start in range(0, len(inputs), 32):
            rows = slice(start, start + 32)
            logits, wanted = masked_logits(model, inputs[rows], labels[rows], config.precision)
            loss += float(cross_entropy(logits, wanted, reduction="sum"))
            right += float((logits.argmax(-1) == wanted).sum())
            count += len(wanted)
    model.train()
    return HeldOut(loss / count, right / count)
