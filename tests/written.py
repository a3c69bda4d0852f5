"""Docx and PDF with Chinese text that tests write at run time, by the formats' definitions."""

import io
import zipfile
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
LINE_HEIGHT = 20


def paragraph(text: str) -> str:
    """Return a <w:p> whose text is split over two runs, as Word writes it."""
    middle = len(text) // 2
    runs = "".join(
        f'<w:r><w:t xml:space="preserve">{escape(part)}</w:t></w:r>' for part in (text[:middle], text[middle:])
    )
    return f"<w:p><w:pPr/>{runs}</w:p>"


def docx(body: str, head: str = "", others: dict[str, str] | None = None) -> bytes:
    """Return a docx with `body` inside <w:body> and `head` before the root element."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        for name, content in (others or {}).items():
            archive.writestr(name, content)
        document = f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
        archive.writestr("word/document.xml", f'<?xml version="1.0" encoding="UTF-8"?>{head}{document}')
    return written.getvalue()


def pdf(pages: Sequence[Sequence[str]]) -> bytes:
    """Return a PDF that shows each line of each page below the one before."""
    return pdf_of([_content(lines) for lines in pages], {char for page in pages for line in page for char in line})


def pdf_of(contents: Sequence[bytes], characters: Iterable[str] = (), filters: str = "") -> bytes:
    """Return a PDF of pages with these content streams and a font whose codes are UTF-16."""
    codes = "".join(f"<{ord(char):04x}> <{ord(char):04x}>\n" for char in sorted(characters))
    count = sum(1 for _ in codes.splitlines())
    unicode = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def\n"
        "1 begincodespacerange <0000> <ffff> endcodespacerange\n"
        f"{count} beginbfchar\n{codes}endbfchar endcmap end end"
    )
    kids = " ".join(f"{6 + 2 * number} 0 R" for number in range(len(contents)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>".encode(),
        b"<< /Type /Font /Subtype /Type0 /BaseFont /Song /Encoding /Identity-H "
        b"/DescendantFonts [4 0 R] /ToUnicode 5 0 R >>",
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Song /DW 1000 "
        b"/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
        _stream(unicode.encode()),
    ]
    for number, content in enumerate(contents):
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {7 + 2 * number} 0 R "
        objects += [f"{page} /Resources << /Font << /F1 3 0 R >> >> >>".encode(), _stream(content, filters)]
    return _file(objects)


def _content(lines: Sequence[str]) -> bytes:
    shown = [
        f"BT /F1 12 Tf 1 0 0 1 50 {780 - LINE_HEIGHT * number} Tm <{line.encode('utf-16-be').hex()}> Tj ET"
        for number, line in enumerate(lines)
    ]
    return "\n".join(shown).encode()


def _stream(content: bytes, filters: str = "") -> bytes:
    return f"<< /Length {len(content)} {filters} >>\nstream\n".encode() + content + b"\nendstream"


def _file(objects: Sequence[bytes]) -> bytes:
    written = b"%PDF-1.7\n"
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(written))
        written += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(objects) + 1
    trailer = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n"
    return written + f"{trailer}{len(written)}\n%%EOF\n".encode()
