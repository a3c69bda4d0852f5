from pathlib import Path

import pytest

from gangmu.errors import DataError
from train.dataset import read_labelled
from train.splits import GOLD, main, our_splitter, read_gold, same_sentences, scores, wrong

ROOT = Path(__file__).parent.parent.parent
REPORTS = ROOT.parent / "shared" / "reports"


def test_gold_of_hard_places_comes_out() -> None:
    cases = read_gold(ROOT / GOLD)
    assert len(cases) >= 300
    assert len({case.kind for case in cases}) >= 30
    assert list(wrong(cases)) == []


def test_a_splitter_at_every_stop_scores_less(tmp_path: Path) -> None:
    cases = read_gold(ROOT / GOLD)
    whole, precision, recall, f1 = scores(lambda line: line.replace("。", "。\n").split("\n"), cases)
    assert scores(our_splitter, cases)[0] > whole > 0.3
    assert f1 == pytest.approx(2 * precision * recall / (precision + recall))


def test_gold_that_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gold.txt"
    path.write_text("## 甲\n要抓，|，要管。\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"gold\.txt:2: cleaned as a whole"):
        read_gold(path)


def test_table_and_wrong_cases_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gold.txt"
    path.write_text("## 甲\n要抓。|要管。\n要抓，|要管。\n", encoding="utf-8")
    main(gold=path, public=False, reports=[ROOT / "data/dev.jsonl"], texts=None)
    out = capsys.readouterr().out
    assert "2 cases with 2 ends" in out
    assert f"{path}:3 (甲): 要抓，要管。" in out
    assert "sentences joined: " in out


@pytest.mark.skipif(not REPORTS.is_dir(), reason="the real reports are not here")
def test_gold_splits_of_real_reports_come_out() -> None:
    same, total, others = same_sentences(read_labelled(REPORTS / "dev.jsonl"))
    assert same / total >= 0.995, others
