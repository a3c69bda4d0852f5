import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gangmu
from gangmu import choice, compiled, export
from gangmu.checkpoint import load_checkpoint
from gangmu.choice import load_engine
from gangmu.compiled import EngineRefusedError, compile_checkpoint
from gangmu.errors import CheckpointError, UsageError

TEXT = "會議強調，要健全聯席會議制度；大家要奋勇争先。"
WITHOUT_TORCH = """
import sys
sys.modules |= dict.fromkeys(["torch", "transformers", "onnx"])
import gangmu
print([sentence.label for sentence in gangmu.load(sys.argv[1]).label(sys.argv[2]).sentences])
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def small(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled") / "small"
    compile_checkpoint(load_checkpoint(checkpoint), "onnx", folder)
    return folder


def test_a_compiled_folder_labels_without_torch(small: Path, checkpoint: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, small, TEXT], capture_output=True, text=True)
    wanted = gangmu.load(checkpoint).label(TEXT)
    assert ran.stdout.strip() == str([sentence.label for sentence in wanted.sentences]), ran.stderr
    assert gangmu.load(small).label(TEXT).model == wanted.model
    assert gangmu.load(small).engine.name in ("onnx int8", "onnx f32")


def test_openvino_gives_the_labels_of_torch(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('code of the current folder was run')")
    monkeypatch.chdir(tmp_path)
    found = compile_checkpoint(load_checkpoint(checkpoint), "openvino", tmp_path / "fast")
    assert found.sentences > 500
    scores = [load.label(TEXT).sentences[0].scores for load in map(gangmu.load, (tmp_path / "fast", checkpoint))]
    assert np.allclose(list(scores[0].values()), list(scores[1].values()), atol=0.02)


def test_an_engine_that_labels_otherwise_is_refused_and_the_next_precision_tried(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import onnx

    def spoilt(path: Path, narrow: bool) -> None:
        model = onnx.load(path)
        bias = next(weight for weight in model.graph.initializer if weight.name.endswith("classifier.bias"))
        bias.CopyFrom(onnx.numpy_helper.from_array(np.float32([0, 0, 0, 0, 3]), bias.name))
        onnx.save(model, path)

    monkeypatch.setattr(export, "quantise", spoilt)
    found = compile_checkpoint(load_checkpoint(checkpoint), "onnx", tmp_path / "small")
    assert (found.precision, found.changed) == ("f32", 0)
    assert "labels differ from torch, where its two best scores are up to" in caplog.text
    monkeypatch.setattr(compiled, "PRECISIONS", {"onnx": ("int8",)})
    with pytest.raises(EngineRefusedError, match="onnx is refused"):
        compile_checkpoint(load_checkpoint(checkpoint), "onnx", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_what_fails_is_tried_again_and_what_labels_otherwise_is_not(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    def torn(folder: Path, target: Path, window: int) -> None:
        asked.append(folder.name)
        target.write_bytes(b"no model")

    monkeypatch.setattr(export, "export", torn)
    monkeypatch.setattr(choice, "fastest", lambda: iter(["onnx"]))
    monkeypatch.setattr(compiled, "PRECISIONS", {"onnx": ("f32",)})
    for _ in range(2):
        assert load_engine(load_checkpoint(checkpoint), "auto", 1).name == "torch fp32"
    assert asked == ["best", "best"]
    assert "onnx f32 ended with 1" in caplog.text

    def otherwise(*arguments: object) -> None:
        asked.append("again")
        raise EngineRefusedError("labels differ", lasting=True)

    monkeypatch.setattr(choice, "compile_checkpoint", otherwise)
    for _ in range(2):
        assert load_engine(load_checkpoint(checkpoint), "auto", 1).name == "torch fp32"
    assert asked == ["best", "best", "again"]


def test_a_cache_that_cannot_be_written_costs_the_engine_alone(
    checkpoint: Path, small: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file where the folder should be")
    monkeypatch.setattr(choice, "fastest", lambda: iter(["onnx"]))
    assert load_engine(load_checkpoint(checkpoint), "auto", 1).name == "torch fp32"
    monkeypatch.setattr(compiled, "processor", lambda: "another")
    assert gangmu.load(small).engine.name.startswith("onnx")


def test_the_small_engine_does_not_report_to_anyone(small: Path, cache: Path) -> None:
    code = "import gangmu, sys; gangmu.load(sys.argv[1]).label('会议召开。')"
    subprocess.run([sys.executable, "-c", code, small], check=True)
    assert not list(cache.rglob("*"))


def test_auto_compiles_once_and_again_what_is_damaged(
    checkpoint: Path, small: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def copied(checkpoint: object, kind: object, target: Path) -> compiled.Compiled:
        made.append(target)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(small, target)
        return compiled.read_compiled(target)

    monkeypatch.setattr(choice, "compile_checkpoint", copied)
    monkeypatch.setattr(choice, "fastest", lambda: iter(["onnx"]))
    for _ in range(2):
        assert load_engine(load_checkpoint(checkpoint), "auto", 1).name.startswith("onnx")
    assert len(made) == 1
    assert made[0].is_relative_to(cache)
    (made[0] / "model.onnx").write_bytes((made[0] / "model.onnx").read_bytes()[:-1] + b"?")
    assert load_engine(load_checkpoint(checkpoint), "auto", 1).name.startswith("onnx")
    assert len(made) == 2


def test_a_folder_of_another_processor_is_checked_once(
    small: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compiled, "processor", lambda: "another")
    for _ in range(2):
        gangmu.load(small)
    assert caplog.text.count("compiled on another processor") == 1


def test_what_a_compiled_folder_cannot_do_is_said(small: Path, gangmu, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match="compiled for onnx; --engine torch needs the checkpoint"):
        load_engine(load_checkpoint(small), "torch", 1)
    assert gangmu("compile", small, "--output", tmp_path / "x")[0] == 2
    (tmp_path / "mine").mkdir()
    code, _, err = gangmu("compile", small.parent, "--output", tmp_path / "mine")
    assert code == 2
    broken = tmp_path / "broken"
    shutil.copytree(small, broken)
    (broken / "compiled.json").write_text(json.dumps({"name": 1}))
    with pytest.raises(CheckpointError, match=r"compiled\.json: sha256"):
        load_checkpoint(broken)
    assert "no config.json" in err


def test_the_command_compiles_and_labels(gangmu, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, _, err = gangmu("compile", checkpoint, "--output", tmp_path / "small", "--engine", "onnx")
    assert code == 0
    assert "labels differ from torch" in err
    (tmp_path / "甲.txt").write_text(TEXT, encoding="utf-8")
    code, out, err = gangmu("label", tmp_path / "甲.txt", "--model", tmp_path / "small", "--engine", "auto")
    assert code == 0
    assert "engine onnx" in err
    assert [json.loads(line)["label"] for line in out.splitlines()] == ["mechanism", "exhortation"]


def test_torch_in_bf16_gives_the_labels_of_fp32(checkpoint: Path) -> None:
    half = load_engine(load_checkpoint(checkpoint), "torch-bf16", 1)
    assert half.name == "torch bf16"
    whole = load_engine(load_checkpoint(checkpoint), "torch", 1)
    labellers = [gangmu.Labeller(load_checkpoint(checkpoint), engine, threads=2) for engine in (half, whole)]
    a, b = (labeller.logits([["要健全联席会议制度。"]])[0] for labeller in labellers)
    assert np.abs(a - b).max() < 0.1
    assert not np.array_equal(a, b)
