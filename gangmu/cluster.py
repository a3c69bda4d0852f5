"""The same shards labelled on a Ray cluster: actors hold the model, this process reads and writes.

What a lost actor had is given to another. What Ray cannot promise, that nothing is lost or doubled when the driver dies
(it appends: 316 of 10,000 rows doubled, FACTS.md 4b), the shards on this machine do: a rerun goes on from them.
"""

import logging
import os
import secrets
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from gangmu.bulk import Job, Pool, Result, Shard, label_shard
from gangmu.checkpoint import COMPILED
from gangmu.errors import GangmuError, InputOutputError, UsageError
from gangmu.labeller import Labeller, load
from gangmu.workers import Careful, Lost

log = logging.getLogger(__name__)
TRIES = 3
"""Times that a shard is given to an actor, when the one that had it is lost; then it gets one to itself."""


class _Worker:
    """A labeller on some machine of the cluster, from the files of its model."""

    def __init__(self, name: str, files: dict[str, bytes], job: Job) -> None:
        self.folder = tempfile.TemporaryDirectory()
        model = Path(self.folder.name, name)
        model.mkdir()
        for file, content in files.items():
            (model / file).write_bytes(content)
        engine = None if COMPILED in files else job.engine
        self.labeller = load(model, job.four, threads=1, engine=engine)
        self.job = job

    def ping(self) -> None:
        """Return when the labeller is ready."""

    def label(self, shard: Shard, ending: Sequence[int] = ()) -> Result:
        """Return the result of a shard with its files in it, for the driver to write."""
        return label_shard(self.labeller, self.job, shard, ending)


class _Crew:
    """The actors of a run: a shard goes to one that is there; when that one is lost, to another."""

    def __init__(self, ray: Any, start: Callable[..., Any], count: int) -> None:
        """Start `count` actors and wait for the first; GangmuError when none of them can label."""
        self.ray = ray
        self.start = start
        single = lambda: start(num_cpus=0)  # noqa: E731  # it need not wait for a core that the others have
        label = lambda actor, shard, ending: ray.get(actor.label.remote(shard, ending))  # noqa: E731
        self.gone: Lost = (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError)
        """What is raised when an actor ended, for lack of memory too."""
        self.lost: Lost = (*self.gone, ray.exceptions.ObjectLostError)
        """And when the machine that had the result did."""
        self.careful: Careful[Any] = Careful(single, label, self.lost)
        self.lock = threading.RLock()
        self.busy: dict[Any, int] = {}
        """Shards that each actor has, of those that answered."""
        self.starting = 0
        """Actors that have not answered yet."""
        self.waiting: deque[tuple[Shard, Future[Result], int]] = deque()
        """Shards for the next actor that answers, while there is none."""
        self.failure: BaseException | None = None
        for _ in range(count):
            self._join()
        while self._none_yet():
            time.sleep(0.01)

    def _none_yet(self) -> bool:
        """Return whether no actor has answered but one may; GangmuError when all have failed."""
        with self.lock:
            if not self.busy and not self.starting:
                raise GangmuError(f"no actor can label: {self.failure}") from self.failure
            return not self.busy

    def _join(self) -> None:
        """Start an actor, which is given work as soon as it answers."""
        actor = self.start()
        with self.lock:
            self.starting += 1
        actor.ping.remote().future().add_done_callback(lambda answer: self._joined(actor, answer))

    def _joined(self, actor: Any, answer: "Future[None]") -> None:
        """Give the shards that wait to an actor that is ready; without any actor left, give them up."""
        with self.lock:
            self.starting -= 1
            if failure := answer.exception():
                self.failure = failure
                log.warning("an actor could not be started: %s", str(failure).strip().splitlines()[-1])
            else:
                self.busy[actor] = 0
            given = list(self.waiting) if self.busy or not self.starting else []
            if given:
                self.waiting.clear()
        for shard, result, tries in given:
            self._give(shard, result, tries)

    def submit(self, shard: Shard) -> "Future[Result]":
        """Return the result of a shard to be."""
        result: Future[Result] = Future()
        self._give(shard, result, TRIES)
        return result

    def _give(self, shard: Shard, result: "Future[Result]", tries: int) -> None:
        with self.lock:
            actor = min(self.busy, key=self.busy.__getitem__, default=None)
            if actor is not None:
                self.busy[actor] += 1
            elif self.starting:  # all were lost: the next that answers takes it
                self.waiting.append((shard, result, tries))
                return
        if actor is None:
            result.set_exception(GangmuError(f"no actor is left: {self.failure}"))
            return
        found = actor.label.remote(shard).future()
        found.add_done_callback(lambda answer: self._came(actor, shard, result, tries, answer))

    def _came(self, actor: Any, shard: Shard, result: "Future[Result]", tries: int, answer: "Future[Result]") -> None:
        error = answer.exception()
        lost = isinstance(error, self.lost)
        with self.lock:
            if actor in self.busy:
                self.busy[actor] -= 1
            is_news = isinstance(error, self.gone) and self.busy.pop(actor, None) is not None
        if is_news:
            log.warning("an actor was lost; another takes its shards")
            self._join()
        if error is None:
            result.set_result(answer.result())
        elif lost and tries > 1:
            self._give(shard, result, tries - 1)
        elif lost:
            self.careful.take(shard, result)
        else:
            result.set_exception(GangmuError(f"shard {shard.number} on the cluster: {error}"))


@contextmanager
def ray_workers(job: Job, labeller: Labeller, address: str) -> Iterator[Pool]:
    """Yield what has a shard labelled on the cluster at `address`.

    `auto` is the cluster this machine belongs to or RAY_ADDRESS names; without one, a cluster of this machine alone.
    The model's files go to the machines by themselves; gangmu with the engine's extra must be installed there.
    """
    ray = _connected(address)
    try:
        count = job.workers if job.workers > 1 else max(1, int(ray.cluster_resources().get("CPU", 1)))
        folder = labeller.engine.folder or job.model
        files = ray.put({path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()})
        actor = ray.remote(num_cpus=1, max_restarts=0)(_Worker)
        there = replace(job, folder=None)
        start = lambda **options: actor.options(**options).remote(folder.resolve().name, files, there)  # noqa: E731
        crew = _Crew(ray, start, count)
        try:
            yield Pool(crew.submit, 2 * count)
        finally:
            crew.careful.close()
    finally:
        ray.shutdown()


def _connected(address: str) -> Any:
    """Return the module ray, connected: token authentication on, usage statistics off."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it has much to say of actors that were lost
    try:
        import ray
    except ImportError as error:
        raise UsageError(f"--cluster needs {error.name}: pip install 'gangmu[scale]'") from error
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        ray.init(address, **options)
    except Exception as error:  # whatever Ray makes of an address where nothing answers
        if address != "auto" or not isinstance(error, ConnectionError):
            raise InputOutputError(f"--cluster {address}: no cluster there that lets us in: {error}") from error
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        log.warning("no cluster here: starting one of this machine alone")
        ray.init("local", include_dashboard=False, **options)
    return ray
