"""Raw reports as they are scraped: the project's own samples, and the report that started it."""

import re
from pathlib import Path

import pytest

from gangmu.cleaning import clean, clean_sentence
from gangmu.sentences import split_sentences

ROOT = Path(__file__).parent.parent
SEED = ROOT.parent / "shared/seed/000_5e4e8b0988485ef0.txt"
SAMPLES = sorted((ROOT / "data/samples").glob("*.txt"))


def check(path: Path) -> list[str]:
    """Return the sentences of a raw report once each range of it has been found to give its sentence again."""
    raw = path.read_text(encoding="utf-8")
    sentences = split_sentences(raw)
    assert [clean_sentence(raw[s.start : s.end]) for s in sentences] == [s.text for s in sentences]
    assert not re.search("[(（][a-zü]*[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ][a-z]*[)）]", clean(raw).text)
    return [s.text for s in sentences]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_are_mended_and_found_again(path: Path) -> None:
    assert len(check(path)) >= 5


def test_there_are_samples() -> None:
    assert len(SAMPLES) >= 3


@pytest.mark.skipif(not SEED.is_file(), reason="the real report is not here")
def test_the_report_that_started_the_project() -> None:
    sentences = check(SEED)
    assert len(sentences) == 19
    assert len([text for text in sentences if "要创新方法" in text]) == 1
    assert not any(re.search("[a-z?]", text) for text in sentences)
