"""A tiny real encoder, a tiny trained classifier, and no network."""

import json
import os
import random
import socket
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported


def refuse(*args: object, **kwargs: object) -> None:
    """Stand in for every way out, before anything is imported that could take it."""
    raise AssertionError("a test asked for the network")


socket.socket.connect = refuse  # type: ignore[method-assign,assignment]
socket.socket.connect_ex = refuse  # type: ignore[method-assign,assignment]
socket.getaddrinfo = refuse  # type: ignore[assignment]

import pytest
import torch
import yaml
from hypothesis import settings
from transformers import BertConfig, BertForMaskedLM

from gangmu.checkpoint import save_model
from gangmu.encoding import SPECIALS
from gangmu.labels import NAMES
from train.config import RunConfig
from train.description import load_config
from train.fit import fit

settings.register_profile("same every time", derandomize=True, deadline=None)
settings.load_profile("same every time")
ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"

SENTENCES = {
    "goal": ["力争到明年建成三个园区。", "目标是年产量达到十万吨。", "确保全年不发生大的事故。"],
    "method": ["要深入排查管网隐患。", "围绕茶产业开展招商。", "加快改造老旧小区。"],
    "mechanism": ["要健全联席会议制度。", "成立工作专班，落实责任到人。", "把进度纳入年度考核。"],
    "exhortation": ["要提高站位，增强紧迫感。", "大家要奋勇争先。", "以更足的劲头投入工作。"],
    "other": ["会议于昨日下午召开。", "各镇负责人参加会议。", "去年全县新增就业两千人。"],
}


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    # the tiny model takes 6.7 s on two threads where it takes 0.4 s on one
    torch.set_num_threads(1)


def write_reports(path: Path, reports: int) -> Path:
    """Write `reports` labelled reports of five sentences each, every label once."""
    rows = []
    order = random.Random(0)
    for number in range(reports):
        chosen = [(label, texts[number % len(texts)]) for label, texts in SENTENCES.items()]
        order.shuffle(chosen)  # else the place in the report gives the label away
        sentences = [{"paragraph": i // 3, "text": text, "label": label} for i, (label, text) in enumerate(chosen)]
        rows.append(json.dumps({"id": f"r{number}", "sentences": sentences}, ensure_ascii=False))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def write_vocabulary(path: Path) -> Path:
    characters = sorted({char for texts in SENTENCES.values() for text in texts for char in text} | set("，；、“”（）"))
    path.write_text("\n".join([*SPECIALS, *"0123456789ab", "##a", "##b", *characters]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a 2-layer BERT over the characters of SENTENCES."""
    source = tmp_path_factory.mktemp("vocabulary")
    vocabulary = write_vocabulary(source / "vocab.txt")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary.read_text(encoding="utf-8").split()),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    folder = tmp_path_factory.mktemp("encoder")
    save_model(BertForMaskedLM(config), source, folder)
    return folder


@pytest.fixture(scope="session")
def run_file(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run description over a dozen reports; the classifier overfits them in a few seconds."""
    folder = tmp_path_factory.mktemp("data")
    values = yaml.safe_load((ROOT / "configs/base.yaml").read_text(encoding="utf-8"))
    values["name"] = "tiny"
    values["model"]["name"] = str(tiny_encoder)
    values["text"] |= {"window": 96, "masks": 0}  # an encoder without pre-training learns little at its masks
    (folder / "samples").mkdir()
    (folder / "samples/甲.txt").write_text("會(huì)議強調,要健全聯席會議制度。\n各镇负责人参加会议。", encoding="utf-8")
    values["data"] = {name: str(write_reports(folder / f"{name}.jsonl", 24)) for name in ("train", "dev", "test")}
    values["data"]["samples"] = str(folder / "samples")
    values["training"] |= {"epochs": 8, "batch_size": 2, "learning_rate": 0.005, "threads": 1}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def finished_run(run_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(load_config(run_file, [], RunConfig), runs=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def checkpoint(finished_run: Path) -> Path:
    return finished_run / "best"


assert set(SENTENCES) == set(NAMES)
