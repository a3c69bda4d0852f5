"""The child's side of parsers.py: a loop that parses what it is sent, within limits it sets on itself."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from gangmu.documents import docx_text, html_text
from gangmu.errors import DataError
from gangmu.limits import Limits
from gangmu.pdf import pdf_text
from gangmu.tables import Wanted, parquet_answers

try:
    import resource
except ImportError:  # Windows: there only size, depth and waiting time are bounded
    resource = None  # type: ignore[assignment]

TEXTS: dict[str, Callable[[bytes, Limits], tuple[str, str]]] = {
    "html": html_text,
    "docx": docx_text,
    "pdf": lambda raw, limits: pdf_text(raw, limits, allow),
}
EXTRAS = {"parquet": "parquet"}
"""The extra that a kind needs, if it is not `docs`."""
SHOWN = 200
"""Characters of another library's message that are passed on."""


def serve(limits: str) -> None:
    """Answer requests on standard input, each a line of JSON and so many bytes, until it closes."""
    allowed = Limits(**json.loads(limits))
    confine(allowed)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a parser prints must not be taken for an answer
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        content = sys.stdin.buffer.read(request["size"])
        for answer in _answers(request, content, allowed):
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.flush()


def confine(limits: Limits) -> None:
    """Bound the memory of this process, once and for all, and let it write to no file."""
    if resource:
        for name, most in (("RLIMIT_AS", limits.memory << 20), ("RLIMIT_FSIZE", 0), ("RLIMIT_CORE", 0)):
            _bound(getattr(resource, name), most, for_good=True)


def allow(seconds: int) -> None:
    """Let this process be killed once it has used `seconds` of processor time more."""
    if resource:
        used = resource.getrusage(resource.RUSAGE_SELF)
        _bound(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + seconds, for_good=False)


def _bound(what: int, most: int, for_good: bool) -> None:
    """Set a limit of the operating system, no higher than one that is set already."""
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    with suppress(ValueError):  # macOS knows a limit of memory by name only
        resource.setrlimit(what, (most, most if for_good else hard))


def _answers(request: dict[str, Any], content: bytes, limits: Limits) -> Iterator[dict[str, Any]]:
    """Yield the answers to one request; the last has the key `end`, and says what went wrong if anything did."""
    kind = request["kind"]
    fault = ""
    try:
        allow(limits.seconds)
        if kind == "parquet":
            wanted = Wanted(request["text_field"], tuple(request["keep"]))
            yield from parquet_answers(request["path"] or content, wanted, limits, allow)
        else:
            text, note = TEXTS[kind](content, limits)
            if len(text) > limits.characters:
                raise DataError(f"{len(text)} characters (limit characters={limits.characters})")
            yield {"text": text, "note": note}
    except DataError as error:
        fault = str(error)
    except MemoryError:
        fault = f"needs more memory than a child may have (limit memory={limits.memory})"
    except RecursionError:
        fault = "lies too deep inside itself"
    except ImportError as error:
        fault = f"reading {kind} needs {error.name}: pip install 'gangmu[{EXTRAS.get(kind, 'docs')}]'"
    except Exception as error:  # parsers raise whatever comes, and none of it may end the run
        fault = f"cannot be read as {kind}: {type(error).__name__}: {str(error)[:SHOWN]}"
    yield {"end": fault}
