"""Copy the best checkpoint of a finished run to models/NAME, with its card and SHA256SUMS.

python -m train.publish runs/base models/gangmu
"""

import json
import logging
import shutil
from pathlib import Path
from typing import Annotated

import typer

from gangmu.checkpoint import copy_tokenizer, load_checkpoint, replacing, save_texts
from gangmu.cli import run
from gangmu.errors import UsageError
from train.card import model_card
from train.config import RunConfig
from train.description import load_config

log = logging.getLogger(__name__)


def publish(run_folder: Path, target: Path) -> None:
    """Put the best checkpoint of `run_folder` in the place of `target`, whole or not at all."""
    metrics = run_folder / "metrics.json"
    if not metrics.is_file():
        raise UsageError(f"{run_folder}: no metrics.json; finish the run first with `make train`")
    checkpoint = load_checkpoint(run_folder / "best")
    config = load_config(run_folder / "config.yaml", [f"name={target.name}"], RunConfig)
    card = model_card(config, target, json.loads(metrics.read_text(encoding="utf-8")), checkpoint.decision)
    with replacing(target) as part:
        shutil.copytree(checkpoint.folder, part, dirs_exist_ok=True)
        copy_tokenizer(checkpoint.folder, part)
        save_texts(part, checkpoint.settings, checkpoint.decision, card)
    log.info("published %s as %s", run_folder, target)


def main(
    run_folder: Annotated[Path, typer.Argument(help="Run directory, such as runs/base.")],
    target: Annotated[Path, typer.Argument(help="Checkpoint folder to write, such as models/gangmu.")],
) -> None:
    """Copy the best checkpoint of a finished run to a folder of its own, with card and SHA256SUMS."""
    publish(run_folder, target)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command(epilog="Example:  python -m train.publish runs/base models/gangmu")(main)
    run(app)
