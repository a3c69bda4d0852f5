"""Kill labelling at any moment, fill its disk, tear its files, start it twice; run it again and compare the bytes.

unshare --user --map-root-user --mount python -m tests.faults --model models/gangmu

A trial is a forked process that has everything loaded, so that a kill falls into the work and not into the imports.
"""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Annotated

import torch
import transformers  # loaded once, before the forks
import typer

from gangmu import cli
from gangmu.shards import MANIFEST

FORMATS = ("jsonl", "csv", "parquet")
PARTS = (
    "要{}，扎实推进各项工作。",
    "要健全{}机制，把责任落实到人。",
    "力争到明年{}取得明显进展。",
    "会议听取了{}情况汇报。",
)
THINGS = ("排水防涝", "春季造林", "校园食堂", "老旧小区改造", "冷链物流", "古树保护", "档案整理", "夜间经济")
assert transformers.__version__


class Trials:
    """A table of reports, the rows that an undisturbed run makes of it, and the ways to disturb one."""

    def __init__(self, model: Path, reports: int, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.table = folder / "reports.jsonl"
        self.model = model
        rows = [{"id": f"r{number}", "text": self._text()} for number in range(reports)]
        self.table.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        self.wanted = {}
        for format in FORMATS:
            began = time.monotonic()
            assert self.wait(self.start(folder / format, format)) == 0
            self.seconds = time.monotonic() - began
            self.wanted[format] = (folder / format).read_bytes()

    def _text(self) -> str:
        return "".join(self.random.choice(PARTS).format(self.random.choice(THINGS)) for _ in range(3))

    def start(self, output: Path, format: str, workers: int = 1) -> int:
        """Return the process number of a run that was just started."""
        if pid := os.fork():
            return pid
        os.setpgid(0, 0)
        log = os.open(self.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        arguments = ["label", str(self.table), "--model", str(self.model), "--output", str(output), "--format", format]
        sys.argv = ["gangmu", *arguments, "--workers", str(workers)]
        try:
            cli.main()
        except SystemExit as stopped:
            os._exit(int(stopped.code or 0))
        except BaseException:
            os._exit(99)
        os._exit(0)

    def wait(self, pid: int) -> int:
        """Return the exit code of a run, or minus the signal that ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def right(self, output: Path, format: str) -> bool:
        """Return whether a second run ends well and leaves the bytes of an undisturbed one and nothing else."""
        code = self.wait(self.start(output, format))
        same = output.is_file() and output.read_bytes() == self.wanted[format]
        left = [path.name for path in output.parent.iterdir() if output.name in path.name and path != output]
        if code or not same or left:
            typer.echo(f"exit {code}, same bytes {same}, left over {left}: {(self.folder / 'log').read_text()[-500:]}")
        output.unlink(missing_ok=True)
        return not code and same and not left

    def _kill(self, pid: int, victim: int | None = None) -> bool:
        """Kill a process of a run and wait for the run; return whether it was still at work."""
        alive = os.waitpid(pid, os.WNOHANG) == (0, 0)
        if alive:
            os.kill(victim or pid, signal.SIGKILL)
            self.wait(pid)
        return alive

    def killed(self, number: int) -> bool | None:
        """Kill a run at a random moment, and its second run too half of the times."""
        format = FORMATS[number % 3]
        output = self.folder / f"killed.{format}"
        alive = False
        for _ in range(1 + number % 2):
            pid = self.start(output, format)
            time.sleep(self.random.uniform(0, self.seconds))
            alive |= self._kill(pid)
        return self.right(output, format) if alive else self._missed(output)

    def workers_killed(self, number: int) -> bool | None:
        """Kill a run of two processes at work: the one that was started, or one that it started."""
        output = self.folder / "workers.jsonl"
        pid = self.start(output, "jsonl", workers=2)
        until(lambda: written(output) >= 1 + number % 2, pid)
        below = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
        alive = self._kill(pid, int(below[-1]) if number % 2 and below else None)
        return self.right(output, "jsonl") if alive else self._missed(output)

    def _missed(self, output: Path) -> None:
        """Clear away a run that ended before it was disturbed: it is no trial."""
        output.unlink(missing_ok=True)

    def full(self, number: int) -> bool:
        """Write to a disk that is too small, then make it larger."""
        format = FORMATS[number % 3]
        disk = self.folder / "disk"
        disk.mkdir(exist_ok=True)
        room = self.random.randrange(8, 2 * len(self.wanted[format]) // 1024)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}k", "none", disk], check=True)
        try:
            code = self.wait(self.start(disk / "out", format))
            if code not in (0, 74):
                typer.echo(f"exit {code} with {room} KiB of room: {(self.folder / 'log').read_text()[-500:]}")
                return False
            subprocess.run(["mount", "-o", "remount,size=64m", "none", disk], check=True)
            return self.right(disk / "out", format)
        finally:
            subprocess.run(["umount", disk], check=True)

    def torn(self, number: int) -> bool | None:
        """Cut off the end of a part that counts as done, or of the manifest, of a run that was killed: a power cut."""
        format = FORMATS[number % 3]
        output = self.folder / f"torn.{format}"
        pid = self.start(output, format)
        until(lambda: written(output) >= 2, pid)
        if not self._kill(pid):
            return self._missed(output)
        parts = output.with_name(output.name + ".parts")
        victim = parts / (MANIFEST if number % 2 else f"part-{written(output) - 1:06}.{format}")
        with victim.open("r+b") as stream:
            stream.truncate(max(0, victim.stat().st_size - self.random.randint(1, 3000)))
        return self.right(output, format)

    def twice(self, number: int) -> bool:
        """Start two runs with one output: one must do it, the other leave it alone."""
        output = self.folder / "twice.jsonl"
        pids = [self.start(output, "jsonl") for _ in range(2)]
        codes = sorted(self.wait(pid) for pid in pids)
        return codes in ([0, 75], [0, 0]) and self.right(output, "jsonl")


def written(output: Path) -> int:
    """Return how many shards the manifest of a run lists."""
    path = output.with_name(output.name + ".parts") / MANIFEST
    try:
        return path.read_bytes().count(b"\n") - 1
    except OSError:
        return -1


def until(reached: Callable[[], bool], pid: int) -> None:
    """Wait until a run is so far, or has ended."""
    while not reached() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        time.sleep(0.005)


def main(
    model: Annotated[Path, typer.Option(help="Checkpoint to label with.")] = Path("models/gangmu"),
    reports: Annotated[int, typer.Option(help="Reports in the table; a shard is 256.")] = 1300,
    kills: int = 100,
    workers_kills: int = 4,
    full: int = 20,
    torn: int = 40,
    twice: int = 5,
    seed: int = 0,
) -> None:
    """Print of each fault how many trials ended with the bytes of an undisturbed run; exit 1 when one did not."""
    torch.set_num_threads(1)  # a fork keeps no threads; more would be waited for in vain
    with tempfile.TemporaryDirectory() as folder:
        trials = Trials(model.resolve(), reports, Path(folder), seed)
        rounds: list[tuple[str, int, Callable[[int], bool | None]]] = [
            ("kills", kills, trials.killed),
            ("kills of one of two workers or their parent", workers_kills, trials.workers_killed),
            ("full disks", full, trials.full),
            ("torn files", torn, trials.torn),
            ("two processes on one output", twice, trials.twice),
        ]
        wrong = 0
        for name, count, trial in rounds:
            found = (trial(number) for number in itertools.count())
            good = sum(islice((bool(one) for one in found if one is not None), count))
            wrong += count - good
            typer.echo(f"{name}: {good} of {count}")
        shutil.rmtree(folder, ignore_errors=True)
    raise SystemExit(wrong > 0)


if __name__ == "__main__":
    typer.run(main)
