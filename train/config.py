"""Run descriptions: YAML -> checked, frozen objects. Every mistake of a file is reported at once."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gangmu.errors import UsageError
from gangmu.settings import TextSettings

Count = Annotated[int, Field(ge=1, strict=True)]
Name = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
"""A folder name that stays inside its parent."""
Fraction = Annotated[float, Field(ge=0, lt=1, strict=True)]
Rate = Annotated[float, Field(gt=0, lt=1, strict=True)]
Amount = Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)]
Precision = Literal["fp32", "bf16", "auto"]
"""auto: bfloat16 where the processor or GPU has instructions for it."""
SIZE_LIMIT = 1 << 15
"""Bytes of a run description at most, many times configs/base.yaml; PyYAML takes 26 s for 1 MB of numbers."""


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
    """Size of the vocabulary at most; null with `start`, whose vocabulary stays."""


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
    """Share of characters to predict."""
    longest_span: Count
    save_minutes: Amount
    seed: int = Field(ge=0, strict=True)
    threads: Count
    """Processor threads of a process."""
    precision: Precision


class PretrainConfig(Section):
    """One pre-training run: configs/pretrain/base.yaml explains every key."""

    name: Name
    output: Path
    """Folder for the cached corpus, the checkpoints and the encoder."""
    start: Path | None
    """Encoder folder whose pre-training goes on, with its shape and vocabulary; null: fresh weights."""
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


ConfigType = TypeVar("ConfigType", RunConfig, PretrainConfig, CompareConfig)


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads 2e-5 as a number, collects doubled keys and refuses aliases."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.doubled: list[str] = []

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed; write the value out", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            mark = key_node.start_mark
            if key in seen:
                place = f"line {mark.line + 1}, column {mark.column + 1}"
                self.doubled.append(f"{place}: key {key!r} stands twice, first in line {seen[key]}; keep one")
            seen[key] = mark.line + 1
        return super().construct_mapping(node, deep)


# YAML 1.1 takes 2e-5 for text, and the Trainer then keeps the text (LLaMA-Factory issue 4014, TRL issue 1450).
NUMBER = re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9]*)?[eE][-+]?[0-9]+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER, list("-+0123456789"))


def load_config(path: Path, overrides: list[str], kind: type[ConfigType]) -> ConfigType:
    """Return the run description at `path` with `section.key=value` overrides; UsageError lists every mistake.

    `extends: FILE` takes what is not given here from another file beside it, one level deep.
    """
    values, faults = _read(path)
    if base := values.pop("extends", None):
        below, more = _read(path.parent / str(base))
        faults += more
        if "extends" in below:
            faults.append(f"  extends: {base} extends {below.pop('extends')} itself; one level only")
        values = _merged(below, values)
    for override in overrides:
        values = _merged(values, _parsed(override))
    try:
        config = kind.model_validate(values)
    except ValidationError as error:
        faults += [f"  {'.'.join(map(str, e['loc']))}: {e['msg']} (got {_shown(e['input'])})" for e in error.errors()]
    if faults:
        raise UsageError("\n".join([f"{path} is not a valid run description:", *faults]))
    return config


def _read(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the values of a file and a line for each key that stands in it twice."""
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise UsageError(f"{path}: {path.stat().st_size} bytes; a run description has at most {SIZE_LIMIT}")
        loader = _Loader(path.read_text(encoding="utf-8"))
        values = loader.get_single_data()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; `ls configs` shows the run descriptions there are") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"{path}: not YAML that can be read: {_place(error)}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path}: expected sections with keys, found {_shown(values)}")
    return values, [f"  {path.name}, {doubled}" for doubled in loader.doubled]


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + str(getattr(error, "problem", None) or error)


def _parsed(override: str) -> dict[str, Any]:
    """Return {"training": {"epochs": 1}} for "training.epochs=1"."""
    key, separator, text = override.partition("=")
    if not separator or not all(key.split(".")):
        raise UsageError(f"override {override!r}: expected section.key=value, such as training.epochs=1")
    try:
        value = _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"override {override!r}: {_place(error)}") from error
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return merged


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def saved(config: Section) -> dict[str, Literal[None] | Any]:
    """Return the resolved description as plain values, for a run directory."""
    return config.model_dump(mode="json")
