"""Windows -> token ids, with `tokenizers` alone. The only caller of the tokenizer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import BertWordPieceTokenizer, Tokenizer
from tokenizers.models import WordPiece

from gangmu.errors import CheckpointError
from gangmu.settings import TextSettings
from gangmu.windows import Window

ABSENT = -1
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS_CLASS = "PreTrainedTokenizerFast"
"""What transformers calls a tokenizer that is its tokenizer.json and nothing else: one that makes words."""


@dataclass(frozen=True)
class Batch:
    """Windows as arrays: B windows, T tokens, S sentences a window, all padded to the longest."""

    input_ids: NDArray[np.int64]
    """[B, T]"""
    attention_mask: NDArray[np.int64]
    """[B, T]"""
    pool: NDArray[np.float32]
    """[B, S, T]: row s averages the tokens at which sentence s is read; see `sentence_logits`."""


class Row(NamedTuple):
    """A window as ids."""

    ids: list[int]
    spans: list[tuple[int, int]]
    """Where each sentence to label is read: first token, and the one after the last."""


class Encoder:
    """The tokenizer of a checkpoint folder; `encode` is the one way from windows to ids."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        if missing := [token for token in SPECIALS if token not in vocabulary]:
            raise CheckpointError(f"the tokenizer has no {', '.join(missing)}; a BERT vocabulary is needed")
        self.tokenizer = tokenizer
        self.pad, self.unknown, self.cls, self.sep, self.mask = (vocabulary[token] for token in SPECIALS)

    @classmethod
    def load(cls, folder: Path) -> "Encoder":
        """Return the encoder of a Hugging Face folder: its tokenizer.json, or its vocab.txt as older ones have."""
        if (folder / "tokenizer.json").is_file():
            try:
                tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            except Exception as error:  # it raises nothing more special
                raise CheckpointError(f"{folder / 'tokenizer.json'}: no tokenizer: {error}") from error
            return cls(tokenizer)
        if (folder / "vocab.txt").is_file():
            path = folder / "tokenizer_config.json"
            config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            if config.get("tokenizer_class") == WORDS_CLASS:
                raise CheckpointError(
                    f"{folder}: no tokenizer.json, and vocab.txt does not say how words are made; copy it"
                )
            return cls(from_vocabulary(folder / "vocab.txt", bool(config.get("do_lower_case", True))))
        raise CheckpointError(f"{folder}: neither tokenizer.json nor vocab.txt; copy the model's tokenizer there")

    @property
    def words(self) -> bool:
        """Whether Chinese words are tokens too, by byte-pair encoding; BERT's own tokens are single characters."""
        return not isinstance(self.tokenizer.model, WordPiece)

    @cached_property
    def _lone(self) -> NDArray[np.int32]:
        return _lone_characters(self.tokenizer)

    def token_ids(self, sentences: Sequence[str]) -> list[list[int]]:
        """Return the ids of each sentence, without special tokens; a sentence that yields none is one `[UNK]`.

        BERT's normaliser drops characters such as U+FFFD, and still every sentence must get a label. Where tokens are
        characters, sentences of Chinese characters and punctuation alone, most of them, are looked up, which is faster;
        the ids are those of the tokenizer on 100,000 real sentences (a slow test).
        """
        found: list[list[int]] = [[]] * len(sentences) if self.words else self._looked_up(sentences)
        others = [place for place, ids in enumerate(found) if not ids or ABSENT in ids]
        encoded = self.tokenizer.encode_batch_fast([sentences[place] for place in others], add_special_tokens=False)
        for place, encoding in zip(others, encoded, strict=True):
            found[place] = encoding.ids or [self.unknown]
        return found

    def _looked_up(self, sentences: Sequence[str]) -> list[list[int]]:
        """Return the id of each character, ABSENT where the tokenizer must be asked."""
        codes = np.frombuffer("".join(sentences).encode("utf-32-le", "surrogatepass"), np.uint32)
        ids = self._lone[np.minimum(codes, len(self._lone) - 1)].tolist()
        found: list[list[int]] = []
        start = 0
        for sentence in sentences:
            found.append(ids[start : start + len(sentence)])
            start += len(sentence)
        return found

    def encode(self, windows: Sequence[Window], settings: TextSettings) -> Batch:
        """Return the batch of `windows`, see `rows`."""
        return self.batch(self.rows(windows, settings))

    def rows(self, windows: Sequence[Window], settings: TextSettings) -> list[Row]:
        """Return `[CLS] [MASK] s1 [SEP] [MASK] s2 [SEP] …` of each window, `settings.masks` a sentence.

        A sentence too long for the window loses its middle; context that does not fit beside it is left out.
        """
        ids = iter(self.token_ids([sentence for window in windows for sentence in window.sentences]))
        return [self._row([next(ids) for _ in window.sentences], window, settings) for window in windows]

    def batch(self, rows: Sequence[Row]) -> Batch:
        """Return rows as arrays, padded to the longest."""
        longest = max(len(ids) for ids, _ in rows)
        most = max(len(spans) for _, spans in rows)
        input_ids = np.full((len(rows), longest), self.pad, dtype=np.int64)
        attention_mask = np.zeros_like(input_ids)
        pool = np.zeros((len(rows), most, longest), dtype=np.float32)
        for index, (ids, spans) in enumerate(rows):
            input_ids[index, : len(ids)] = ids
            attention_mask[index, : len(ids)] = 1
            for row, (start, end) in enumerate(spans):
                pool[index, row, start:end] = 1 / (end - start)
        return Batch(input_ids, attention_mask, pool)

    def _row(self, sentences: list[list[int]], window: Window, settings: TextSettings) -> Row:
        """Return the row of a window whose sentences have these ids."""
        limit, marks = settings.window, settings.marks
        sentences = [_cut_middle(ids, limit - 1 - marks) for ids in sentences]
        first, last = window.first, window.last
        used = 1 + sum(len(ids) + marks for ids in sentences[first:last])
        low, high = first, last
        while low > 0 and used + len(sentences[low - 1]) + marks <= limit:
            low -= 1
            used += len(sentences[low]) + marks
        while high < len(sentences) and used + len(sentences[high]) + marks <= limit:
            used += len(sentences[high]) + marks
            high += 1
        ids = [self.cls]
        spans = []
        for index in range(low, high):
            start = len(ids)
            ids += [*[self.mask] * settings.masks, *sentences[index], self.sep]
            if first <= index < last:
                spans.append((start, start + settings.masks if settings.masks else len(ids)))
        return Row(ids, spans)


def _lone_characters(tokenizer: Tokenizer) -> NDArray[np.int32]:
    """Return by code point the id of each character that is a token of its own whatever stands beside it, else ABSENT.

    A Chinese character or a mark of punctuation is; a letter or a digit is not, it makes words with its neighbours, and
    so do characters where the vocabulary has words of them. A piece that continues a word (`##中`) is no such word: a
    character which its neighbours could make one of fails the test beside them.
    """
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    table = np.full(1 << 16, ABSENT, np.int32)
    within = {char for token in vocabulary if len(token) > 1 and token[:2] != "##" for char in token}
    single = [t for t in vocabulary if len(t) == 1 and ord(t) < len(table) - 1 and t not in within]
    beside = [[f"a{char}1", f"{char}{char}"] for char in single]
    encoded = tokenizer.encode_batch_fast([text for pair in beside for text in pair], add_special_tokens=False)
    for char, between, twice in zip(single, encoded[::2], encoded[1::2], strict=True):
        own = vocabulary[char]
        if len(between.ids) == 3 and between.ids[1] == own and twice.ids == [own, own]:
            table[ord(char)] = own
    return table


def sentence_logits(pool: NDArray[np.float32], logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [B, S, C], the mean of the token logits [B, T, C] where each sentence is read.

    The same function serves numpy arrays and torch tensors: training and every engine. Read at `[MASK]` tokens, which
    pre-training made to sum up what stands around them, labels are better than as the mean over all tokens
    (models/README.md, `configs/compare/readout.yaml`).
    """
    return pool @ logits


def from_vocabulary(path: Path, lower_case: bool = True) -> Tokenizer:
    """Return BERT's tokenizer over the vocabulary file at `path`, one token a line."""
    built = BertWordPieceTokenizer(str(path), lowercase=lower_case, handle_chinese_chars=True)
    tokenizer: Tokenizer = built._tokenizer
    return tokenizer


def _cut_middle(ids: list[int], limit: int) -> list[int]:
    if len(ids) <= limit:
        return ids
    tail = limit // 2
    return ids[: limit - tail] + ids[len(ids) - tail :]
