"""What a file is, by its content first and its name second, and how to convert what is not read."""

import io
import json
import re
from collections.abc import Collection
from typing import BinaryIO

from gangmu.errors import DataError

SUFFIXES = {
    "text": (".txt", ".text", ".md", ".markdown"),
    "html": (".html", ".htm", ".xhtml", ".shtml"),
    "docx": (".docx",),
    "pdf": (".pdf",),
    "jsonl": (".jsonl", ".ndjson"),
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "parquet": (".parquet",),
    "zip": (".zip",),
}
KINDS = {suffix: kind for kind, suffixes in SUFFIXES.items() for suffix in suffixes}
DOCUMENTS = frozenset(["html", "docx", "pdf"])
TABLES = frozenset(["jsonl", "csv", "tsv", "parquet"])

OFFICE = "convert it first: soffice --convert-to docx"
SHEET = "convert it first: soffice --convert-to csv"
PICTURE = "read its characters first: tesseract -l chi_sim"
UNPACK = "unpack it first"
EXPORT = "save it as PDF from an OFD viewer first"
ADVICE = {
    OFFICE: (".doc", ".wps", ".rtf", ".odt", ".docm", ".dot", ".ppt", ".pptx", ".mht", ".mhtml"),
    SHEET: (".xls", ".xlsx", ".et", ".ods"),
    PICTURE: (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"),
    UNPACK: (".rar", ".7z", ".gz", ".xz", ".bz2", ".tar", ".tgz"),
    EXPORT: (".ofd",),
    "make it JSON Lines first: jq -c '.[]'": (".json",),
}
CONVERSIONS = {suffix: advice for advice, suffixes in ADVICE.items() for suffix in suffixes}
SIGNATURES = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": f"an old Office file, or one with a password; {OFFICE}",
    b"{\\rtf": f"rich text; {OFFICE}",
    b"\x89PNG\r\n": f"a picture; {PICTURE}",
    b"\xff\xd8\xff": f"a picture; {PICTURE}",
    b"GIF8": f"a picture; {PICTURE}",
    b"II*\x00": f"a picture; {PICTURE}",
    b"MM\x00*": f"a picture; {PICTURE}",
    b"RIFF": f"a picture or a sound; {PICTURE}",
    b"7z\xbc\xaf\x27\x1c": f"an archive; {UNPACK}",
    b"Rar!\x1a": f"an archive; {UNPACK}",
    b"\x1f\x8b\x08": f"an archive; {UNPACK}",
    b"\xfd7zXZ\x00": f"an archive; {UNPACK}",
    b"BZh9": f"an archive; {UNPACK}",
}
MARKUP = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)[\s>]", re.I | re.S)
STRING = rb'"(?:[^"\\]|\\.)*"'
PAGE = b'<!doctype html>\n<html lang="zh-Hans">\n<head>\n<meta name="generator" content="Gangmu">'
OWN = re.compile(
    b"|".join(
        [
            rb'\{"report": %b, "path": %b, "paragraph": ' % (STRING, STRING),
            rb'\{"output": %b, "error": ' % STRING,
            rb'\{"gangmu": "',
            rb"\xef\xbb\xbfreport,path,(?:paragraph|sentences),",
            re.escape(PAGE),
            r"(?:== [^\n]*\n)?(?:目标|方法|机制|号召|其他)[ ?] [01]\.\d\d  ".encode(),
        ]
    )
)
"""How the files begin that `gangmu label` writes, but for Parquet files."""
OWN_COLUMNS = re.compile(rb"report.{1,40}path.{1,40}paragraph.{1,40}sentence.{1,40}start", re.S)
"""In the schema at the end of a Parquet file of rows."""
PARTS = {
    "word/": "docx",
    "xl/": f"a spreadsheet; {SHEET}",
    "ppt/": f"slides; {OFFICE}",
    "OFD.xml": f"an OFD; {EXPORT}",
    "content.xml": f"an OpenDocument file; {OFFICE}",
}


def kind_of(head: bytes, name: str) -> str:
    """Return what a file is: text, html, pdf, zip (docx too), jsonl, csv, tsv or parquet, from its first bytes.

    DataError names the conversion of what is not read. `name` is empty for standard input.

    >>> kind_of("<!DOCTYPE html><p>会议召开。".encode(), "县报.doc")
    'html'
    """
    for signature, found in SIGNATURES.items():
        if head.startswith(signature):
            raise DataError(f"this is {found}{f' {name}' if name else ''}")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"PAR1"):
        return "parquet"
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if MARKUP.match(head[:4096].replace(b"\x00", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")):
        return "html"
    suffix = suffix_of(name)
    if suffix in ("", ".json") and _is_object(head):
        return "jsonl"
    if suffix in CONVERSIONS:
        raise DataError(f"{suffix} files are not read; {CONVERSIONS[suffix]} {name}")
    kind = KINDS.get(suffix, "text")
    if kind in ("pdf", "docx", "parquet", "zip") and head:
        raise DataError(f"its name ends in {suffix}, but it is none (first bytes {head[:8].hex(' ')})")
    return "text" if kind in ("pdf", "docx", "parquet", "zip") else kind


def package_kind(names: Collection[str]) -> str:
    """Return what a zip with files of these names is: docx or zip; DataError for other office files."""
    if "[Content_Types].xml" in names or "OFD.xml" in names or "mimetype" in names:
        for part, kind in PARTS.items():
            if part in names or any(name.startswith(part) for name in names if part.endswith("/")):
                if kind == "docx":
                    return kind
                raise DataError(f"this is {kind}")
    return "zip"


def is_own(stream: BinaryIO) -> bool:
    """Return whether `gangmu label` wrote a file: rows, a summary, faults, pages; no report to be read, nor lost."""
    head = stream.read(4096)
    if not head.startswith(b"PAR1"):
        return OWN.match(head) is not None
    stream.seek(0, io.SEEK_END)
    stream.seek(max(0, stream.tell() - (1 << 16)))
    return OWN_COLUMNS.search(stream.read()) is not None


def suffix_of(name: str) -> str:
    """Return the ending of a file's name in small letters: `.docx`."""
    stem, _, ending = name.rpartition(".")
    return f".{ending.lower()}" if stem.strip(".") and ending else ""


def _is_object(head: bytes) -> bool:
    line = head.lstrip(b"\xef\xbb\xbf \r\n\t").split(b"\n", 1)[0]
    if not line.startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
