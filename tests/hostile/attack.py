"""What an attack is, and how to tell whether it was refused or neutralised, and at what cost."""

import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gangmu.errors import GangmuError
from gangmu.reading import read_reports
from gangmu.sentences import split_sentences

SECRET = "机密口令"
"""Stands where no report may be able to read."""
REPORT = "会议强调，要健全联席会议制度。"
"""What a harmless report says."""
CANARY = "canary"
"""Name of the file that hostile code would write beside its own, if it ran."""
SECONDS = 2.0
MEBIBYTES = 1024
Outcome = tuple[list[str], list[str]]
"""Texts that came out, and faults."""


def reading(folder: Path) -> Outcome:
    """Read a folder as `gangmu split` does."""
    return reading_paths([str(folder)])


def reading_paths(paths: list[str]) -> Outcome:
    """Read paths as `gangmu split` does."""
    faults: list[GangmuError] = []
    texts = []
    try:
        for report in read_reports(paths, faults):
            sentences = split_sentences(report.text)
            texts.append("".join([report.id, report.path, *(sentence.text for sentence in sentences)]))
    except GangmuError as error:
        faults.append(error)
    return texts, [str(fault) for fault in faults]


@dataclass(frozen=True)
class Attack:
    """A hostile input: how it is written, how it is read, and what must come of it."""

    name: str
    build: Callable[[Path], object]
    refused: str = ""
    """A fault must hold these words; empty: there must be none."""
    kept: str = ""
    """A text must hold these words; empty: there must be none."""
    run: Callable[[Path], Outcome] = reading
    child: str = ""
    """The format whose parser it starts; the cost of starting that does not count."""


@dataclass(frozen=True)
class Result:
    """What became of an attack; `problem` is empty when it failed, as it should."""

    name: str
    problem: str
    seconds: float
    """Processor time, of children too, without their start."""
    mebibytes: int
    """Largest resident set so far, of this process or of a child."""

    @property
    def stopped(self) -> bool:
        """Whether it was refused or neutralised in time and space."""
        return not self.problem and self.seconds <= SECONDS and self.mebibytes <= MEBIBYTES


def cpu() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def tried(attack: Attack, folder: Path, start: float) -> Result:
    """Return what became of an attack whose files lie in `folder`; `start` is the cost of starting its parser."""
    before = _inventory(folder.parent)
    began = cpu()
    texts, faults = attack.run(folder)
    seconds = max(0.0, cpu() - began - start)
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) >> 10
    problems = []
    if attack.refused not in "\n".join(faults) or bool(attack.refused) != bool(faults):
        problems.append(f"expected the fault {attack.refused!r}, found {faults}")
    if attack.kept not in "\n".join(texts) or bool(attack.kept) != bool(texts):
        problems.append(f"expected the text {attack.kept!r}, found {[text[:200] for text in texts]}")
    if SECRET in "\n".join([*texts, *faults]):
        problems.append("told the secret")
    if changed := _inventory(folder.parent) ^ before:
        problems.append(f"wrote {changed}")
    return Result(attack.name, "; ".join(problems)[:2000], round(seconds, 2), peak)


def _inventory(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}
