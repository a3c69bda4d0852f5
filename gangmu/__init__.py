"""Gangmu: what every sentence of a Chinese meeting report does. `gangmu.load(folder).label(text)`."""

from gangmu.labeller import LabelledReport, LabelledSentence, Labeller, load
from gangmu.sentences import Sentence, split_sentences

__version__ = "0.1.0"
__all__ = ["LabelledReport", "LabelledSentence", "Labeller", "Sentence", "load", "split_sentences"]
