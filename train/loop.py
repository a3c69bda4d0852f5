"""What we add to the Trainer: loss over sentences, the best checkpoint by dev score, a resume that works."""

import json
import logging
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from gangmu.checkpoint import replacing, save_model
from gangmu.encoding import Encoder, sentence_logits
from gangmu.labeller import Labeller
from gangmu.labels import NAMES
from gangmu.writing import write_whole
from train.config import RunConfig
from train.dataset import Collator, GoldReport, window_dataset
from train.eval import evaluate
from train.processes import in_bf16

log = logging.getLogger(__name__)
NEEDED = ("trainer_state.json", "model.safetensors", "optimizer.pt", "scheduler.pt")


class WindowTrainer(Trainer):
    """Trainer whose loss is the cross entropy of the mean token logits of each sentence."""

    label_smoothing = 0.0

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return the mean cross entropy of the labelled sentences of a batch to their targets."""
        output = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        with torch.autocast(inputs["pool"].device.type, enabled=False):
            logits = sentence_logits(inputs["pool"], output.logits.float())
            labelled = inputs["targets"].sum(-1, keepdim=True)
            smoothed = inputs["targets"].lerp(labelled / len(NAMES), self.label_smoothing)
            loss = -(smoothed * logits.log_softmax(-1)).sum() / labelled.sum()
        return (loss, output) if return_outputs else loss


class BestOnDev(TrainerCallback):
    """After each epoch: score on dev with the same function as train.eval, and keep the best weights in `best`."""

    def __init__(self, labeller: Labeller, dev: Sequence[GoldReport], tokenizer_folder: Path, folder: Path) -> None:
        self.labeller = labeller
        self.dev = dev
        self.tokenizer_folder = tokenizer_folder
        self.folder = folder
        self.history: dict[str, Any] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Go on with the scores of the epochs before; what came after the resumed step is scored again."""
        path = self.folder / "log.json"
        found = json.loads(path.read_text()) if path.is_file() else {}
        self.history = {step: scores for step, scores in found.items() if int(step) <= state.global_step}

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Score on dev and save when it is the best so far; a tie keeps the earlier weights."""
        model: PreTrainedModel = kwargs["model"]
        model.eval()
        scores = evaluate(self.labeller, self.dev)
        model.train()
        best = max((s["macro_f1"] for s in self.history.values()), default=-1.0)
        if scores["macro_f1"] > best:
            with replacing(self.folder / "best") as part:
                save_model(model, self.tokenizer_folder, part)
        kept = {name: scores[name] for name in ("macro_f1", "accuracy", "kappa", "ece")}
        self.history[str(state.global_step)] = {"epoch": state.epoch, **kept}
        self._write()
        log.info("epoch %.0f: dev macro-F1 %.3f, accuracy %.3f", state.epoch, scores["macro_f1"], scores["accuracy"])

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Set the training loss of an epoch, which the Trainer logs after its end, beside its dev scores."""
        loss = kwargs["logs"].get("loss")
        if loss is not None and str(state.global_step) in self.history:
            self.history[str(state.global_step)]["loss"] = float(loss)
            self._write()

    def _write(self) -> None:
        write_whole(self.folder / "log.json", json.dumps(self.history, indent=2) + "\n")


def set_seed(config: RunConfig) -> None:
    """Make what follows depend on the seed and the thread count alone."""
    torch.set_num_threads(config.training.threads)
    random.seed(config.training.seed)
    np.random.seed(config.training.seed)
    torch.manual_seed(config.training.seed)


def training_arguments(config: RunConfig, folder: Path, save: bool = True) -> TrainingArguments:
    """Return the Trainer's arguments; a new knob is a field of TrainingConfig and a line here."""
    settings = config.training
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return TrainingArguments(
        output_dir=str(folder / "checkpoints"),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=in_bf16(settings.precision, device),
        use_cpu=device.type == "cpu",
        seed=settings.seed,
        data_seed=settings.seed,
        save_strategy="epoch" if save else "no",
        disable_tqdm=None if save else True,
        save_total_limit=2,
        eval_strategy="no",
        logging_strategy="epoch",
        remove_unused_columns=False,
        dataloader_pin_memory=device.type == "cuda",
        report_to=[],
    )


def build_trainer(
    config: RunConfig,
    model: PreTrainedModel,
    encoder: Encoder,
    reports: Sequence[GoldReport],
    arguments: TrainingArguments,
    callbacks: list[TrainerCallback],
) -> WindowTrainer:
    """Return the Trainer of a run: for `fit`, and for the runs that `train.compare` sets side by side."""
    trainer = WindowTrainer(
        model=model,
        args=arguments,
        train_dataset=window_dataset(reports, config.text, config.training.also),
        data_collator=Collator(encoder, config.text, config.training.hidden),
        callbacks=callbacks,
    )
    trainer.label_smoothing = config.training.label_smoothing
    return trainer


def newest_complete(folder: Path) -> str | None:
    """Return the newest checkpoint of a run that was written whole, or None; broken ones are deleted.

    The Trainer saves file by file, and after a kill in a save its own resume crashed 8 times of 12 (FACTS.md,
    section 0, finding 4): trainer_state.json is the last file it needs.
    """
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)
    for path in found:
        if _complete(path):
            log.info("resuming from %s", path)
            return str(path)
        log.warning("%s was cut off while it was written; it is deleted", path)
        shutil.rmtree(path)
    return None


def _complete(path: Path) -> bool:
    if not all((path / name).is_file() for name in NEEDED):
        return False
    try:
        json.loads((path / "trainer_state.json").read_text())
    except ValueError:
        return False
    return True
