"""Token ids -> token logits. Engines load what they need when they are made, never on import."""

import ctypes
import os
import threading
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gangmu.encoding import Batch
from gangmu.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


SHAPES = 16
"""Shapes of batches that OpenVINO keeps its kernels of, of 5,000 by itself: memory grew by 394 MB from 1,000 reports to
20,000, with 16 by 128 MB, at the same speed (`python -m train.benchmark scale`)."""
PRIMITIVES = 64
"""Kernels that oneDNN keeps below OpenVINO, of 1,024 by itself, which it filled shape by shape: of the 77 MB by which
memory grew from 1,000 reports to 6,000, 18 are left; labelling takes 6 % longer (24.0 s for 22.1, 20,000 reports)."""
RETURNED = 1 << 20
"""Bytes from which freed memory goes back to the system. By itself the C library raises that bound to the largest array
freed yet, 32 MB at most, and keeps what batches leave between others: 577 MB with 1,000 reports, not 394."""


class Engine(Protocol):
    """Anything that computes a classifier's token logits."""

    name: str
    """What it is, such as `openvino bf16`; rows computed by different ones may differ in the last digits."""
    folder: Path | None
    """Where its files are, all that another machine needs."""

    def logits(self, batch: Batch) -> NDArray[np.float32]:
        """Return the logits [B, T, 5] of a batch."""
        ...

    def start_thread(self) -> None:
        """Make what this thread asks for be computed by this thread alone.

        Sums over several threads differ in the last digit with their number (3.8e-6 in a logit, three threads against
        one); several batches at a time, each by one thread, do not.
        """
        ...


class TorchEngine:
    """The classifier in PyTorch, fp32 or bf16; any AutoModelForTokenClassification, in evaluation mode."""

    def __init__(self, model: "PreTrainedModel", bf16: bool = False) -> None:
        self.model = model
        self.bf16 = bf16
        self.name = "torch bf16" if bf16 else "torch fp32"
        self.folder: Path | None = None

    @classmethod
    def load(cls, folder: Path, bf16: bool = False) -> "TorchEngine":
        """Return the engine of a checkpoint folder, on the GPU when there is one."""
        try:
            import torch
            from transformers import AutoModelForTokenClassification
            from transformers.utils import logging as transformers_logging
        except ImportError as error:
            raise UsageError(f"labelling needs PyTorch ({error}): pip install 'gangmu[torch]'") from error
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            model = AutoModelForTokenClassification.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
            )
        except Exception as error:  # libraries raise whatever comes of a damaged or hostile folder
            raise CheckpointError(f"{folder}: cannot be loaded: {type(error).__name__}: {error}") from error
        engine = cls(model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), bf16)
        engine.folder = folder
        return engine

    def logits(self, batch: Batch) -> NDArray[np.float32]:
        """Return the logits [B, T, 5] of a batch."""
        import torch

        device = self.model.device
        rounded = torch.autocast(device.type, torch.bfloat16) if self.bf16 else nullcontext()
        with torch.inference_mode(), rounded:
            output = self.model(
                input_ids=torch.from_numpy(batch.input_ids).to(device),
                attention_mask=torch.from_numpy(batch.attention_mask).to(device),
            )
        logits: NDArray[np.float32] = output.logits.float().cpu().numpy()
        return logits

    def start_thread(self) -> None:
        """Let torch compute with this thread alone what it is asked for here; other threads go on as they are."""
        import torch

        torch.set_num_threads(1)


class OpenVinoEngine:
    """The classifier in OpenVINO, from its ONNX file; `precision` is bf16 or f32."""

    def __init__(self, path: Path, precision: str, threads: int) -> None:
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(PRIMITIVES))
        try:
            import openvino
        except ImportError as error:
            raise UsageError(f"--engine openvino needs {error.name}: pip install 'gangmu[openvino]'") from error
        _return_memory()
        properties = {"INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": threads, "INFERENCE_NUM_THREADS": threads}
        properties["CPU_RUNTIME_CACHE_CAPACITY"] = SHAPES
        self.name = f"openvino {precision}"
        self.folder: Path | None = path.parent
        self.compiled = openvino.Core().compile_model(path, "CPU", properties)
        self.mine = threading.local()
        # One batch before there are threads: two that give arrays to OpenVINO for the first time at once wait for ever,
        # one for the interpreter's lock, the other for what that one has begun to set up (one run of 50).
        self.compiled.create_infer_request().infer([np.ones((1, 4), np.int64), np.ones((1, 4), np.int64)])

    def logits(self, batch: Batch) -> NDArray[np.float32]:
        """Return the logits [B, T, 5] of a batch."""
        if not hasattr(self.mine, "request"):
            self.mine.request = self.compiled.create_infer_request()
        found = self.mine.request.infer([batch.input_ids, batch.attention_mask])
        logits: NDArray[np.float32] = found[0].copy()  # the next batch of this thread is computed in the same place
        return logits

    def start_thread(self) -> None:
        """Do nothing: each stream of OpenVINO has one thread."""


def _return_memory() -> None:
    """Have the C library give RETURNED bytes and more back to the system, where it is one that can be told."""
    trim_threshold, mmap_threshold = -1, -3  # of malloc.h
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(trim_threshold, RETURNED)
        library.mallopt(mmap_threshold, RETURNED)


class OnnxEngine:
    """The classifier in ONNX Runtime, from its ONNX file, whose weights are int8 or f32."""

    def __init__(self, path: Path, precision: str) -> None:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it reports to its makers from Linux too
        try:
            import onnxruntime
        except ImportError as error:
            raise UsageError(f"--engine onnx needs {error.name}: pip install 'gangmu[onnx]'") from error
        self.name = f"onnx {precision}"
        self.folder: Path | None = path.parent
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def logits(self, batch: Batch) -> NDArray[np.float32]:
        """Return the logits [B, T, 5] of a batch."""
        fed = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        logits: NDArray[np.float32] = self.session.run(None, fed)[0]
        return logits

    def start_thread(self) -> None:
        """Do nothing: the session computes in the thread that asks."""
