"""Zero-shot classification by natural language inference. Yin, Hay and Roth, EMNLP 2019, arXiv 1909.00161.

The text is a premise, and "This text is about LABEL." a hypothesis; the label whose hypothesis is entailed with the
greatest probability is the answer. The support is not read: names of labels are all there is to learn from.

Traps: models number their outputs as they like (`label2id` says which is entailment); numbers and ids as labels are no
hypothesis; each label is a pass of its own, so that many labels cost as many passes per text.

No model for inference is embedded, and the accuracy of this depends on the one that is named: for Korean one that was
trained on KLUE-NLI or XNLI, for English on MNLI.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classic.learners.published import PublishedModelLearner, without_marks
from evals.content import whole_text
from evals.label_names import Names, check_names, named_texts
from evals.language import with_language
from evals.learner import Context, failure, require_kind
from evals.types import Answer, Problem, Status
from fewshot.core.errors import UsageError
from fewshot.core.pretrained import load_text_classifier
from fewshot.encoders.prototypes import log_softmax

#: By the language of the task; the Korean one fits words that end in a vowel and in a consonant.
_HYPOTHESES = {"ko": "이 글은 {label}에 관한 것이다."}
_HYPOTHESIS = "This text is about {label}."
_ENTAILMENT = ("entail", "함의")
#: Pairs of a forward pass.
_BATCH = 32


@dataclass(eq=False, kw_only=True)
class Entailment(PublishedModelLearner):
    """The label whose hypothesis follows from the text.

    Attributes:
        hypothesis: with `{label}` in it; None goes by the language of the task.
        names: which words of a label are put there: "auto" its verbalizer, unless labels are numbers or ids,
            "verbalizer", or "description".
        entailment: number of the model's output for entailment; None takes the one that the model names so.
    """

    name = "nli"
    wanted = "a model for natural language inference (MoritzLaurer/mDeBERTa-v3-base-xnli-multilingual-nli-2mil7, ...)"
    hypothesis: str | None = None
    names: Names = "auto"
    entailment: int | None = None

    def __post_init__(self) -> None:
        self.names = check_names(self.names)
        if self.hypothesis is not None and "{label}" not in self.hypothesis:
            raise UsageError(f"hypothesis {self.hypothesis!r} lacks {{label}}, the place of the label")

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        """Score every query with every label."""
        require_kind(problem, "classification", self.name)
        words = named_texts(problem.labels, self.names)
        if words is None:
            told = f"{self.name} needs names of labels that say something; names=verbalizer reads them as they are"
            return failure(problem, Status.ERROR, told).answers
        template = self.hypothesis or _HYPOTHESES.get(with_language(problem).task.language, _HYPOTHESIS)
        hypotheses = [template.replace("{label}", word) for word in words]
        pairs = [(whole_text(query), hypothesis) for query in problem.queries for hypothesis in hypotheses]
        entailed = self._entailed(pairs, ctx).reshape(len(problem.queries), len(hypotheses))
        if not np.isfinite(entailed).all():
            return failure(problem, Status.ERROR, "the model gave scores that are not finite").answers
        return [
            Answer(problem.labels[int(row.argmax())].name, scores=tuple(row.tolist()), score_kind="logprob")
            for row in log_softmax(entailed)
        ]

    def _entailed(self, pairs: Sequence[tuple[str, str]], ctx: Context) -> np.ndarray:
        """(len(pairs),) float64 log-probability that the first text entails the second."""
        import torch

        tokenizer, module = self._ready(ctx)
        output = _output_of_entailment(module.config, self.entailment)
        found = np.zeros(len(pairs))
        for at in range(0, len(pairs), _BATCH):
            first, second = zip(*pairs[at : at + _BATCH], strict=True)
            batch = tokenizer(
                [without_marks(text, tokenizer) for text in first],
                [without_marks(text, tokenizer) for text in second],
                padding=True,
                truncation="only_first",
                max_length=self.max_length,
                return_tensors="pt",
            ).to(module.device)
            with torch.inference_mode():
                found[at : at + _BATCH] = module(**batch).logits.double().log_softmax(dim=-1)[:, output].cpu().numpy()
        return found

    def _load(self, folder: Path) -> Any:
        return load_text_classifier(folder)


def _output_of_entailment(config: Any, given: int | None) -> int:
    """Which output of a model says that the second text follows from the first."""
    named = {int(number): str(name) for number, name in config.id2label.items()}
    if len(named) < 2:
        raise UsageError(f"the model has {len(named)} output, and inference needs 2 or 3: it was made for another task")
    if given is not None:
        if given not in named:
            raise UsageError(f"entailment={given}: the outputs of the model are 0 to {len(named) - 1}")
        return given
    found = [number for number, name in named.items() if name.lower().startswith(_ENTAILMENT)]
    if len(found) != 1:
        listed = ", ".join(f"{number} {name}" for number, name in sorted(named.items()))
        raise UsageError(
            f"the model does not say which of its outputs is entailment ({listed}): entailment=NUMBER does"
        )
    return found[0]
