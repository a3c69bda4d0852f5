"""Speed, measured in one run.

python -m train.benchmark text
python -m train.benchmark label        -> runs/bench/label.json, table.md, picture.svg
python -m train.benchmark scale        -> runs/bench/scale.json, scale.md, scale.svg
"""

import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gangmu.choice import EngineName
from gangmu.cleaning import clean
from gangmu.cli import run
from gangmu.reading import read_reports
from gangmu.sentences import split_sentences
from train.contest import Contest, write_results
from train.corpus import corpus_files, raw_documents
from train.dataset import read_labelled
from train.growth import grow, write_scale
from train.splits import joined

MILLION = 1_000_000
app = typer.Typer(pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def benchmark() -> None:
    """Measure speed, on a machine that does nothing else."""


@app.command()
def label(
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = Path("models/gangmu"),
    corpus: Annotated[Path, typer.Option(help="Folder of real texts; data/ is read where it is not.")] = Path(
        "../shared/corpus"
    ),
    sentences: Annotated[int, typer.Option(help="Sentences to label.", min=100)] = 20_000,
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("runs/bench"),
) -> None:
    """Label reports with each engine and in the ways people write first, from text files to rows on disk."""
    texts = real_texts(corpus, 60 * sentences) if corpus.is_dir() else written_texts(60 * sentences)
    contest = Contest(model, texts, sentences)
    source = str(corpus) if corpus.is_dir() else "data/train.jsonl"
    write_results(contest.run(), contest.sentences, source, contest.limits, output)
    Console().print((output / "table.md").read_text(encoding="utf-8"), markup=False)


@app.command()
def scale(
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = Path("models/gangmu"),
    engine: Annotated[EngineName, typer.Option(help="Engine.")] = "auto",
    sizes: Annotated[str, typer.Option(help="Numbers of reports.")] = "1000,5000,20000",
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("runs/bench"),
) -> None:
    """Label tables of more and more short reports: time a sentence and peak memory must not grow with them."""
    rows = grow(model, engine, [int(size) for size in sizes.split(",")])
    write_scale(rows, output)
    Console().print((output / "scale.md").read_text(encoding="utf-8"), markup=False)


@app.command()
def text(
    corpus: Annotated[Path, typer.Option(help="Folder of real texts; data/ is read where it is not.")] = Path(
        "../shared/corpus"
    ),
    characters: Annotated[int, typer.Option(help="Characters to read, in millions.", min=1)] = 2,
    repeats: Annotated[int, typer.Option(help="Rounds, of which median and best are shown.", min=1)] = 9,
) -> None:
    """Read, clean and split plain text, a file a report, on one core; in processor time, which others disturb less."""
    plain = real_texts(corpus, characters * MILLION) if corpus.is_dir() else written_texts(characters * MILLION)
    page = Path("data/samples/海洋-座谈会-繁体注音.txt").read_text(encoding="utf-8")
    sets = {str(corpus) if corpus.is_dir() else "data": plain, "traditional with pinyin": [page] * 200}
    for name, texts in sets.items():
        Console().print(_text_table(name, texts, repeats))


def real_texts(corpus: Path, characters: int) -> list[str]:
    """Return documents of a corpus, about as many characters from each of its files."""
    files = corpus_files(corpus)
    texts = []
    for file in files:
        left = characters // len(files)
        for document in raw_documents(file):
            texts.append(document)
            left -= len(document)
            if left <= 0:
                break
    return texts


def written_texts(characters: int) -> list[str]:
    """Return the reports of data/train.jsonl, again and again until there are so many characters."""
    texts = [joined(report) for report in read_labelled(Path("data/train.jsonl"))]
    return texts * (1 + characters // sum(map(len, texts)))


def times(stages: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Return the seconds of processor time of each stage in each round; the stages take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(repeats):
        for name, stage in stages.items():
            start = time.process_time()
            stage()
            seconds[name].append(time.process_time() - start)
    return seconds


def _text_table(name: str, texts: Sequence[str], repeats: int) -> Table:
    """Return median and best speed of reading, cleaning and splitting, and the share of each in the whole."""
    total = sum(map(len, texts))
    with tempfile.TemporaryDirectory() as folder:
        for number, report in enumerate(texts):
            Path(folder, f"{number:06}.txt").write_text(report, encoding="utf-8")
        stages = {
            "read": lambda: sum(len(report.text) for report in read_reports([folder], [])),
            "clean": lambda: sum(len(clean(report).text) for report in texts),
            "clean and split": lambda: sum(len(split_sentences(report)) for report in texts),
        }
        seconds = times(stages, repeats)
    read, cleaned, split = seconds.values()
    shown = Table(title=f"{name}: {len(texts):,} reports, {total / MILLION:.1f} M characters, {repeats} rounds")
    for column in ("", "M characters/s, median", "best", "share"):
        shown.add_column(column, justify="left" if not column else "right")
    speeds = []
    for statistic in (statistics.median, min):
        r, c, s = statistic(read), statistic(cleaned), statistic(split)
        speeds.append((r, c, s - c, r + s))
    for stage, median, best in zip(("read", "clean", "split", "all"), *speeds, strict=True):
        cells = (f"{total / MILLION / median:.1f}", f"{total / MILLION / best:.1f}", f"{median / speeds[0][-1]:.0%}")
        shown.add_row(stage, *cells)
    return shown


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    run(app)
