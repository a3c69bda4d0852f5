"""TextSettings: all that shapes the model's input. It travels with the weights as settings.json."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gangmu.errors import CheckpointError
from gangmu.labels import NAMES


class TextSettings(BaseModel):
    """How sentences become windows; written by training, read by inference, never defaulted there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    context: Literal["report", "neighbours", "none"] = "report"
    """report: as many sentences as fit; neighbours: one sentence between its neighbours; none: alone."""
    window: int = Field(default=256, ge=16, le=8192, strict=True)
    """Tokens of a window at most, `[CLS]` and every `[SEP]` included."""
    overlap: int = Field(default=1, ge=0, le=8, strict=True)
    """Sentences repeated on each side of a window as context only (`neighbours`: how many on each side)."""
    masks: int = Field(default=0, ge=0, le=8, strict=True)
    """`[MASK]` tokens before each sentence, at which its label is read; 0: at all its tokens, `[SEP]` included."""
    labels: tuple[str, ...] = NAMES
    """The label set the weights were trained for, in the order of the logits."""

    @property
    def marks(self) -> int:
        """Tokens a window spends on each sentence beside the sentence's own: its `[MASK]`s and its `[SEP]`."""
        return self.masks + 1

    @model_validator(mode="after")
    def _labels_known(self) -> "TextSettings":
        if self.labels != NAMES:
            raise ValueError(f"labels {list(self.labels)} are not this version's {list(NAMES)}; retrain")
        return self


def load_settings(path: Path) -> TextSettings:
    """Return the settings saved at `path`; CheckpointError names the file and every fault."""
    try:
        return TextSettings.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: missing; a classifier folder without its settings cannot prepare text. "
            "Use a folder written by `make train`, or train from this encoder with model.name"
        ) from None
    except ValidationError as error:
        faults = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})" for e in error.errors()]
        raise CheckpointError("\n".join([f"{path} does not describe this version's text path:", *faults])) from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON: {error}") from error
