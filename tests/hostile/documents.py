"""Hostile docx, HTML and PDF."""

import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.hostile.attack import REPORT, SECRET, Attack
from tests.written import WORD, docx, paragraph, pdf, pdf_of

Build = Callable[[Path], object]
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
LOL = f'<!DOCTYPE lolz [<!ENTITY l0 "哈">{LAUGHS}]>'
SHOW = b"BT /F1 12 Tf <4f1a> Tj ET\n"


def _run(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def _docx(body: Callable[[], str], head: Callable[[], str] = str) -> Build:
    return lambda folder: (folder / "x.docx").write_bytes(docx(body(), head()))


def _external(folder: Path) -> None:
    (folder / ".secret").write_text(SECRET, encoding="utf-8")
    head = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{folder / ".secret"}">]>'
    (folder / "x.docx").write_bytes(docx(_run("&x;") + paragraph(REPORT), head))


def _parameter(folder: Path) -> None:
    (folder / ".evil.dtd").write_text(f'<!ENTITY x "{SECRET}">', encoding="utf-8")
    head = f'<!DOCTYPE a [<!ENTITY % p SYSTEM "file://{folder / ".evil.dtd"}"> %p;]>'
    (folder / "x.docx").write_bytes(docx(_run("&x;"), head))


def _utf16(folder: Path) -> None:
    body = f'<?xml version="1.0" encoding="UTF-16"?>{LOL}<w:document xmlns:w="{WORD}">{_run("&l9;")}</w:document>'
    with zipfile.ZipFile(folder / "x.docx", "w") as archive:
        archive.writestr("[Content_Types].xml", "")
        archive.writestr("word/document.xml", body.encode("utf-16"))


def _lying_size(folder: Path) -> None:
    """Claim, in both places where a zip says so, that 50 MB of text are 100 bytes."""
    content = docx(_run(" " * 50_000_000))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = archive.getinfo("word/document.xml").file_size.to_bytes(4, "little")
    (folder / "x.docx").write_bytes(content.replace(size, (100).to_bytes(4, "little")))


def _page(page: Callable[[], str]) -> Build:
    return lambda folder: (folder / "x.html").write_text(page(), encoding="utf-8")


def _pdf(content: Callable[[], bytes]) -> Build:
    return lambda folder: (folder / "x.pdf").write_bytes(content())


def _changed(old: bytes, new: bytes) -> Build:
    """Write a good PDF with a part of it replaced."""

    def build(folder: Path) -> None:
        good = pdf([[REPORT]])
        assert old in good
        (folder / "x.pdf").write_bytes(good.replace(old, new))

    return build


def _flate(times: int) -> bytes:
    packed = b"BT (a) Tj ET " * 16_000_000
    for _ in range(times):
        packed = zlib.compress(packed, 1)
    return pdf_of([packed], filters=f"/Filter [{'/FlateDecode ' * times}]")


def _itself() -> bytes:
    """Return a page that draws a form which draws itself, twice."""
    resources = "/Resources << /XObject << /X 7 0 R >> /Font << /F1 3 0 R >> >>"
    form = f"/Type /XObject /Subtype /Form /BBox [0 0 9 9] {resources}"
    return pdf_of([SHOW + b"/X Do /X Do\n"], "会", form).replace(
        b"/Resources << /Font", b"/Resources << /XObject << /X 7 0 R >> /Font"
    )


ATTACKS = [
    Attack("docx: 100 MiB of text in 100 KB", _docx(lambda: _run("会" * 35_000_000)), "ratio=200"),
    Attack("docx: 60 MB of spaces, packed 1000 to 1", _docx(lambda: _run(" " * 60_000_000)), "ratio=200"),
    Attack("docx: a size that lies", _lying_size, "cannot be read as docx", child="docx"),
    Attack(
        "docx: 900 000 paragraphs",
        _docx(lambda: "".join(f'<w:p w:x="{n * 7919 % 9973}"/>' for n in range(900_000))),
        "elements=150000",
        child="docx",
    ),
    Attack("docx: billion laughs", _docx(lambda: _run("&l9;"), lambda: LOL), "x.docx: ", child="docx"),
    Attack(
        "docx: quadratic blow-up",
        _docx(lambda: _run("&a;" * 5000), lambda: f'<!DOCTYPE a [<!ENTITY a "{"a" * 50_000}">]>'),
        "document type",
        child="docx",
    ),
    Attack("docx: an external entity", _external, "document type", child="docx"),
    Attack("docx: an external parameter entity", _parameter, "x.docx: ", child="docx"),
    Attack(
        "docx: a DTD from the net",
        _docx(lambda: _run("a"), lambda: '<!DOCTYPE a SYSTEM "http://0.0.0.0/x">'),
        "document type",
        child="docx",
    ),
    Attack("docx: laughs in UTF-16", _utf16, "x.docx: ", child="docx"),
    Attack("docx: tables 100 000 deep", _docx(lambda: "<w:tbl>" * 100_000), "x.docx: ", child="docx"),
    Attack("docx: paragraphs in paragraphs", _docx(lambda: "<w:p>" * 240 + "</w:p>" * 240), "depth=200", child="docx"),
    Attack("html: 100 000 elements deep", _page(lambda: "<div>" * 100_000 + REPORT), "Excessive depth", child="html"),
    Attack("html: 230 elements deep", _page(lambda: "<div>" * 230 + REPORT), "depth=200", child="html"),
    Attack("html: a million <br>", _page(lambda: REPORT + "<br>" * 1_000_000), "elements=150000", child="html"),
    Attack("html: 9 000 links without an end", _page(lambda: "<a href=x>" * 9_000 + REPORT), "", REPORT, child="html"),
    Attack(
        "html: 100 000 attributes",
        _page(lambda: f"<p {' '.join(f'a{n}' for n in range(100_000))}>{REPORT}"),
        "attributes",
        child="html",
    ),
    Attack("html: 58 MB of text", _page(lambda: f"<p>{REPORT * 1000}</p>" * 1290), "characters=4000000", child="html"),
    Attack(
        "html: 9 MB in one attribute",
        _page(lambda: f"<p title='{'x' * 9_000_000}'>{REPORT}</p>"),
        "",
        REPORT,
        child="html",
    ),
    Attack("html: a million entities", _page(lambda: "&amp;" * 1_000_000 + REPORT), "", REPORT, child="html"),
    Attack("html: two million <", _page(lambda: "<" * 2_000_000), "elements=150000", child="html"),
    Attack("html: NUL", _page(lambda: f"<p>\0{REPORT[:4]}\0{REPORT[4:]}"), "", REPORT[4:], child="html"),
    Attack("html: lone surrogates", _page(lambda: f"<p>&#xD800;&#55296;{REPORT}"), "", REPORT, child="html"),
    Attack(
        "html: scripts",
        _page(lambda: f"<p>{REPORT}<script>alert('{SECRET}')</script><p onclick='x'>完。"),
        "",
        REPORT,
        child="html",
    ),
    Attack(
        "html: text hidden by style",
        _page(lambda: f"<p>{REPORT}<p style='display: none'>{SECRET}"),
        "",
        REPORT,
        child="html",
    ),
    Attack("html: nothing but scripts", _page(lambda: "<html><script>write('x')</script>"), "no text", child="html"),
    Attack("pdf: 208 MB in 1 MB", _pdf(lambda: _flate(1)), "x.pdf: ", child="pdf"),
    Attack("pdf: 208 MB in a stream in a stream", _pdf(lambda: _flate(2)), "x.pdf: ", child="pdf"),
    Attack("pdf: a million operations", _pdf(lambda: pdf_of([SHOW * 1_000_000], "会")), "x.pdf: ", child="pdf"),
    Attack("pdf: a form that draws itself", _pdf(_itself), "", "会", child="pdf"),
    Attack("pdf: pages that contain themselves", _changed(b"/Kids [6 0 R]", b"/Kids [2 0 R]"), "x.pdf: ", child="pdf"),
    Attack("pdf: a billion pages", _changed(b"/Count 1 ", b"/Count 1000000000 "), "", REPORT, child="pdf"),
    Attack("pdf: 3 000 pages", _pdf(lambda: pdf_of([b""] * 3_000)), "pages=2000", child="pdf"),
    Attack("pdf: tables in a circle", _changed(b"/Root 1 0 R", b"/Root 1 0 R /Prev 9"), "", REPORT, child="pdf"),
    Attack("pdf: cut off", _pdf(lambda: pdf([[REPORT]])[:700]), "x.pdf: ", child="pdf"),
    Attack("pdf: arrays 100 000 deep", _changed(b"[0 0 600 800]", b"[" * 100_000), "x.pdf: ", child="pdf"),
    Attack(
        "pdf: characters four billion wide",
        _changed(
            b"1 begincodespacerange", b"1 beginbfrange <00000000> <ffffffff> <0000> endbfrange 1 begincodespacerange"
        ),
        "x.pdf: ",
        child="pdf",
    ),
    Attack("pdf: lone surrogates", _changed(b"<4f1a> <4f1a>", b"<4f1a> <d800>"), "", REPORT[1:6], child="pdf"),
]
