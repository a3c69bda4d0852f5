"""What to send with a bug report: versions, processor and the checkpoint that would be used."""

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from gangmu.checkpoint import checkpoint_hash, load_checkpoint
from gangmu.errors import GangmuError, UsageError

PACKAGES = (
    "gangmu",
    "numpy",
    "tokenizers",
    "opencc",
    "torch",
    "transformers",
    "trafilatura",
    "lxml",
    "pypdf",
    "pyarrow",
    "openvino",
    "onnxruntime",
)


def facts() -> Iterator[tuple[str, str]]:
    """Yield names and values."""
    for name in PACKAGES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield name, "not installed"
    yield "python", platform.python_version()
    yield "cores", str(os.cpu_count())
    try:
        checkpoint = load_checkpoint(model_folder(None))
        yield "checkpoint", checkpoint.name
        yield "sha256", checkpoint_hash(checkpoint.folder)
    except GangmuError as error:
        yield "checkpoint", str(error)


def model_folder(given: Path | None) -> Path:
    """Return the checkpoint folder to use; UsageError says how to name one when there is none."""
    if given is not None:
        return given
    if named := os.environ.get("GANGMU_MODEL"):
        return Path(named)
    if Path("models/gangmu").is_dir():
        return Path("models/gangmu")
    raise UsageError("no model: give --model DIR, or set GANGMU_MODEL, or run where models/gangmu is")
