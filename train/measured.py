"""Seconds and peak memory of a command."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

LAUNCHER = """
import json, os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(pid, 0)
open(sys.argv[1], "w").write(json.dumps([os.waitstatus_to_exitcode(status), used.ru_maxrss]))
"""


def measured(command: Sequence[str]) -> tuple[float, float]:
    """Return seconds and peak megabytes of a command; RuntimeError when it fails.

    A small process starts it: Linux counts the memory of who starts a program as the program's own.
    """
    with tempfile.NamedTemporaryFile() as answer:
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-S", "-c", LAUNCHER, answer.name, *command], stdout=subprocess.DEVNULL, check=True
        )
        seconds = time.monotonic() - began
        code, kilobytes = json.loads(Path(answer.name).read_text())
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with {code}")
    return seconds, kilobytes / 1024
