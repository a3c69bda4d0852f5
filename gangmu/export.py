"""A classifier's weights -> one ONNX file. Needs torch and transformers, so it is imported only where it is used."""

import logging
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.modernbert.modeling_modernbert import ModernBertModel, apply_rotary_pos_emb

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


class _Gated(nn.Module):
    """A feed-forward layer with a product for each of its halves: a product cut in two is copied to be cut."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.inner, self.gate = _parts(layer.Wi, 2)
        self.act = layer.act
        self.Wo = layer.Wo

    def forward(self, x: Tensor) -> Any:
        """Return [B, T, H]."""
        return self.Wo(self.act(self.inner(x)) * self.gate(x))


class _Attention(nn.Module):
    """Attention with a product each for queries, keys and values; the scale is in the queries' weights."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.width = layer.head_dim
        self.queries, self.keys, self.values = _parts(layer.Wqkv, 3)
        for parameter in self.queries.parameters():
            parameter.mul_(self.width**-0.5)
        self.Wo = layer.Wo

    def forward(
        self, hidden_states: Tensor, position_embeddings: tuple[Tensor, Tensor], attention_mask: Tensor, **_: Any
    ) -> tuple[Any, None]:
        """Return [B, T, H], and no attention weights."""
        split = (*hidden_states.shape[:2], -1, self.width)
        queries, keys, values = (
            part(hidden_states).view(split).transpose(1, 2) for part in (self.queries, self.keys, self.values)
        )
        queries, keys = apply_rotary_pos_emb(queries, keys, *position_embeddings)
        weights = torch.softmax(queries @ keys.transpose(2, 3) + attention_mask, dim=-1)
        return self.Wo((weights @ values).transpose(1, 2).flatten(2)), None


def _parts(product: nn.Linear, count: int) -> list[nn.Linear]:
    """Return a linear layer cut into `count`."""
    size = product.out_features // count
    parts = [nn.Linear(product.in_features, size, bias=product.bias is not None) for _ in range(count)]
    for place, part in enumerate(parts):
        rows = slice(place * size, (place + 1) * size)
        part.weight.copy_(product.weight[rows])
        if product.bias is not None:
            part.bias.copy_(product.bias[rows])
    return parts


def _simplify(encoder: Any, window: int) -> None:
    """Give a ModernBERT the same function in operations that engines fuse, in place.

    With OpenVINO in bf16 on a core with AMX, 4,096 tokens take 50 ms instead of 62 in windows of 64 tokens, 2,880 take
    46 instead of 51 in windows of 320.
    """
    kinds = sorted(set(encoder.config.layer_types))
    encoder.rotary_emb = _Angles(encoder.rotary_emb, window, kinds)
    for layer in encoder.layers:
        layer.attn, layer.mlp = _Attention(layer.attn), _Gated(layer.mlp)


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
    if isinstance(model.base_model, ModernBertModel):
        _simplify(model.base_model, window)
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
