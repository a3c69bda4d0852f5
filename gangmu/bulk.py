"""Many reports -> labelled shards, in order, with any number of processes, each report's fault its own."""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gangmu.choice import EngineName
from gangmu.errors import DataError, GangmuError
from gangmu.labeller import SHARD_CHARACTERS, Labeller, cores, load, shards
from gangmu.labels import NAMES
from gangmu.reading import Meter, RawReport
from gangmu.shards import UNLABELLED, Done, Shards, content_hash, input_hash, write_shard
from gangmu.view import html_page, page_name, plain_text
from gangmu.writing import PARTS, Named

ENDINGS = {"text": "txt"}
"""Of the formats whose files do not end in their name."""


@dataclass(frozen=True)
class Job:
    """What each process needs to know to label a shard."""

    model: Path
    format: str
    four: bool = False
    sha256: str | None = None
    engine: EngineName = "torch"
    folder: Path | None = None
    """Where to write the files of the shards; without one they come back."""
    pages: bool = False
    """Whether each report gets a page of its own, in the format html."""
    workers: int = 1

    def labeller(self) -> Labeller:
        """Return the labeller of one of the processes, with its share of the cores."""
        return load(self.model, self.four, self.sha256, max(1, cores() // self.workers), self.engine)


class Shard(NamedTuple):
    """Reports that are labelled together."""

    number: int
    reports: list[RawReport]
    input: str
    """See `input_hash`."""
    read: int
    """Bytes of the input that were read when it was whole."""

    @property
    def alone(self) -> bool:
        """Whether it is all of the input, and one report."""
        return self.number == 0 and len(self.reports) == 1 and len(self.reports[0].text) < SHARD_CHARACTERS


class Result(NamedTuple):
    """A shard, labelled."""

    done: Done
    files: dict[str, bytes]
    """What they hold, unless it is written already."""
    named: list[Named]
    """For one page of all reports, in the format html."""
    read: int
    again: bool = False
    """Whether it was done by an earlier run."""


class Pool(NamedTuple):
    """Workers: what gives a shard to one of them, and how many there are."""

    submit: Callable[[Shard], "Future[Result]"]
    size: int


def label_shard(labeller: Labeller, job: Job, shard: Shard, ending: Collection[int] = ()) -> Result:
    """Return the result of a shard; its file is written when the job has a folder.

    `ending`: places in the shard of reports that are not labelled, since they end the process that tries.
    """
    tried = [report for place, report in enumerate(shard.reports) if place not in ending]
    named, faults = _labelled(labeller, tried)
    left = [shard.reports[place] for place in ending]
    faults += [f"{r.path}: report {r.id} {UNLABELLED}: it ends the process that labels it" for r in left]
    counts = []
    for report, found in named:
        tally = Counter(sentence.label for sentence in found.sentences)
        counts.append((report.id, report.path, [tally[name] for name in NAMES]))
    files: dict[str, bytes] = {}
    if job.pages:
        for place, (report, found) in enumerate(named):
            page = html_page([(report.id, found)], report.id)
            files[page_name(shard.number, place, report.id)] = page.encode()
    elif named and job.format != "html":
        single = job.format == "text" and shard.alone
        content = plain_text(named[0][1]).encode() if single else PARTS[job.format](named)
        files[f"part-{shard.number:06}.{ENDINGS.get(job.format, job.format)}"] = content
    done = Done(shard.number, shard.input, counts, faults, list(files), content_hash(list(files.values())))
    if job.folder:
        write_shard(job.folder, files)
        files = {}
    return Result(done, files, named if job.format == "html" and not job.pages else [], shard.read)


def _labelled(labeller: Labeller, reports: Sequence[RawReport]) -> tuple[list[Named], list[str]]:
    """Return the reports with their labels, and the faults of those without: no sentence, or what their text broke.

    Reports that break the labelling alone are left out, and the others labelled together: with int8, whose scales are
    taken from a batch, scores depend on what else is in it (18 of 25 rows, by 0.035 at most).
    """
    if not reports:
        return [], []
    fault: Exception | None = None
    for _ in range(2):  # again, for a fault that passes, such as a lack of memory
        try:
            return _together(labeller, reports)
        except Exception as error:  # whatever a text brings about must not cost the other reports
            fault = error
    if len(reports) == 1:
        _check_engine(labeller, fault)
        what = f"report {reports[0].id} {UNLABELLED}"
        return [], [f"{reports[0].path}: {what}: {type(fault).__name__}: {fault}"]
    alone = [_labelled(labeller, [report]) for report in reports]
    broken = [any(UNLABELLED in fault for fault in faults) for _, faults in alone]
    if any(broken):
        sound = [report for report, is_broken in zip(reports, broken, strict=True) if not is_broken]
        named, faults = _labelled(labeller, sound)
        return named, [f for (_, some), b in zip(alone, broken, strict=True) if b for f in some] + faults
    return [named for some, _ in alone for named in some], [fault for _, some in alone for fault in some]


def _together(labeller: Labeller, reports: Sequence[RawReport]) -> tuple[list[Named], list[str]]:
    labelled = labeller.label_shard([report.text for report in reports])
    found = list(zip(reports, labelled, strict=True))
    faults = [str(no_sentence(report)) for report, labelled in found if not labelled.sentences]
    return [named for named in found if named[1].sentences], faults


def _check_engine(labeller: Labeller, error: Exception | None) -> None:
    """Raise GangmuError when the fault is not the report's: a plain sentence cannot be labelled either."""
    try:
        list(labeller.label_shard(["会议召开。"]))
    except Exception:
        raise GangmuError(f"{labeller.engine.name} does not work: {type(error).__name__}: {error}") from error


def no_sentence(report: RawReport) -> DataError:
    """Return the fault of a report that holds no sentence; it is never passed over in silence."""
    return DataError(f"{report.path}: no sentence in its {len(report.text)} characters")


def results(
    reports: Iterable[RawReport], meter: Meter, workers: AbstractContextManager[Pool], kept: Shards | None = None
) -> Iterator[Result]:
    """Yield what comes of each shard, in order; those that `kept` holds already are not computed again."""
    waiting: deque[tuple[Shard, Future[Result] | Result]] = deque()
    with workers as pool:
        for number, run in enumerate(shards(reports, lambda report: len(report.text))):
            shard = Shard(number, run, input_hash(run), meter.read)
            done = kept.found(number, shard.input) if kept else None
            found = Result(done, {}, [], meter.read, again=True) if done else pool.submit(shard)
            waiting.append((shard, found))
            while waiting and (len(waiting) > pool.size or isinstance(waiting[0][1], Result)):
                yield _result(waiting[0][1], kept)
                waiting.popleft()
        while waiting:
            yield _result(waiting[0][1], kept)
            waiting.popleft()


def _result(waited: "Future[Result] | Result", kept: Shards | None) -> Result:
    if isinstance(waited, Result):
        return waited
    result = waited.result()
    if kept:
        write_shard(kept.folder, result.files)
        kept.add(result.done)
    return result
