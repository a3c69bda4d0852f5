"""The child's side of parsers.py: a loop that parses what it is sent, within limits it sets on itself."""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from gangmu.documents import docx_text, html_text
from gangmu.errors import DataError
from gangmu.limits import Limits, allow, confine
from gangmu.pdf import pdf_text
from gangmu.tables import Wanted, parquet_answers

TEXTS = {"html": html_text, "docx": docx_text, "pdf": pdf_text}
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


def _answers(request: dict[str, Any], content: bytes, limits: Limits) -> Iterator[dict[str, Any]]:
    """Yield the answers to one request; the last has the key `end`, and says what went wrong if anything did."""
    kind = request["kind"]
    fault = ""
    try:
        allow(limits.seconds)
        if kind == "parquet":
            wanted = Wanted(request["text_field"], tuple(request["keep"]))
            yield from parquet_answers(request["path"] or content, wanted, limits)
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
