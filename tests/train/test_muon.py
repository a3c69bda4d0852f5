import pytest
import torch

from train import muon as muon_module
from train.muon import Muon, orthogonal


@pytest.mark.parametrize(("bf16", "tolerance"), [(True, 1e-6), (False, 3e-3)])
def test_takes_the_steps_of_torch(bf16: bool, tolerance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon_module, "computes_bf16", lambda device: bf16)
    torch.manual_seed(0)
    start, gradients = torch.randn(24, 40), torch.randn(5, 24, 40)
    moved = []
    for make in (
        lambda matrix: Muon([matrix], weight_decay=0.1),
        lambda matrix: torch.optim.Muon([matrix], weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    ):
        matrix = torch.nn.Parameter(start.clone())
        optimizer = make(matrix)
        for gradient in gradients:
            matrix.grad = gradient.clone()
            optimizer.param_groups[0]["lr"] = 1e-2
            optimizer.step()
        moved.append(matrix.detach())
    assert (moved[0] - start).abs().max() > 0.03
    assert (moved[0] - moved[1]).abs().max() < tolerance


@pytest.mark.parametrize("shape", [(16, 48), (48, 16)])
def test_directions_are_orthogonal(shape: tuple[int, int]) -> None:
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(1))))
    assert values.min() > 0.6
    assert values.max() < 1.3
