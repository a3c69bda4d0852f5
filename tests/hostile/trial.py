"""Try every attack on Gangmu and print what became of it: `python -m tests.hostile.trial`.

An attack fails when what it wrote is refused, or read without harm, within 2 s of processor time (in one of three
tries) and 1 GiB. Every group is written by one process and tried by another, so that what it takes to write a bomb is
not counted.
"""

import io
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import pyarrow
import pyarrow.parquet

from gangmu.doctor import model_folder
from gangmu.labeller import load
from tests.hostile import archives, documents, models, outputs, tables
from tests.hostile.attack import REPORT, SECONDS, Attack, Result, cpu, reading, tried
from tests.written import docx, paragraph, pdf

LAUNCHER = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
"""Starts a command: Linux counts the peak memory of who starts one, here the test runner, as its own."""
TRIES = 3
"""What takes too long is tried so often in all: a machine gives a process its first gigabyte in 0.6 to 2.5 s of
processor time, by what else it has to do."""
GROUPS: dict[str, list[Attack]] = {
    "documents": documents.ATTACKS,
    "files": [*archives.ATTACKS, *tables.ATTACKS, *outputs.ATTACKS],
    "models": models.ATTACKS,
}


def attempt(root: Path) -> list[Result]:
    """Write every attack into a folder below `root`, try it, and return what became of each."""
    results = []
    for group in GROUPS:
        for step in ("write", "try"):
            command = [sys.executable, "-S", "-c", LAUNCHER]
            command += [sys.executable, "-m", "tests.hostile.trial", step, group, str(root / group)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
        results += [Result(**json.loads(line)) for line in done.stdout.splitlines()]
    return results


def write(group: str, root: Path) -> None:
    """Write the attacks of a group, each into a numbered folder, and a harmless file of each format."""
    for number, attack in enumerate(GROUPS[group]):
        folder = root / str(number)
        folder.mkdir(parents=True)
        attack.build(folder)
    table = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": [REPORT]}), table)
    harmless = {"docx": docx(paragraph(REPORT)), "pdf": pdf([[REPORT]]), "html": f"<p>{REPORT}".encode()}
    for kind, content in (harmless | {"parquet": table.getvalue()}).items():
        (root / kind).mkdir()
        (root / kind / f"x.{kind}").write_bytes(content)


def attack_all(group: str, root: Path) -> None:
    """Try the attacks of a group and print their results as JSON."""
    start = {"": 0.0}
    if group == "models":
        load(model_folder(None))  # imports torch
    else:
        kinds = sorted({attack.child for attack in GROUPS[group]} - {""})
        reading(root / kinds[0])  # what this process loads once
        start |= {kind: _cost(root / kind) for kind in kinds}
    for number, attack in enumerate(GROUPS[group]):
        for _ in range(TRIES):
            result = tried(attack, root / str(number), start[attack.child])
            if result.problem or result.seconds <= SECONDS:
                break
        sys.stdout.write(json.dumps(asdict(result)) + "\n")


def _cost(folder: Path) -> float:
    before = cpu()
    reading(folder)
    return cpu() - before


def main() -> None:
    """Run a step in this process, or all of them in others."""
    if sys.argv[1:]:
        step, group, root = sys.argv[1:]
        {"write": write, "try": attack_all}[step](group, Path(root))
        return
    with tempfile.TemporaryDirectory() as folder:
        results = attempt(Path(folder))
    for result in results:
        mark = "stopped" if result.stopped else "NOT STOPPED"
        sys.stdout.write(f"{mark} {result.seconds:5.2f} s {result.mebibytes:5} MiB  {result.name} {result.problem}\n")
    stopped = sum(result.stopped for result in results)
    slowest = max(result.seconds for result in results)
    largest = max(result.mebibytes for result in results)
    sys.stdout.write(
        f"{stopped} of {len(results)} attacks refused or neutralised within {SECONDS:g} s and 1 GiB "
        f"(slowest {slowest} s, largest {largest} MiB)\n"
    )
    sys.exit(stopped < len(results))


if __name__ == "__main__":
    main()
