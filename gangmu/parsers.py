"""A pool of child processes that parse what others wrote, so that a document can cost itself and nothing else.

A child is a fresh Python that never imports torch, writes no file and holds no more memory and processor time than the
limits allow; it answers in JSON, never in pickles. One that dies is a fault of the file it was reading.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Empty, LifoQueue
from typing import IO, Any

from gangmu.errors import DataError
from gangmu.limits import Limits

Answer = dict[str, Any]
PROGRAM = """
import sys, types
package = sys.modules["gangmu"] = types.ModuleType("gangmu")
package.__path__ = [sys.argv[1]]
from gangmu.child import serve
serve(sys.argv[2])
"""
"""The package without its __init__, which loads the labeller: a child needs none of that, and starts twice as fast."""
PATIENCE = 10
"""Waiting time over processor time: a child may wait for a busy machine, but not for ever."""
QUIET = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
"""Threads and arenas reserve address space, which is what the limit counts."""


class Parsers:
    """Child processes, started when they are needed; leave the `with` block to end them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._idle: LifoQueue[_Child] = LifoQueue()
        self._all: list[_Child] = []
        self._closed = False

    def __enter__(self) -> "Parsers":
        return self

    def __exit__(self, *error: object) -> None:
        self._closed = True  # what still waits for a child in another thread gets none
        for child in list(self._all):
            child.end()

    def answers(self, request: Mapping[str, object], content: bytes = b"") -> Iterator[Answer]:
        """Yield what a child answers to a request about `content`; DataError when it refuses, fails or dies."""
        try:
            child = self._idle.get_nowait()
        except Empty:
            if self._closed:
                raise DataError("not read: the run has ended") from None
            child = _Child(self.limits)
            self._all.append(child)
        try:
            yield from child.answers(request, content)
        finally:
            if child.idle:
                self._idle.put(child)
            else:
                child.end()
                self._all.remove(child)


class _Child:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.idle = True
        package = str(Path(__file__).resolve().parent)
        # -P: modules are never taken from the folder we happen to be in, which may be the attacker's
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-P", "-B", "-c", PROGRAM, package, json.dumps(vars(limits))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | QUIET,
            start_new_session=True,  # Ctrl-C is for us
        )

    def answers(self, request: Mapping[str, object], content: bytes) -> Iterator[Answer]:
        self.idle = False
        try:
            self._pipe(self.process.stdin).write(json.dumps({**request, "size": len(content)}).encode() + b"\n")
            self._pipe(self.process.stdin).write(content)
            self._pipe(self.process.stdin).flush()
        except OSError:
            raise self._death() from None
        while "end" not in (answer := self._answer()):
            yield answer
        self.idle = True
        if error := answer["end"]:
            raise DataError(str(error))

    def _answer(self) -> Answer:
        timer = threading.Timer(PATIENCE * self.limits.seconds, self.process.kill)
        timer.daemon = True
        timer.start()
        longest = 8 * self.limits.characters + (1 << 20)
        try:
            line = self._pipe(self.process.stdout).readline(longest)
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            raise self._death()
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):  # whoever answers there is not our loop any more
            raise DataError("its parser gave no answer that can be read; the file is damaged or hostile")
        return answer

    def _death(self) -> DataError:
        """Return what the end of the process means; it is killed where it has not ended."""
        try:
            code = self.process.wait(1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        limits = self.limits
        if code == -getattr(signal, "SIGXCPU", 0):
            return DataError(f"took more than {limits.seconds} s of processor time (limit seconds={limits.seconds})")
        if code == -getattr(signal, "SIGKILL", 0):
            waited = PATIENCE * limits.seconds
            return DataError(
                f"its parser was killed: no answer in {waited} s (limit seconds={limits.seconds}), or memory"
            )
        return DataError(f"its parser died (exit code {code}); the file is damaged or hostile")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                self._pipe(pipe).close()
            except OSError:
                continue  # what was not written yet has nobody to read it

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe
