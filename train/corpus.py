"""Folders of text -> token sequences for pre-training: a vocabulary, a cached memory map, draws, masks.

Everything drawn depends on the seed and the position alone, so a resumed run sees what an unbroken one would.
"""

import hashlib
import io
import json
import logging
import lzma
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from gangmu.cleaning import clean
from gangmu.encoding import SPECIALS, Encoder
from gangmu.errors import DataError
from gangmu.sentences import sentence_spans
from gangmu.writing import write_whole
from train.config import CorpusConfig

log = logging.getLogger(__name__)
HELD_OUT = 300
"""Every so many documents one is held out."""
LEAST_HELD = 511
"""Tokens held out at least, a sequence of 512: the first documents of a small corpus."""
LARGE = 1_000_000
"""Tokens of a file that is cut into sequences by itself."""
IGNORED = -100
LONGEST_WORD = 3
"""Characters."""
WORDS_FROM = 4
"""Of so many documents one is read to find the words."""
ENDINGS = (".txt", ".txt.xz", ".jsonl", ".jsonl.xz")
Ids = NDArray[np.int64]
Stored = NDArray[np.uint16]


def corpus_files(folder: Path) -> list[Path]:
    """Return the text files of a corpus folder and those below it, sorted; DataError when there are none."""
    files = sorted(path for path in folder.rglob("*") if path.name.endswith(ENDINGS) and path.is_file())
    if not files:
        raise DataError(f"{folder}: no {', '.join(ENDINGS)} file; point corpus.path at a folder of text")
    return files


def documents(path: Path, step: int = 1) -> Iterator[list[str]]:
    """Yield the clean paragraphs of every `step`-th document; DataError names what is no UTF-8 and no JSON."""
    try:
        for text in islice(raw_documents(path), 0, None, step):
            yield clean(text).text.split("\n")
    except (UnicodeDecodeError, lzma.LZMAError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}; convert it or take it away") from error


def raw_documents(path: Path) -> Iterator[str]:
    """Yield the documents of a file: between blank lines, or the `text` of each JSON object."""
    paragraphs: list[str] = []
    with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as stream:
        lines = io.TextIOWrapper(stream, encoding="utf-8-sig")
        if path.name.endswith((".jsonl", ".jsonl.xz")):
            yield from (_json_text(path, number, line) for number, line in enumerate(lines, 1) if line.strip())
            return
        for line in lines:
            if line.strip():
                paragraphs.append(line.rstrip("\n"))
            elif paragraphs:
                yield "\n".join(paragraphs)
                paragraphs = []
    if paragraphs:
        yield "\n".join(paragraphs)


def _json_text(path: Path, number: int, line: str) -> str:
    """Return the text of a line of JSON Lines: `text`, or the sentences of a labelled report."""
    try:
        row = json.loads(line)
        text = row["text"] if "text" in row else "".join(sentence["text"] for sentence in row["sentences"])
        return text + ""
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f'{path}:{number}: expected {{"text": "…"}}, found {line[:60]!r} ({error!r})') from None


def make_vocabulary(files: list[Path], size: int) -> list[str]:
    """Return special tokens, printable ASCII with its `##` forms, then the other characters by frequency."""
    counts: Counter[str] = Counter()
    for path in track(files, "counting characters"):
        for paragraphs in documents(path):
            counts.update("".join(paragraphs).lower())
    printable = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    pieces = [f"##{char}" for char in printable if char.isalnum()]
    tokens = [*SPECIALS, *printable, *pieces]
    taken = set(tokens)
    frequent = [char for char, _ in counts.most_common() if char not in taken and not char.isspace()]
    return tokens + frequent[: size - len(tokens)]


def word_tokenizer(files: list[Path], characters: list[str], words: int) -> Tokenizer:
    """Return a tokenizer with so many frequent words beside the characters, each of LONGEST_WORD characters at most.

    Byte-pair encoding (arXiv 1508.07909) of the runs between punctuation, learnt on every WORDS_FROM-th document.
    """
    single = [token for token in characters if len(token) == 1]
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(handle_chinese_chars=False, lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=len(SPECIALS) + len(single) + words,
        special_tokens=list(SPECIALS),
        initial_alphabet=single,
        limit_alphabet=len(single),
        max_token_length=LONGEST_WORD + 1,  # tokens stay shorter than that
        show_progress=False,
    )
    read = (document for path in track(files, "counting words") for document in documents(path, WORDS_FROM))
    tokenizer.train_from_iterator(map("\n".join, read), trainer)
    return tokenizer


class Corpus:
    """Token ids of a corpus folder, cached as one uint16 memory map a file."""

    def __init__(self, config: CorpusConfig, cache: Path, start: Path | None = None) -> None:
        """`start`: an encoder folder whose tokenizer is taken where the config asks for no vocabulary of the corpus."""
        self.files = corpus_files(config.path)
        self.names = [source_name(path, config.path) for path in self.files]
        if doubled := [name for name, count in Counter(self.names).items() if count > 1]:
            raise DataError(f"{config.path}: {', '.join(doubled)} is there with two endings; keep one")
        if absent := sorted(set(config.weights) - set(self.names)):
            log.warning("corpus.weights names files that %s does not have: %s", config.path, ", ".join(absent))
        cache.mkdir(parents=True, exist_ok=True)
        self.tokenizer_folder = start if start and not config.vocabulary else cache
        made = cache / ("tokenizer.json" if config.words else "vocab.txt")
        if config.vocabulary and not made.exists():
            characters = make_vocabulary(self.files, config.vocabulary)
            tokenizer = word_tokenizer(self.files, characters, config.words).to_str() if config.words else None
            write_whole(made, tokenizer or "\n".join(characters) + "\n")
        self.encoder = Encoder.load(self.tokenizer_folder)
        documents_before = held_before = 0
        for path, name in zip(self.files, self.names, strict=True):
            counts = cache / f"{name}.json"
            if not counts.exists():
                self._tokenise(path, cache, name, documents_before, held_before)
            documents_before += json.loads(counts.read_text(encoding="utf-8")).get("documents", 0)
            held_before += (cache / f"{name}.held").stat().st_size // 2
        self.tokens = [_mapped(cache / f"{name}.train") for name in self.names]
        self.streams = _streams(self.tokens, [config.weights.get(name, 1.0) for name in self.names])
        self.held_out = np.concatenate([_mapped(cache / f"{name}.held") for name in self.names])

    def _tokenise(self, path: Path, cache: Path, name: str, before: int, held_before: int) -> None:
        """Write the ids of `path`, a `[SEP]` after each sentence as in the windows of reports.

        `before`: documents of the files before it, so that every HELD_OUT-th of the whole corpus is held out, and
        `held_before` tokens of them, so that the first documents are until those are LEAST_HELD.
        """
        unknown = total = number = 0
        with (cache / f"{name}.train").open("wb") as kept, (cache / f"{name}.held").open("wb") as held:
            for number, paragraphs in enumerate(track(documents(path), f"tokenising {path.name}"), 1):
                sentences = [line[i:j] for line in paragraphs for i, j in sentence_spans(line)]
                ids = [i for row in self.encoder.token_ids(sentences) for i in (*row, self.encoder.sep)]
                unknown += ids.count(self.encoder.unknown)
                total += len(ids)
                out = (before + number) % HELD_OUT == 1 or held_before < LEAST_HELD
                held_before += len(ids) * out
                (held if out else kept).write(np.array(ids, np.uint16).tobytes())
        counts = {"file": path.name, "documents": number, "tokens": total, "unknown": unknown}
        write_whole(cache / f"{name}.json", json.dumps(counts))
        log.info("%s: %d tokens, %d unknown", path.name, total, unknown)

    def sequences(self, start: int, count: int, length: int, seed: int) -> Ids:
        """Return sequences number start..start+count of the endless shuffled stream, [count, length]."""
        return np.stack([self._sequence(number, length, seed) for number in range(start, start + count)])

    def _sequence(self, number: int, length: int, seed: int) -> Ids:
        shares = self._shares(length)
        epoch, place = divmod(number, sum(shares))
        drawn = int(_order(sum(shares), seed, epoch, length)[place])
        for (ids, _), share in zip(self.streams, shares, strict=True):
            if drawn < share:
                size = len(ids) // (length - 1)
                # a weight below 1 takes another part of the file in every epoch
                at = (drawn + epoch * share) % size * (length - 1)
                return self._with_cls(ids[at : at + length - 1])
            drawn -= share
        raise AssertionError("a draw lies inside the shares")

    def _shares(self, length: int) -> list[int]:
        """Return how many sequences each stream gives to an epoch."""
        return [int(len(ids) // (length - 1) * weight) for ids, weight in self.streams]

    def check(self, length: int) -> None:
        """Raise DataError when there is no sequence of that length to train on, or none held out."""
        if len(self.held_out) < length - 1 or not sum(self._shares(length)):
            found = f"{sum(map(len, self.tokens))} tokens to train on and {len(self.held_out)} held out"
            raise DataError(f"the corpus is too small for sequences of {length} tokens: {found}; add text")

    def held_out_sequences(self, length: int, most: int = 512) -> Ids:
        """Return at most `most` held-out sequences, [n, length], evenly from the whole."""
        places = range(0, len(self.held_out) - length + 2, length - 1)
        pieces = [self._with_cls(self.held_out[at : at + length - 1]) for at in places]
        return np.stack(pieces[:: max(1, len(pieces) // most)][:most])

    def _with_cls(self, ids: Stored) -> Ids:
        return np.concatenate([[self.encoder.cls], ids]).astype(np.int64)


def source_name(path: Path, folder: Path) -> str:
    """Return the name of a file in weights, cards and cache: its path without ending, `a/b.txt.xz` as `a.b`."""
    parts = path.relative_to(folder).parts
    return ".".join(parts).removesuffix(".xz").removesuffix(".txt").removesuffix(".jsonl")


def _streams(files: list[Stored], weights: list[float]) -> list[tuple[Stored, float]]:
    """Return token ids to cut into sequences, with their weights: large files, and the others of one weight in one.

    Cut by themselves, small files lose what is left at their ends: of 366 of one report each, 10 % of the tokens in
    sequences of 128, and 41 % in those of 512.
    """
    large = []
    small: dict[float, list[Stored]] = defaultdict(list)
    for ids, weight in zip(files, weights, strict=True):
        if len(ids) < LARGE:
            small[weight].append(ids)
        else:
            large.append((ids, weight))
    return [*large, *((np.concatenate(several), weight) for weight, several in small.items())]


def _mapped(path: Path) -> Stored:
    """Return the ids of a cached file; an empty one, a small source with nothing held out, cannot be mapped."""
    return np.memmap(path, dtype=np.uint16, mode="r") if path.stat().st_size else np.zeros(0, np.uint16)


@lru_cache(maxsize=1)
def _order(size: int, seed: int, epoch: int, length: int) -> NDArray[np.uint32]:
    """Return the shuffled order of an epoch; only the last one asked for is kept."""
    return np.random.default_rng([seed, epoch, length]).permutation(size).astype(np.uint32)


def corpus_hash(config: CorpusConfig) -> str:
    """Return a short hash of what a corpus holds: names and sizes of its files, and the settings but its path."""
    files = corpus_files(config.path)
    listing = [[str(path.relative_to(config.path)), path.stat().st_size] for path in files]
    settings = config.model_dump(mode="json", exclude={"path"})
    return hashlib.sha256(json.dumps([listing, settings]).encode()).hexdigest()[:16]
