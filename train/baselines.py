"""What the classifier must beat: majority, keyword rules, TF-IDF + linear. Each is fitted on reports, labels others."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from gangmu.labels import NAMES
from train.dataset import GoldReport

Baseline = Callable[[Sequence[GoldReport], Sequence[GoldReport]], list[str]]
FEW = 100
"""Sentences below which an n-gram need not stand in two."""
NEIGHBOUR = 0.3
POSITION = 0.5
"""Weights beside the sentence's own TF-IDF, whose rows have length 1."""

# Typical heads of the guidelines' table, in the order of its rule 2: the more concrete first.
KEYWORDS = {
    "mechanism": r"机制|制度|体系|责任制|压实|专班|领导小组|考核|督查|督办|问责|追责|联席会议|闭环",
    "goal": r"力争|目标|达到|建成|确保.{0,20}(不|完成|实现)|高地|底线|首要任务|重中之重|打造.{0,12}(区|城市|中心|样板)",
    "exhortation": r"政治站位|深入学习|深刻(领会|认识)|责任感|紧迫感|劲头|奋勇|奋力|凝心聚力|新篇章|新贡献|狠抓落实",
    "method": r"要|推进|加强|开展|实施|加快|围绕|聚焦|推动|优化|排查|引进|落实|必须|应当",
}
NARRATION = re.compile(
    r"出席|主持|召开|听取|汇报|陪同|参加(会议|调研)|记者|近年来|今年以来|去年|日前|据悉|^.{0,30}(讯|电)"
)


def majority(train: Sequence[GoldReport], reports: Sequence[GoldReport]) -> list[str]:
    """Return the most frequent label of the training reports for every sentence."""
    label, _ = Counter(label for report in train for label in report.labels).most_common(1)[0]
    return [label for report in reports for _ in report.sentences]


def keyword_rules(train: Sequence[GoldReport], reports: Sequence[GoldReport]) -> list[str]:
    """Return the label of the first list of words that a sentence contains; nothing is learnt."""
    return [keyword_label(text) for report in reports for text in report.texts]


def keyword_label(sentence: str) -> str:
    """Return the label that the keyword rules give one sentence.

    >>> keyword_label("要健全联席会议制度。"), keyword_label("各县区负责人参加会议。")
    ('mechanism', 'other')
    """
    if NARRATION.search(sentence) and "要" not in sentence:
        return "other"
    return next((label for label, words in KEYWORDS.items() if re.search(words, sentence)), "other")


def tfidf_linear(train: Sequence[GoldReport], reports: Sequence[GoldReport]) -> list[str]:
    """Return the labels of a linear SVM on TF-IDF of character 1- to 4-grams, trained on the sentence alone."""
    return _svm(train, *_tfidf(_own(train), _own(reports), 4))


def tfidf_neighbours(train: Sequence[GoldReport], reports: Sequence[GoldReport]) -> list[str]:
    """Return the labels of the same on the sentence, its two neighbours and its position in the report.

    Each neighbour has n-grams of its own, to 2 characters and with a weight: whole ones drown the sentence (macro-F1
    in folds of data/train.jsonl 0.892 at weight 1, 0.909 at 0.3, 0.900 without neighbours and position).
    """
    pairs = [_tfidf(_own(train), _own(reports), 4)]
    for neighbour in (_before, _after):
        inside, outside = _tfidf(neighbour(train), neighbour(reports), 2)
        pairs.append((NEIGHBOUR * inside, NEIGHBOUR * outside))
    pairs.append((_positions(train), _positions(reports)))
    inside, outside = (hstack(matrices).tocsr() for matrices in zip(*pairs, strict=True))
    return _svm(train, inside, outside)


def _own(reports: Sequence[GoldReport]) -> list[str]:
    return [text for report in reports for text in report.texts]


def _before(reports: Sequence[GoldReport]) -> list[str]:
    return [text for report in reports for text in ["", *report.texts[:-1]]]


def _after(reports: Sequence[GoldReport]) -> list[str]:
    return [text for report in reports for text in [*report.texts[1:], ""]]


def _tfidf(inside: Sequence[str], outside: Sequence[str], longest: int) -> tuple[csr_matrix, csr_matrix]:
    """Return TF-IDF of both lists of texts by the first; no column where it has no text, as neighbours may."""
    if not any(inside):
        return csr_matrix((len(inside), 0)), csr_matrix((len(outside), 0))
    vectorizer = _vectorizer(longest, 2 if len(inside) >= FEW else 1)
    return vectorizer.fit_transform(inside), vectorizer.transform(outside)


def _positions(reports: Sequence[GoldReport]) -> csr_matrix:
    """Return [sentences, 3]: place in the report from 0 to 1, whether it is the first, whether it is the last."""
    rows = [
        (place / max(1, last), place == 0, place == last)
        for report in reports
        for last in [len(report.sentences) - 1]
        for place in range(last + 1)
    ]
    return csr_matrix(POSITION * np.array(rows, dtype=np.float64))


def _svm(train: Sequence[GoldReport], inside: csr_matrix, outside: csr_matrix) -> list[str]:
    """Return the labels of the rows `outside` by a linear SVM; an only label of the training reports for all."""
    labels = [label for report in train for label in report.labels]
    if len(set(labels)) == 1:
        return labels[:1] * outside.shape[0]
    classifier = LinearSVC(C=0.5, random_state=0)
    return [str(label) for label in classifier.fit(inside, labels).predict(outside)]


def out_of_fold(reports: Sequence[GoldReport], folds: int = 5) -> NDArray[np.float64]:
    """Return [sentences, 5] probabilities, each of a linear model that did not see the sentence's report.

    Logistic regression in place of the SVM, which has no probabilities.
    """
    texts = [text for report in reports for text in report.texts]
    labels = np.array([label for report in reports for label in report.labels])
    groups = np.repeat(np.arange(len(reports)), [len(report.sentences) for report in reports])
    found = np.zeros((len(texts), len(NAMES)))
    for train, held in GroupKFold(folds, shuffle=True, random_state=0).split(texts, labels, groups):
        classifier = make_pipeline(_vectorizer(), LogisticRegression(C=10.0, max_iter=300))
        classifier.fit([texts[i] for i in train], labels[train])
        columns = [NAMES.index(name) for name in classifier.classes_]
        found[np.ix_(held, columns)] = classifier.predict_proba([texts[i] for i in held])
    return found


def _vectorizer(longest: int = 4, fewest: int = 2) -> TfidfVectorizer:
    return TfidfVectorizer(analyzer="char", ngram_range=(1, longest), min_df=fewest, sublinear_tf=True)


BASELINES: dict[str, Baseline] = {
    "majority": majority,
    "keyword rules": keyword_rules,
    "TF-IDF + linear": tfidf_linear,
    "TF-IDF + linear, neighbours and position": tfidf_neighbours,
}
