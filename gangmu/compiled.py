"""A checkpoint -> a folder for an engine that needs no torch, refused unless it labels as torch does.

The engine computes a set of written reports in a process of its own: where it crashes, as OpenVINO does on some
processors (its issue 35943), nothing else is lost. Its labels must be torch's, but for sentences whose two best scores
lie closer together than its precision can tell.
"""

import hashlib
import importlib
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from safetensors.numpy import load_file, save_file

from gangmu.checkpoint import (
    COMPILED,
    MODEL_ONNX,
    NGRAMS,
    Checkpoint,
    checkpoint_hash,
    file_hash,
    replacing,
    write_sums,
)
from gangmu.engine import Engine, OnnxEngine, OpenVinoEngine, TorchEngine
from gangmu.errors import GangmuError, UsageError

log = logging.getLogger(__name__)
Kind = Literal["openvino", "onnx"]
PRECISIONS: dict[Kind, tuple[str, ...]] = {"openvino": ("bf16", "f32"), "onnx": ("int8", "f32")}
"""Of each engine, the faster first."""
PACKAGES: dict[Kind, str] = {"openvino": "openvino", "onnx": "onnxruntime"}
CLOSE = {"bf16": 0.02, "int8": 0.05, "f32": 0.001}
"""How far apart a sentence's two best scores may be for its label to change, by precision."""
REFERENCE = "reference.safetensors"
"""Torch's scores of the sentences that an engine is checked by."""
Scores = NDArray[np.float64]
TEXTS = ("tokenizer.json", "settings.json", "decision.json")


class EngineRefusedError(GangmuError):
    """An engine does not give torch's labels, or nothing at all."""

    def __init__(self, message: str, lasting: bool = False) -> None:
        """`lasting`: whether it would be so again; a process that was killed may have lacked memory."""
        super().__init__(message)
        self.lasting = lasting


class Compiled(BaseModel):
    """What compiled.json says of a folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: Kind
    precision: str
    name: str
    """Of the checkpoint, as in the rows."""
    source: str
    """SHA-256 of its SHA256SUMS."""
    processor: str
    sentences: int
    """Of the written reports that were labelled by torch and by this engine."""
    changed: int
    """Of these, got another label."""
    widest: float
    """The greatest distance between the two best scores of those that changed."""

    def line(self) -> str:
        """Return what was found, in words."""
        close = f", all where the two best scores are within {self.widest:.3f}" if self.changed else ""
        return f"{self.engine} {self.precision}: {self.changed} of {self.sentences} labels differ from torch{close}"


def compile_checkpoint(checkpoint: Checkpoint, kind: Kind, target: Path) -> Compiled:
    """Return what was found after writing the folder `target`; EngineRefusedError when no precision is good enough."""
    reasons: list[str] = []
    lasting = True
    for precision in PRECISIONS[kind]:
        if precision == "bf16" and not _has_bf16():
            reasons.append("bf16: not on this processor")
            continue
        try:
            return _compile(checkpoint, kind, precision, target)
        except EngineRefusedError as error:
            log.warning("%s", error)
            reasons.append(str(error))
            lasting = lasting and error.lasting
    raise EngineRefusedError(f"{kind} is refused: {'; '.join(reasons)}", lasting)


def _compile(checkpoint: Checkpoint, kind: Kind, precision: str, target: Path) -> Compiled:
    try:
        from gangmu.export import export, quantise
    except ImportError as error:
        raise UsageError(f"compiling for {kind} needs {error.name}: pip install 'gangmu[torch]'") from error
    with replacing(target) as part:
        for name in TEXTS:
            shutil.copyfile(checkpoint.folder / name, part / name)
        if (checkpoint.folder / NGRAMS).is_file():
            shutil.copyfile(checkpoint.folder / NGRAMS, part / NGRAMS)
        export(checkpoint.folder, part / MODEL_ONNX, checkpoint.settings.window)
        if precision == "int8":
            quantise(part / MODEL_ONNX, narrow=not _flags() & {"avx512_vnni", "avx_vnni"})
        found: dict[str, Any] = {
            "engine": kind,
            "precision": precision,
            "name": checkpoint.name,
            "processor": processor(),
        }
        found |= {"source": checkpoint_hash(checkpoint.folder), "sentences": 0, "changed": 0, "widest": 0.0}
        _write(part, Compiled.model_validate(found))
        checked = Compiled.model_validate(found | _compared(checkpoint, part, CLOSE[precision]))
        _write(part, checked)
    return checked


def _write(folder: Path, compiled: Compiled) -> None:
    (folder / COMPILED).write_text(compiled.model_dump_json(indent=2) + "\n", encoding="utf-8")
    write_sums(folder)


def _compared(checkpoint: Checkpoint, folder: Path, close: float) -> dict[str, Any]:
    """Return the counts of `Compiled`; EngineRefusedError when a label differs that torch is sure of."""
    wanted = _scores(checkpoint, TorchEngine.load(checkpoint.folder))
    changed, widest = _admitted(wanted, folder, close)
    save_file({"scores": wanted}, folder / REFERENCE)
    (folder / REFERENCE).chmod(0o644)  # it comes readable for the owner alone
    return {"sentences": len(wanted), "changed": changed, "widest": widest}


def _admitted(wanted: Scores, folder: Path, close: float) -> tuple[int, float]:
    """Return what `compared` does for a compiled folder, computed by another process; EngineRefusedError says why."""
    ran = subprocess.run([sys.executable, "-P", "-m", "gangmu.compiled", str(folder)], capture_output=True)
    what = read_compiled(folder)
    name = f"{what.engine} {what.precision}"
    if ran.returncode:
        words = ran.stderr.decode(errors="replace")[-300:].strip()
        lasting = ran.returncode < 0 and -ran.returncode != signal.SIGKILL
        raise EngineRefusedError(f"{name} ended with {ran.returncode}: {words}", lasting)
    return _alike(name, wanted, np.frombuffer(ran.stdout, np.float64).reshape(wanted.shape), close)


def _alike(name: str, wanted: Scores, found: Scores, close: float) -> tuple[int, float]:
    """Return what `compared` does; EngineRefusedError when a label differs that torch is sure of."""
    changed, widest = compared(wanted, found)
    if widest >= close or not np.isfinite(found).all():
        raise EngineRefusedError(
            f"{name}: {changed} of {len(wanted)} labels differ from torch, where its two best scores are up to "
            f"{widest:.3f} apart; {close} is allowed",
            lasting=True,
        )
    return changed, widest


def admit_bf16(checkpoint: Checkpoint) -> None:
    """Raise EngineRefusedError when torch in bf16 labels otherwise than in fp32; what it finds is kept in the cache."""
    mark = _cache(checkpoint, "torch-bf16", "torch")
    if mark.is_file():
        return
    wanted = _scores(checkpoint, TorchEngine.load(checkpoint.folder))
    found = _scores(checkpoint, TorchEngine.load(checkpoint.folder, bf16=True))
    changed, widest = _alike("torch bf16", wanted, found, CLOSE["bf16"])
    log.warning("torch bf16: %d of %d labels differ from fp32", changed, len(wanted))
    _mark(mark, {"sentences": len(wanted), "changed": changed, "widest": widest})


def _mark(path: Path, found: dict[str, Any]) -> None:
    """Keep what was found, where the cache can be written."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found) + "\n", encoding="utf-8")


def compared(wanted: Scores, found: Scores) -> tuple[int, float]:
    """Return how many labels differ between scores [n, 5], and how far apart `wanted` has the two best there.

    >>> compared(np.array([[0.5, 0.4, 0.1], [0.9, 0.1, 0.0]]), np.array([[0.4, 0.5, 0.1], [0.8, 0.2, 0.0]]))
    (1, 0.1)
    """
    differ = wanted.argmax(1) != found.argmax(1)
    best = np.sort(wanted, axis=1)
    gaps = (best[:, -1] - best[:, -2])[differ]
    return int(differ.sum()), round(float(gaps.max(initial=0.0)), 6)


def _scores(checkpoint: Checkpoint, engine: Engine) -> Scores:
    """Return the calibrated scores [n, 5] of the sentences of the written reports that come with the package."""
    from gangmu.labeller import Labeller
    from gangmu.sentences import split_sentences

    reports = files("gangmu").joinpath("check.txt").read_text(encoding="utf-8").split("\n\n")
    texts = [[sentence.text for sentence in split_sentences(report)] for report in reports]
    return checkpoint.decision.scores(np.concatenate(Labeller(checkpoint, engine, threads=1).logits(texts)))


def load_compiled(checkpoint: Checkpoint, threads: int) -> Engine:
    """Return the engine of a compiled folder; on another processor it is checked anew, once."""
    compiled = read_compiled(checkpoint.folder)
    if compiled.processor != processor():
        mark = _cache(checkpoint, compiled.engine, PACKAGES[compiled.engine])
        if not mark.is_file():
            log.warning("%s: compiled on another processor; checking its labels on this one, once", checkpoint.folder)
            wanted = load_file(checkpoint.folder / REFERENCE)["scores"]
            changed, widest = _admitted(wanted, checkpoint.folder, CLOSE[compiled.precision])
            _mark(mark, {"changed": changed, "widest": widest})
    return _engine(checkpoint.folder, compiled, threads)


def _engine(folder: Path, compiled: Compiled, threads: int) -> Engine:
    if compiled.engine == "openvino":
        return OpenVinoEngine(folder / MODEL_ONNX, compiled.precision, threads)
    return OnnxEngine(folder / MODEL_ONNX, compiled.precision)


def read_compiled(folder: Path) -> Compiled:
    """Return what compiled.json says; UsageError when it is not of this version."""
    try:
        return Compiled.model_validate_json((folder / COMPILED).read_bytes())
    except ValueError as error:
        raise UsageError(f"{folder / COMPILED}: not of this version; compile the checkpoint again: {error}") from None


def installed(kind: Kind) -> bool:
    """Return whether the packages of an engine are there."""
    return find_spec(PACKAGES[kind]) is not None


def fastest() -> Iterator[Kind]:
    """Yield the engines that are installed, the one likely to be fastest first."""
    order: tuple[Kind, ...] = ("openvino", "onnx") if _has_bf16() else ("onnx", "openvino")
    yield from filter(installed, order)


def cached(checkpoint: Checkpoint, kind: Kind) -> Path:
    """Return the folder under the user's cache for an engine, this checkpoint, version and processor."""
    return _cache(checkpoint, kind, PACKAGES[kind])


def _cache(checkpoint: Checkpoint, what: str, package: str) -> Path:
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:
        raise UsageError(f"no folder for the cache: {error}; set XDG_CACHE_HOME") from error
    made_by = file_hash(Path(__file__).with_name("export.py"))
    versions = [_version(package), importlib.metadata.version("gangmu"), made_by]
    key = json.dumps([checkpoint_hash(checkpoint.folder), what, *versions, processor()])
    return root / "gangmu" / f"{what}-{hashlib.sha256(key.encode()).hexdigest()[:24]}"


def _version(package: str) -> str:
    """Return the version of a package that may be installed under another name, such as onnxruntime-gpu."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        return str(importlib.import_module(package).__version__)


def processor() -> str:
    """Return a short hash of what the processor can do."""
    return hashlib.sha256(f"{platform.machine()} {' '.join(sorted(_flags()))}".encode()).hexdigest()[:12]


def _has_bf16() -> bool:
    return "avx512_bf16" in _flags()


def _flags() -> set[str]:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return set()
    line = next((line for line in path.read_text().splitlines() if line.startswith(("flags", "Features"))), "")
    return set(line.partition(":")[2].split())


if __name__ == "__main__":
    from gangmu.checkpoint import load_checkpoint

    here = Path(sys.argv[1])
    sys.stdout.buffer.write(_scores(load_checkpoint(here), _engine(here, read_compiled(here), 1)).tobytes())
