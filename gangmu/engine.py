"""Token ids -> token logits. Engines load what they need when they are made, never on import."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from gangmu.encoding import Batch
from gangmu.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Engine(Protocol):
    """Anything that computes a classifier's token logits."""

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
    """The classifier in PyTorch, fp32; any AutoModelForTokenClassification, in evaluation mode."""

    def __init__(self, model: "PreTrainedModel") -> None:
        self.model = model

    @classmethod
    def load(cls, folder: Path) -> "TorchEngine":
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
        return cls(model.eval().to("cuda" if torch.cuda.is_available() else "cpu"))

    def logits(self, batch: Batch) -> NDArray[np.float32]:
        """Return the logits [B, T, 5] of a batch."""
        import torch

        with torch.inference_mode():
            output = self.model(
                input_ids=torch.from_numpy(batch.input_ids).to(self.model.device),
                attention_mask=torch.from_numpy(batch.attention_mask).to(self.model.device),
            )
        logits: NDArray[np.float32] = output.logits.float().cpu().numpy()
        return logits

    def start_thread(self) -> None:
        """Let torch compute with this thread alone what it is asked for here; other threads go on as they are."""
        import torch

        torch.set_num_threads(1)
