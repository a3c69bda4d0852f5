"""Pre-train the base encoder: a masked language model over a folder of text. Resumable at any moment.

python -m train.pretrain configs/pretrain/base.yaml corpus.path=DIR training.tokens=20000000
"""

import json
import logging
import math
import shutil
import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file, save_file

from gangmu.checkpoint import replacing, save_model, write_sums
from gangmu.cli import run as run_command
from gangmu.encoding import Encoder
from gangmu.errors import UsageError
from gangmu.writing import write_whole
from train.card import encoder_card
from train.config import PretrainConfig, saved
from train.corpus import IGNORED, Corpus, corpus_hash
from train.description import load_config
from train.encoder import attention, build_model, build_optimizers, load_model, rate, take_vocabulary
from train.masking import HeldOut, held_out_scores, masked, masked_loss
from train.processes import Processes, in_bf16

log = logging.getLogger(__name__)
REPORT_STEPS = 500
"""Steps between two looks at the held-out text."""
EXAMPLES = """Examples:  python -m train.pretrain configs/pretrain/base.yaml corpus.path=texts;
torchrun --nproc-per-node 2 -m train.pretrain configs/pretrain/base.yaml corpus.path=texts"""


class Run:
    """The state of a pre-training run: model, optimiser, step; saved whole or not at all."""

    def __init__(self, config: PretrainConfig, processes: Processes | None = None) -> None:
        self.config = config
        self.processes = processes or Processes(0, 1, torch.device("cpu"))
        self.folder = config.output / "checkpoints"
        if self.processes.first:
            _claim(config)
        else:
            self.processes.wait()  # for the first to make the corpus's cache
        self.corpus = Corpus(config.corpus, config.output / "corpus", config.start)
        if self.processes.first:
            self.processes.wait()
        for length in (config.training.length, config.training.final_length):
            self.corpus.check(length)
        torch.manual_seed(config.training.seed)
        longest = max(config.training.length, config.training.final_length)
        if config.shape:
            self.model = build_model(config.shape, self.corpus.encoder, max(longest, 512))
        elif config.start:
            self.model = load_model(config.start, longest)
            if config.corpus.vocabulary:
                take_vocabulary(self.model, Encoder.load(config.start), self.corpus.encoder)
        self.model.to(self.processes.device).train()
        if config.training.compile:
            self.model.base_model.compile(dynamic=False)  # type: ignore[operator]
        self.optimizers = build_optimizers(self.model, config.training)
        self.step = 0
        self.drawn = {config.training.length: 0, config.training.final_length: 0}
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
        if found := newest(self.folder):
            self._load(found)

    def train_step(self, steps: int) -> float:
        """Take one step and return its loss.

        A process computes its part of the step's sequences; the loss is divided by the masked tokens of all, so
        that the run is the same for any number of processes.
        """
        settings, here = self.config.training, self.processes
        falling = self.step >= steps - round(steps * settings.decay)
        length = settings.final_length if falling else settings.length
        count = max(1, settings.step_tokens // length)
        self.model.set_attn_implementation(attention(length, here.device))
        first, last = (self.drawn[length] + count * place // here.count for place in (here.rank, here.rank + 1))
        ids = self.corpus.sequences(first, last - first, length, settings.seed)
        inputs, labels = masked(ids, self.corpus.encoder, settings, first)
        torch.manual_seed((settings.seed << 32) + self.step * here.count + here.rank)  # dropout, where there is any
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate(self.step, steps, settings)
        total = int(here.total(float((labels != IGNORED).sum())))
        loss = masked_loss(self.model, inputs, labels, settings, total)
        loss.backward()
        here.add_gradients(self.model)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.drawn[length] += count
        self.step += 1
        return here.total(float(loss.detach()))

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
        self.model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
        self.model.tie_weights()
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
    wanted = f"{corpus_hash(config.corpus)} {config.shape.model_dump_json() if config.shape else config.start}\n"
    if mark.exists() and mark.read_text(encoding="utf-8") != wanted:
        what = "on another corpus, of another shape or from another start"
        raise UsageError(f"{config.output} holds a run {what}; choose another output=...")
    write_whole(mark, wanted)


def save_encoder(run: Run, folder: Path) -> None:
    """Write the encoder with its masked-language-model head as a Hugging Face folder, fp16."""
    config = saved(run.config)
    del config["output"], config["corpus"]["path"]  # where it happened is nobody's business
    record = {
        "config": config,
        "words": run.corpus.encoder.words,
        "hours": round(run.seconds / 3600, 2),
        "history": run.history,
    }
    record["before"] = earlier_runs(run.config.start)
    sources = {name: len(ids) for name, ids in zip(run.corpus.names, run.corpus.tokens, strict=True)}
    card = encoder_card(run.config, run.model, sources, record)
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
    summary = {name: last[name] for name in ("tokens", "loss", "accuracy")}
    summary |= {name: record[name] for name in ("hours", "words") if name in record}
    # the runs that do not say so had no words
    return [{"words": False} | run for run in (*record.get("before", []), summary)]


def newest(folder: Path) -> Path | None:
    """Return the newest whole checkpoint of a run, or None."""
    found = [p for p in folder.glob("checkpoint-*") if not p.name.endswith(".part")]
    return max(found, key=lambda p: int(p.name.split("-")[1]), default=None)


def pretrain(config: PretrainConfig) -> Run:
    """Train to the end of the run, going on from the newest checkpoint, and return it."""
    settings = config.training
    torch.set_num_threads(settings.threads)
    processes = Processes.join()
    run = Run(config, processes)
    if processes.first:
        precision = "bf16" if in_bf16(settings.precision, processes.device) else "fp32"
        size = run.model.num_parameters() / 1e6
        log.info("%.2f M parameters on %d x %s in %s", size, processes.count, processes.device, precision)
    steps = math.ceil(settings.tokens / settings.step_tokens)
    last_save = began = time.monotonic()
    columns = [TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}")]
    with Progress(*columns, disable=not processes.first) as bar:
        task = bar.add_task("pre-training", total=steps, completed=run.step, note="")
        while run.step < steps:
            loss = run.train_step(steps)
            if not math.isfinite(loss):
                raise FloatingPointError(f"loss {loss} at step {run.step}; lower training.learning_rate and resume")
            bar.update(task, completed=run.step)
            if not processes.first:
                continue
            falls = run.step == steps - round(steps * settings.decay)
            if run.step % REPORT_STEPS == 0 or run.step == steps or falls:
                scores = run.look(run.seconds + time.monotonic() - began)
                bar.update(task, note=f"held-out loss {scores.loss:.3f}, accuracy {scores.accuracy:.1%}")
            if falls:
                save_encoder(run, config.output / "stable")  # what a later run continues from
            if time.monotonic() - last_save > settings.save_minutes * 60 or run.step == steps:
                run.seconds += time.monotonic() - began
                began = last_save = time.monotonic()
                run.save()
    if processes.first:
        save_encoder(run, config.output / "encoder")
        log.info("encoder: %s", config.output / "encoder")
    processes.leave()
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
    app.command(epilog=EXAMPLES)(main)
    run_command(app)
