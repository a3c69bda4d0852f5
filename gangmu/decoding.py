"""Bytes -> text: which of the Chinese encodings a report is in, by a rule of our own.

A byte-order mark decides; then strict UTF-8; then the candidate whose text has the largest share of common Chinese
characters. General detectors take a third of ten-character GB18030 and Big5 texts for something else.
"""

import codecs
import re
from dataclasses import dataclass
from functools import lru_cache

from opencc import OpenCC

from gangmu.errors import DataError

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
CANDIDATES = {
    "utf-8": "UTF-8",
    "gb18030": "GB18030",
    "big5hkscs": "Big5",
    "utf-16-le": "UTF-16-LE",
    "utf-16-be": "UTF-16-BE",
}
NAMES = CANDIDATES | {"utf-8-sig": "UTF-8", "utf-16": "UTF-16"}
SAMPLE = 1 << 14
"""Bytes that are scored, from the first that is not ASCII on."""
SURE = 0.25
"""The best candidate leads the next by this much in score, or the answer is marked as unsure."""
LEAST = 0.05
"""A score below this is no text at all; rare characters alone score 0.1."""
# The 600 commonest characters of data/train.jsonl: 88 % of the characters there.
COMMON = (
    "的要和一会业作人全工大实不国发部力进强化在有中加动务年建展政议重责行出开新制省民生度地上成推党学主理市区到持对关体改委各"
    "为以用等法任家保同员高设产调是能企分治合长管好提领资时方坚水安导把教个入定了项组心事点机深面经统基三平级问育量来题查就科"
    "研门负位日群防自立社与代局报通办服记规下现干性公场监信协县技得决案求本向前众做专质共护系源期完更创域情书月村善落增优支结"
    "革整指流明应施风总海目表职小校电数单于程线稳健金农态效精层后联交督快评商严战先集城意文标头融过解多运当院清内策转计造医织"
    "志外口道之审抓谈子乡两式习常切取利步接收由检间营十着权形济处认放次起召确我环品险境核参央供依培构青升准者讲这引率老格看广"
    "约障思件府近班贫续镇神况才底住灾并真投话断网打紧想范从预备活台识物每带果传究正训价难型第路访费复里积四排二达所他席据气突"
    "走团族五让守及天使促说名批考条署际极必军置示争配见贯可验补养少控视势特色也听最担财队手万维义比档围副执术察律挥划纪感急益反"
    "举础命将受座论们充知江困变师扩字测药减逐回类移救去今身筹低消节牢模直攻然言远综林税承修山根息扶须签序助百互终都相努值彻给聚"
    "述警元站东双司略还户压装兴布岗边食至无康游库破刻链洋其原始历普降别列智再存宣粮觉按巡史退观季象种脱河卫居证川空密车容告北首"
    "属需残招绕算固享段绩帮园周足试华违易键均显失越良涉而满编照包望京树奋云贸疗账连具室侨汛亿旅未疾病除州则课追号留房火"
)
PUNCTUATION = "，。、；：！？“”‘’《》（）【】…—·％\u3000"
NO_TEXT = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff\ufffd\ue000-\uf8ff\ud800-\udfff]")
CONTROL = bytes([*range(9), *range(0x0E, 0x1B), *range(0x1C, 0x20)])
NON_ASCII = re.compile(rb"[\x80-\xff]")
PLAIN = re.compile("[\t\n\r -~]")
LONE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Decoded:
    """Text and the encoding it was read in."""

    text: str
    encoding: str
    """Python's name of it."""
    sure: bool
    broken: int
    """Places that are U+FFFD in the text because their bytes mean nothing in that encoding."""

    @property
    def note(self) -> str:
        """What a reader of the text should know; empty when there is nothing to say."""
        notes = [] if self.sure else [f"taken for {NAMES[self.encoding]}, not sure"]
        if self.broken:
            notes.append(f"{self.broken} places are not {NAMES[self.encoding]} and became U+FFFD")
        return "; ".join(notes)


def decode(raw: bytes) -> Decoded:
    """Return the text of `raw`, without a byte-order mark, newlines as they are.

    DataError when it is no text in UTF-8, GB18030, Big5 or UTF-16. A few broken bytes become U+FFFD.

    >>> decode("要健全聯席會議制度。".encode("big5")).text
    '要健全聯席會議制度。'
    """
    encoding, sure = guess(raw)
    try:
        return Decoded(raw.decode(encoding), encoding, sure, 0)
    except UnicodeDecodeError:
        text = raw.decode(encoding, "replace")
        return Decoded(text, encoding, sure, text.count("\ufffd"))


def guess(raw: bytes) -> tuple[str, bool]:
    """Return Python's name of the encoding that `raw`, or its beginning, is in, and whether that is sure.

    DataError when it is none. A byte-order mark gives a name whose decoder drops it.
    """
    for mark, encoding in MARKS.items():
        if raw.startswith(mark):
            return encoding, True
    if _readable_utf8(raw):
        return "utf-8", True
    first = NON_ASCII.search(raw)
    start = first.start() // 2 * 2 if first else 0
    sample = raw[start : start + SAMPLE]
    scores = {encoding: _score(sample, encoding) for encoding in CANDIDATES}
    best, second = sorted(scores, key=lambda name: -scores[name])[:2]
    if scores[best] < LEAST:
        raise DataError(f"not text in {', '.join(CANDIDATES.values())} (first bytes {raw[:8].hex(' ')})")
    return best, scores[best] - scores[second] >= SURE


def without_surrogates(text: str) -> str:
    r"""Return `text` with lone surrogates, which no file can hold, replaced by U+FFFD; pairs are joined.

    >>> without_surrogates("要\ud800抓\ud840\udc00")
    '要�抓𠀀'
    """
    if not LONE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _readable_utf8(raw: bytes) -> bool:
    """Return whether `raw` is UTF-8 without control characters, which show UTF-16, or ASCII that is no UTF-16."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(raw)  # a character cut at the end is no fault
    except UnicodeDecodeError:
        return False
    sample = raw[:SAMPLE]
    if len(sample.translate(None, CONTROL)) < len(sample):
        return False
    return not sample.isascii() or all(_score(sample, other) < 0.6 for other in ("utf-16-le", "utf-16-be"))


def _score(sample: bytes, encoding: str) -> float:
    """Return the mean worth of the characters that `sample` has in `encoding`, at most 1."""
    text = codecs.getincrementaldecoder(encoding)("replace").decode(sample)
    if not text:
        return 0.0
    kept = NO_TEXT.sub("", text)
    bad = len(text) - len(kept)
    plain = len(PLAIN.findall(kept))
    common = sum(map(_common().__contains__, kept))
    return (common + 0.4 * plain + 0.1 * (len(kept) - plain - common) - 2 * bad) / len(text)


@lru_cache
def _common() -> frozenset[str]:
    return frozenset(COMMON + OpenCC("s2t").convert(COMMON) + PUNCTUATION)
