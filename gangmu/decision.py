"""Logits of sentences -> calibrated scores and labels, by the decision.json of a checkpoint."""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gangmu.errors import CheckpointError
from gangmu.labels import FUNCTIONS, NAMES

Shift = Annotated[float, Field(allow_inf_nan=False)]


class Decision(BaseModel):
    """Temperature, class priors and thresholds, fitted on labelled reports by train.decide; none before that."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    bias: tuple[Shift, Shift, Shift, Shift, Shift] = (0.0, 0.0, 0.0, 0.0, 0.0)
    """Added to each class's scaled logit: the log-ratio of its share in the reports at hand to that in training."""
    also: float = Field(default=1.0, ge=0, le=1)
    """A second function is named when its score reaches this; at 1, none is."""
    abstain: float = Field(default=0.0, ge=0, le=1)
    """A label whose score is below this is marked as abstained; at 0, none is."""
    risk: float | None = Field(default=None, gt=0, lt=1)
    """The share of wrong labels promised, with 95 % confidence, among those not abstained from; None: no promise."""

    def scores(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return calibrated probabilities [n, 5] of sentence logits [n, 5].

        >>> Decision(bias=(0, 0, 0, 0, 1.5)).scores(np.zeros((1, 5))).round(2).tolist()
        [[0.12, 0.12, 0.12, 0.12, 0.53]]
        """
        scaled = logits.astype(np.float64) / self.temperature + np.array(self.bias)
        scaled -= scaled.max(axis=-1, keepdims=True)
        exponents: NDArray[np.float64] = np.exp(scaled)
        total: NDArray[np.float64] = exponents.sum(axis=-1, keepdims=True)
        return np.divide(exponents, total)

    def label(self, scores: NDArray[np.float64], four: bool = False) -> tuple[str, str | None, bool]:
        """Return (label, also, abstained) of one sentence's scores; with `four`, `other` is never the label.

        >>> Decision(also=0.3).label(np.array([0.1, 0.5, 0.35, 0.05, 0.0]))
        ('method', 'mechanism', False)
        """
        allowed = scores[: len(FUNCTIONS)] if four else scores
        best = int(allowed.argmax())
        functions = scores[: len(FUNCTIONS)].copy()
        if best < len(FUNCTIONS):
            functions[best] = -1.0
        second = int(functions.argmax())
        also = NAMES[second] if self.also < 1 and functions[second] >= self.also else None
        return NAMES[best], also, bool(scores[best] < self.abstain)


def load_decision(path: Path) -> Decision:
    """Return the decision saved at `path`; CheckpointError says what is wrong with it."""
    try:
        return Decision.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: missing; use a folder written by `make train`") from None
    except (ValidationError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a decision file of this version: {error}") from None
