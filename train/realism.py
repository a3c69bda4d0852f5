"""How far written reports are from real ones: lengths, labels by position, a detector's AUC, transfer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from gangmu.labels import ID_OF, LABELS, NAMES
from gangmu.writing import write_whole
from train.baselines import tfidf_linear
from train.dataset import GoldReport
from train.drawing import drawing
from train.metrics import macro_f1

PARTS = 5
"""Stretches of a report, from its start to its end, in which labels are counted."""
TELLING = 40


def compare_with_real(written: Sequence[GoldReport], real: Sequence[GoldReport], output: Path) -> str:
    """Return the comparison as Markdown, also written to `output` as realism.md beside realism.svg."""
    sides = {"written": written, "real": real}
    text = "\n".join(
        [
            "| | written | real |",
            "|---|---|---|",
            *(f"| {name} | {' | '.join(cells)} |" for name, *cells in _rows(sides)),
            "",
            "| written reports | reports | sentences | AUC written against real | transfer of all so far |",
            "|---|---|---|---|---|",
            *_source_rows(written, real),
            "",
            f"Most telling, written: {' '.join(repr(g)[1:-1] for g in telling(written, real))}",
            f"Most telling, real: {' '.join(repr(g)[1:-1] for g in telling(real, written))}",
            "",
        ]
    )
    output.mkdir(parents=True, exist_ok=True)
    write_whole(output / "realism.md", text)
    picture(sides, output / "realism.svg")
    return text


def detector_auc(written: Sequence[GoldReport], real: Sequence[GoldReport]) -> float:
    """Return the area under the ROC curve of telling written from real sentences; 0.5: they cannot be told apart.

    TF-IDF of character 1- to 3-grams and logistic regression, out of fold in 3 folds by report.
    """
    features, is_written, groups = _detector_data(written, real)
    guesses = cross_val_predict(
        LogisticRegression(C=4.0, class_weight="balanced", max_iter=300),
        features,
        is_written,
        groups=groups,
        cv=GroupKFold(3),
        method="predict_proba",
    )
    return float(roc_auc_score(is_written, guesses[:, 1]))


def telling(one: Sequence[GoldReport], other: Sequence[GoldReport], most: int = TELLING) -> list[str]:
    """Return the character n-grams by which a linear model best knows sentences of `one` from those of `other`."""
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), min_df=8, sublinear_tf=True)
    features = vectorizer.fit_transform([text for report in (*one, *other) for text in report.texts])
    sizes = [sum(len(report.sentences) for report in side) for side in (one, other)]
    model = LogisticRegression(class_weight="balanced", max_iter=300).fit(features, np.repeat([1, 0], sizes))
    best = np.argsort(-model.coef_[0])[:most]
    return [str(gram) for gram in vectorizer.get_feature_names_out()[best]]


def transfer(written: Sequence[GoldReport], real: Sequence[GoldReport]) -> float:
    """Return the macro-F1 on real sentences of the linear baseline trained on written ones."""
    predicted = tfidf_linear(written, real)
    gold = [ID_OF[label] for report in real for label in report.labels]
    return macro_f1(gold, [ID_OF[label] for label in predicted])


def sources(written: Sequence[GoldReport]) -> list[tuple[str, list[GoldReport], list[GoldReport]]]:
    """Return (source, its reports, its reports and those of the sources before it), in the order of the names."""
    names = sorted({report.source or "none named" for report in written})
    found, total = [], []
    for name in names:
        own = [report for report in written if (report.source or "none named") == name]
        total = [*total, *own]
        found.append((name, own, total))
    return found


def label_shares(reports: Sequence[GoldReport]) -> NDArray[np.float64]:
    """Return [PARTS, labels]: the share of each label in each stretch of the reports."""
    counts = np.zeros((PARTS, len(NAMES)))
    for report in reports:
        for number, label in enumerate(report.labels):
            counts[number * PARTS // len(report.sentences), ID_OF[label]] += 1
    return counts / np.maximum(1, counts.sum(axis=1, keepdims=True))


def _detector_data(
    written: Sequence[GoldReport], real: Sequence[GoldReport]
) -> tuple[csr_matrix, NDArray[np.int64], NDArray[np.int64]]:
    both = [*written, *real]
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=3, sublinear_tf=True, max_features=60000)
    features = vectorizer.fit_transform([text for report in both for text in report.texts])
    counts = [len(report.sentences) for report in both]
    is_written = np.repeat([1] * len(written) + [0] * len(real), counts)
    return features, is_written, np.repeat(np.arange(len(both)), counts)


def _source_rows(written: Sequence[GoldReport], real: Sequence[GoldReport]) -> list[str]:
    """Return a row a source; the detector reads as many reports of each, since more of them are easier to tell."""
    found = sources(written)
    size = min(len(own) for _, own, _ in found)
    rows = []
    for name, own, total in found:
        drawn = [own[i] for i in np.random.default_rng(0).permutation(len(own))[:size]]
        scores = f"{detector_auc(drawn, real):.3f} | {transfer(total, real):.3f}"
        rows.append(f"| {name} | {len(own)} | {sum(len(report.sentences) for report in own)} | {scores} |")
    return rows


def _rows(sides: dict[str, Sequence[GoldReport]]) -> list[list[str]]:
    """Return the rows of the table of lengths and labels."""

    def spread(values: list[int]) -> str:
        return ", ".join(f"{value:.0f}" for value in np.percentile(values, [5, 25, 50, 75, 95]))

    rows = [
        ["reports", *(str(len(reports)) for reports in sides.values())],
        ["sentences", *(str(sum(len(r.sentences) for r in reports)) for reports in sides.values())],
        ["characters a sentence, percentiles 5 25 50 75 95", *(spread(_lengths(r)) for r in sides.values())],
        [
            "sentences a report, percentiles 5 25 50 75 95",
            *(spread([len(r.sentences) for r in s]) for s in sides.values()),
        ],
    ]
    shares = [label_shares(reports).T for reports in sides.values()]
    for name, *own in zip(NAMES, *shares, strict=True):
        rows.append([f"share of {name}, by fifths of the report", *(" ".join(f"{x:.0%}" for x in s) for s in own)])
    return rows


def _lengths(reports: Sequence[GoldReport]) -> list[int]:
    return [len(text) for report in reports for text in report.texts]


def picture(sides: dict[str, Sequence[GoldReport]], path: Path) -> None:
    """Write a picture of sentence lengths, report lengths and labels by position, written beside real."""
    with drawing(path, 2, 2, figsize=(9, 6)) as axes:
        for (name, reports), colour in zip(sides.items(), ("#c2410c", "#1d4ed8"), strict=True):
            axes[0, 0].hist(_lengths(reports), range(0, 185, 5), density=True, alpha=0.5, label=name, color=colour)
            counts = [len(report.sentences) for report in reports]
            axes[0, 1].hist(counts, range(0, 64, 3), density=True, alpha=0.5, label=name, color=colour)
        axes[0, 0].set_xlabel("characters a sentence")
        axes[0, 0].set_ylabel("density")
        axes[1, 0].set_ylabel("share of sentences")
        axes[0, 1].set_xlabel("sentences a report")
        axes[0, 0].legend()
        for axis, (name, reports) in zip(axes[1], sides.items(), strict=True):
            axis.stackplot(
                np.arange(PARTS) + 0.5,
                label_shares(reports).T,
                labels=NAMES,
                colors=[label.colour for label in LABELS],
            )
            axis.set_xlabel(f"fifth of the report ({name})")
            axis.set_ylim(0, 1)
        axes[1, 0].legend(loc="upper left", fontsize=8)
