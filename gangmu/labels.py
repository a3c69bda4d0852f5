"""The label set: the only place where label ids are made."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """One function of a sentence, as data/GUIDE.md defines it."""

    name: str
    chinese: str
    question: str
    colour: str
    """Background on the page; all five differ in lightness, for black and white print."""
    mark: str
    """One Chinese character shown beside the sentence, so that colour is never needed."""


LABELS = (
    Label("goal", "目标", "what is to be reached?", "#ffd27f", "目"),
    Label("method", "方法", "by doing what?", "#a9d8f5", "法"),
    Label("mechanism", "机制", "held in place by what arrangement?", "#b9a5e2", "制"),
    Label("exhortation", "号召", "with what spirit? why must we?", "#f4a9a8", "召"),
    Label("other", "其他", "nothing of these: what happened, facts", "#f1f1ef", "他"),
)
NAMES = tuple(label.name for label in LABELS)
FUNCTIONS = NAMES[:4]
"""The four functions; macro-F1 is over these. `other` narrates."""
ID_OF = {name: index for index, name in enumerate(NAMES)}
