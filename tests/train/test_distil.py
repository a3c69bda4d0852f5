import shutil
from pathlib import Path

import numpy as np
import pytest

import gangmu
from gangmu.checkpoint import save_texts
from gangmu.decision import Decision
from gangmu.errors import DataError, UsageError
from gangmu.labels import NAMES
from tests.conftest import ROOT, SENTENCES
from train.annotations import annotate
from train.config import DistilConfig
from train.dataset import read_labelled
from train.description import load_config
from train.distil import distil

CONFIG = ROOT / "configs/distil/base.yaml"
DEMANDS = "\n".join("".join(SENTENCES[label]) for label in ("method", "mechanism", "exhortation"))
STORY = "".join(SENTENCES["other"]) * 3
LABELLED = "".join(SENTENCES["method"] * 3)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    texts = (DEMANDS, STORY, LABELLED, SENTENCES["goal"][0])
    (folder / "甲.txt").write_text("\n\n".join(texts), encoding="utf-8")
    line = annotate("甲", LABELLED, [("method", None)] * 9).model_dump_json()
    (tmp_path / "annotations.jsonl").write_text(line + "\n", encoding="utf-8")
    return folder


def config(corpus: Path, checkpoint: Path, *more: str) -> DistilConfig:
    own = [f"corpus={corpus}", "sources=[甲]", f"without={corpus.parent / 'annotations.jsonl'}", "sure=0.2"]
    return load_config(CONFIG, [*own, f"teachers=[{checkpoint}]", "sentences=[5, 80]", *more], DistilConfig)


def test_a_report_without_labels_gets_the_mean_scores_of_the_teachers(
    corpus: Path, checkpoint: Path, tmp_path: Path
) -> None:
    file = distil(config(corpus, checkpoint, f"teachers=[{checkpoint}, {checkpoint}]"), tmp_path)
    (report,) = read_labelled(file)  # the story demands nothing, one document has labels, one is short
    assert report.source == "甲" and "".join(report.texts) == DEMANDS.replace("\n", "")
    labelled = gangmu.load(checkpoint).label(DEMANDS).sentences
    assert report.labels == [sentence.label for sentence in labelled]
    for gold, sentence in zip(report.sentences, labelled, strict=True):
        np.testing.assert_allclose(gold.target(0.5), [sentence.scores[name] for name in NAMES], atol=1e-3)
        assert gold.paragraph == sentence.paragraph


def test_a_pupil_learns_from_the_scores(corpus: Path, checkpoint: Path, run_file: Path, tmp_path: Path) -> None:
    from train.config import RunConfig
    from train.fit import fit

    file = distil(config(corpus, checkpoint), tmp_path)
    run = fit(
        load_config(run_file, ["name=pupil", f"data.train={file}", "training.ngrams=false"], RunConfig), runs=tmp_path
    )
    pupil = gangmu.load(run / "best").label(DEMANDS).sentences
    teacher = gangmu.load(checkpoint).label(DEMANDS).sentences
    assert sum(a.label == b.label for a, b in zip(pupil, teacher, strict=True)) >= 7


def test_the_first_teacher_alone_says_which_documents_hold_demands(
    corpus: Path, checkpoint: Path, tmp_path: Path
) -> None:
    blind = tmp_path / "blind"
    shutil.copytree(checkpoint, blind)
    save_texts(blind, gangmu.load(checkpoint).checkpoint.settings, Decision(bias=(-50, -50, -50, -50, 0)), "")
    with pytest.raises(DataError, match="none of 3 documents fits"):
        distil(config(corpus, checkpoint, f"teachers=[{blind}, {checkpoint}]"), tmp_path)
    (report,) = read_labelled(distil(config(corpus, checkpoint, f"teachers=[{checkpoint}, {blind}]"), tmp_path))
    assert all(sentence.target(0.0)[NAMES.index("other")] >= 0.5 for sentence in report.sentences)


def test_a_source_that_is_not_there_and_a_measure_nobody_reaches(
    corpus: Path, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="has no 乙; it has 甲"):
        distil(config(corpus, checkpoint, "sources=[乙]"), tmp_path)
    with pytest.raises(DataError, match=r"none of 3 documents fits sentences=\[50, 80\], demands=0.2, sure=0.2; ask"):
        distil(config(corpus, checkpoint, "sentences=[50, 80]"), tmp_path)
