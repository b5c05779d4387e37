"""The recommendation in words, in English and in Korean."""

from __future__ import annotations

from evals.recommend.findings import Advice, Findings
from evals.recommend.splits import Splits
from evals.wording import metric_name, p_value, percent, points

#: Seconds that a learner may take before a quicker one is worth a word.
_SLOW = 10.0


def recommendation_sentence(findings: Findings, splits: Splits, language: str = "en") -> str:
    """Which learner to take, how sure that is, and what would make it surer.

    Args:
        language: "en" or "ko".
    """
    advice, used, available = findings.advice, len(splits.rows), splits.n_available
    words = {
        "learner": advice.learner,
        "mean": percent(advice.accuracy.mean),
        "low": percent(advice.accuracy.low),
        "high": percent(advice.accuracy.high),
        "texts": f"{used:,}",
        "majority": repr(findings.majority) if findings.majority else _FREQUENT[language],
        "right": "right" if findings.metric == "accuracy" else metric_name(findings.metric),
        "measure": "정확도" if findings.metric == "accuracy" else metric_name(findings.metric),
        "share": percent(findings.majority_share),
        "candidates": advice.candidates,
        "optimism": points(advice.optimism),
    }
    words["chosen"] = _CHOSEN[language].format(**words) if advice.candidates > 1 else ""
    if advice.texts_needed is not None:
        kind = "_RUN" if advice.texts_needed <= available else "_LABEL"
        words["more"] = f"{advice.texts_needed if kind == '_RUN' else advice.texts_needed - used:,}"
        words["suggestion"] = _SUGGESTION[kind][language].format(**words)
    parts = [] if advice.beats_majority else [_FLOOR]
    if advice.beats_majority:
        parts.append(_TAKE if advice.texts_needed is None else _TAKE_FOR_NOW)
    if advice.runner_up is not None:
        words |= _runner_up(findings, advice.runner_up)
    parts += _certainty(findings, advice)
    best = findings.score(advice.learner).accuracy.mean
    better = next((each for each in findings.scores if each.transductive and each.accuracy.mean > best), None)
    if better is not None:
        words |= {"apart": better.learner, "reached": percent(better.accuracy.mean)}
        parts.append(_APART)
    return " ".join(part[language].format(**words) for part in parts)


def _runner_up(findings: Findings, name: str) -> dict[str, str]:
    behind, p = findings.score(name).behind, findings.score(name).p
    if behind is None or p is None:
        return {}
    return {"second": name, "points": points(behind.mean), "p": p_value(p)}


def _certainty(findings: Findings, advice: Advice) -> list[dict[str, str]]:
    settled = [_SETTLE] if advice.texts_needed is not None else []
    if not advice.beats_majority:
        return settled or [_NO_HOPE]
    if advice.runner_up is None:
        return [_ALONE]
    if advice.sure:
        return [_AHEAD]
    best, second = findings.score(advice.learner), findings.score(advice.runner_up)
    quicker = [_QUICKER] if best.seconds > max(_SLOW, 2 * second.seconds) else []
    if second.behind is not None and second.behind.is_identical:
        return [_IDENTICAL, *quicker]
    return [*([_OPEN, _SETTLE] if settled else [_TOO_CLOSE]), *quicker]


_APART = {
    "en": "Not considered, because it reads all texts that are asked together: {apart}, with {reached} %.",
    "ko": "묻는 텍스트를 한꺼번에 읽는 방식인 {apart}({reached} %)는 따로 두고 추천에서 뺐습니다.",
}
_FREQUENT = {"en": "with what is most frequent", "ko": "가장 흔한 답"}
_TAKE = {
    "en": "Use {learner}: {mean} % {right} ({low} to {high} with 95 % confidence, {texts} labelled texts{chosen}).",
    "ko": "{learner} 사용을 권합니다: {measure} {mean} % "
    "(95 % 신뢰구간 {low}~{high}, 라벨이 있는 텍스트 {texts}개{chosen}).",
}
#: What the figures before it were corrected for.
_CHOSEN = {
    "en": "; {optimism} points taken off, as it was chosen among {candidates} on the same splits",
    "ko": "; 같은 분할에서 {candidates}개 가운데 고른 점을 감안해 {optimism}점을 뺀 값",
}
_TAKE_FOR_NOW = {
    "en": "Use {learner} for now: {mean} % {right} "
    "({low} to {high} with 95 % confidence, {texts} labelled texts{chosen}).",
    "ko": "우선은 {learner} 사용을 권합니다: {measure} {mean} % "
    "(95 % 신뢰구간 {low}~{high}, 라벨이 있는 텍스트 {texts}개{chosen}).",
}
_FLOOR = {
    "en": "You cannot tell yet whether anything works: the best learner, {learner}, is {mean} % {right} ({low} to "
    "{high}{chosen}), and always answering {majority} would be {share} % {right}.",
    "ko": "아직 쓸 만한 방법이 있는지 알 수 없습니다: 가장 나은 {learner}의 {measure}가 {mean} % "
    "({low}~{high}{chosen})인데, 언제나 {majority} 하나로만 답해도 {share} %입니다.",
}
_AHEAD = {
    "en": "It beats the runner-up {second} by {points} points ({p}).",
    "ko": "2위 {second}보다 {points}점 앞서며, 이 차이는 우연으로 보기 어렵습니다 ({p}).",
}
_ALONE = {
    "en": "Nothing else could be tried beside it.",
    "ko": "함께 비교할 수 있는 다른 방법이 없었습니다.",
}
_OPEN = {
    "en": "You cannot tell yet whether it is better than {second}: {points} points apart, {p}.",
    "ko": "다만 {second}보다 낫다고는 아직 말할 수 없습니다: 차이 {points}점, {p}.",
}
_SETTLE = {
    "en": "{suggestion} (a rough extrapolation: it assumes that the figures stay as they are).",
    "ko": "{suggestion} (지금의 수치가 그대로 유지된다고 가정한 대략적인 추정입니다).",
}
_SUGGESTION = {
    "_LABEL": {
        "en": "Label about {more} more texts to know",
        "ko": "확실히 알려면 텍스트 약 {more}개에 라벨을 더 붙여 보세요",
    },
    "_RUN": {
        "en": "Use more of your texts to know, about --rows {more}",
        "ko": "확실히 알려면 가진 텍스트를 더 쓰세요 (--rows {more} 정도)",
    },
}
_TOO_CLOSE = {
    "en": "{second} does as well, as far as one can tell ({points} points apart, {p}), and more labels would hardly "
    "settle it: either will do.",
    "ko": "{second} 쪽과의 차이({points}점, {p})는 매우 작아서 라벨을 더 붙여도 가려지기 어려우니, 어느 쪽을 써도 "
    "괜찮습니다.",
}
_IDENTICAL = {
    "en": "{second} is identical: right on the very same texts, so either will do.",
    "ko": "{second}의 결과는 텍스트 하나하나까지 똑같으니 (identical), 어느 쪽을 써도 괜찮습니다.",
}
_QUICKER = {
    "en": "{second} is the quicker one.",
    "ko": "속도는 {second} 쪽이 더 빠릅니다.",
}
_NO_HOPE = {
    "en": "As far as these {texts} texts show, nothing here tells the classes apart: before you label more, check that "
    "the labels follow from the texts.",
    "ko": "텍스트 {texts}개로 보는 한 클래스를 구별해 내는 방법이 없습니다. 라벨을 더 붙이기 전에 라벨이 "
    "텍스트의 내용에서 나오는지 확인해 보세요.",
}
