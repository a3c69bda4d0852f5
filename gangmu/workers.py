"""What labels the shards on this machine: threads, or processes; one that ends costs the report that ended it."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Generic, TypeVar

from gangmu.bulk import Job, Pool, Result, Shard, label_shard
from gangmu.errors import GangmuError
from gangmu.labeller import Labeller

log = logging.getLogger(__name__)
P = TypeVar("P")
Attempt = Callable[[Shard, Sequence[int]], Result]
"""`label_shard` in a process of its own, started where there is none."""
Lost = tuple[type[Exception], ...]
"""What is raised when a process ended."""


@contextmanager
def local_workers(job: Job, labeller: Labeller) -> Iterator[Pool]:
    """Yield what has a shard labelled beside the reading: by threads here, or by processes."""
    with _safe_path():
        workers = _Threads(job, labeller) if job.workers == 1 else _Processes(job)
        try:
            yield Pool(workers.submit, workers.size)
        except BaseException:
            workers.stop()
            raise
        finally:
            workers.close()


@contextmanager
def _safe_path() -> Iterator[None]:
    """Have processes that start meanwhile not look for modules here: a numpy.py beside the reports would be run."""
    given = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if given is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = given


class _Threads:
    """Two threads of this process: the batches of one shard are computed while the rows of the other are made."""

    size = 2

    def __init__(self, job: Job, labeller: Labeller) -> None:
        self.job = job
        self.labeller = labeller
        self.pool = ThreadPoolExecutor(self.size)

    def submit(self, shard: Shard) -> "Future[Result]":
        return self.pool.submit(label_shard, self.labeller, self.job, shard)

    def stop(self) -> None:
        self.labeller.stopped.set()  # what is being computed ends at its next batch

    def close(self) -> None:
        self.pool.shutdown(cancel_futures=True)


class _Processes:
    """The processes of a run. When one ends, all are started anew, and what they had is labelled with care."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.size = job.workers
        self.pool = _started(job)
        single = replace(job, folder=None, workers=1)
        label = lambda pool, shard, ending: pool.submit(_label_there, shard, ending).result()  # noqa: E731
        self.careful: Careful[ProcessPoolExecutor] = Careful(lambda: _started(single), label, (BrokenProcessPool,))

    def submit(self, shard: Shard) -> "Future[Result]":
        """Return the result of a shard to be."""
        try:
            found = self.pool.submit(_label_there, shard)
        except BrokenProcessPool:
            self.pool = _started(self.job)
            found = self.pool.submit(_label_there, shard)
        result: Future[Result] = Future()
        found.add_done_callback(lambda answer: self._came(shard, result, answer))
        return result

    def _came(self, shard: Shard, result: "Future[Result]", answer: "Future[Result]") -> None:
        if answer.cancelled():
            result.cancel()
        elif self.careful.stopped:  # nobody waits for it
            return
        elif isinstance(answer.exception(), BrokenProcessPool):
            first, last = shard.reports[0], shard.reports[-1]
            log.warning(
                "a worker process ended, for lack of memory most often (then try fewer --workers); what it may have "
                "had, %s %s to %s %s, is labelled again by itself",
                *(first.path, first.id, last.path, last.id),
            )
            self.careful.take(shard, result)
        elif error := answer.exception():
            result.set_exception(error)
        else:
            result.set_result(answer.result())

    def stop(self) -> None:
        """End the processes at once."""
        self.careful.close()
        for pool in filter(None, (self.pool, self.careful.process)):
            for process in list((pool._processes or {}).values()):
                process.terminate()

    def close(self) -> None:
        """Wait until what was begun has ended."""
        self.pool.shutdown(cancel_futures=True)
        self.careful.close(wait=True)
        if self.careful.process:
            self.careful.process.shutdown()


class Careful(Generic[P]):
    """Labels what a process had that ended, a shard at a time in one beside the others; see `label_carefully`."""

    def __init__(self, start: Callable[[], P], label: Callable[[P, Shard, Sequence[int]], Result], lost: Lost) -> None:
        """`start` gives a process, `label` has it do `label_shard`, and raises one of `lost` when it ends."""
        self.start = start
        self.label = label
        self.lost = lost
        self.thread = ThreadPoolExecutor(1)
        self.process: P | None = None
        self.stopped = False

    def take(self, shard: Shard, result: "Future[Result]") -> None:
        """Set the result of a shard, some time; never, where the run is being stopped."""
        with suppress(RuntimeError):
            self.thread.submit(self._take, shard, result)

    def _take(self, shard: Shard, result: "Future[Result]") -> None:
        try:
            result.set_result(label_carefully(shard, self._attempt, self.lost))
        except BaseException as error:
            result.set_exception(error)

    def _attempt(self, shard: Shard, ending: Sequence[int]) -> Result:
        if self.stopped:
            raise InterruptedError("labelling was stopped")
        self.process = self.process or self.start()
        try:
            return self.label(self.process, shard, ending)
        except self.lost:
            self.process = None
            raise

    def close(self, wait: bool = False) -> None:
        """Begin nothing any more."""
        self.stopped = True
        self.thread.shutdown(wait=wait, cancel_futures=True)


def label_carefully(shard: Shard, attempt: Attempt, lost: Lost) -> Result:
    """Return the result of a shard whose process ended, without the reports that end one by themselves.

    `lost`: what `attempt` raises when its process ends. GangmuError when that is no report's fault.
    """
    with suppress(*lost):
        return attempt(shard, ())
    places = range(len(shard.reports))
    ending = [place for place in places if _ends(shard, attempt, lost, [p for p in places if p != place])]
    plain = shard._replace(reports=[replace(shard.reports[0], text="会议召开。")])
    if len(ending) < len(places) or not _ends(plain, attempt, lost, ()):
        with suppress(*lost):
            return attempt(shard, ending)
    raise GangmuError(
        f"worker processes end, whatever they label, at {shard.reports[0].path} {shard.reports[0].id}: killed for lack "
        "of memory most often; try --workers 1, or start it again where there is more"
    )


def _ends(shard: Shard, attempt: Attempt, lost: Lost, others: Sequence[int]) -> bool:
    try:
        attempt(shard, others)
    except lost:
        return True
    return False


def _started(job: Job) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(job.workers, multiprocessing.get_context("spawn"), _start, (job,))


_here: list[tuple[Labeller, Job] | Exception] = []
"""What a worker process was started with, or why it could not be."""


def _start(job: Job) -> None:
    """Load the model in a worker process, which ends with the process that started it, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _here.append((job.labeller(), job))
    except Exception as error:  # an initializer that fails would be reported as a process that was killed
        _here.append(error)


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _label_there(shard: Shard, ending: Sequence[int] = ()) -> Result:
    if isinstance(here := _here[0], Exception):
        raise GangmuError(f"a worker process could not load the model: {type(here).__name__}: {here}") from here
    labeller, job = here
    return label_shard(labeller, job, shard, ending)
