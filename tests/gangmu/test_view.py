import re

from gangmu.labeller import LabelledReport, LabelledSentence
from gangmu.labels import LABELS, NAMES
from gangmu.view import html_page, plain_text


def sentence(text: str, label: str, paragraph: int = 0, **more: object) -> LabelledSentence:
    scores = {name: 0.8 if name == label else 0.05 for name in NAMES}
    values = {"score": 0.8, "scores": scores, "also": None, "abstained": False} | more
    return LabelledSentence(paragraph, 0, 0, len(text), text, label, **values)  # type: ignore[arg-type]


REPORT = LabelledReport(
    (
        sentence("力争建成。", "goal"),
        sentence("要排查隐患。", "method", also="mechanism"),
        sentence('<img src=x onerror="alert(1)"></script>', "other", 1, abstained=True),
    ),
    "m@1",
)


def test_page_is_self_contained_and_escapes_the_report() -> None:
    page = html_page([("甲<b>", REPORT)], "甲<b>")
    assert "<script" not in page
    assert "<img" not in page
    assert "onerror=" not in page.replace("onerror=&#34;", "")
    assert not re.search(r"(?:src|href)=[\"']?http", page)
    assert "default-src 'none'" in page
    assert "&lt;b&gt;" in page


def test_page_shows_legend_shares_and_second_functions() -> None:
    page = html_page([("甲", REPORT)], "甲")
    for label in LABELS:
        assert f"{label.chinese} {label.name}" in page
    assert "33 %" in page
    assert "（亦机制）" in page
    assert 'class="s other abstained"' in page
    assert 'name="viewport"' in page


def test_classes_differ_without_colour() -> None:
    page = html_page([("甲", REPORT)], "甲")
    lines = re.findall(r"\.(?:goal|method|mechanism|exhortation|other) \{[^}]*border-bottom: ([^;]+);", page)
    assert len(set(lines)) == 5
    assert len({label.mark for label in LABELS}) == 5


def test_several_reports_get_an_index() -> None:
    page = html_page([("甲", REPORT), ("乙", REPORT)], "两份")
    assert '<a href="#r2">乙</a>' in page


def test_plain_text_separates_paragraphs() -> None:
    assert plain_text(REPORT).splitlines() == [
        "目标  0.80  力争建成。",
        "方法  0.80  要排查隐患。",
        "",
        '其他? 0.80  <img src=x onerror="alert(1)"></script>',
    ]
