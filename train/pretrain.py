"""Pre-train the base encoder: a masked language model over a folder of text. Resumable at any moment.

python -m train.pretrain configs/pretrain/base.yaml corpus.path=DIR training.tokens=20000000
"""

import json
import logging
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file, save_file
from transformers import ModernBertConfig, ModernBertForMaskedLM

from gangmu.checkpoint import replacing, save_model, write_sums
from gangmu.cli import run as run_command
from gangmu.encoding import Encoder
from gangmu.errors import UsageError
from gangmu.writing import write_whole
from train.card import encoder_card
from train.config import EncoderShape, PretrainConfig, PretrainingConfig, load_config, saved
from train.corpus import IGNORED, Corpus, corpus_hash, masked

log = logging.getLogger(__name__)
REPORT_STEPS = 500
"""Steps between two looks at the held-out text."""


@dataclass(frozen=True)
class HeldOut:
    """Scores on held-out text."""

    loss: float
    """Nats a masked character."""
    accuracy: float


def build_model(shape: EncoderShape, encoder: Encoder, longest: int) -> ModernBertForMaskedLM:
    """Return a fresh encoder with its masked-language-model head.

    The default special-token ids of ModernBertConfig lie outside a Chinese vocabulary, so all are set.
    """
    config = ModernBertConfig(
        vocab_size=encoder.tokenizer.get_vocab_size(),
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        local_attention=shape.local_attention,
        global_attn_every_n_layers=2,
        max_position_embeddings=longest,
        pad_token_id=encoder.pad,
        bos_token_id=encoder.cls,
        cls_token_id=encoder.cls,
        eos_token_id=encoder.sep,
        sep_token_id=encoder.sep,
        sparse_prediction=True,
        attn_implementation="sdpa",
    )
    return ModernBertForMaskedLM(config)


def load_weights(model: ModernBertForMaskedLM, folder: Path) -> None:
    """Read the weights of a folder into a model of the same shape; UsageError when it is another."""
    weights = load_file(folder / "model.safetensors")
    own = {name: tensor.shape for name, tensor in model.named_parameters()}
    other = [name for name, shape in own.items() if name not in weights or weights[name].shape != shape]
    if other:
        raise UsageError(f"{folder}: its weights are not of the shape described: {', '.join(other[:3])} differ")
    model.load_state_dict(weights, strict=False)
    model.tie_weights()


def build_optimizers(model: ModernBertForMaskedLM, config: PretrainingConfig) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the layers and AdamW for embeddings, head and norms.

    From random weights, held-out loss after 3.1 M tokens: 4.43 with AdamW alone, 4.22 with Muon (models/README.md).
    """
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and ".layers." in name]
    known = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in known]
    decayed, plain = [p for p in others if p.ndim > 1], [p for p in others if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    # match_rms_adamw scales Muon's step to AdamW's, so that one rate serves both (arXiv 2502.16982)
    muon = torch.optim.Muon(matrices, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw")
    return [muon, torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)]


def rate(step: int, steps: int, config: PretrainingConfig) -> float:
    """Return the learning rate of a step: warm-up, constant, then linear to zero over the last `decay` of the run."""
    left = (steps - step) / max(1, round(steps * config.decay))
    return config.learning_rate * min(1.0, (step + 1) / config.warmup_steps, left)


def held_out_scores(model: ModernBertForMaskedLM, corpus: Corpus, config: PretrainingConfig) -> HeldOut:
    """Return loss and accuracy at the same masked characters of the held-out text every time."""
    inputs, labels = masked(corpus.held_out_sequences(config.length), corpus.encoder, config, 0)
    model.eval()
    loss = right = count = 0.0
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(inputs), 32):
            rows = torch.from_numpy(labels[start : start + 32])
            # sparse prediction: logits come for the masked characters alone
            output = model(input_ids=torch.from_numpy(inputs[start : start + 32]), labels=rows)
            wanted = rows[rows != IGNORED]
            loss += float(output.loss) * len(wanted)
            right += float((output.logits.argmax(-1) == wanted).sum())
            count += len(wanted)
    model.train()
    return HeldOut(loss / count, right / count)


class Run:
    """The state of a pre-training run: model, optimiser, step; saved whole or not at all."""

    def __init__(self, config: PretrainConfig) -> None:
        self.config = config
        self.folder = config.output / "checkpoints"
        _claim(config)
        self.corpus = Corpus(config.corpus, config.output / "corpus", config.start)
        torch.manual_seed(config.training.seed)
        longest = max(config.training.length, config.training.final_length, 512)
        self.model = build_model(config.shape, self.corpus.encoder, longest)
        if config.start:
            load_weights(self.model, config.start)
        self.optimizers = build_optimizers(self.model, config.training)
        self.step = 0
        self.drawn = {config.training.length: 0, config.training.final_length: 0}
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
        if found := newest(self.folder):
            self._load(found)

    def train_step(self, steps: int) -> float:
        """Take one step and return its loss."""
        settings = self.config.training
        falling = self.step >= steps - round(steps * settings.decay)
        length = settings.final_length if falling else settings.length
        count = max(1, settings.step_tokens // length)
        number = self.drawn[length]
        ids = self.corpus.sequences(number, count, length, settings.seed)
        inputs, labels = masked(ids, self.corpus.encoder, settings, number)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate(self.step, steps, settings)
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.model(input_ids=torch.from_numpy(inputs), labels=torch.from_numpy(labels)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.drawn[length] = number + count
        self.step += 1
        return float(loss.detach())

    def look(self, seconds: float) -> HeldOut:
        """Return the scores on held-out text now, and note them in the history."""
        scores = held_out_scores(self.model, self.corpus, self.config.training)
        place = {"step": self.step, "tokens": self.step * self.config.training.step_tokens, "seconds": round(seconds)}
        self.history.append(place | {"loss": scores.loss, "accuracy": scores.accuracy})
        log.info(json.dumps(self.history[-1]))
        return scores

    def save(self) -> None:
        """Write checkpoint-STEP under another name first, then rename it; drop the older ones."""
        target = self.folder / f"checkpoint-{self.step}"
        part = target.with_name(target.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        save_file({k: v.contiguous() for k, v in self.model.named_parameters()}, part / "model.safetensors")
        flat = {
            f"{number}.{index}.{key}": value
            for number, optimizer in enumerate(self.optimizers)
            for index, entry in optimizer.state_dict()["state"].items()
            for key, value in entry.items()
        }
        save_file(flat, part / "optimizer.safetensors")
        progress = {"step": self.step, "drawn": self.drawn, "seconds": self.seconds, "history": self.history}
        (part / "progress.json").write_text(json.dumps(progress))
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
        for old in self.folder.glob("checkpoint-*"):
            if old != target:
                shutil.rmtree(old)

    def _load(self, folder: Path) -> None:
        load_weights(self.model, folder)
        states: list[dict[int, dict[str, torch.Tensor]]] = [{} for _ in self.optimizers]
        for name, value in load_file(folder / "optimizer.safetensors").items():
            number, index, key = name.split(".", 2)
            states[int(number)].setdefault(int(index), {})[key] = value
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        progress = json.loads((folder / "progress.json").read_text())
        self.step, self.seconds, self.history = progress["step"], progress["seconds"], progress["history"]
        self.drawn |= {int(length): count for length, count in progress["drawn"].items()}
        log.info("resumed from %s", folder)


def _claim(config: PretrainConfig) -> None:
    """Mark the output folder as this corpus and shape's; UsageError when it holds another's run."""
    mark = config.output / "fingerprint"
    wanted = f"{corpus_hash(config.corpus)} {config.shape.model_dump_json()} {config.start or ''}\n"
    if mark.exists() and mark.read_text(encoding="utf-8") != wanted:
        what = "on another corpus, of another shape or from another start"
        raise UsageError(f"{config.output} holds a run {what}; choose another output=...")
    write_whole(mark, wanted)


def save_encoder(run: Run, folder: Path) -> None:
    """Write the encoder with its masked-language-model head as a Hugging Face folder, fp16."""
    run.model.config.sparse_prediction = False  # ours alone: others expect logits at every position
    config = saved(run.config)
    del config["output"], config["corpus"]["path"]  # where it happened is nobody's business
    record = {"config": config, "hours": round(run.seconds / 3600, 2), "history": run.history}
    record["before"] = earlier_runs(run.config.start)
    sources = {name: len(ids) for name, ids in zip(run.corpus.names, run.corpus.tokens, strict=True)}
    size = run.corpus.encoder.tokenizer.get_vocab_size()
    card = encoder_card(run.config, run.model.num_parameters(), size, sources, record)
    with replacing(folder) as part:
        save_model(run.model, run.corpus.tokenizer_folder, part)
        write_whole(part / "pretraining.json", json.dumps(record, ensure_ascii=False, indent=1) + "\n")
        write_whole(part / "README.md", card)
        write_sums(part)


def earlier_runs(start: Path | None) -> list[dict[str, float]]:
    """Return tokens, hours and last held-out loss of the runs that made the encoder at `start`, oldest first."""
    path = start / "pretraining.json" if start else None
    if path is None or not path.is_file():
        return []
    record = json.loads(path.read_text(encoding="utf-8"))
    last = record["history"][-1]
    summary = {"tokens": last["tokens"], "hours": record["hours"], "loss": last["loss"], "accuracy": last["accuracy"]}
    return [*record.get("before", []), summary]


def newest(folder: Path) -> Path | None:
    """Return the newest whole checkpoint of a run, or None."""
    found = [p for p in folder.glob("checkpoint-*") if not p.name.endswith(".part")]
    return max(found, key=lambda p: int(p.name.split("-")[1]), default=None)


def pretrain(config: PretrainConfig) -> Run:
    """Train to the end of the run, going on from the newest checkpoint, and return it."""
    settings = config.training
    torch.set_num_threads(settings.threads)
    run = Run(config)
    log.info("%.2f M parameters", run.model.num_parameters() / 1e6)
    steps = math.ceil(settings.tokens / settings.step_tokens)
    last_save = began = time.monotonic()
    columns = [TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}")]
    with Progress(*columns) as bar:
        task = bar.add_task("pre-training", total=steps, completed=run.step, note="")
        while run.step < steps:
            loss = run.train_step(steps)
            if not math.isfinite(loss):
                raise FloatingPointError(f"loss {loss} at step {run.step}; lower training.learning_rate and resume")
            falls = run.step == steps - round(steps * settings.decay)
            if run.step % REPORT_STEPS == 0 or run.step == steps or falls:
                scores = run.look(run.seconds + time.monotonic() - began)
                bar.update(task, note=f"held-out loss {scores.loss:.3f}, accuracy {scores.accuracy:.1%}")
            if falls:
                save_encoder(run, config.output / "stable")  # what a later run continues from
            bar.update(task, completed=run.step)
            if time.monotonic() - last_save > settings.save_minutes * 60 or run.step == steps:
                run.seconds += time.monotonic() - began
                began = last_save = time.monotonic()
                run.save()
    save_encoder(run, config.output / "encoder")
    log.info("encoder: %s", config.output / "encoder")
    return run


def main(
    config: Annotated[Path, typer.Argument(help="Run description, such as configs/pretrain/base.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.key=value: training.tokens=20000000.")] = None,
) -> None:
    """Pre-train an encoder on a folder of text; a second call goes on where the first was stopped."""
    pretrain(load_config(config, overrides or [], PretrainConfig))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command(epilog="Example:  python -m train.pretrain configs/pretrain/base.yaml corpus.path=texts")(main)
    run_command(app)
