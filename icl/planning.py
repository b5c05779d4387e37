"""From a problem to prompts: select, order, build, fit into the context. Asks the model nothing but lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from evals.types import Label, Problem, Query, Status
from fewshot.core.errors import UsageError, unknown_name
from fewshot.core.hashing import digest, text_key
from icl.amount import Demos, amount_of
from icl.asking import Reader, asking
from icl.budget import TokenBudget, most_wanted
from icl.models.base import LanguageModel, Message, Prompt, ScoreRequest, ShowsTokens
from icl.orderings import LooksAtPool, Ordering
from icl.prompt import Demonstration, PromptBuilder
from icl.scoring.base import Choices, Scorer
from icl.selectors.base import Pick, Pool, Selector
from icl.template import Template

Format = Literal["completion", "chat"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True)
class PlannedQuery:
    """The prompt of one query and how it came about.

    Attributes:
        prompt: None where the query cannot be asked; `status` and `detail` say why.
        content_free: the same prompt around each of the content-free inputs.
        demonstrations: ids of the support examples shown, in prompt order.
        n_dropped: how many the token budget left out.
    """

    prompt: Prompt | None
    content_free: tuple[Prompt, ...] = ()
    demonstrations: tuple[str, ...] = ()
    n_dropped: int = 0
    status: Status = Status.OK
    detail: str = ""


@dataclass(frozen=True)
class Plan:
    """The prompts of a problem, in the order of its queries."""

    queries: tuple[PlannedQuery, ...]
    choices: Choices
    notes: tuple[str, ...]

    @cached_property
    def asked(self) -> list[PlannedQuery]:
        """The queries that can be asked."""
        return [query for query in self.queries if query.prompt is not None]

    @cached_property
    def shared(self) -> bool:
        """Whether all prompts show the same demonstrations."""
        return len({query.demonstrations for query in self.asked}) <= 1

    @cached_property
    def prompts(self) -> list[Prompt]:
        """Every prompt to ask: the queries', then the content-free ones, once where demonstrations are shared."""
        own = [query.prompt for query in self.asked if query.prompt is not None]
        return own + [prompt for query in self.asked[: 1 if self.shared else None] for prompt in query.content_free]

    @property
    def score_requests(self) -> list[ScoreRequest]:
        """Every prompt with the labels, to be scored."""
        return [ScoreRequest(prompt, self.choices.continuations) for prompt in self.prompts]


@dataclass(frozen=True)
class Written:
    """Answers that are no single labels.

    Attributes:
        answers: of the support, by id, as the demonstrations show them.
        longest: answers that bound the length of those to come.
    """

    answers: Mapping[str, str]
    longest: tuple[str, ...]


@dataclass(frozen=True)
class Planner:
    """Plans the prompts of problems.

    Args:
        selector, ordering: which demonstrations, in which order.
        demos: how many of them per prompt; see `amount_of`.
        template: None takes the one that the task names.
        format: plain text, or chat turns.
        content_free: the inputs without content to plan prompts for beside every query, given the problem and what
            random choices depend on.
    """

    selector: Selector
    ordering: Ordering
    demos: Demos
    template: Template | None
    format: Format
    content_free: Callable[[Problem, Sequence[Any]], tuple[str, ...]]

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise unknown_name("prompt format", self.format, FORMATS)
        if self.demos not in ("all", "auto") and not isinstance(self.demos, int):
            raise UsageError(f"--demos {self.demos!r} is neither a number, nor all or auto")

    def plan(
        self,
        problem: Problem,
        pool: Pool,
        model: LanguageModel,
        scorer: Scorer,
        seed: int,
        written: Written | None = None,
    ) -> Plan:
        """Plan every query of a problem.

        Args:
            problem: what is asked; its support is in `pool`.
            pool: the support, indexed.
            model: whose context the prompts must fit.
            scorer: how the model will be asked.
            seed: of the run.
            written: what the demonstrations show, where it is not the words of a label.

        Raises:
            UsageError: labels that the model cannot tell apart, a template that does not fit, a format that it lacks.
        """
        refuse_unusable_labels(problem.labels)
        if self.format == "chat" and not model.capabilities.chat:
            raise UsageError(f"model {model.name!r} has no chat format; use --format completion")
        words = {label.name: label.verbalizer for label in problem.labels}
        builder = PromptBuilder(self.template or problem.task.template, problem.task, tuple(words.values()))
        choices = self._choices(builder, tuple(words.values()) if written is None else written.longest)
        budget = TokenBudget(model, scorer.reserve(model, choices))
        # What is shown depends on run, support and query alone, so asking other queries along changes nothing.
        drawn_by = [seed, digest([[row.id, row.text, row.label] for row in problem.support])]
        amount = amount_of(self.demos, self.selector, pool, model)
        answers = None if written is None else written.answers
        assemble = _Assembler(self, builder, words, answers, merge_system=not model.capabilities.system_role)
        reader = Reader(model, assemble.prompts, choices.continuations, pool.examples)
        selector, ordering = asking(self.selector, reader), asking(self.ordering, reader)
        picked = selector.select(problem.queries, pool, amount.demos, drawn_by)
        if isinstance(ordering, LooksAtPool):
            ordering = ordering.over(selector, pool, amount.demos, drawn_by)
        blanks = self.content_free(problem, drawn_by)
        planned = tuple(
            self._plan_query(
                [query, *(_blank(query, words) for words in blanks)],
                most_wanted(picks),
                ordering.order(picks, query, drawn_by),
                assemble,
                budget,
            )
            for query, picks in zip(problem.queries, picked, strict=True)
        )
        if scorer.gives_scores and isinstance(model, ShowsTokens):
            refuse_labels_of_equal_tokens(problem.labels, choices, model, self.format)
        about_parts = (*amount.notes, *self.selector.notes(pool), *_unprinted(builder))
        told = (*about_parts, *self._notes(planned, choices, model, scorer))
        return Plan(planned, choices, told)

    def _plan_query(
        self, inputs: list[Query], wanted: list[Pick], ordered: list[Pick], assemble: _Assembler, budget: TokenBudget
    ) -> PlannedQuery:
        """Plan a query, the first of the inputs, and the same prompt around the others, which have no content."""

        def shown(k: int) -> list[Pick]:
            kept = {pick.example.id for pick in wanted[:k]}
            return [pick for pick in ordered if pick.example.id in kept]

        kept = budget.keep(len(wanted), lambda k: assemble.prompts(shown(k), inputs))
        if kept is None:
            detail = (
                f"instruction and text alone exceed the context of {budget.model.capabilities.context_length} tokens"
            )
            return PlannedQuery(None, n_dropped=len(wanted), status=Status.CONTEXT_EXCEEDED, detail=detail)
        prompt, *content_free = assemble.prompts(shown(kept), inputs)
        ids = tuple(pick.example.id for pick in shown(kept))
        return PlannedQuery(prompt, tuple(content_free), ids, len(wanted) - kept)

    def _choices(self, builder: PromptBuilder, answers: tuple[str, ...]) -> Choices:
        """Answers as continuations. Where one begins another, all are closed by what follows a label in the prompt.

        Without a closing, "pos" would be credited with the probability of "positive" as well. What closes a chat turn
        is a control token, which text cannot hold: there the labels stay open, and a note says so.
        """
        written = tuple(builder.continuation(answer) for answer in answers)
        if self.format == "chat":
            return Choices(answers, tuple(continuation.strip() for continuation in written))
        stop = builder.separator if any("\n" in continuation for continuation in written) else "\n"
        closing = builder.separator if _opening(written) else ""
        return Choices(answers, tuple(continuation + closing for continuation in written), stop)

    def _notes(
        self, planned: Sequence[PlannedQuery], choices: Choices, model: LanguageModel, scorer: Scorer
    ) -> list[str]:
        """What a reader should know about the prompts."""
        notes = []
        if dropped := max((query.n_dropped for query in planned if query.prompt), default=0):
            notes.append(f"the context of {model.name} had no room for up to {dropped} demonstrations per prompt")
        if self.format == "chat" and not model.capabilities.system_role:
            notes.append(f"{model.name} knows no system role: the instruction stands in the first user turn")
        if self.format == "chat" and scorer.gives_scores and (pair := _opening(choices.continuations)):
            notes.append(f"label {pair[0]!r} begins label {pair[1]!r}: its score covers both")
        return notes


@dataclass(frozen=True)
class _Assembler:
    """Puts picks and inputs together; the demonstrations that prompts share are rendered once."""

    planner: Planner
    builder: PromptBuilder
    words: Mapping[str, str]
    answers: Mapping[str, str] | None
    merge_system: bool

    def prompts(self, picks: Sequence[Pick], inputs: Sequence[Query]) -> list[Prompt]:
        builder = self._with(tuple(pick.example.id for pick in picks), picks)
        if self.planner.format == "completion":
            return [builder.build(given) for given in inputs]
        return [builder.chat(given, system="" if self.merge_system else None) for given in inputs]

    def _with(self, ids: tuple[str, ...], picks: Sequence[Pick]) -> PromptBuilder:
        if ids not in self._builders:
            self._builders[ids] = self.builder.showing([self._demonstration(pick) for pick in picks])
        return self._builders[ids]

    def _demonstration(self, pick: Pick) -> Demonstration:
        example = pick.example
        shown = Query(example.id, example.text, example.fields)
        if self.answers is not None:
            return Demonstration(shown, self.answers[example.id])
        assert isinstance(example.label, str), "the support of a classification is labelled"
        return Demonstration(shown, self.words[example.label])

    @cached_property
    def _builders(self) -> dict[tuple[str, ...], PromptBuilder]:
        return {}


def _unprinted(builder: PromptBuilder) -> list[str]:
    """What the template does not show of the task, to be told: whoever chose the template may have meant it."""
    template = Template.load(builder.template)
    if not builder.task.instruction or template.prints_instruction(builder.task):
        return []
    return [f"template {template.name} prints no instruction: that of the task is not shown"]


def _opening(written: Sequence[str]) -> tuple[str, str] | None:
    """Two of the texts, of which the first is the beginning of the second."""
    return next(((one, other) for one in written for other in written if one != other and other.startswith(one)), None)


def refuse_unusable_labels(labels: Sequence[Label]) -> None:
    """Two labels that read alike cannot be told apart by any score, nor can one be scored that has no words.

    Raises:
        UsageError: naming the labels.
    """
    seen: dict[str, Label] = {}
    for label in labels:
        if not label.verbalizer.strip():
            raise UsageError(f"label {label.name!r} has no words; give it a verbalizer in the task card")
        twin = seen.setdefault(text_key(label.verbalizer), label)
        if twin is not label:
            raise UsageError(
                f"labels {twin.name!r} ({twin.verbalizer!r}) and {label.name!r} ({label.verbalizer!r}) read alike; "
                "give one of them another verbalizer in the task card"
            )


def refuse_labels_of_equal_tokens(
    labels: Sequence[Label], choices: Choices, model: ShowsTokens, format: Format
) -> None:
    """Two labels that a model's tokenizer writes with the same tokens (it folds characters, or knows neither).

    Raises:
        UsageError: naming the labels.
    """
    prompt = Prompt("text:") if format == "completion" else Prompt(messages=(Message("user", "text"),))
    seen: dict[tuple[int, ...], Label] = {}
    for label, continuation in zip(labels, choices.continuations, strict=True):
        tokens = tuple(token for token, _ in model.boundary(prompt, continuation, before=0))
        twin = seen.setdefault(tokens, label)
        if twin is not label:
            raise UsageError(
                f"labels {twin.name!r} ({twin.verbalizer!r}) and {label.name!r} ({label.verbalizer!r}) are the same "
                "tokens to this model: no score can tell them apart. Give one of them another verbalizer in the task "
                "card, or use another model"
            )


def _blank(query: Query, words: str) -> Query:
    """The query with its content replaced."""
    blank: dict[str, Any] = dict.fromkeys(query.fields, words)
    return Query("", words, blank)
