"""Sentences -> logits by their character n-grams: the linear model that a checkpoint may carry beside its encoder.

A small encoder and a linear model err on different sentences (models/README.md has what the two together gain).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from gangmu.errors import CheckpointError
from gangmu.labels import NAMES

BITS = 18
BUCKETS = 1 << BITS
LONGEST = 4
START, END = "\x02", "\x03"
STEP = np.uint64(1_000_003)
SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""Golden-ratio multiplier: the upper bits of a product with it are evenly spread (Knuth, TAOCP 3, 6.4)."""


@dataclass(frozen=True)
class NgramModel:
    """Weights by bucket: n-grams are not listed but hashed, so that the model is arrays and nothing else."""

    weights: NDArray[np.float32]
    """[BUCKETS, 5]"""
    rarity: NDArray[np.float32]
    """[BUCKETS], the inverse document frequency; 0 for a bucket seen in fewer than two training sentences."""
    bias: NDArray[np.float32]
    """[5]"""

    def logits(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Return [n, 5] logits of sentences, each by itself."""
        if not sentences:
            return np.zeros((0, len(NAMES)), np.float32)
        rows, buckets, values = tfidf(sentences, self.rarity)
        found = np.empty((len(sentences), len(NAMES)), np.float32)
        for label in range(len(NAMES)):
            found[:, label] = np.bincount(rows, values * self.weights[buckets, label], minlength=len(sentences))
        return found + self.bias

    def scaled(self, weight: float) -> "NgramModel":
        """Return the model with its logits multiplied, for its place beside an encoder's."""
        return NgramModel(self.weights * np.float32(weight), self.rarity, self.bias * np.float32(weight))

    def save(self, path: Path) -> None:
        """Write the model as safetensors, fp16."""
        path.write_bytes(save({name: array.astype(np.float16) for name, array in vars(self).items()}))


def load_ngrams(path: Path) -> NgramModel | None:
    """Return the model saved at `path`, None when there is none; CheckpointError when it is no such model."""
    if not path.is_file():
        return None
    shapes = {"weights": (BUCKETS, len(NAMES)), "rarity": (BUCKETS,), "bias": (len(NAMES),)}
    try:
        arrays = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if (found := {name: array.shape for name, array in arrays.items()}) != shapes:
        raise CheckpointError(f"{path}: no n-gram model of this version: {found}, expected {shapes}")
    return NgramModel(**{name: array.astype(np.float32) for name, array in arrays.items()})


def counts(sentences: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return (sentence, bucket, times) of the n-grams of 1 to 4 characters, the sentence's two ends among them.

    >>> rows, buckets, times = counts(["要抓。", "要"])
    >>> np.bincount(rows, times).astype(int).tolist()  # 5 + 4 + 3 + 2 and 3 + 2 + 1
    [14, 6]
    """
    text = "".join(f"{START}{sentence}{END}" for sentence in sentences)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    own = np.repeat(np.arange(len(sentences)), [len(sentence) + 2 for sentence in sentences])
    hashes = np.zeros(len(codes), np.uint64)
    keys = []
    for length in range(1, LONGEST + 1):
        last = len(codes) - length + 1
        hashes = hashes[:last] * STEP + codes[length - 1 :]
        inside = own[:last] == own[length - 1 :]
        bucket = ((hashes[inside] + np.uint64(length)) * SPREAD) >> np.uint64(64 - BITS)
        keys.append((own[:last][inside] << BITS) | bucket.astype(np.int64))
    found, times = np.unique(np.concatenate(keys), return_counts=True)
    return found >> BITS, found & (BUCKETS - 1), times


def tfidf(
    sentences: Sequence[str], rarity: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return (sentence, bucket, value): 1 + log of the times, weighted by rarity, each sentence of length 1."""
    rows, buckets, times = counts(sentences)
    values = (1 + np.log(times)) * rarity[buckets]
    lengths = np.sqrt(np.bincount(rows, values**2, minlength=len(sentences)))
    return rows, buckets, values / np.maximum(lengths, 1e-9)[rows]
