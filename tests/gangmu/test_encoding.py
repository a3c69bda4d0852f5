import json
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from gangmu.cleaning import clean
from gangmu.encoding import ABSENT, SPECIALS, Encoder, from_vocabulary, sentence_logits
from gangmu.errors import CheckpointError
from gangmu.sentences import split_sentences
from gangmu.settings import TextSettings
from gangmu.windows import windows
from tests.conftest import ROOT, SHARED
from train.corpus import corpus_files, raw_documents
from train.dataset import read_labelled

SHIPPED = lru_cache(lambda: Encoder.load(ROOT / "models/gangmu-base"))


@pytest.fixture
def encoder(tiny_encoder: Path) -> Encoder:
    return Encoder.load(tiny_encoder)


def test_one_row_a_sentence_each_closed_by_sep(encoder: Encoder) -> None:
    found = windows(["要健全制度。", "会议召开。"], TextSettings())
    batch = encoder.encode(found, TextSettings())
    ids = batch.input_ids[0].tolist()
    assert ids[0] == encoder.cls
    assert ids.count(encoder.sep) == 2
    assert batch.pool.shape[:2] == (1, 2)
    assert np.allclose(batch.pool.sum(axis=2), 1)


def test_masks_stand_before_each_sentence_and_are_read(encoder: Encoder) -> None:
    masked = TextSettings(masks=2)
    batch = encoder.encode(windows(["要健全制度。", "会议召开。"], masked), masked)
    ids = batch.input_ids[0].tolist()
    assert ids[:3] == [encoder.cls, encoder.mask, encoder.mask]
    assert ids.count(encoder.mask) == 4
    read = batch.pool[0] > 0
    assert (batch.input_ids[0][read.any(axis=0)] == encoder.mask).all()
    assert read.sum(axis=1).tolist() == [2, 2]
    assert np.allclose(batch.pool.sum(axis=2), 1)


@pytest.mark.parametrize("masks", [0, 1, 3])
def test_no_window_is_longer_than_its_settings_say(encoder: Encoder, masks: int) -> None:
    settings = TextSettings(window=32, masks=masks)
    found = windows(["要健全制度。", "会议召开。", "要排查管网。" * 9, "会议。"] * 4, settings)
    assert encoder.encode(found, settings).input_ids.shape[1] <= 32
    assert sum(window.last - window.first for window in found) == 16


def test_a_sentence_over_the_limit_loses_its_middle_only(encoder: Encoder) -> None:
    long = "要健全" + "制" * 200 + "会议。"
    found = windows(["会议召开。", long, "会议召开。"], TextSettings(window=40, overlap=1))
    for window in found:
        batch = encoder.encode([window], TextSettings(window=40))
        assert batch.input_ids.shape[1] <= 40
        assert batch.pool.shape[1] == window.last - window.first
    kept = encoder.encode(windows([long], TextSettings(window=40)), TextSettings(window=40)).input_ids[0].tolist()
    whole = encoder.token_ids([long])[0]
    assert kept[1:4] == whole[:3]
    assert kept[-4:-1] == whole[-3:]


def test_a_sentence_without_tokens_is_one_unknown(encoder: Encoder) -> None:
    assert encoder.token_ids(["\ufffd", " "]) == [[encoder.unknown], [encoder.unknown]]


def test_padding_changes_no_mean(encoder: Encoder) -> None:
    found = windows(["会议召开。"], TextSettings()) + windows(["要健全制度。", "会议召开。"], TextSettings())
    batch = encoder.encode(found, TextSettings())
    logits = np.random.default_rng(0).normal(size=(*batch.input_ids.shape, 5)).astype(np.float32)
    pooled = sentence_logits(batch.pool, logits)
    end = int(batch.attention_mask[0].sum())
    assert np.allclose(pooled[0, 0], logits[0, 1:end].mean(axis=0), atol=1e-6)


def test_vocab_txt_and_tokenizer_json_give_the_same_ids(tiny_encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text((tiny_encoder / "vocab.txt").read_text(encoding="utf-8"), encoding="utf-8")
    texts = ["要健全联席会议制度。", "未知字鑫，a1b2", "“引号”"]
    assert Encoder.load(tmp_path).token_ids(texts) == Encoder.load(tiny_encoder).token_ids(texts)


def shipped_texts() -> list[str]:
    """Return the paragraphs of the written reports, and of the real ones where they are."""
    texts = [
        t for name in ("train", "dev", "test") for r in read_labelled(ROOT / f"data/{name}.jsonl") for t in r.texts
    ]
    real = SHARED / "reports/reports.jsonl"
    lines = real.read_text(encoding="utf-8").splitlines() if real.is_file() else []
    return texts + [p for line in lines for p in clean(json.loads(line)["text"]).text.split("\n") if p.strip()]


def test_the_shipped_vocabulary_is_the_same_in_both_files_and_knows_the_characters() -> None:
    encoder, texts = SHIPPED(), shipped_texts()
    listed = (ROOT / "models/gangmu-base/vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert encoder.tokenizer.get_vocab() == {token: index for index, token in enumerate(listed)}
    unknown = sum(row.count(encoder.unknown) for row in encoder.token_ids(texts))
    assert unknown * 10_000 <= sum(map(len, texts))


def by_tokenizer(encoder: Encoder, texts: list[str]) -> list[list[int]]:
    encoded = encoder.tokenizer.encode_batch(texts, add_special_tokens=False)
    return [encoding.ids or [encoder.unknown] for encoding in encoded]


@pytest.fixture(scope="module", params=["words", "characters"])
def tokens(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """The shipped vocabulary, and BERT's tokenizer on its characters and their `##` pieces."""
    if request.param == "words":
        return SHIPPED()
    characters = [token for token in SHIPPED().tokenizer.get_vocab() if len(token) == 1]
    path = tmp_path_factory.mktemp("characters") / "vocab.txt"
    lines = [*SPECIALS, *characters, *(f"##{char}" for char in characters)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    found = Encoder(from_vocabulary(path))
    assert (found._lone != ABSENT).sum() > 4000
    return found


ODD = "要健全，。“”《》—…·、；：？！（）【】　 ab1２Ａ%℃①〇々あ한\u0301\u200b\ufffd\ufe0f\U00020000\U0001f600龘"


@given(strategies.lists(strategies.text(strategies.sampled_from(ODD)), min_size=1))
@settings(max_examples=500)
def test_looked_up_ids_are_those_of_the_tokenizer(tokens: Encoder, texts: list[str]) -> None:
    assert tokens.token_ids(texts) == by_tokenizer(tokens, texts)


@pytest.mark.slow
def test_looked_up_ids_are_those_of_the_tokenizer_on_real_sentences(tokens: Encoder) -> None:
    texts: list[str] = []
    most = 100_000
    for path in corpus_files(SHARED / "corpus"):
        found = (sentence.text for text in raw_documents(path) for sentence in split_sentences(text))
        texts += list(islice(found, most // 11 + 1))
    assert len(texts) >= most
    assert tokens.token_ids(texts) == by_tokenizer(tokens, texts)


def test_a_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"neither tokenizer.json nor vocab.txt"):
        Encoder.load(tmp_path)
