"""One process or several: where this one computes, and what they must agree on.

`torchrun --nproc-per-node 2 -m train.pretrain …` and `accelerate launch` both say so in the environment.
"""

import os
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import distributed


@dataclass(frozen=True)
class Processes:
    """This process among those of a run."""

    rank: int
    count: int
    device: torch.device

    @classmethod
    def join(cls) -> "Processes":
        """Return this process's place, once all have met; alone when no launcher started several."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        local = int(os.environ.get("LOCAL_RANK", "0"))
        gpu = torch.cuda.is_available()
        device = torch.device("cuda", local) if gpu else torch.device("cpu")
        if gpu:
            torch.cuda.set_device(device)  # nccl takes the current one, which is the first in every process
        if count > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if gpu else "gloo")
        return cls(int(os.environ.get("RANK", "0")), count, device)

    @property
    def first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def add_gradients(self, model: torch.nn.Module) -> None:
        """Put into every process the sum of all gradients; the loss is divided by the count of the whole step."""
        if self.count == 1:
            return
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def total(self, value: float) -> float:
        """Return the sum of the values that the processes give."""
        if self.count == 1:
            return value
        summed = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(summed)
        return float(summed)

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.count > 1:
            distributed.barrier()

    def leave(self) -> None:
        """End the meeting."""
        if self.count > 1:
            distributed.destroy_process_group()


@lru_cache
def computes_bf16(device: torch.device) -> bool:
    """Return whether the device computes in bfloat16 itself; emulated, it is many times slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def in_bf16(precision: str, device: torch.device) -> bool:
    """Return whether a run of this `precision` computes in bfloat16 on the device; `auto` asks the device."""
    return precision == "bf16" or (precision == "auto" and computes_bf16(device))
