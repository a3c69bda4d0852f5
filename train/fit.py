"""Fine-tune an encoder on labelled reports: config -> run directory with checkpoint, scores and pictures.

python -m train.fit configs/base.yaml training.epochs=1 [--fresh]
"""

import hashlib
import importlib.metadata
import json
import logging
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
import yaml
from transformers import AutoModelForTokenClassification, PreTrainedModel
from transformers.utils import logging as transformers_logging

from gangmu.checkpoint import NGRAMS, SUMS, Checkpoint, checkpoint_hash, file_hash, save_texts, verify
from gangmu.cli import run as run_command
from gangmu.decision import Decision
from gangmu.encoding import Encoder
from gangmu.engine import TorchEngine
from gangmu.errors import CheckpointError, GangmuError, InputOutputError, UsageError
from gangmu.labeller import Labeller, load
from gangmu.labels import NAMES
from gangmu.ngrams import load_ngrams
from gangmu.reading import read_reports
from gangmu.view import html_page
from gangmu.writing import write_whole
from train.card import model_card
from train.config import RunConfig, saved
from train.dataset import read_labelled, read_together
from train.decide import fit_decision
from train.description import load_config
from train.eval import evaluate_file, write_evaluation
from train.loop import BestOnDev, build_trainer, newest_complete, set_seed, training_arguments
from train.ngrams import ngrams_beside
from train.tables import print_metrics

log = logging.getLogger(__name__)
RUNS = Path("runs")
PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "evaluate",
    "accelerate",
    "scikit-learn",
    "numpy",
    "opencc",
)


def fit(config: RunConfig, fresh: bool = False, runs: Path = RUNS) -> Path:
    """Return the run directory after training, or going on with training, and scoring on held-out reports."""
    folder = runs / config.name
    # --- check everything before anything is loaded
    splits = {"train": read_together(config.data.train), "dev": read_labelled(config.data.dev)}
    read_labelled(config.data.test)
    encoder_folder = find_encoder(config)
    encoder = Encoder.load(encoder_folder)
    fingerprint = _fingerprint(config, encoder_folder)
    state = _prepare(folder, config, fingerprint, fresh)
    if state == "finished":
        log.info("%s is finished with this config and data; scoring it again (--fresh trains anew)", folder)
        return _finish(config, folder)

    # --- model and data
    set_seed(config)
    model = build_model(encoder_folder)
    checkpoint = Checkpoint(folder / "best", config.name, config.text, Decision(), encoder)
    best = BestOnDev(Labeller(checkpoint, TorchEngine(model)), splits["dev"], encoder_folder, folder)

    # --- train
    trainer = build_trainer(config, model, encoder, splits["train"], training_arguments(config, folder), [best])
    try:
        trainer.train(resume_from_checkpoint=newest_complete(folder / "checkpoints"))
    except KeyboardInterrupt:
        log.warning("interrupted; the same command goes on from the last finished epoch")
        raise

    # --- decide, describe, score
    texts = [report.texts for report in splits["dev"]]
    logits = np.concatenate(Labeller(checkpoint, TorchEngine.load(folder / "best")).logits(texts))
    if config.training.ngrams:
        ngrams_beside(logits, splits["train"], splits["dev"]).save(folder / "best" / NGRAMS)
        if saved_ngrams := load_ngrams(folder / "best" / NGRAMS):  # with the weights as they will be read
            logits = logits + saved_ngrams.logits([text for report in texts for text in report])
    save_texts(folder / "best", config.text, fit_decision(logits, splits["dev"]), "")
    return _finish(config, folder)


def find_encoder(config: RunConfig) -> Path:
    """Return the folder of the encoder that `model.name` names, checked; from the hub only when allowed."""
    folder = Path(config.model.name)
    if not folder.is_dir():
        if not config.model.hub:
            way_out = "for a model of the Hugging Face hub set model.hub=true"
            raise UsageError(f"model.name: {folder} is no folder here; {way_out}")
        folder = _download(config.model.name)
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"model.name: {folder} has no config.json; give a Hugging Face model folder")
    if not any(folder.glob("*.safetensors")) and not (folder / "pytorch_model.bin").is_file():
        raise CheckpointError(f"model.name: {folder} has no model.safetensors or pytorch_model.bin")
    if (folder / SUMS).is_file():
        verify(folder)
    most = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("max_position_embeddings")
    if most and config.text.window > most:
        raise UsageError(f"text.window: {config.text.window} tokens, but {folder} reads at most {most}")
    return folder


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    files = [
        "config.json",
        "*.safetensors",
        "pytorch_model.bin",
        "vocab.txt",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    try:
        return Path(snapshot_download(name, allow_patterns=files))
    except (OSError, HfHubHTTPError) as error:
        raise InputOutputError(f"model.name: {name} could not be fetched from the hub: {error}") from error


def build_model(folder: Path) -> PreTrainedModel:
    """Return the encoder of `folder` with a fresh token classification head for our labels.

    Old Chinese BERTs come as pytorch_model.bin; torch reads it with weights_only, so it cannot run code.
    """
    names = dict(enumerate(NAMES))
    ids = {name: index for index, name in names.items()}
    kept = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # that the head is new is no news
    transformers_logging.disable_progress_bar()
    model = AutoModelForTokenClassification.from_pretrained(
        folder, id2label=names, label2id=ids, local_files_only=True, trust_remote_code=False, dtype=torch.float32
    )
    transformers_logging.set_verbosity(kept)
    return model


def _prepare(folder: Path, config: RunConfig, fingerprint: str, fresh: bool) -> str:
    """Return "finished", "unfinished" or "new" for the run directory, then ready; UsageError when it is another's."""
    mark = folder / "fingerprint"
    if fresh and folder.exists():
        if not mark.is_file():
            raise UsageError(f"{folder} is no run directory (no fingerprint in it); --fresh does not delete it")
        old = folder.with_name(folder.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        shutil.rmtree(old)
    if mark.is_file():
        if mark.read_text() != fingerprint:
            raise UsageError(
                f"{folder} holds a run with another config or other data; "
                "choose another name=..., or give --fresh to replace it"
            )
        return "finished" if (folder / "metrics.json").is_file() else "unfinished"
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "config.yaml", yaml.safe_dump(saved(config), allow_unicode=True, sort_keys=False))
    write_whole(folder / "environment.json", json.dumps(_environment(config), indent=2) + "\n")
    write_whole(mark, fingerprint)
    return "new"


def _fingerprint(config: RunConfig, encoder_folder: Path) -> str:
    """Return a hash of the config, the data and the encoder: what decides the weights."""
    parts = [json.dumps(saved(config), sort_keys=True)]
    parts += [file_hash(path) for path in (*config.data.train, config.data.dev, config.data.test)]
    files = (
        path for path in sorted(encoder_folder.iterdir()) if path.is_file() and path.name not in ("README.md", SUMS)
    )
    parts += [file_hash(path) for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() + "\n"


def _environment(config: RunConfig) -> dict[str, Any]:
    commit, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    return {
        "commit": commit or None,
        "uncommitted_changes": bool(changed),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "threads": config.training.threads,
        "processor": platform.machine(),
    }


def _git(*arguments: str) -> str:
    """Return what git prints, or nothing outside a repository or without git."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _finish(config: RunConfig, folder: Path) -> Path:
    """Score the best checkpoint, write card, metrics and samples, print the table."""
    labeller = load(folder / "best")
    evaluation = evaluate_file(labeller, config.data.test, config.data.train)
    metrics = evaluation.metrics
    print_metrics(metrics, f"{folder / 'best'} on {config.data.test}")
    card = model_card(config, folder / "best", metrics, labeller.checkpoint.decision)
    save_texts(folder / "best", config.text, labeller.checkpoint.decision, card)
    metrics["checkpoint"] = checkpoint_hash(folder / "best")
    if config.data.samples:
        _label_samples(labeller, config.data.samples, folder / "samples.html")
    write_evaluation(evaluation, folder)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    log.info("run directory: %s; checkpoint: %s; scores: %s", folder, folder / "best", folder / "evaluation.html")
    return folder


def _label_samples(labeller: Labeller, samples: Path, page: Path) -> None:
    faults: list[GangmuError] = []
    reports = list(read_reports([str(samples)], faults))
    for fault in faults:
        log.warning("%s", fault)
    labelled = labeller.label_many(report.text for report in reports)
    write_whole(
        page, html_page([(r.id, found) for r, found in zip(reports, labelled, strict=True)], "Gangmu 纲目: samples")
    )
    log.info("labelled samples: %s", page)


def main(
    config: Annotated[Path, typer.Argument(help="Run description, such as configs/base.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.key=value, such as training.epochs=1.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete what the run directory holds and start anew.")] = False,
) -> None:
    """Fine-tune an encoder on labelled reports; a second call goes on where the first was stopped."""
    fit(load_config(config, overrides or [], RunConfig), fresh)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command(epilog="Example:  python -m train.fit configs/base.yaml name=short training.epochs=2")(main)
    run_command(app)
