"""Muon, the optimiser of weight matrices, in the precision that the processor is fast in."""

from collections.abc import Iterable

import torch

from train.processes import computes_bf16

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic whose slope at zero is steepest (github.com/KellerJordan/Muon)."""
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Momentum whose direction is made orthogonal; with the same arguments as torch.optim.Muon, the same steps.

    torch's own computes in bfloat16 always, which a processor without such instructions emulates: 1 against 56
    thousand million operations a second on one core with AVX2 only, so that a step took ten times as long. The step is
    scaled to AdamW's (arXiv 2502.16982), so that one learning rate serves both.
    """

    def __init__(self, matrices: Iterable[torch.Tensor], weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": 1e-3, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step with the gradients that are there."""
        for group in self.param_groups:
            for matrix in group["params"]:
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix)
                buffer = state["momentum_buffer"]
                buffer.lerp_(matrix.grad, 1 - group["momentum"])
                direction = orthogonal(matrix.grad.lerp(buffer, group["momentum"]))
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(direction, alpha=-group["lr"] * 0.2 * max(matrix.shape) ** 0.5)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Return the matrix with its singular values drawn to about 1 (0.7 to 1.2), by Newton and Schulz's iteration."""
    precision = torch.bfloat16 if computes_bf16(matrix.device) else torch.float32
    x = matrix.to(precision).T if matrix.shape[0] > matrix.shape[1] else matrix.to(precision)
    x = x / x.norm().clamp(min=1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if matrix.shape[0] > matrix.shape[1] else x).to(matrix.dtype)
