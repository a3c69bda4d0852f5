"""The same sentences labelled by each engine and in the ways people write first: commands, timed from outside."""

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from gangmu.bulk import Job, Result, results
from gangmu.choice import EngineName
from gangmu.encoding import Batch
from gangmu.engine import Engine
from gangmu.labeller import Labeller, cores, load
from gangmu.output import Output
from gangmu.reading import Meter, read_reports
from gangmu.sentences import split_sentences
from gangmu.shards import Shards
from gangmu.workers import local_workers
from gangmu.writing import write_whole
from train.drawing import drawing
from train.measured import measured

ENGINES: tuple[EngineName, ...] = ("torch", "torch-bf16", "onnx", "openvino")
SIZES = (2, 8, 32, 128)
"""Batch sizes that the pipeline is tried with."""
TRIED = 1000
"""Sentences of such a trial."""
WAGE = 0.05
"""US dollars an hour of a core in a cloud, about: for the cost of a million sentences."""


@dataclass(frozen=True)
class Row:
    """What one command cost."""

    name: str
    seconds: float
    sentences: int
    megabytes: float
    """Peak memory of the process."""
    start: float
    """Seconds to label one report of a few sentences."""
    model: float | None = None
    """Share of the time of the threads that is spent in the model."""
    limit: float | None = None
    """Share of the machine's measured matrix products, of its precision, that the model reaches meanwhile."""

    @property
    def rate(self) -> float:
        """Sentences a second, the start of the command included."""
        return self.sentences / self.seconds


class Contest:
    """The reports, in a folder of text files, and what each contender needs for them."""

    def __init__(self, model: Path, texts: Sequence[str], sentences: int) -> None:
        self.model = model
        self.place = tempfile.TemporaryDirectory()
        self.reports, self.few, self.one = (Path(self.place.name, name) for name in ("reports", "few", "one"))
        for folder in (self.reports, self.few, self.one):
            folder.mkdir()
        self.sentences = tried = 0
        for number, text in enumerate(texts):
            if not (count := len(split_sentences(text))):
                continue
            (self.reports / f"{number:06}.txt").write_text(text, encoding="utf-8")
            if tried < TRIED:
                (self.few / f"{number:06}.txt").write_text(text, encoding="utf-8")
                tried += count
            self.sentences += count
            if self.sentences >= sentences:
                break
        (self.one / "a.txt").write_text("会议召开。要健全联席会议制度；大家要奋勇争先。", encoding="utf-8")

    def run(self) -> list[Row]:
        """Return a row a contender."""
        naive = [sys.executable, "-m", "train.naive"]
        best = min(SIZES, key=lambda size: self._timed([*naive, "pipeline"], self.few, f"--batch-size={size}")[0])
        rows = [
            self._row("(a) pipeline, sentence by sentence", [*naive, "pipeline"]),
            self._row(f"(b) pipeline, batches of {best}", [*naive, "pipeline"], f"--batch-size={best}"),
            self._row("(c) Trainer.predict, batches of 8", [*naive, "trainer"], "--batch-size=8"),
        ]
        limits = self.limits  # before an engine sets how many threads compute
        for engine in ENGINES:
            label = [sys.executable, "-c", "from gangmu.cli import main; main()", "label", f"--engine={engine}"]
            self._timed(label, self.one)  # which compiles it, the first time
            row = self._row(f"(d) gangmu label --engine {engine}", label)
            share, speed, name = self.inside(engine)
            precision = name.split()[-1].replace("f32", "fp32")  # as OpenVINO and ONNX Runtime call it
            rows.append(Row(**asdict(row) | {"model": share, "limit": speed / limits[precision]}))
        return rows

    @cached_property
    def limits(self) -> dict[str, float]:
        """Return the operations a second of the machine's matrix products, by precision, measured once."""
        return {"fp32": products(torch.float32), "bf16": products(torch.bfloat16), "int8": products(torch.int8)}

    def _row(self, name: str, command: list[str], *arguments: str) -> Row:
        start = min(self._timed(command, self.one, *arguments)[0] for _ in range(3))
        found = [self._timed(command, self.reports, *arguments) for _ in range(1 if "train.naive" in command else 3)]
        seconds, megabytes = sorted(found)[len(found) // 2]
        return Row(name, round(seconds, 2), self.sentences, round(megabytes), round(start, 2))

    def _timed(self, command: list[str], reports: Path, *arguments: str) -> tuple[float, float]:
        """Return seconds and peak megabytes of a command that labels the reports of a folder."""
        output = Path(self.place.name, "out.jsonl")
        output.unlink(missing_ok=True)
        if "train.naive" in command:
            return measured([*command, str(reports), str(self.model), str(output), *arguments])
        return measured([*command, str(reports), f"--model={self.model}", f"--output={output}", "--quiet"])

    def inside(self, engine: EngineName) -> tuple[float, float, str]:
        """Return the share of the time in which the model computes, its operations a second then, and the engine.

        From text files to rows on disk, without the start of the command; the first round meets each shape for the
        first time and is not counted.
        """
        labeller = load(self.model, engine=engine)
        watched = Watched(labeller.engine)
        labeller = Labeller(labeller.checkpoint, watched, threads=cores())
        output = Output(str(Path(self.place.name, "inside.jsonl")))
        job = Job(self.model, "jsonl")
        for reports in (self.few, self.reports):
            watched.seconds, watched.operations = 0.0, 0.0
            began = time.perf_counter()

            def found(job: Job, kept: Shards | None, reports: Path = reports) -> Iterator[Result]:
                return results(read_reports([str(reports)], []), Meter(), local_workers(job, labeller), kept)

            output.write(job, found, {"gangmu": "inside"}, [])
        whole = (time.perf_counter() - began) * cores()
        return watched.seconds / whole, watched.operations / watched.seconds * cores(), watched.name


class Watched:
    """An engine that counts the seconds and the operations of its batches; weights of our encoder's shape."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name, self.folder = engine.name, engine.folder
        self.seconds = 0.0
        self.operations = 0.0

    def logits(self, batch: Batch) -> np.ndarray:
        """Return the logits of the engine."""
        began = time.perf_counter()
        found = self.engine.logits(batch)
        self.seconds += time.perf_counter() - began
        self.operations += sum(operations(1, int(tokens)) for tokens in batch.attention_mask.sum(axis=1))
        return found

    def start_thread(self) -> None:
        """Do what the engine does."""
        self.engine.start_thread()


def operations(windows: int, tokens: int) -> float:
    """Return the additions and multiplications for windows in models/gangmu: products of weights, and attention."""
    hidden, intermediate, layers = 256, 640, 4
    weights = layers * (4 * hidden * hidden + 3 * hidden * intermediate) + hidden * hidden
    attention = layers * 2 * hidden * tokens
    return 2.0 * windows * tokens * (weights + attention)


def products(dtype: torch.dtype, size: int = 2048, rounds: int = 10) -> float:
    """Return the operations a second of square matrix products on all cores: what the machine can do at most."""
    torch.set_num_threads(cores())
    a, b = (torch.randint(-100, 100, (size, size)).to(dtype) for _ in range(2))
    product = torch._int_mm if dtype == torch.int8 else torch.matmul
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        product(a, b)
        times.append(time.perf_counter() - began)
    return 2.0 * size**3 / min(times)


def write_results(rows: Sequence[Row], sentences: int, source: str, limits: Mapping[str, float], output: Path) -> None:
    """Write label.json, table.md and picture.svg."""
    found = {
        "sentences": sentences,
        "source": source,
        "cores": cores(),
        "limits": dict(limits),
        "rows": [asdict(row) for row in rows],
    }
    write_whole(output / "label.json", json.dumps(found, indent=1) + "\n")
    single, batched = rows[0].rate, rows[1].rate
    most = ", ".join(f"{limit / 1e9:,.0f} billion operations a second in {name}" for name, limit in limits.items())
    lines = [
        f"{sentences:,} sentences of {source} on {cores()} cores, from files to JSON Lines; matrix products: {most}",
        "",
        "| | sentences/s | times (a) | times (b) | peak MB | one report, s | US$ a million | in the model | of limit |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        dollars = WAGE * cores() * 1e6 / row.rate / 3600
        shares = [f"{value:.0%}" if value else "" for value in (row.model, row.limit)]
        cells = [f"{row.rate:,.0f}", f"{row.rate / single:.1f}", f"{row.rate / batched:.1f}", f"{row.megabytes:,.0f}"]
        lines.append(f"| {' | '.join([row.name, *cells, f'{row.start:.1f}', f'{dollars:.2f}', *shares])} |")
    write_whole(output / "table.md", "\n".join(lines) + "\n")
    _picture(rows, output / "picture.svg")


def _picture(rows: Sequence[Row], path: Path) -> None:
    with drawing(path, figsize=(8, 3.2)) as panel:
        bars = panel.barh([row.name for row in rows][::-1], [row.rate for row in rows][::-1], color="#3b6ea5")
        panel.bar_label(bars, fmt="{:,.0f}", padding=3)
        panel.set_xlabel(f"sentences a second on {cores()} cores, from text files to rows on disk")
        panel.margins(x=0.12)
