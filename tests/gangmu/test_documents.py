from pathlib import Path

import pytest

from gangmu.documents import docx_text, html_text
from gangmu.errors import DataError
from gangmu.limits import Limits
from gangmu.pdf import mended, pdf_text, without_numbers, without_running_heads
from tests.written import docx, paragraph, pdf

LIMITS = Limits()
BODY = [
    "3月1日，全市春耕现场会在清溪县召开，各县区分管负责人参加会议。",
    "会议强调，要围绕稳面积、提单产，抓好种子、农资、农机三项准备，确保不误农时。",
    "要建立包片联系制度，市农业农村局领导每人联系一个县，每周通报一次进度。",
    "要深入田间地头开展技术培训，把良种良法送到农户手中，推广水肥一体化。",
]
PAGE = """<!DOCTYPE html><html><head><title>全市春耕现场会召开_清溪市政府网</title><style>p {{ margin: 0 }}</style>
</head><body><div class="top"><ul><li><a href="/">首页</a></li><li><a href="/zw">政务公开</a></li></ul></div>
<div class="bt">全市春耕现场会召开</div>
<div class="wz"><p>　　{0}</p><h2>抓好三项准备</h2><p>{1}</p><ul><li>一是<b>管好</b>水，
      修好渠；</li><li>二是选好种。</li></ul>
<table><tr><th>指标</th><th>目标</th></tr><tr><td>播种面积</td><td>50万亩</td></tr></table>
<p>{2}<br>{3}</p></div>
<div class="xg"><a href="/1">又一篇：某县召开招商会</a></div>
<footer>版权所有 清溪市人民政府</footer><script>var x = "跟踪代码";</script></body></html>"""


def test_html_keeps_titles_lists_and_cells_in_order_and_drops_what_is_around() -> None:
    text, note = html_text(PAGE.format(*BODY).encode("gb18030"), LIMITS)
    assert text.splitlines() == [
        "全市春耕现场会召开",
        BODY[0],
        "抓好三项准备",
        BODY[1],
        "一是管好水，修好渠；",
        "二是选好种。",
        "指标",
        "目标",
        "播种面积",
        "50万亩",
        BODY[2],
        BODY[3],
    ]
    assert note == ""


@pytest.mark.parametrize(
    ("page", "lines"),
    [
        ("<pre>会议召开。\n要抓实。</pre>", ["会议召开。", "要抓实。"]),
        ("会议召开。<br>要抓实。", ["会议召开。", "要抓实。"]),
        ("<table><td>会议召开。<td>要抓实。</table>", ["会议召开。", "要抓实。"]),
        ("<p>會<ruby>議<rp>(</rp><rt>yì</rt><rp>)</rp></ruby>召開。", ["會議召開。"]),
        ("<?xml version='1.0' encoding='gb2312'?><html><p>会议&amp;召开。", ["会议&召开。"]),
        ("<form><p>会议召开。<select><option>甲</select></form>", ["会议召开。"]),
    ],
)
def test_odd_pages_are_never_silently_empty(page: str, lines: list[str]) -> None:
    text, note = html_text(page.encode(), LIMITS)
    assert text.splitlines() == lines
    assert "no main text" in note or text


def test_a_page_without_text_is_a_fault() -> None:
    with pytest.raises(DataError, match="no text on this page"):
        html_text(b"<html><body><script>render()</script></body></html>", LIMITS)


def test_docx_in_order_without_what_was_deleted_or_moved() -> None:
    body = (
        paragraph("关于做好防汛工作的通知")
        + '<w:p><w:pPr><w:numPr><w:ilvl w:val="0"/></w:numPr></w:pPr><w:r><w:t>一要</w:t></w:r>'
        "<w:r><w:t>排查。</w:t></w:r></w:p>"
        + f"<w:tbl><w:tr><w:tc>{paragraph('水库')}</w:tc><w:tc>{paragraph('12座')}</w:tc></w:tr></w:tbl>"
        + "<w:p><w:ins><w:r><w:t>新</w:t></w:r></w:ins><w:del><w:r><w:delText>旧</w:delText></w:r></w:del>"
        "<w:moveFrom><w:r><w:t>移走</w:t></w:r></w:moveFrom><w:r><w:t>增。</w:t><w:br/><w:t>换行</w:t></w:r></w:p>"
        "<w:p><w:ruby><w:rt><w:r><w:t>xùn</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>汛</w:t></w:r></w:rubyBase></w:ruby></w:p>"
        "<w:p><w:r><w:t>外</w:t></w:r><w:r><w:txbxContent><w:p><w:r><w:t>框中</w:t></w:r></w:p></w:txbxContent></w:r></w:p>"
    )
    text, _ = docx_text(docx(body, others={"word/header1.xml": "<x>页眉</x>"}), LIMITS)
    assert text.splitlines() == [
        "关于做好防汛工作的通知",
        "一要排查。",
        "水库",
        "12座",
        "新增。",
        "换行",
        "汛",
        "框中",
        "外",
    ]


def test_docx_without_text_is_a_fault() -> None:
    with pytest.raises(DataError, match="no text"):
        docx_text(docx("<w:p/>"), LIMITS)


def test_pdf_pages_become_paragraphs() -> None:
    pages = [
        [
            "清溪市工作简报",
            "全市春耕现场会召开",
            "会议强调，要围绕稳面积、提单产，抓好种子、农资、",
            "农机三项准备，使播种面积达到50万亩，力争",
            "— 1 —",
        ],
        [
            "清溪市工作简报",
            "2027年建成高标准农田。",
            "要建立包片联系制度，每人联系一个县，每周通报一",
            "次进度。",
            "— 2 —",
        ],
        ["清溪市工作简报", "要开展技术培训，把良种良法送到农户手中。", "— 3 —"],
    ]
    granted: list[int] = []
    text, _ = pdf_text(pdf(pages), LIMITS, granted.append)
    assert text.splitlines() == [
        "全市春耕现场会召开",
        "会议强调，要围绕稳面积、提单产，抓好种子、农资、农机三项准备，使播种面积达到50万亩，力争2027年建成高标准农田。",
        "要建立包片联系制度，每人联系一个县，每周通报一次进度。",
        "要开展技术培训，把良种良法送到农户手中。",
    ]
    assert granted == [13]  # seconds of three pages


def test_numbers_that_are_no_page_numbers_stay() -> None:
    assert without_numbers([["力争到", "2027"], ["年建成。"]]) == [["力争到", "2027"], ["年建成。"]]
    assert without_numbers([["甲", "7"], ["乙", "8"], ["丙", "9"]]) == [["甲"], ["乙"], ["丙"]]
    assert without_numbers([["甲", "第1页 共2页"], ["2/2", "乙"]]) == [["甲"], ["乙"]]
    assert without_running_heads([["甲", "简报"], ["乙", "简报"]]) == [["甲", "简报"], ["乙", "简报"]]
    assert mended([]) == []


def test_pdf_of_pictures_is_a_fault() -> None:
    with pytest.raises(DataError, match="ocrmypdf"):
        pdf_text(pdf([[], []]), LIMITS, print)


def test_parsers_load_neither_torch_nor_transformers() -> None:
    source = "".join(
        (Path("gangmu") / f"{name}.py").read_text(encoding="utf-8") for name in ("child", "documents", "pdf")
    )
    assert "torch" not in source
