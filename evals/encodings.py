"""The encoding of a file of texts, told from its bytes.

UTF-8 is what decodes as UTF-8. Of the others, that one is taken in which the characters beyond ASCII are mostly the
frequent ones of the language that is written in it: 15 short rows suffice. Statistics of byte pairs, which need longer
texts, take short Korean for Chinese.
"""

from __future__ import annotations

import codecs
import gzip
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

from fewshot.core.errors import UsageError

#: Bytes beyond ASCII that are looked at.
_LOOKED_AT = 64_000
#: Share of frequent characters from which on an encoding is believed, and how far the second best has to stay behind.
_BELIEVED, _LEAD = 0.3, 0.8
#: How many letters beyond ASCII stand side by side in Latin script.
_ALONE = range(1, 4)
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

# The most frequent characters of news, reviews and encyclopedia articles: of Hangul about four fifths of a text.
_KOREAN = (
    "이다는에지가고의하기로한은도대아서리을화시니사스인보영나어정수자전라만해들주국있를장상일그게제부미구으요원여과마성무"
    "연공위진재적비드우트선동면습안합중유거내소오경개데조세없것신통야회점종명했간러프말문감행관와최었치작년발음용할생모입"
    "네분터계르당되운출단방더실까반물남역체타민차포바금호배려레현결강건산독표너평때임후카크력좋파승래않히속본식각두같예루"
    "양란추월저북학불노토매키교디질심업천령런올함코권람박겠희녕번변확취송환품액"
)
_JAPANESE = (
    "のにしはでたるをいがてなれりすこかもらあとうっくきよやめけそつんどまさせわおみえばちじだねろずべびぼげござぐふひへほむゆ"
    "ーンイラトスルアリコドフロシタカクッジグバサマレプメテニキデチュョャパツハナオボエブモセネノソワヤムミ、。・「」々人日本年大国"
)
_SIMPLIFIED = (
    "的在一是和有了这为大地国人可会中以行个能他不上多其时动要到年斯物成里家们发于些最球出或生来后分通对过用而子旅都尔常也"
    "方学之亚种如利你游公比现前法进表车部得它克但同并体提自与赛因间特者就第加本机然很小经该更日月开德运将作活场队由数面美"
    "力拉选从被当所理果内性度名合员世电定达病意海下议主手入目布化新罗相非科区长式受星岛次着全往重那政文接空类组英保结州格"
    "水雪示称原点只马至道需使奥还没情量供起无明立联巴客尼期光型应西航天项界二制位南许等去质外回金战高滑认约代持流系程计处"
    "任司取两三正包我酒实说心参支统太影节样城市基总看术票乐身北共务洲举演线山好且群带管问网阿飞路观括每例致少医此季感十获"
    "论必适么各普变况查指交兰今做府万几军关让及已头卡根研究事气费较建话显报始随离东河何维引图视像产纪船远标工站证决近周知"
    "据服院尽题萨件博先传直细别形住越民塔林华预安解响独毒签求击伊步治土店导野领洛素片构即语台极技什染划确希元级向品未风营"
    "足镜造列纳座哥价打伤请告阳门宣转士完速给商塞佳历想吗吧呢差快喜欢，。！？、：；（）“”《》"
)
_TRADITIONAL = (
    "的一在是和有了這為大地人國會可以行能個中不他多上時到要動其年們於成些物家裡來發用分子最出通對或過後比都生常而之也法方學公車利如種但"
    "得它你現部前進表者加因與間提經選體自機該並面運特作更很然第本就定數同小開場名理力將下內日由員月電被果我說沒麼那去好想什請問嗎吧呢太"
    "服務質量差快喜歡，。！？、：；（）「」《》"
)
_CYRILLIC = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъёіїєОПНВСМКАТЯ"
_WESTERN = "éèêëàâäáãåæçíìîïñóòôöõøœúùûüýßÄÖÜÉÀÇÑÅØÓÁÍÚ‘’“”–—…€£°«»¿¡·"
_CENTRAL = "ąćęłńóśźżáčďéěíňřšťúůýžőűöüăâîșşţŁŚŻŠČŘŽ„”’–…"


@dataclass(frozen=True, eq=False)
class _Candidate:
    """An encoding, and the frequent characters of the language that is written in it.

    Attributes:
        runs: how many characters beyond ASCII stand side by side: few in Latin letters, several in Cyrillic ones.
        latin: such encodings share most letters, so one is no evidence against another; the first that fits is taken.
    """

    name: str
    frequent: frozenset[str]
    runs: range = range(1, sys.maxsize)

    @property
    def latin(self) -> bool:
        return self.runs == _ALONE


_CANDIDATES = (
    _Candidate("cp949", frozenset(_KOREAN)),
    _Candidate("cp932", frozenset(_JAPANESE)),
    _Candidate("euc_jp", frozenset(_JAPANESE)),
    _Candidate("gb18030", frozenset(_SIMPLIFIED)),
    _Candidate("big5hkscs", frozenset(_TRADITIONAL)),
    _Candidate("cp1251", frozenset(_CYRILLIC), range(3, sys.maxsize)),
    _Candidate("cp1252", frozenset(_WESTERN), _ALONE),
    _Candidate("cp1250", frozenset(_CENTRAL), _ALONE),
)
_FOREIGN = re.compile(r"[^\x00-\x7f]+")


def known_encoding(name: str) -> str:
    """The encoding of a name, if it is one of text.

    Raises:
        UsageError: it is none.
    """
    try:
        if codecs.lookup(name)._is_text_encoding:  # pyright: ignore[reportAttributeAccessIssue]
            return name
    except LookupError:
        pass
    raise UsageError(
        f"--encoding {name}: no encoding of that name; use utf-8, cp949, utf-16, cp932, gb18030, cp1252 ..."
    )


def detect(head: bytes, lines: Iterable[bytes]) -> str | None:
    """The encoding of a file by its bytes, or None where it cannot be told.

    Args:
        head: the first bytes of the file.
        lines: all of its lines.
    """
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return name
    if wide := _wide(head):
        return wide
    sample, size, plain = [], 0, True
    for line in lines:
        if line.isascii():
            continue
        plain = plain and _is_utf8(line)
        if size < _LOOKED_AT:
            sample.append(line)
            size += len(line)
        elif not plain:
            break
    return "utf-8" if plain else _best(b"".join(sample))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: the line ends, commas and digits of a file have a null beside them, always on one side."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    for name, here, there in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if here > 3 * there:
            text = head[: len(head) // 2 * 2].decode(name, errors="replace")
            if "\ufffd" not in text[:-1] and ("\n" in text or "\r" in text or text.isascii()):
                return name
    return None


def _best(sample: bytes) -> str | None:
    """The candidate that explains the bytes best, if it does so well and alone."""
    if _is_damaged_utf8(sample):
        return None
    scores = {candidate: _score(sample, candidate) for candidate in _CANDIDATES}
    best = max(_CANDIDATES, key=scores.__getitem__)
    second = max(score for other, score in scores.items() if other != best and not (other.latin and best.latin))
    return best.name if scores[best] >= _BELIEVED and second <= _LEAD * scores[best] else None


def _is_damaged_utf8(sample: bytes) -> bool:
    """Whether most characters beyond ASCII are good UTF-8: some bytes were lost, and no other encoding fits."""
    text = sample.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    return sum(map(len, _FOREIGN.findall(text))) > 2 * broken


def _score(sample: bytes, candidate: _Candidate) -> float:
    """Share of the characters beyond ASCII that are frequent ones; 0 where the bytes cannot be decoded."""
    try:
        text = sample.decode(candidate.name)
    except UnicodeDecodeError:
        return 0.0
    runs = _FOREIGN.findall(text)
    n_foreign = sum(map(len, runs))
    fitting = [run for run in runs if len(run) in candidate.runs]
    return sum(char in candidate.frequent for run in fitting for char in run) / n_foreign if n_foreign else 0.0


class Recoded:
    """A binary file of another encoding, read as UTF-8."""

    def __init__(self, file: gzip.GzipFile | IO[bytes], encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def read(self, size: int) -> bytes:
        """The next bytes, about as many; none at the end.

        Raises:
            UnicodeError: the file is not in this encoding.
        """
        while chunk := self._file.read(size):
            if text := self._decoder.decode(chunk):
                return text.encode("utf-8")
        return self._decoder.decode(b"", final=True).encode("utf-8")
