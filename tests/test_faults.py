"""A few trials of each fault; `make faults` makes a hundred and more with the shipped model."""

import subprocess
import sys
from pathlib import Path

import pytest

ALONE = ["unshare", "--user", "--map-root-user", "--mount"]
TRIALS = ["--kills", "6", "--workers-kills", "2", "--full", "3", "--torn", "4", "--twice", "1", "--reports", "800"]


@pytest.mark.slow
def test_whatever_stops_a_run_the_next_one_ends_with_the_same_bytes(checkpoint: Path) -> None:
    command = [*ALONE, sys.executable, "-m", "tests.faults", "--model", str(checkpoint), *TRIALS]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.splitlines() == [
        "kills: 6 of 6",
        "kills of one of two workers or their parent: 2 of 2",
        "full disks: 3 of 3",
        "torn files: 4 of 4",
        "two processes on one output: 1 of 1",
    ]
