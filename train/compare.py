"""Runs side by side: variants x training sets x shares x seeds -> one table and picture, resumable.

python -m train.compare configs/compare/curve.yaml
"""

import hashlib
import json
import logging
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gangmu.checkpoint import Checkpoint, file_hash
from gangmu.cli import run
from gangmu.decision import Decision
from gangmu.encoding import Encoder
from gangmu.engine import TorchEngine
from gangmu.labeller import Labeller
from gangmu.labels import NAMES
from gangmu.writing import write_whole
from train.baselines import BASELINES
from train.config import Axis, CompareConfig, RunConfig
from train.dataset import GoldReport, read_labelled
from train.description import load_config
from train.drawing import drawing
from train.eval import evaluate, evaluate_baseline
from train.fit import RUNS, build_model, find_encoder
from train.loop import build_trainer, set_seed, training_arguments
from train.pretrain import earlier_runs

log = logging.getLogger(__name__)
_file_hash = lru_cache(maxsize=None)(file_hash)
Scores = dict[str, dict[str, Any]]
"""By test set."""


class Cell(NamedTuple):
    """One run of a comparison."""

    variant: str
    train: str
    share: float
    seed: int


def compare(config: CompareConfig, runs: Path = RUNS) -> list[dict[str, Any]]:
    """Return a row a run, each written to results.jsonl as soon as it is done; rows found there are not run again.

    A classifier is its encoder alone here: no n-grams beside it, whatever `training.ngrams` says, and no decision.
    """
    folder = runs / config.name
    bases = {name: load_config(config.base, overrides, RunConfig) for name, overrides in config.variants.items()}
    train = {name: read_labelled(path) for name, path in config.train.items()}
    test = {name: read_labelled(path) for name, path in config.test.items()}
    sizes = {name: _size(reports) for name, reports in train.items()}
    whole = next(iter(sizes.values()))
    cells = {cell: _key(cell, config, bases.get(cell.variant)) for cell in _cells(config, sizes)}
    found = {row["key"]: row for row in _read_rows(folder / "results.jsonl")}
    folder.mkdir(parents=True, exist_ok=True)
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns) as bar:
        task = bar.add_task("runs", total=len(cells), completed=len(found.keys() & cells.values()))
        for cell, key in cells.items():
            if key in found:
                continue
            bar.update(task, description=" ".join(map(str, cell)))
            reports = subset(train[cell.train], cell.share * whole, cell.seed)
            began = time.monotonic()
            if base := bases.get(cell.variant):
                scores = _fitted(base, cell.seed, reports, test, folder / "part")
            else:
                scores = {n: evaluate_baseline(cell.variant, reports, held) for n, held in test.items()}
            row = {"key": key, **cell._asdict(), "reports": len(reports), "sentences": _size(reports)}
            if base:
                row["tokens"] = sum(run["tokens"] for run in earlier_runs(find_encoder(base)))
            found[key] = row | {"seconds": round(time.monotonic() - began), "scores": scores}
            with (folder / "results.jsonl").open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(found[key], ensure_ascii=False) + "\n")
            bar.advance(task)
    return [found[key] for key in cells.values()]


def subset(reports: Sequence[GoldReport], sentences: float, seed: int) -> list[GoldReport]:
    """Return reports in an order drawn by the seed until they have so many sentences; a smaller set grows by more."""
    chosen: list[GoldReport] = []
    size = 0
    for index in np.random.default_rng(seed).permutation(len(reports)):
        if size >= sentences:
            break
        chosen.append(reports[index])
        size += len(reports[index].sentences)
    return chosen


def _cells(config: CompareConfig, sizes: dict[str, int]) -> Iterator[Cell]:
    """Yield the runs, a whole set for one seed before the next: what is there early is already a comparison.

    Sizes are shares of the first set; a set that a smaller share uses up is not run again for a larger one.
    """
    whole = next(iter(sizes.values()))
    shares = sorted(config.shares)
    for seed in config.seeds:
        for variant in (*config.baselines, *config.variants):
            for train in config.train:
                for below, share in zip([0.0, *shares], shares, strict=False):
                    if below * whole < sizes[train]:
                        yield Cell(variant, train, share, seed)


def _fitted(
    base: RunConfig, seed: int, reports: Sequence[GoldReport], test: dict[str, list[GoldReport]], folder: Path
) -> Scores:
    """Return the scores of a classifier after its last epoch; no dev set chooses, so that all are alike."""
    config = base.model_copy(update={"training": base.training.model_copy(update={"seed": seed})})
    encoder_folder = find_encoder(config)
    encoder = Encoder.load(encoder_folder)
    set_seed(config)
    model = build_model(encoder_folder)
    build_trainer(config, model, encoder, reports, training_arguments(config, folder, save=False), []).train()
    shutil.rmtree(folder, ignore_errors=True)
    labeller = Labeller(Checkpoint(folder, "", config.text, Decision(), encoder), TorchEngine(model.eval()))
    return {name: evaluate(labeller, held) for name, held in test.items()}


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table: mean and spread over seeds of macro-F1, accuracy and kappa on each test set."""
    tests = list(rows[0]["scores"])
    head = " | ".join(f"{name}: macro-F1 | accuracy | kappa" for name in tests)
    lines = [f"| | trained on | sentences | seeds | {head} |", "|" + "---|" * (4 + 3 * len(tests))]
    for (variant, train, _), group in _grouped(rows).items():
        sentences = round(np.mean([row["sentences"] for row in group]))
        cells = [
            _spread([row["scores"][name][score] for row in group])
            for name in tests
            for score in ("macro_f1", "accuracy", "kappa")
        ]
        lines.append(f"| {variant} | {train} | {sentences:,} | {len(group)} | {' | '.join(cells)} |")
    lines += [
        "",
        "F1 by class:",
        "",
        f"| | trained on | sentences | {' | '.join(f'{t}: {n}' for t in tests for n in NAMES)} |",
    ]
    lines.append("|" + "---|" * (3 + len(NAMES) * len(tests)))
    for (variant, train, _), group in _grouped(rows).items():
        f1 = [np.mean([row["scores"][t]["per_class"][n]["f1"] for row in group]) for t in tests for n in NAMES]
        sentences = round(np.mean([row["sentences"] for row in group]))
        lines.append(f"| {variant} | {train} | {sentences:,} | {' | '.join(f'{value:.3f}' for value in f1)} |")
    return "\n".join(lines) + "\n"


def picture(rows: Sequence[dict[str, Any]], path: Path, axis: Axis) -> None:
    """Write macro-F1 against what grows, a panel a test set: mean over seeds, lowest to highest shaded.

    What grows is `axis`: the sentences trained on, a line a variant and set; or the tokens that the variants' encoders
    were pre-trained on, a line a set and the baselines, which have none, straight across.
    """
    tests = list(rows[0]["scores"])
    with drawing(path, 1, len(tests), figsize=(5.2 * len(tests), 4.2), squeeze=False) as panels:
        for panel, test in zip(panels[0], tests, strict=True):
            for name, points in _lines(rows, test, axis).items():
                places, values = zip(*sorted(points.items()), strict=True)
                means, low, high = [[function(v) for v in values] for function in (np.mean, min, max)]
                if places == (None,):
                    panel.axhline(means[0], linestyle="--", color="grey", label=name)
                    continue
                style = "--" if name.startswith(tuple(BASELINES)) else "-"
                (drawn,) = panel.plot(places, means, style, marker="o", label=name)
                panel.fill_between(places, low, high, alpha=0.15, color=drawn.get_color())
            panel.set_title(test)
            panel.set_xlabel({"sentences": "sentences trained on", "tokens": "million tokens pre-trained on"}[axis])
            panel.set_ylabel("macro-F1 of the four functions")
            panel.grid(alpha=0.3)
        panels[0, 0].legend(fontsize=8)


def _lines(rows: Sequence[dict[str, Any]], test: str, axis: Axis) -> dict[str, dict[float | None, list[float]]]:
    """Return by line the macro-F1 of its runs at each place; the place None is that of a baseline without tokens."""
    lines: dict[str, dict[float | None, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (variant, train, _), group in _grouped(rows).items():
        tokens = group[0].get("tokens")
        if axis == "sentences":
            name, place = f"{variant}, {train}", float(np.mean([row["sentences"] for row in group]))
        else:
            name, place = (variant, None) if tokens is None else (f"fine-tuned, {train}", tokens / 1e6)
        lines[name][place] += [row["scores"][test]["macro_f1"] for row in group]
    return lines


def _grouped(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str, float], list[dict[str, Any]]]:
    groups: dict[tuple[str, str, float], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["variant"], row["train"], row["share"]].append(row)
    return dict(sorted(groups.items()))


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _size(reports: Sequence[GoldReport]) -> int:
    return sum(len(report.sentences) for report in reports)


def _key(cell: Cell, config: CompareConfig, base: RunConfig | None) -> str:
    """Return a hash of what decides a run's scores: its place, description, encoder and data."""
    files = [config.train[cell.train], next(iter(config.train.values())), *config.test.values()]
    parts = [json.dumps(cell), json.dumps(list(config.test))]
    if base:
        encoder = find_encoder(base)
        parts.append(base.model_dump_json(include={"text", "training"}))
        files += [encoder / "config.json", *sorted(encoder.glob("*.safetensors"))]
    return hashlib.sha256("\n".join([*parts, *map(_file_hash, files)]).encode()).hexdigest()[:16]


def _read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of results.jsonl; a last line torn by a kill is taken out of the file."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        log.warning("%s: its last line was cut off; that run is done again", path)
        write_whole(path, whole)
    return [json.loads(line) for line in whole.splitlines()]


def main(
    config: Annotated[Path, typer.Argument(help="Comparison, such as configs/compare/curve.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value: seeds=[42].")] = None,
) -> None:
    """Run a comparison of encoders, without n-grams, to its end; a second call goes on where the first was stopped."""
    comparison = load_config(config, overrides or [], CompareConfig)
    rows = compare(comparison)
    folder = RUNS / comparison.name
    table = markdown(rows)
    write_whole(folder / "table.md", table)
    picture(rows, folder / "picture.svg", comparison.axis)
    sys.stdout.write(table)
    log.info("wrote %s and picture.svg", folder / "table.md")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command(epilog="Example:  python -m train.compare configs/compare/curve.yaml seeds=[42]")(main)
    run(app)
