"""The result in words, in English and in Korean."""

from __future__ import annotations

from evals.comparison.analysis import Analysis
from evals.comparison.crossing import Lead
from evals.wording import metric_name, p_value, percent, points


def verdict_sentence(analysis: Analysis, language: str = "en") -> str:
    """Who wins one table, by how much, and whether that is sure.

    Args:
        language: "en" or "ko".
    """
    sentences = [_verdict(analysis, language)]
    if analysis.verdict.apart:
        best = analysis.standing(analysis.verdict.apart[0])
        name, mean = best.learner, percent(best.accuracy.mean)
        sentences.append(_APART[language].format(learner=name, mean=mean))
    return " ".join(sentences)


def _verdict(analysis: Analysis, language: str) -> str:
    table, verdict = analysis.table, analysis.verdict
    words = {"task": table.task, "way": table.way, "shot": table.shot}
    if verdict.winner is None:
        chance = "" if table.chance is None else f" ({percent(table.chance)} %)"
        return _NOBODY[language].format(**words, chance=chance)
    best = analysis.standing(verdict.winner)
    words |= {
        "winner": verdict.winner,
        "measure": "정확도" if table.metric == "accuracy" else f"{metric_name(table.metric)} 점수",
        "metric": "" if table.metric == "accuracy" else f" {metric_name(table.metric)}",
        "mean": percent(best.accuracy.mean),
        "low": percent(best.new_texts.low),
        "high": percent(best.new_texts.high),
    }
    head = _HEAD[language].format(**words)
    if verdict.tied:
        others = [name for name in verdict.tied if name not in verdict.identical]
        told = [_IDENTICAL[language].format(tied=", ".join(verdict.identical))] if verdict.identical else []
        told += [_TIED[language].format(tied=", ".join(others))] if others else []
        return " ".join([head, *told])
    others = [
        s.learner
        for s in analysis.standings
        if s.learner != verdict.winner and not s.transductive and s.status != "partial"
    ]
    if not others:
        return head
    pair = analysis.pair(verdict.winner, others[0])
    told = _AHEAD[language].format(
        second=others[0],
        points=points(pair.difference.mean),
        low=points(pair.new_texts.low),
        high=points(pair.new_texts.high),
        p=p_value(pair.p_new_texts_holm),
    )
    return f"{head} {told}"


def lead_sentence(lead: Lead, language: str = "en") -> str:
    """Whether and where the lead changes with the number of shots.

    Args:
        language: "en" or "ko".
    """
    words = {"task": lead.task, "few": lead.few, "many": lead.many, "least": lead.shots[0], "most": lead.shots[-1]}
    found = lead.crossover
    if lead.steady:
        return _STEADY[language].format(**words)
    if lead.few == lead.many:
        between = [f"{name or _NONE[language]} (K = {k})" for k, name in zip(lead.shots, lead.leaders, strict=True)]
        elsewhere = [told for told, name in zip(between, lead.leaders, strict=True) if name != lead.few]
        return _BACK[language].format(**words, others=", ".join(elsewhere))
    if found is None:
        return _UNPLACED[language].format(**words)
    return (_CROSSING if found.share >= _SURE else _MAYBE_CROSSING)[language].format(
        **words,
        k=f"{found.shot:.1f}",
        low=f"{found.low:.1f}",
        high=f"{found.high:.1f}",
        share=f"{100 * found.share:.0f}",
    )


#: A change of the lead is stated where so many of the draws show it.
_SURE = 0.95

_NOBODY = {
    "en": "{task}, {way}-way {shot}-shot: no learner is told apart from chance{chance} on new texts.",
    "ko": "{task}, {way}-way {shot}-shot: 새 텍스트에서 찍는 수준{chance}보다 낫다고 할 학습기가 없습니다.",
}
_HEAD = {
    "en": "{task}, {way}-way {shot}-shot: {winner} is best with {mean} %{metric} ({low} to {high} on new texts).",
    "ko": "{task}, {way}-way {shot}-shot: {winner}의 {measure}가 {mean} %로 가장 높습니다 "
    "(새 텍스트에서 {low}~{high} %).",
}
_TIED = {
    "en": "Not told apart from {tied}.",
    "ko": "다만 {tied}보다 낫다고 단정할 수는 없습니다.",
}
_IDENTICAL = {
    "en": "{tied} scored identically, query by query.",
    "ko": "{tied}의 결과는 질의 하나하나까지 똑같습니다 (identical).",
}
_AHEAD = {
    "en": "It leads {second} by {points} points ({low} to {high}; {p} after Holm).",
    "ko": "2위 {second}보다 {points}점 앞섭니다 ({low}~{high}; Holm 보정 {p}).",
}
_APART = {
    "en": "Ranked apart, because it reads all queries of an episode together: {learner}, with {mean} %.",
    "ko": "한 에피소드의 질의를 한꺼번에 읽는 방식이라 순위에서 따로 뺀 {learner}의 점수는 {mean} %입니다.",
}
_STEADY = {
    "en": "{task}: {few} leads at every K from {least} to {most}; the answer does not flip.",
    "ko": "{task}: 클래스당 {least}개부터 {most}개까지 {few}의 우위가 바뀌지 않습니다.",
}
_NONE = {"en": "none above chance", "ko": "찍는 수준을 넘는 학습기 없음"}
_BACK = {
    "en": "{task}: {few} leads at K = {least} and at K = {most}, but not in between: {others}. Whether the answer "
    "flips is not sure.",
    "ko": "{task}: 클래스당 {least}개와 {most}개에서는 {few}의 정확도가 높지만 그 사이에서는 다릅니다: {others}. "
    "우위가 바뀐다고 단정할 수 없습니다.",
}
_UNPLACED = {
    "en": "{task}: {few} leads at K = {least} and {many} at K = {most}, but where the lead changes cannot be said.",
    "ko": "{task}: {least}개에서는 {few}, {most}개에서는 {many}의 정확도가 높지만 뒤바뀌는 지점은 말할 수 없습니다.",
}
_CROSSING = {
    "en": "{task}: {few} leads with few examples; {many} overtakes at about {k} shots per class "
    "(95 % interval {low} to {high} on new texts).",
    "ko": "{task}: 예시가 적을 때는 {few}, 클래스당 약 {k}개부터는 {many}의 정확도가 더 높습니다 "
    "(새 텍스트에서 95 % 구간 {low}~{high}).",
}
_MAYBE_CROSSING = {
    "en": "{task}: {few} has the higher mean at K = {least} and {many} at K = {most}, but the lead passes that way in "
    "{share} % of draws only: that the answer flips is not sure.",
    "ko": "{task}: 평균은 클래스당 {least}개에서 {few}, {most}개에서 {many}가 높지만, 재표집의 {share} %에서만 그렇게 "
    "바뀝니다. 우위가 뒤바뀐다고 단정할 수 없습니다.",
}
