"""Which engine computes a checkpoint: the one asked for, or the fastest that is installed and gives torch's labels."""

import logging
from pathlib import Path
from typing import Literal

from filelock import FileLock

from gangmu.checkpoint import COMPILED, Checkpoint, load_checkpoint
from gangmu.compiled import (
    EngineRefusedError,
    Kind,
    admit_bf16,
    cached,
    compile_checkpoint,
    fastest,
    installed,
    load_compiled,
    read_compiled,
)
from gangmu.engine import Engine, TorchEngine
from gangmu.errors import CheckpointError, InputOutputError, UsageError

log = logging.getLogger(__name__)
EngineName = Literal["auto", "torch", "torch-bf16", "openvino", "onnx"]


def load_engine(checkpoint: Checkpoint, name: EngineName | None, threads: int) -> Engine:
    """Return the engine of a checkpoint.

    None is torch, in fp32, for a checkpoint; a compiled folder has one engine. `auto` tries what is installed, the
    fastest first; what has to be compiled is compiled once, into the user's cache. EngineRefusedError when the engine
    asked for does not give torch's labels.
    """
    if (checkpoint.folder / COMPILED).is_file():
        own = read_compiled(checkpoint.folder)
        if name not in (None, "auto", own.engine):
            raise UsageError(f"{checkpoint.folder}: compiled for {own.engine}; --engine {name} needs the checkpoint")
        return load_compiled(checkpoint, threads)
    if name == "auto":
        return _fastest(checkpoint, threads)
    if name in ("openvino", "onnx"):
        return load_compiled(_ready(checkpoint, name), threads)
    if name == "torch-bf16":
        admit_bf16(checkpoint)
        return TorchEngine.load(checkpoint.folder, bf16=True)
    return TorchEngine.load(checkpoint.folder)


def name_of(engine: Engine) -> EngineName:
    """Return what to ask for to get this engine in another process, where `auto` might take another one."""
    if engine.name.startswith("openvino"):
        return "openvino"
    if engine.name.startswith("onnx"):
        return "onnx"
    return "torch-bf16" if engine.name == "torch bf16" else "torch"


def _fastest(checkpoint: Checkpoint, threads: int) -> Engine:
    if Path("/dev/nvidiactl").exists() and _has_gpu():
        try:
            return load_engine(checkpoint, "torch-bf16", threads)
        except EngineRefusedError as error:
            log.warning("%s", error)
    for kind in fastest():
        try:
            return load_compiled(_ready(checkpoint, kind), threads)
        except (EngineRefusedError, UsageError, InputOutputError, OSError) as error:
            log.warning("%s; going on without it", error)
    return load_engine(checkpoint, "torch", threads)


def _has_gpu() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


def _ready(checkpoint: Checkpoint, kind: Kind) -> Checkpoint:
    """Return the compiled checkpoint in the user's cache, made now if it is not there whole."""
    if not installed(kind):
        raise UsageError(f"--engine {kind}: not installed: pip install 'gangmu[{kind}]'")
    folder = cached(checkpoint, kind)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        locked = FileLock(f"{folder}.lock").acquire()  # the first of several processes compiles, others find it done
    except OSError as error:
        way_out = "set XDG_CACHE_HOME to a folder that can"
        raise InputOutputError(f"{folder.parent}: cannot be written: {error.strerror}; {way_out}") from error
    with locked:
        return _compiled(checkpoint, kind, folder)


def _compiled(checkpoint: Checkpoint, kind: Kind, folder: Path) -> Checkpoint:
    refused = folder.with_suffix(".refused")
    if refused.is_file():
        raise EngineRefusedError(refused.read_text(encoding="utf-8"), lasting=True)
    try:
        if folder.is_dir():
            return load_checkpoint(folder)
    except (CheckpointError, OSError):
        log.warning("%s: damaged; compiling again", folder)
    log.warning("compiling for %s, once: some seconds", kind)
    try:
        log.warning("%s", compile_checkpoint(checkpoint, kind, folder).line())
    except EngineRefusedError as error:
        if error.lasting:
            refused.write_text(f"{error} (found before; delete {refused} to try again)", encoding="utf-8")
        raise
    return load_checkpoint(folder)
