"""The command, run in this process."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gangmu.cli import main


@pytest.fixture
def gangmu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command; return exit code, stdout, stderr."""

    def command(*arguments: str | Path, stdin: str = "") -> tuple[int, str, str]:
        engine = [] if arguments[0] != "label" or "--engine" in arguments else ["--engine", "torch"]
        monkeypatch.setattr(sys, "argv", ["gangmu", *map(str, arguments), *engine])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as stopped:
            main()
            raise SystemExit(0)
        printed = capsys.readouterr()
        return int(stopped.value.code or 0), printed.out, printed.err

    return command
