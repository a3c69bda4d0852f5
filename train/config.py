"""Run descriptions as checked, frozen objects; `train.description` reads them from YAML."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gangmu.settings import TextSettings

Count = Annotated[int, Field(ge=1, strict=True)]
Name = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
"""A folder name that stays inside its parent."""
Fraction = Annotated[float, Field(ge=0, lt=1, strict=True)]
Rate = Annotated[float, Field(gt=0, lt=1, strict=True)]
Amount = Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)]
Precision = Literal["fp32", "bf16", "auto"]
"""auto: bfloat16 where the processor or GPU has instructions for it."""


class Section(BaseModel):
    """A part of a run description; unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(Section):
    """Where training starts."""

    name: str = Field(min_length=1)
    """Folder of the encoder to start from, or a hub id when `hub` is true."""
    hub: bool = Field(strict=True)
    """Allow a download from the Hugging Face hub."""


class DataConfig(Section):
    """Labelled files, split by report."""

    train: tuple[Path, ...] = Field(min_length=1)
    """One file or several, read as one."""
    dev: Path
    test: Path
    samples: Path | None
    """Folder of raw reports that `make train` labels into a page at the end."""

    @field_validator("train", mode="before")
    @classmethod
    def _several(cls, train: Any) -> Any:
        return [train] if isinstance(train, str | Path) else train


class TrainingConfig(Section):
    """How long, how fast and how exactly to train."""

    epochs: Count
    max_steps: int = Field(ge=-1, strict=True)
    """Stop after so many steps; -1: after `epochs`."""
    batch_size: Count
    """Windows a step."""
    learning_rate: Rate
    warmup: Fraction
    weight_decay: Amount
    label_smoothing: Fraction
    also: Fraction
    """Share of the target that a sentence's second function gets."""
    hidden: Fraction
    """Share of the text's tokens hidden from the model in training, anew in every epoch."""
    ngrams: bool = Field(strict=True)
    """Fit a linear model on character n-grams too, whose logits are added to the encoder's."""
    max_grad_norm: Amount
    seed: int = Field(ge=0, strict=True)
    threads: Count
    """Processor threads; the weights are the same again only for the same number."""
    precision: Precision


class RunConfig(Section):
    """One fine-tuning run: configs/base.yaml explains every key."""

    name: Name
    model: ModelConfig
    text: TextSettings
    data: DataConfig
    training: TrainingConfig


class EncoderShape(Section):
    """Size of a new encoder."""

    layers: Count
    hidden: Count
    heads: Count
    intermediate: Count
    local_attention: Count


class CorpusConfig(Section):
    """What to read."""

    path: Path
    """Folder of .txt files, a paragraph a line, a blank line between documents, and .jsonl files, a `text` a line;
    each may be compressed as .xz."""
    weights: dict[str, Amount]
    """How often a file is read in an epoch, by file name without ending; 1 for those not named."""
    vocabulary: Count | None
    """Characters of the vocabulary at most; null: that of `start` stays."""
    words: int = Field(default=0, ge=0, le=50_000)
    """Frequent words of two or three characters that are tokens too (models/README.md, "Trials of recipes")."""


class PretrainingConfig(Section):
    """How to learn from it."""

    tokens: Count
    """Length of the whole run; it may be changed and the run resumed while the rate is constant."""
    step_tokens: Count
    length: Count
    """Tokens a sequence while the rate is constant."""
    final_length: Count
    """Tokens a sequence while the rate falls, so that long windows work."""
    learning_rate: Rate
    warmup_steps: Count
    decay: Fraction
    """Share of the run at its end in which the rate falls to zero."""
    weight_decay: Amount
    mask: Rate
    """Share of tokens to predict."""
    longest_span: Count
    save_minutes: Amount
    seed: int = Field(ge=0, strict=True)
    threads: Count
    """Processor threads of a process."""
    precision: Precision
    compile: bool = Field(strict=True)
    """Whether torch.compile fuses the layers' operations; it needs a C++ compiler."""


class PretrainConfig(Section):
    """One pre-training run: configs/pretrain/base.yaml explains every key."""

    name: Name
    output: Path
    """Folder for the cached corpus, the checkpoints and the encoder."""
    start: Path | None
    """Encoder folder whose pre-training goes on, with its shape; null: fresh weights."""
    shape: EncoderShape | None
    """Of a new encoder; null with `start`."""
    corpus: CorpusConfig
    training: PretrainingConfig

    @model_validator(mode="after")
    def _one_origin(self) -> "PretrainConfig":
        if (self.start is None) == (self.shape is None):
            raise ValueError("give either start, an encoder folder to go on from, or shape; set the other to null")
        if self.shape and not self.corpus.vocabulary:
            raise ValueError("corpus.vocabulary: a new encoder needs its size")
        return self


class DistilConfig(Section):
    """What to label with which teachers: configs/distil/base.yaml explains every key."""

    name: Name
    teachers: tuple[Path, ...] = Field(min_length=1)
    """Checkpoint folders, whose scores are averaged."""
    corpus: Path
    sources: tuple[str, ...] = Field(min_length=1)
    """Files of the corpus, without their endings."""
    without: Path | None
    """Annotations of documents that have labels already."""
    documents: Count
    sentences: tuple[Count, Count]
    """Fewest and most of a document."""
    demands: Fraction
    """Share of a document's sentences that have one of the four functions, at least."""
    sure: Fraction
    """Mean score of a document's labels, at least."""
    seed: int = Field(ge=0, strict=True)


Axis = Literal["sentences", "tokens"]


class CompareConfig(Section):
    """Runs to set side by side: configs/compare/curve.yaml explains every key."""

    name: Name
    base: Path
    """Run description that the variants change."""
    variants: dict[str, list[str]] = Field(min_length=1)
    baselines: list[str]
    train: dict[str, Path] = Field(min_length=1)
    shares: list[Annotated[float, Field(gt=0, le=1)]] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0, strict=True)]] = Field(min_length=1)
    test: dict[str, Path] = Field(min_length=1)
    axis: Axis
    """What the picture sets scores against: sentences trained on, or tokens that the encoders were pre-trained on."""


def saved(config: Section) -> dict[str, Literal[None] | Any]:
    """Return the resolved description as plain values, for a run directory."""
    return config.model_dump(mode="json")
