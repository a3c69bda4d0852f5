import json
import lzma
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, AutoModelForTokenClassification, AutoTokenizer

from gangmu.checkpoint import file_hash, verify
from gangmu.encoding import SPECIALS, Encoder
from gangmu.errors import CheckpointError, DataError, UsageError
from train import pretrain as pretrain_module
from train.config import PretrainConfig
from train.corpus import IGNORED, LONGEST_WORD, Corpus, corpus_files, documents
from train.description import load_config
from train.encoder import rate
from train.masking import held_out_scores, masked, masked_logits
from train.pretrain import Run, newest, pretrain

CONFIG = Path(__file__).parent.parent.parent / "configs/pretrain/base.yaml"
DOCUMENT = "要健全联席会议制度；要深入排查隐患。\n各镇负责人参加会议，去年新增就业两千人。"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    text = "\n\n".join(f"第{i}号文件。\n{DOCUMENT}" for i in range(700))
    (folder / "甲.txt").write_text(text, encoding="utf-8")
    (folder / "乙.txt.xz").write_bytes(lzma.compress(text[:3000].encode()))
    return folder


def config(corpus: Path, output: Path, *more: str) -> PretrainConfig:
    shape = ["shape.hidden=32", "shape.layers=2", "shape.heads=2", "shape.intermediate=32"]
    training = ["tokens=2560", "step_tokens=128", "length=32", "final_length=64", "warmup_steps=4", "threads=1"]
    values = [f"corpus.path={corpus}", f"output={output}", "corpus.vocabulary=200", "corpus.words=0", *shape]
    return load_config(
        CONFIG, [*values, "corpus.weights.乙=0.5", *(f"training.{x}" for x in training), *more], PretrainConfig
    )


def test_encoder_is_a_hugging_face_folder_that_fine_tuning_takes(corpus: Path, tmp_path: Path) -> None:
    run = pretrain(config(corpus, tmp_path / "out"))
    assert run.step == 20
    folder = tmp_path / "out" / "encoder"
    verify(folder)
    model = AutoModelForMaskedLM.from_pretrained(folder, local_files_only=True)
    assert model.config.pad_token_id == 0
    assert all(getattr(model.config, name) < 200 for name in ("cls_token_id", "sep_token_id", "eos_token_id"))
    AutoModelForTokenClassification.from_pretrained(folder, local_files_only=True)
    history = json.loads((folder / "pretraining.json").read_text(encoding="utf-8"))["history"]
    assert history[-1]["loss"] < math.log(200)


def test_frequent_words_are_tokens_where_they_are_asked_for(corpus: Path, tmp_path: Path) -> None:
    run = pretrain(config(corpus, tmp_path / "out", "corpus.words=40", "training.tokens=256"))
    folder = tmp_path / "out" / "encoder"
    encoder = Encoder.load(folder)
    longest = max(len(token) for token in encoder.tokenizer.get_vocab() if token not in SPECIALS)
    assert longest == LONGEST_WORD
    sentences = ["要健全联席会议制度；", "要深入排查隐患。", "隐患", "会议X议。", "龘"]
    ids = encoder.token_ids(sentences)
    assert len(ids[0]) < len(sentences[0])
    assert ids[4] == [encoder.unknown]
    assert ids == [encoder.tokenizer.encode(text, add_special_tokens=False).ids for text in sentences]
    assert run.model.config.vocab_size == encoder.tokenizer.get_vocab_size()
    theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert theirs(sentences, add_special_tokens=False)["input_ids"] == ids
    listed = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert encoder.tokenizer.get_vocab() == {token: index for index, token in enumerate(listed)}
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"vocab.txt does not say how words are made"):
        Encoder.load(folder)


def test_broken_run_resumes_to_the_same_weights(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretrain(config(corpus, tmp_path / "whole"))
    settings = config(corpus, tmp_path / "broken", "training.save_minutes=1e-9")
    step = Run.train_step

    def killed(run: Run, steps: int) -> float:
        if run.step == 17:
            raise KeyboardInterrupt
        return step(run, steps)

    monkeypatch.setattr(pretrain_module.Run, "train_step", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain(settings)
    monkeypatch.undo()
    checkpoints = tmp_path / "broken" / "checkpoints"
    (checkpoints / "checkpoint-99.part").mkdir()  # what a kill in the middle of a save leaves
    found = newest(checkpoints)
    assert found is not None
    assert found.name == "checkpoint-17"
    pretrain(settings)
    name = "encoder/model.safetensors"
    assert file_hash(tmp_path / "broken" / name) == file_hash(tmp_path / "whole" / name)


def test_a_run_goes_on_from_the_stable_weights_of_another(corpus: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    pretrain(config(corpus, first))
    more = config(corpus, tmp_path / "second", f"start={first / 'stable'}", "shape=null", "corpus.vocabulary=null")
    stable = load_file(first / "stable" / "model.safetensors")
    begun = dict(Run(more).model.named_parameters())
    assert all(torch.equal(begun[name].half(), tensor) for name, tensor in stable.items() if name in begun)
    pretrain(more)
    record = json.loads((tmp_path / "second" / "encoder" / "pretraining.json").read_text(encoding="utf-8"))
    assert [run["tokens"] for run in record["before"]] == [2048]
    card = (tmp_path / "second" / "encoder" / "README.md").read_text(encoding="utf-8")
    assert "on 0.0 M tokens" in card
    assert card.count("| 2 | characters | 0.0 |") == 1
    with pytest.raises(UsageError, match="give either start, an encoder folder to go on from, or shape"):
        config(corpus, tmp_path / "third", f"start={first / 'stable'}")


def test_a_start_from_characters_goes_on_with_words(corpus: Path, tmp_path: Path) -> None:
    pretrain(config(corpus, tmp_path / "first", "training.tokens=256"))
    start = tmp_path / "first/encoder"
    words = config(corpus, tmp_path / "second", f"start={start}", "shape=null", "corpus.words=40")
    run = Run(words)
    old, new = Encoder.load(start), run.corpus.encoder
    characters, tokens = old.tokenizer.get_vocab(), new.tokenizer.get_vocab()
    before = AutoModelForMaskedLM.from_pretrained(start, local_files_only=True).eval()
    vectors, given = before.get_input_embeddings().weight, run.model.get_input_embeddings().weight
    word = next(token for token in tokens if len(token) == LONGEST_WORD)
    torch.testing.assert_close(given[tokens[word]], vectors[[characters[char] for char in word]].mean(0))
    assert run.model.config.vocab_size == len(tokens)
    run.model.eval()
    sentence, known = "要健全制度", [char for char in characters if char in tokens]
    with torch.inference_mode():
        theirs = before(input_ids=torch.tensor([[characters[char] for char in sentence]])).logits
        ours = run.model(input_ids=torch.tensor([[tokens[char] for char in sentence]])).logits
    places = [tokens[char] for char in known]
    torch.testing.assert_close(ours[..., places], theirs[..., [characters[char] for char in known]])
    pretrain(words)
    card = (tmp_path / "second/encoder/README.md").read_text(encoding="utf-8")
    assert "| 1 | characters | 0.0" in card
    assert "| 2 | characters and frequent words | 0.0" in card
    assert Encoder.load(tmp_path / "second/encoder").token_ids([word]) == [[tokens[word]]]


def test_masks_hide_spans_of_characters_and_never_special_tokens(corpus: Path, tmp_path: Path) -> None:
    settings = config(corpus, tmp_path)
    found = Corpus(settings.corpus, tmp_path / "cache")
    ids = found.sequences(0, 40, 32, 1)
    inputs, labels = masked(ids, found.encoder, settings.training, 0)
    chosen = labels != IGNORED
    assert 0.2 < chosen.mean() < 0.3
    assert not np.isin(ids[chosen], [found.encoder.cls, found.encoder.sep]).any()
    assert (labels[chosen] == ids[chosen]).all()
    assert (inputs[~chosen] == ids[~chosen]).all()
    assert 0.7 < (inputs[chosen] == found.encoder.mask).mean() < 0.9
    again, _ = masked(ids, found.encoder, settings.training, 0)
    assert (again == inputs).all()


def test_sequences_cover_an_epoch_once_and_start_with_cls(corpus: Path, tmp_path: Path) -> None:
    found = Corpus(config(corpus, tmp_path).corpus.model_copy(update={"weights": {}}), tmp_path / "cache")
    size = sum(len(ids) // 31 for ids, _ in found.streams)
    epoch = found.sequences(0, size, 32, 7)
    assert (epoch[:, 0] == found.encoder.cls).all()
    expected = np.concatenate([ids[: len(ids) // 31 * 31] for ids, _ in found.streams])
    assert sorted(epoch[:, 1:].flatten()) == sorted(expected)


def test_rate_rises_stays_and_falls() -> None:
    settings = load_config(CONFIG, ["training.warmup_steps=10", "training.decay=0.2"], PretrainConfig).training
    rates = [rate(step, 100, settings) for step in range(100)]
    assert rates[0] == pytest.approx(settings.learning_rate / 10)
    assert rates[10:80] == [settings.learning_rate] * 70
    assert rates[90] == pytest.approx(settings.learning_rate / 2)
    assert 0 < rates[99] < settings.learning_rate / 10


def test_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no .txt, .txt.xz, .jsonl, .jsonl.xz file"):
        Corpus(config(tmp_path, tmp_path).corpus, tmp_path / "cache")


def test_a_few_documents_are_enough(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(3):
        (folder / f"2024.{number}.txt").write_text("\n\n".join([DOCUMENT * 3] * 20), encoding="utf-8")
    found = Corpus(config(folder, tmp_path).corpus, tmp_path / "cache")
    assert found.names == ["2024.0", "2024.1", "2024.2"]
    assert len(found.held_out_sequences(32)) >= 1


def test_small_files_are_read_to_their_ends(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number:02}.txt").write_text(f"标题\n\n{DOCUMENT * (1 + number % 3)}", encoding="utf-8")
    found = Corpus(config(folder, tmp_path).corpus, tmp_path / "cache")
    found.check(512)
    read = sum(len(ids) // 511 * 511 for ids, _ in found.streams)
    assert sum(map(len, found.tokens)) - read < 511
    assert len(found.held_out_sequences(512)) == 1
    with pytest.raises(DataError, match="252 tokens to train on and 513 held out"):
        for path in sorted(folder.iterdir())[9:]:
            path.unlink()
        Run(config(folder, tmp_path / "few", "training.final_length=512"))


def test_an_output_folder_of_another_corpus_is_refused(corpus: Path, tmp_path: Path) -> None:
    Run(config(corpus, tmp_path / "out"))
    (corpus / "丙.txt").write_text(DOCUMENT, encoding="utf-8")
    with pytest.raises(UsageError, match="another corpus"):
        Run(config(corpus, tmp_path / "out"))


def test_a_folder_of_folders_and_json_lines_is_read(tmp_path: Path) -> None:
    (tmp_path / "区县").mkdir()
    rows = [
        {"text": "第一篇。\n第二段。"},
        {"id": "x", "sentences": [{"text": "要排查隐患。"}, {"text": "要落实责任。"}]},
    ]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "区县" / "甲.jsonl.xz").write_bytes(lzma.compress(lines.encode()))
    (tmp_path / "乙.txt").write_text("第三篇。\n\n第四篇。", encoding="utf-8-sig")
    files = corpus_files(tmp_path)
    found = {path.name: list(documents(path)) for path in files}
    assert found == {
        "乙.txt": [["第三篇。"], ["第四篇。"]],
        "甲.jsonl.xz": [["第一篇。", "第二段。"], ["要排查隐患。要落实责任。"]],
    }


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "a"}\n{"body": "b"}\n', 'a.jsonl:2: expected {"text": "…"}'),
        ("a.jsonl", b'{"text": 3}\n', "a.jsonl:1: expected"),
        ("a.txt", "要排查".encode("gb18030"), "a.txt: cannot be read as UTF-8 text"),
        ("a.txt.xz", b"no archive", "a.txt.xz: cannot be read as UTF-8 text"),
    ],
)
def test_text_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=re.escape(message)):
        list(documents(tmp_path / name))


def test_a_classical_bert_goes_on_with_its_own_vocabulary(corpus: Path, tmp_path: Path, tiny_encoder: Path) -> None:
    training = ["tokens=2560", "step_tokens=128", "length=32", "final_length=64", "warmup_steps=4", "threads=1"]
    values = [f"corpus.path={corpus}", f"output={tmp_path / 'out'}", f"start={tiny_encoder}"]
    values += [f"training.{value}" for value in (*training, "learning_rate=2e-3")]
    settings = load_config(CONFIG.parent / "continue.yaml", values, PretrainConfig)
    before = held_out_scores(Run(settings).model, Run(settings).corpus, settings.training)
    run = pretrain(settings)
    assert run.history[-1]["loss"] < before.loss - 0.3
    inputs, labels = masked(run.corpus.sequences(0, 2, 32, 7), run.corpus.encoder, settings.training, 0)
    with torch.inference_mode():
        some, wanted = masked_logits(run.model.eval(), inputs, labels, "fp32")
        every = run.model(input_ids=torch.from_numpy(inputs)).logits[torch.from_numpy(labels) != IGNORED]
    assert len(wanted) == len(some)
    assert torch.allclose(some, every, atol=1e-5)
    folder = tmp_path / "out" / "encoder"
    verify(folder)
    assert (folder / "vocab.txt").read_text(encoding="utf-8") == (tiny_encoder / "vocab.txt").read_text(
        encoding="utf-8"
    )
    assert AutoModelForMaskedLM.from_pretrained(folder, local_files_only=True).config.model_type == "bert"
    with pytest.raises(UsageError, match=r"training.final_length: 512 tokens, but .* reads at most 128"):
        Run(
            load_config(CONFIG.parent / "continue.yaml", [*values[:1], f"output={tmp_path}", values[2]], PretrainConfig)
        )


LOSSES = """
import json, sys
from pathlib import Path
from train.config import PretrainConfig
from train.description import load_config
from train.pretrain import Run
from train.processes import Processes

here = Processes.join()
run = Run(load_config(Path(sys.argv[1]), sys.argv[2:], PretrainConfig), here)
losses = [run.train_step(20) for _ in range(20)]
if here.first:
    print(json.dumps(losses))
here.leave()
"""


def test_two_processes_take_the_same_steps_as_one(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "losses.py").write_text(LOSSES, encoding="utf-8")
    values = ["corpus.vocabulary=200", "shape.hidden=32", "shape.layers=2", "shape.heads=2", "shape.intermediate=32"]
    training = ["step_tokens=256", "length=32", "final_length=64", "warmup_steps=4", "threads=1", "precision=fp32"]
    values += [f"corpus.path={corpus}", *(f"training.{value}" for value in training)]
    found = []
    for launcher in ([], ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]):
        output = f"output={tmp_path / str(len(launcher))}"
        command = [sys.executable, *launcher, str(tmp_path / "losses.py"), str(CONFIG), output, *values]
        environment = {**os.environ, "PYTHONPATH": str(CONFIG.parent.parent.parent), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        found.append(json.loads(done.stdout.splitlines()[-1]))
    assert len(found[0]) == 20
    assert found[0][-1] < found[0][0]
    assert np.abs(np.subtract(*found)).max() < 1e-4
