"""A classifier's weights -> one ONNX file. Needs torch and transformers, so it is imported only where it is used."""

import logging
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gangmu.engine import TorchEngine
from gangmu.errors import UsageError


class _Angles(nn.Module):
    """Rotary position angles as tables: computed in bf16, those of the 500th token would be wrong by radians."""

    def __init__(self, computed: nn.Module, window: int, kinds: list[str]) -> None:
        super().__init__()
        for kind in kinds:
            for name, table in zip(
                ("cos", "sin"), computed(torch.zeros(1), torch.arange(window)[None], kind), strict=True
            ):
                self.register_buffer(f"{name}_{kind}", table)

    def forward(self, x: Tensor, position_ids: Tensor, kind: str) -> tuple[Tensor, Tensor]:
        """Return cosines and sines [1, T, H] of the first T positions."""
        return getattr(self, f"cos_{kind}")[:, : x.shape[1]], getattr(self, f"sin_{kind}")[:, : x.shape[1]]


class _Logits(nn.Module):
    """The classifier, with a tensor where transformers returns an object."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        """Return the logits [B, T, 5]."""
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


@torch.no_grad()
def export(folder: Path, target: Path, window: int) -> None:
    """Write the classifier at `folder` as ONNX, fp32, for any number of windows of at most `window` tokens.

    Attention is written out: OpenVINO 2026.4 makes NaN of a fused one with padding. The exporter is torch's old one:
    0.5 s, where the new one takes 58 s and its model is slower.
    """
    model: Any = TorchEngine.load(folder).model.cpu()
    model.set_attn_implementation("eager")
    if hasattr(model.base_model, "rotary_emb"):
        kinds = sorted(set(model.config.layer_types))
        model.base_model.rotary_emb = _Angles(model.base_model.rotary_emb, window, kinds)
    ids = torch.ones((2, 16), dtype=torch.int64)
    axes = {0: "windows", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's age, and of checks that it cannot trace
        torch.onnx.export(
            _Logits(model),
            (ids, torch.ones_like(ids)),
            target,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes=dict.fromkeys(("input_ids", "attention_mask", "logits"), axes),
            opset_version=17,
            dynamo=False,
        )


def quantise(path: Path, narrow: bool) -> None:
    """Make the weights of matrix products int8 in an ONNX file, in place; `narrow` leaves one bit of them unused.

    Not of products that make a vector shorter, the second of each feed-forward layer, whose input has a few very large
    values: with them 7 of 518 labels changed, one that torch was sure of by 0.34; without them none (11.8 MB for 9.9).
    Nor of products of two computed matrices, in attention. Processors without VNNI add up two products in 16 bits,
    which overflow unless a bit is left free.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnx
        from onnxruntime.quantization import quantize_dynamic
    except ImportError as error:
        raise UsageError(f"int8 needs {error.name}: pip install 'gangmu[onnx]'") from error
    graph = onnx.load(path).graph
    shapes = {weight.name: weight.dims for weight in graph.initializer}
    products = [node for node in graph.node if node.op_type == "MatMul"]
    left = [node.name for node in products if (shape := shapes.get(node.input[1])) is None or shape[0] > shape[1] > 8]
    logging.disable(logging.WARNING)  # it recommends a step that this graph does not need
    quantize_dynamic(
        path, path, op_types_to_quantize=["MatMul"], per_channel=True, reduce_range=narrow, nodes_to_exclude=left
    )
    logging.disable(logging.NOTSET)
