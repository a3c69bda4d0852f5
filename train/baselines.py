"""What the classifier must beat: majority, keyword rules, TF-IDF + linear. Each predicts labels of sentences."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from gangmu.labels import NAMES
from train.dataset import GoldReport

Baseline = Callable[[Sequence[GoldReport], Sequence[str]], list[str]]

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


def majority(train: Sequence[GoldReport], sentences: Sequence[str]) -> list[str]:
    """Return the most frequent label of the training reports for every sentence."""
    label, _ = Counter(label for report in train for label in report.labels).most_common(1)[0]
    return [label] * len(sentences)


def keyword_rules(train: Sequence[GoldReport], sentences: Sequence[str]) -> list[str]:
    """Return the label of the first list of words that a sentence contains; nothing is learnt."""
    return [keyword_label(sentence) for sentence in sentences]


def keyword_label(sentence: str) -> str:
    """Return the label that the keyword rules give one sentence.

    >>> keyword_label("要健全联席会议制度。"), keyword_label("各县区负责人参加会议。")
    ('mechanism', 'other')
    """
    if NARRATION.search(sentence) and "要" not in sentence:
        return "other"
    return next((label for label, words in KEYWORDS.items() if re.search(words, sentence)), "other")


def tfidf_linear(train: Sequence[GoldReport], sentences: Sequence[str]) -> list[str]:
    """Return the labels of a linear SVM on TF-IDF of character 1- to 4-grams, trained on the sentence alone."""
    texts = [text for report in train for text in report.texts]
    labels = [label for report in train for label in report.labels]
    classifier = make_pipeline(_vectorizer(), LinearSVC(C=0.5, random_state=0))
    return [str(label) for label in classifier.fit(texts, labels).predict(list(sentences))]


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


def _vectorizer() -> TfidfVectorizer:
    return TfidfVectorizer(analyzer="char", ngram_range=(1, 4), min_df=2, sublinear_tf=True)


BASELINES: dict[str, Baseline] = {
    "majority": majority,
    "keyword rules": keyword_rules,
    "TF-IDF + linear": tfidf_linear,
}
