"""The same shards labelled on a Ray cluster: actors hold the model, this process reads and writes.

Ray retries what a lost actor had begun. What it cannot promise, that nothing is lost or doubled when the driver dies
(it appends: 316 of 10,000 rows doubled, FACTS.md 4b), the shards on this machine do: a rerun goes on from them.
"""

import logging
import os
import secrets
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from gangmu.bulk import Job, Pool, Result, Shard, label_shard
from gangmu.checkpoint import COMPILED
from gangmu.errors import InputOutputError, UsageError
from gangmu.labeller import Labeller, load

log = logging.getLogger(__name__)
RETRIES = 5
"""Times that a shard is given to another actor when the one that had it is lost."""


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

    def label(self, shard: Shard) -> Result:
        """Return the result of a shard with its files in it, for the driver to write."""
        return label_shard(self.labeller, self.job, shard)


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
        actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=RETRIES)(_Worker)
        there = replace(job, folder=None, engine="torch-bf16" if labeller.engine.name == "torch bf16" else "torch")
        actors = [actor.remote(folder.resolve().name, files, there) for _ in range(count)]
        log.info("%d actors on %s", count, ray.get_runtime_context().gcs_address)
        busy = [0] * count

        def submit(shard: Shard) -> "Future[Result]":
            chosen = min(range(count), key=busy.__getitem__)
            busy[chosen] += 1
            future: Future[Result] = actors[chosen].label.remote(shard).future()
            future.add_done_callback(lambda _: busy.__setitem__(chosen, busy[chosen] - 1))
            return future

        yield Pool(submit, 2 * count)
    finally:
        ray.shutdown()


def _connected(address: str) -> Any:
    """Return the module ray, connected: token authentication on, usage statistics off."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it warns of arguments that we do keep
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
        log.info("no cluster here: starting one of this machine alone")
        ray.init("local", include_dashboard=False, **options)
    return ray
