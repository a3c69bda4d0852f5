"""A real Ray of two processes, in a network of its own where only the loopback is."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
ALONE = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up; exec "$0" "$@"']
COMMAND = """
import sys
from gangmu import labeller
labeller.SHARD_REPORTS = 4
from gangmu.cli import main
main()
"""
POISON = "毒" * 3


@pytest.fixture
def start(checkpoint: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start labelling a table of forty reports."""
    rows = [{"id": f"r{number}", "text": "要深入排查管网隐患。" * (1 + number % 7)} for number in range(40)]
    path = tmp_path / "reports.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")

    def started(output: str, *arguments: str, code: str = COMMAND) -> subprocess.Popen[str]:
        command = [*ALONE, sys.executable, "-c", code, "label", str(path), "--model", str(checkpoint)]
        command += ["--engine", "torch", "--output", str(tmp_path / output), *arguments]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)

    return started


def wait(process: subprocess.Popen[str]) -> str:
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return err


def below(pid: int, name: str) -> list[int]:
    """Return the processes of a session whose name holds `name`."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout.splitlines()[1:]
    return [int(line.split()[0]) for line in listed if name in line and int(line.split()[0]) != pid]


@pytest.fixture
def local(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> bytes:
    """The rows of one process on this machine."""
    wait(start("local.jsonl"))
    return (tmp_path / "local.jsonl").read_bytes()


def test_a_cluster_gives_the_bytes_of_one_process_whatever_is_killed(start, local, tmp_path) -> None:  # type: ignore[no-untyped-def]
    cluster = ("--cluster", "auto", "--workers", "2")
    wait(start("whole.jsonl", *cluster))
    assert (tmp_path / "whole.jsonl").read_bytes() == local

    slow = with_code(
        "real = c._Worker.label\nimport time\n"
        "c._Worker.label = lambda self, *shard: (time.sleep(1), real(self, *shard))[1]\n"
    )
    process = start("actor.jsonl", *cluster, code=slow)
    parts = tmp_path / "actor.jsonl.parts"
    until(lambda: len(list(parts.glob("part-*"))) >= 2)
    os.kill(below(process.pid, "ray::_Worker")[0], signal.SIGKILL)
    wait(process)
    assert (tmp_path / "actor.jsonl").read_bytes() == local

    process = start("actors.jsonl", *cluster, code=slow)
    parts = tmp_path / "actors.jsonl.parts"
    until(lambda: len(list(parts.glob("part-*"))) >= 2)
    for actor in below(process.pid, "ray::_Worker"):
        os.kill(actor, signal.SIGKILL)
    wait(process)
    assert (tmp_path / "actors.jsonl").read_bytes() == local

    process = start("driver.jsonl", *cluster, code=slow)
    parts = tmp_path / "driver.jsonl.parts"
    until(lambda: len(list(parts.glob("part-*"))) >= 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 2 <= len(list(parts.glob("part-*"))) < 10
    err = wait(start("driver.jsonl", *cluster))
    assert "by an earlier run" in err
    assert (tmp_path / "driver.jsonl").read_bytes() == local


def until(reached: Callable[[], bool]) -> None:
    for _ in range(1200):
        if reached():
            return
        time.sleep(0.05)
    raise AssertionError("nothing was written in a minute")


def with_code(code: str) -> str:
    """Return COMMAND with `code` run before it labels; `c` is gangmu.cluster."""
    return COMMAND.replace("main()\n", f"import gangmu.cluster as c\n{code}main()\n")


def row_17_alone_is_lost(start, local, tmp_path, code: str, fault: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "reports.jsonl"
    rows = path.read_text(encoding="utf-8").replace('"r17", "text": "', f'"r17", "text": "{POISON}')
    path.write_text(rows, encoding="utf-8")
    process = start("poison.jsonl", "--cluster", "auto", "--workers", "2", code=with_code(code))
    _, err = process.communicate(timeout=240)
    assert process.returncode == 65, err
    assert f"report r17 cannot be labelled: {fault}" in err
    kept = [line for line in local.decode().splitlines() if '"r17"' not in line]
    assert (tmp_path / "poison.jsonl").read_text(encoding="utf-8").splitlines() == kept
    assert "r17" in (tmp_path / "errors.jsonl").read_text(encoding="utf-8")


def test_a_poisoned_row_costs_itself(start, local, tmp_path) -> None:  # type: ignore[no-untyped-def]
    code = f"""
def poisoned(self, shard, ending=()):
    real = self.labeller.label_shard
    def label(texts):
        assert not any({POISON!r} in text for text in texts), "poison"
        return real(texts)
    self.labeller.label_shard = label
    found = c.label_shard(self.labeller, self.job, shard, ending)
    self.labeller.label_shard = real
    return found
c._Worker.label = poisoned
"""
    row_17_alone_is_lost(start, local, tmp_path, code, "AssertionError: poison")


def test_a_row_that_ends_its_actor_costs_itself(start, local, tmp_path) -> None:  # type: ignore[no-untyped-def]
    code = f"""
def deadly(self, shard, ending=()):
    tried = [report for place, report in enumerate(shard.reports) if place not in ending]
    if any({POISON!r} in report.text for report in tried):
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    return c.label_shard(self.labeller, self.job, shard, ending)
c._Worker.label = deadly
"""
    row_17_alone_is_lost(start, local, tmp_path, code, "it ends the process that labels it")


@pytest.mark.parametrize("broken", [1, 2])
def test_a_machine_that_cannot_label_is_named_and_the_others_do_its_work(start, local, tmp_path, broken) -> None:  # type: ignore[no-untyped-def]
    code = f"""
real = c._Worker.__init__
def breaks(self, *arguments):
    import pathlib, time
    tickets = [pathlib.Path({str(tmp_path)!r}, f"ticket{{number}}") for number in range({broken})]
    for ticket in tickets:
        try:
            ticket.touch(exist_ok=False)
        except FileExistsError:
            continue
        raise RuntimeError("no engine on this machine")
    time.sleep(2)
    real(self, *arguments)
c._Worker.__init__ = breaks
"""
    process = start("broken.jsonl", "--cluster", "auto", "--workers", "2", code=with_code(code))
    _, err = process.communicate(timeout=240)
    assert "no engine on this machine" in err
    assert process.returncode == broken - 1
    if broken == 1:
        assert (tmp_path / "broken.jsonl").read_bytes() == local


def test_a_cluster_that_is_not_there_is_named(start) -> None:  # type: ignore[no-untyped-def]
    process = start("none.jsonl", "--cluster", "127.0.0.1:6399")
    _, err = process.communicate(timeout=240)
    assert process.returncode == 74
    assert "--cluster 127.0.0.1:6399" in err
