"""How far a long run is, on stderr: a bar on a terminal, else a line a minute; and the line that ends it."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from gangmu.bulk import Result
from gangmu.labels import LABELS, NAMES

EVERY = 60.0
"""Seconds between two lines where there is no terminal."""


class Tally:
    """What was labelled so far."""

    def __init__(self) -> None:
        self.reports = 0
        self.again = 0
        self.labels: Counter[str] = Counter()
        self.faults: list[str] = []
        self.computed = 0
        """Sentences, without those of an earlier run."""
        self.began = time.monotonic()

    def add(self, result: Result) -> None:
        """Count a shard."""
        self.reports += len(result.done.counts)
        self.faults += result.done.faults
        sentences = 0
        for _, _, counts in result.done.counts:
            self.labels.update(dict(zip(NAMES, counts, strict=True)))
            sentences += sum(counts)
        if result.again:
            self.again += len(result.done.counts)
        else:
            self.computed += sentences

    def rate(self) -> str:
        """Return the speed so far."""
        return f"{self.computed / max(time.monotonic() - self.began, 1e-9):,.0f} sentences/s"

    def line(self) -> str:
        """Return how far it is."""
        return f"{self.reports:,} reports, {self.labels.total():,} sentences, {self.rate()}"

    def summary(self, faults: int) -> str:
        """Return the line that ends a run."""
        total = max(1, self.labels.total())
        parts = [f"{x.chinese} {x.name} {self.labels[x.name]} ({self.labels[x.name] / total:.0%})" for x in LABELS]
        again = f", {self.again} reports of them by an earlier run" if self.again else ""
        lost = f"; {faults} faults" if faults else ""
        return (
            f"{self.reports} reports, {self.labels.total()} sentences: {', '.join(parts)}{again}; {self.rate()}{lost}"
        )


def shown(results: Iterable[Result], tally: Tally, total: int | None, console: Console | None) -> Iterator[Result]:
    """Yield the results, counting them and showing how far they are of `total` bytes; nothing without a console."""
    if console is None or not console.is_terminal:
        yield from _lines(results, tally, total, console)
        return
    columns = [TextColumn("labelling"), BarColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn()]
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("labelling", total=total, note="")
        for result in results:
            tally.add(result)
            bar.update(task, completed=result.read, note=tally.line())
            yield result


def _lines(results: Iterable[Result], tally: Tally, total: int | None, console: Console | None) -> Iterator[Result]:
    last = tally.began
    for result in results:
        tally.add(result)
        now = time.monotonic()
        if console and now - last > EVERY:
            last = now
            done = result.read / total if total else 0.0
            left = f", {done:.0%}, {(now - tally.began) * (1 - done) / done / 60:.0f} min left" if done else ""
            console.print(tally.line() + left, markup=False)
        yield result
