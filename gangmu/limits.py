"""Limits: what one file may cost before it is refused. SECURITY.md tells which attack each of them stops."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

from gangmu.errors import UsageError

Allow = Callable[[int], None]
"""Grants seconds of processor time from now on."""


@dataclass(frozen=True)
class Limits:
    """What may be spent on one file; every refusal names the limit and its value."""

    megabytes: int = 64
    """MiB of a file that is read whole, of a member of an archive, and of a part of a docx once unpacked."""
    characters: int = 4_000_000
    """Length of the text of one report."""
    ratio: int = 200
    """Unpacked over packed size of an archive, its members and a Parquet file; 1 MiB is always allowed."""
    members: int = 50_000
    """Files in one archive."""
    pages: int = 2_000
    """Pages of one PDF."""
    elements: int = 150_000
    """Elements of one web page, or paragraphs and pieces of text of one docx."""
    depth: int = 200
    """Elements inside one another."""
    seconds: int = 10
    """Processor time of a document or of a batch of Parquet rows; a PDF gets a tenth more for each page."""
    memory: int = 1024
    """MiB of address space of a child process."""
    children: int = 2
    """Child processes at a time."""

    @property
    def bytes(self) -> int:
        """`megabytes` in bytes."""
        return self.megabytes << 20

    def unpacked(self, packed: int) -> int:
        """Return how many bytes may come out of `packed` bytes."""
        return max(1 << 20, self.ratio * packed)


def parsed_limits(assignments: Sequence[str]) -> Limits:
    """Return the default limits with those of `name=number` changed; UsageError names the limits there are.

    >>> parsed_limits(["seconds=60"]).seconds
    60
    """
    known = {field.name: field.default for field in fields(Limits)}
    changed = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        if name not in known or not value.isdecimal() or not 0 < int(value) < 1 << 31:
            defaults = ", ".join(f"{known_name}={default}" for known_name, default in known.items())
            raise UsageError(f"--limit {assignment}: expected NAME=NUMBER; the limits and their defaults: {defaults}")
        changed[name] = int(value)
    return replace(Limits(), **changed)
