"""Real processes that end while they label."""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gangmu import cli, labeller
from gangmu.bulk import Job
from gangmu.labeller import LabelledReport, Labeller


class Deadly(Job):
    """A job whose workers are killed by a text; with DEADLY_ONCE, a file, only until that is there."""

    def labeller(self) -> Labeller:
        found = super().labeller()
        real, once = found.label_shard, os.environ.get("DEADLY_ONCE")

        def label(texts: Sequence[str]) -> Iterator[LabelledReport]:
            if any("毒" in text for text in texts) and not (once and Path(once).exists()):
                if once:
                    Path(once).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return real(texts)

        found.label_shard = label  # type: ignore[method-assign]
        return found


class Unready(Job):
    """A job whose workers cannot load the model; the process that starts them can."""

    def labeller(self) -> Labeller:
        if os.environ["STARTER"] != str(os.getpid()):
            raise ValueError("no engine in a worker")
        return super().labeller()


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of six reports, two to a shard; one is poisoned."""
    monkeypatch.setattr(labeller, "SHARD_REPORTS", 2)
    rows = [{"id": f"r{number}", "text": f"{'毒' * (number == 2)}要深入排查管网隐患。"} for number in range(6)]
    path = tmp_path / "reports.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_report_that_ends_its_process_costs_itself_alone(gangmu, reports, checkpoint, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    options = ("--model", checkpoint, "--workers", "2")
    assert gangmu("label", reports, *options, "--output", tmp_path / "sound.jsonl")[0] == 0
    sound = (tmp_path / "sound.jsonl").read_text(encoding="utf-8").splitlines()
    monkeypatch.setattr(cli, "Job", Deadly)
    code, _, err = gangmu("label", reports, *options, "--output", tmp_path / "out.jsonl")
    assert code == 65, err
    assert "a worker process ended" in err
    assert "report r2 cannot be labelled: it ends the process that labels it" in err
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines() == [s for s in sound if '"r2"' not in s]
    assert "r2" in (tmp_path / "errors.jsonl").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_process_that_is_killed_once_costs_nothing(gangmu, reports, checkpoint, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(cli, "Job", Deadly)
    monkeypatch.setenv("DEADLY_ONCE", str(tmp_path / "killed"))
    code, out, err = gangmu("label", reports, "--model", checkpoint, "--workers", "2")
    assert code == 0, err
    assert "a worker process ended" in err
    assert [json.loads(line)["report"] for line in out.splitlines()] == [f"r{number}" for number in range(6)]


@pytest.mark.slow
def test_reports_that_all_end_their_process_are_all_listed(gangmu, reports, checkpoint, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(cli, "Job", Deadly)
    text = reports.read_text(encoding="utf-8").replace('"text": "', '"text": "毒')
    reports.write_text(text, encoding="utf-8")
    code, _, err = gangmu("label", reports, "--model", checkpoint, "--workers", "2", "--quiet")
    assert code == 65  # each of them, but a plain sentence can be labelled
    assert err.count("it ends the process that labels it") == 6


def test_workers_that_cannot_load_the_model_say_why(gangmu, reports, checkpoint, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(cli, "Job", Unready)
    monkeypatch.setenv("STARTER", str(os.getpid()))
    code, _, err = gangmu("label", reports, "--model", checkpoint, "--workers", "2")
    assert code == 1
    assert "a worker process could not load the model: ValueError: no engine in a worker" in err
