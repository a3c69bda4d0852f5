import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

import gangmu
from gangmu.checkpoint import NGRAMS
from gangmu.errors import CheckpointError
from gangmu.labeller import Labeller
from gangmu.labels import ID_OF
from gangmu.ngrams import BUCKETS, END, START, load_ngrams, tfidf
from train.dataset import read_labelled
from train.ngrams import best_weight, fit_ngrams

TEXTS = ["要健全联席会议制度。", "要要要深入排查隐患。", "会议召开。", "𠀀𠀀与surrogate"]


def test_features_are_those_of_scikit_learn() -> None:
    marked = [f"{START}{text}{END}" for text in TEXTS]
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True, lowercase=False, use_idf=False)
    expected = vectorizer.fit_transform(marked)
    rows, _, values = tfidf(TEXTS, np.ones(BUCKETS, np.float32))
    for row in range(len(TEXTS)):
        assert np.sort(values[rows == row]) == pytest.approx(np.sort(expected[row].data))


def test_learns_saves_and_reads_back(run_file: Path, tmp_path: Path) -> None:
    reports = read_labelled(run_file.parent / "train.jsonl")
    model = fit_ngrams(reports)
    texts = [text for report in reports for text in report.texts]
    gold = [ID_OF[label] for report in reports for label in report.labels]
    assert (model.logits(texts).argmax(axis=1) == gold).all()
    model.save(tmp_path / "ngrams.safetensors")
    again = load_ngrams(tmp_path / "ngrams.safetensors")
    assert again is not None
    assert np.abs(again.logits(texts) - model.logits(texts)).max() < 0.02
    assert np.abs(again.logits(texts[:1]) - again.logits(texts)[:1]).max() < 1e-6
    assert again.logits([]).shape == (0, 5)
    assert again.logits([""]).shape == (1, 5)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    assert load_ngrams(tmp_path / "none") is None
    (tmp_path / "x").write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_ngrams(tmp_path / "x")


def test_the_weight_is_that_of_what_the_two_know() -> None:
    random = np.random.default_rng(0)
    gold = random.integers(0, 5, 2000)
    right = (3 * np.eye(5)[gold] + random.normal(size=(2000, 5))).astype(np.float32)
    noise = random.normal(size=(2000, 5)).astype(np.float32)
    assert best_weight(right, noise, gold) < 0.2
    assert best_weight(noise, right, gold) > 5
    assert best_weight(right, right, gold) > 0


def test_a_run_carries_them_beside_the_encoder(finished_run: Path, checkpoint: Path) -> None:
    loaded = gangmu.load(checkpoint)
    assert loaded.checkpoint.ngrams is not None
    bare = Labeller(replace(loaded.checkpoint, ngrams=None), loaded.engine)
    texts = ["要健全联席会议制度。", "会议召开。"]
    added = loaded.logits([texts])[0] - bare.logits([texts])[0]
    assert np.abs(added - loaded.checkpoint.ngrams.logits(texts)).max() < 1e-5


def test_a_changed_model_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "x")
    path = tmp_path / "x" / NGRAMS
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match=NGRAMS):
        gangmu.load(tmp_path / "x")
