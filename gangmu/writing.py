"""Labelled reports -> JSON Lines, and files that are there whole or not at all."""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from gangmu.errors import InputOutputError
from gangmu.labeller import LabelledReport


def json_lines(report: LabelledReport, name: str, path: str) -> str:
    """Return one line of JSON a sentence; the keys are DESIGN.md's labelled sentence, in its order."""
    rows = []
    for sentence in report.sentences:
        row = {"report": name, "path": path, **asdict(sentence), "model": report.model}
        rows.append(json.dumps(row, ensure_ascii=False) + "\n")
    return "".join(rows)


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path` through a temporary file beside it; InputOutputError names the path.

    A link is followed, and what is no plain file (a pipe, /dev/null) is written to, not replaced.
    """
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.part")
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8", newline="")
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.replace(target)
    except OSError as error:
        raise InputOutputError(f"{path}: cannot be written: {error.strerror}; choose another --output") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
