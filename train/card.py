"""Model cards of classifiers and encoders, written from what was measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gangmu.decision import Decision
from gangmu.labels import LABELS
from train.config import PretrainConfig, RunConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CARD = """---
language: zh
license: apache-2.0
library_name: transformers
pipeline_tag: token-classification
base_model: {base}
metrics: [f1, accuracy]
tags: [policy-text, sentence-classification, gangmu]
---
# {name}

Says of every sentence of a Chinese meeting report whether it is {labels}.

```python
import gangmu

report = gangmu.load("{folder}").label("会议强调，要完善联席会议制度。")
```
`AutoModelForTokenClassification.from_pretrained(...)` loads it too: the logits of a sentence are {readout}.
Use `gangmu.load` for cleaning, splitting and windows{ngrams}.

## Scores on `{test}` ({reports} reports, {sentences} sentences)

| | macro-F1 of the four | 95 % interval | accuracy | kappa |
|---|---|---|---|---|
{rows}

ECE {ece:.3f}.

## Decision
{decision} Fitted on `{dev}`.

## Training
`python -m train.fit` on `{train}` with `{dev}` for the choice of the epoch.
Start: `{base}`; {epochs} epochs at most, learning rate {rate:g}, windows of {window} tokens,
seed {seed}, {threads} threads.

## Limits
All labels it learnt from were given by language models following the project's guidelines, and the reports of `data/`
were written by them; the scores above are on such reports. On real reports scores are lower: see the README. The shares
of the functions in `data/` differ from those of real reports on purpose.
"""


def model_card(config: RunConfig, folder: Path, metrics: dict[str, Any], decision: Decision) -> str:
    """Return the text of the card of the checkpoint at `folder`."""
    rows = []
    for name, found in [(config.name, metrics["model"]), *metrics["baselines"].items()]:
        low, high = found["macro_f1_interval"] or [None, None]
        cells = [
            name,
            f"{found['macro_f1']:.3f}",
            f"{low:.3f} to {high:.3f}" if low is not None else "",
            f"{found['accuracy']:.3f}",
            f"{found['kappa']:.3f}",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return CARD.format(
        name=config.name,
        folder=folder,
        base=config.model.name,
        readout=READOUT[config.text.masks > 0],
        ngrams=NGRAMS if config.training.ngrams else "",
        labels=", ".join(f"{label.name} ({label.chinese})" for label in LABELS),
        test=config.data.test,
        reports=metrics["reports"],
        sentences=metrics["sentences"],
        rows="\n".join(rows),
        ece=metrics["model"]["ece"],
        decision=decision_text(decision),
        train="`, `".join(map(str, config.data.train)),
        dev=config.data.dev,
        epochs=config.training.epochs,
        rate=config.training.learning_rate,
        window=config.text.window,
        seed=config.training.seed,
        threads=config.training.threads,
    )


def decision_text(decision: Decision) -> str:
    """Return what a decision does to the scores, and what it promises."""
    priors = "class priors as in training"
    if any(decision.bias):
        shifts = ", ".join(f"{label.name} {value:+.2f}" for label, value in zip(LABELS, decision.bias, strict=True))
        priors = f"class priors shifted (log-odds) by {shifts}"
    promise = "No abstention threshold: none could promise 10 % error."
    if decision.risk is not None:
        bound = f"at most {decision.risk:.0%} of the others wrong on reports like those, with 95 % confidence"
        promise = f"Labels with a score below {decision.abstain} are marked as abstained ({bound})."
    return f"Temperature {decision.temperature}; {priors}. {promise}"


def decision_section(decision: Decision, figures: dict[str, Any], source: str) -> str:
    """Return the card's section about a decision fitted after the training; `figures` are of `cross_fitted`."""
    before, after = figures["current"], figures["cross_fitted"]
    names = {"macro_f1": "macro-F1 of the four", "accuracy": "accuracy", "ece": "ECE", "brier": "Brier score"}
    rows = [f"| {shown} | {before[name]:.3f} | {after[name]:.3f} |" for name, shown in names.items()]
    return "\n".join(
        [
            f"{decision_text(decision)} Fitted by `train.decide` on {source},",
            "after the scores above were measured. Out of fold there:",
            "",
            "| | decision before | this one |",
            "|---|---|---|",
            *rows,
        ]
    )


def with_decision(card: str, section: str) -> str:
    """Return the card with its section `Decision` replaced, or added at its end.

    >>> with_decision("# x\\n\\n## Decision\\nold\\n\\n## Limits\\nmany\\n", "new")
    '# x\\n\\n## Decision\\nnew\\n\\n## Limits\\nmany\\n'
    """
    head, found, rest = card.partition(DECISION)
    after = rest[rest.index("\n\n## ") :] if found and "\n\n## " in rest else "\n"
    return f"{head if found else card.rstrip()}{DECISION}{section}{after}"


DECISION = "\n\n## Decision\n"
NGRAMS = (
    ", and for the linear\nmodel on character n-grams (`ngrams.safetensors`), whose logits are added to the encoder's"
)
READOUT = (
    "the mean of the logits of its tokens, its closing `[SEP]` included",
    "the mean of the logits of\nthe `[MASK]` tokens set before it (`masks` in settings.json)",
)

ENCODER_CARD = """---
language: zh
license: apache-2.0
library_name: transformers
pipeline_tag: fill-mask
tags: [policy-text, gangmu]
---
# {name}

A Chinese BERT of the {architecture} architecture: {layers} layers, {hidden} hidden, {heads} heads,
{parameters:.1f} M parameters, a vocabulary of {vocabulary} {tokens_are}. It is the start of fine-tuning (`make train`).

| held-out text | |
|---|---|
| loss, nats a masked token | {loss:.3f} |
| masked tokens guessed | {accuracy:.1%} |

## Pre-training
`python -m train.pretrain` on {tokens:.1f} M tokens in {hours:.1f} hours on {threads} processor threads, shared with
other work; Muon for the matrices of the layers, AdamW for the rest; masked spans of 1 to {span} over {mask:.0%} of the
tokens, sequences of {length} tokens and, in the last {decay:.0%} of a run, of {final_length}.
`pretraining.json` holds the whole description and the course of the loss.

| run | tokens are | M tokens | hours | loss at its end | masked tokens guessed |
|---|---|---|---|---|---|
{course}

Words are harder to guess than characters: compare losses of the same tokens only.

| source | M tokens | drawn per epoch |
|---|---|---|
{sources}

models/README.md describes the sources of the shipped encoder, with their licences.

## Limits
The model has the outlook of the text it read. The run is short: published compact encoders read a hundred times more.
"""


def encoder_card(
    config: PretrainConfig, model: "PreTrainedModel", sources: dict[str, int], record: dict[str, Any]
) -> str:
    """Return the text of an encoder's card; `sources` are tokens by file, `record` is its pretraining.json."""
    last = record["history"][-1]
    runs = [*record["before"], last | {name: record[name] for name in ("hours", "words")}]
    course = [
        f"| {number} | {_tokens_are(run['words'])} | {run['tokens'] / 1e6:.1f} | {run['hours']:.1f} "
        f"| {run['loss']:.3f} | {run['accuracy']:.1%} |"
        for number, run in enumerate(runs, 1)
    ]
    weights = config.corpus.weights
    rows = [f"| {name} | {count / 1e6:.1f} | {weights.get(name, 1):g} |" for name, count in sources.items()]
    return ENCODER_CARD.format(
        name=config.name,
        architecture=type(model).__name__.removesuffix("ForMaskedLM"),
        layers=model.config.num_hidden_layers,
        hidden=model.config.hidden_size,
        heads=model.config.num_attention_heads,
        parameters=model.num_parameters() / 1e6,
        vocabulary=model.config.vocab_size,
        tokens_are=_tokens_are(record["words"]),
        loss=last["loss"],
        accuracy=last["accuracy"],
        tokens=sum(run["tokens"] for run in runs) / 1e6,
        hours=sum(run["hours"] for run in runs),
        course="\n".join(course),
        threads=config.training.threads,
        span=config.training.longest_span,
        mask=config.training.mask,
        length=config.training.length,
        final_length=config.training.final_length,
        decay=config.training.decay,
        sources="\n".join(rows),
    )


def _tokens_are(words: bool) -> str:
    return "characters and frequent words" if words else "characters"
