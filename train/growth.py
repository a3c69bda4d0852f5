"""What labelling costs as the number of reports grows: seconds a sentence and memory, which should stay as they are."""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

from gangmu.choice import EngineName
from gangmu.sentences import split_sentences
from gangmu.writing import write_whole
from train.dataset import read_labelled
from train.drawing import drawing
from train.measured import measured


@dataclass(frozen=True)
class Size:
    """A run over so many reports."""

    reports: int
    sentences: int
    seconds: float
    megabytes: float
    """Peak memory of the process."""


def pairs() -> Iterator[str]:
    """Yield reports of two sentences each from data/train.jsonl, again and again; lines of the page are none."""
    texts = [text for report in read_labelled(Path("data/train.jsonl")) for text in report.texts]
    texts = [text for text in texts if split_sentences(text)]
    yield from ("".join(pair) for pair in cycle(zip(texts[::2], texts[1::2], strict=False)))


def grow(model: Path, engine: EngineName, sizes: Sequence[int]) -> list[Size]:
    """Return a row a number of reports, each labelled by a command of its own from a table to rows on disk."""
    found = []
    with tempfile.TemporaryDirectory() as place:
        table, output, summary = (Path(place, name) for name in ("reports.jsonl", "rows.jsonl", "summary.csv"))
        command = [sys.executable, "-c", "from gangmu.cli import main; main()", "label", str(table), "--quiet"]
        command += [f"--model={model}", f"--engine={engine}", f"--output={output}", f"--summary={summary}"]
        for size in [100, *sizes]:  # the first compiles the engine and is not counted
            with table.open("w", encoding="utf-8") as stream:
                lines = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in islice(pairs(), size))
                stream.writelines(lines)
            seconds, megabytes = measured(command)
            with output.open("rb") as rows:
                sentences = sum(1 for _ in rows)
            found.append(Size(size, sentences, round(seconds, 2), round(megabytes, 1)))
    return found[1:]


def write_scale(rows: Sequence[Size], folder: Path) -> None:
    """Write scale.json, scale.md and scale.svg."""
    write_whole(folder / "scale.json", json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    lines = ["| reports | sentences | seconds | sentences/s | peak MB |", "|---|---|---|---|---|"]
    for row in rows:
        rate = row.sentences / row.seconds
        lines.append(
            f"| {row.reports:,} | {row.sentences:,} | {row.seconds:,.0f} | {rate:,.0f} | {row.megabytes:,.0f} |"
        )
    write_whole(folder / "scale.md", "\n".join(lines) + "\n")
    _picture(rows, folder / "scale.svg")


def _picture(rows: Sequence[Size], path: Path) -> None:
    with drawing(path, 1, 2, figsize=(8, 3)) as (speed, memory):
        reports = [row.reports for row in rows]
        speed.plot(reports, [row.sentences / row.seconds for row in rows], marker="o")
        speed.set_ylabel("sentences a second")
        memory.plot(reports, [row.megabytes for row in rows], marker="o")
        memory.set_ylabel("peak memory, MB")
        for panel in (speed, memory):
            panel.set_xscale("log")
            panel.set_ylim(0, None)
            panel.set_xlabel("reports")
            panel.grid(alpha=0.3)
