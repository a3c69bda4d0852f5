import pytest

from gangmu.settings import TextSettings
from gangmu.windows import windows

REPORT = [f"第{'一二三四五六七八九十'[i]}句" + "话" * (i * 3) + "。" for i in range(10)]


@pytest.mark.parametrize("context", ["report", "neighbours", "none"])
@pytest.mark.parametrize("window", [16, 40, 256])
def test_every_sentence_is_labelled_once_and_in_order(context: str, window: int) -> None:
    settings = TextSettings(context=context, window=window)
    labelled = [s for w in windows(REPORT, settings) for s in w.sentences[w.first : w.last]]
    assert labelled == REPORT


def test_windows_fit_the_budget_unless_one_sentence_is_longer() -> None:
    for found in windows(REPORT, TextSettings(window=60)):
        if found.last - found.first > 1:
            assert 1 + sum(len(s) + 1 for s in found.sentences) <= 60


def test_no_context_means_one_sentence() -> None:
    assert all(len(w.sentences) == 1 for w in windows(REPORT, TextSettings(context="none")))


def test_an_empty_report_has_no_window() -> None:
    assert windows([], TextSettings()) == []
