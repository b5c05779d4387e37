"""MetaICL: a language model that is trained on many tasks in context, so that it learns new ones in context.

Min et al., NAACL 2022, arXiv 2110.15943. Trained on sequences of demonstrations of many classes (`icl.metatrain`),
tested as any language model is: the support in the prompt, no step of training.

Traps: a model that can guess the task from the words of its labels does not read the demonstrations, hence the
exchanged and unrelated words in training; validation classes are those of the class split, never the tested ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any, cast, get_type_hints

from pydantic import BaseModel

from evals.episode import Episode
from evals.learner import Background, BaseLearner, Context, Learner
from evals.types import Prediction, Problem
from fewshot.core.consent import require_consent
from fewshot.core.devices import resolve_device
from fewshot.core.differences import differences
from fewshot.core.errors import UsageError, unknown_name
from fewshot.core.hashing import digest
from fewshot.core.paths import write_atomically
from fewshot.core.stored import checked, known_arguments, read_object
from fewshot.training.progress import Progress
from fewshot.training.schedule import Schedule
from icl.learner import ICLLearner
from icl.metatrain.channel import Channel
from icl.metatrain.collation import Encoded, SequenceEncoder
from icl.metatrain.options import Optimization
from icl.metatrain.sequences import EpisodeMaterial, Mixture, Objective, draw_sequence
from icl.metatrain.trainer import SequenceTrainer, forget
from icl.metatrain.tuning import merge, trainable
from icl.metatrain.validation import Validation
from icl.metatrain.words import TEST_WORDS, WORD_KINDS, TestWords, WordKind, lexicon
from icl.models.local import LocalModel
from icl.models.weights import save_model

_FILE = "learner.json"
#: Arguments that say where things come from, and decide no result.
_UNRECORDED = ("from_", "train", "offline", "trust")
#: Arguments that name what training reads, and nothing reads afterwards: what came of it is in the folder.
_ONLY_TRAINING = ("model", "templates")
#: Texts by which is judged whether a model knows their language.
_SAMPLE = 500
#: Tokens per character above which a tokenizer spells a text out rather than reads it.
_SPELLED_OUT = 1.2


class _Stored(BaseModel):
    """What a folder says of the learner in it."""

    learner: str
    config: dict[str, Any]
    training: dict[str, Any]


@dataclass(eq=False, kw_only=True)
class MetaICL(BaseLearner):
    """A language model meta-trained to learn in context.

    Attributes:
        model: Hugging Face id, folder, or the name of an embedded model.
        objective: "direct" (label given text) or "channel" (text given label).
        tune: "full", "lora", or "last:N" for the last N layers. rank: of low-rank matrices.
        words: kinds of label words, joined by +, drawn equally often; see `icl.metatrain.words`.
        templates: shipped templates or files, joined by +.
        examples: of a training sequence, at most. max_length: tokens of one, at most.
        steps, batch, max_tokens, lr, warmup, schedule, weight_decay, clip, eval_every, patience, precision, seed: see
            `Optimization`.
        n_valid: validation episodes. valid_words: what their labels are called, joined by +: see `TestWords`.
        train_way: classes per training sequence, at most.
        among_words: whether label words are told apart from the others of their sequence alone: then training does not
            teach which words are frequent. Otherwise from all tokens, as in the paper.
        calibrate: of direct scores, at test.
        train: tasks to be trained on, joined by +; None takes the training classes of the task that is tested.
        from_: folder of a trained learner to use (`from=` in a spec).
        offline: whether downloads are forbidden.
        trust: whether a trained learner that is loaded may do more than compute (run a calibrator from a file, say).
    """

    name = "metaicl"
    kinds = ("classification",)
    extra = "local"
    model: str = "smollm2"
    objective: Objective = "direct"
    tune: str = "full"
    rank: int = 16
    words: str = "+".join(WORD_KINDS)
    templates: str = "classify+minimal+named"
    examples: int = 16
    max_length: int = 1024
    steps: int = 300
    batch: int = 8
    max_tokens: int = 4096
    lr: float = 2e-5
    warmup: int = 20
    schedule: Schedule = "cosine"
    weight_decay: float = 0.01
    clip: float = 1.0
    eval_every: int = 50
    patience: int | None = 4
    precision: str = "auto"
    n_valid: int = 20
    valid_words: str = "canonical"
    train_way: int = 5
    among_words: bool = False
    calibrate: str = "none"
    seed: int = 0
    train: str | None = None
    from_: str | None = None
    offline: bool = False
    trust: bool = False
    _local: LocalModel | None = field(default=None, init=False, repr=False)
    _record: dict[str, Any] | None = field(default=None, init=False, repr=False)
    _sample: tuple[str, ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        if self.n_valid < 1:
            raise UsageError(f"n_valid {self.n_valid} is too small: weights are chosen by validation, so 1 is needed")
        for kind in _names(self.valid_words):
            if kind not in TEST_WORDS:
                raise unknown_name("validation words", kind, TEST_WORDS)
        self._mixture()

    @property
    def train_shot(self) -> int:
        """Texts per class that training episodes show; with `train_query`, enough for a whole sequence of one class."""
        return max(1, self.examples // 2)

    @property
    def train_query(self) -> int:
        """Texts per class that training episodes ask."""
        return max(1, self.examples - self.train_shot)

    @property
    def trained(self) -> bool:
        """Whether it was trained or loaded, or names a folder to load."""
        return self._record is not None or self.from_ is not None

    def prepare(self, background: Background, ctx: Context) -> None:
        """Keep some texts, to tell whether the model knows their language."""
        self._sample = background.texts[:_SAMPLE]

    def meta_fit(
        self, train: Sequence[Episode], valid: Sequence[Episode], ctx: Context, folder: Path | None = None
    ) -> None:
        """Train on episodes; the weights that are best on `valid` are kept.

        Args:
            folder: where checkpoints and the learning curve go; a training found there is continued.

        Raises:
            ResumeMismatch: the folder holds an unfinished training of another kind.
            UsageError: the model cannot tell label words apart, or no episode fits into its context.
            FewshotError: the training diverges.
        """
        if not valid:
            raise UsageError("there are no validation episodes: weights are chosen by them")
        local = self._opened(self.model, ctx)
        started_from = local.describe()
        weights = local.weights
        self._tell_language(local, ctx)
        parameters = trainable(weights, self.tune, self.rank, self.seed)
        optimization = self._optimization()
        episodes = {"train": _manifest(train), "valid": _manifest(valid)}
        identity = {"learner": self._config(), "model": started_from, "episodes": episodes}
        trainer = SequenceTrainer(weights, parameters, optimization, ctx, folder, identity)
        kinds = cast("tuple[TestWords, ...]", _names(self.valid_words))
        validation = Validation(self._asking(local), valid[: self.n_valid], kinds, lexicon(), ctx)
        progress = trainer.fit(self._sequences(train, local), validation.accuracies)
        merge(weights)
        self._local, self._record = local, _record(progress, started_from, episodes)

    def save(self, folder: Path) -> None:
        """Write the trained model as a folder of transformers, and `learner.json` beside it.

        Raises:
            UsageError: it is not trained.
        """
        if self._local is None or self._record is None:
            raise UsageError(f"{self.name} is not trained: there is nothing to save")
        hashes = save_model(self._local, folder)
        content = {"learner": self.name, "config": self._config(), "training": self._record, "weights": hashes}
        forget(folder)
        write_atomically(folder / _FILE, json.dumps(content, ensure_ascii=False, indent=2) + "\n")

    def load(self, folder: Path) -> None:
        """Take up a trained learner, with the arguments that it was trained with.

        Raises:
            UsageError: no trained learner, another one, or an argument of this one that was given and differs.
            NotTrusted: an argument that was not given would do more than compute, and `trust` is not set.
            StorageError: it is damaged.
        """
        content = _read(folder / _FILE)
        if content["learner"] != self.name:
            raise UsageError(
                f"{folder} holds a trained {content['learner']!r}, not {self.name!r}; name that learner, or train one"
            )
        config = known_arguments(self._hints(), content["config"], folder / _FILE)
        given = {name: value for name, value in self._config().items() if value != self._defaults()[name]}
        if changed := differences({name: config.get(name) for name in given}, given):
            raise UsageError(f"{folder} was trained with other arguments:\n{changed}\nLeave them out, or train anew")
        taken = {name: value for name, value in config.items() if name not in given}
        reached = {name: value for name, value in taken.items() if name not in _ONLY_TRAINING}
        require_consent(reached, folder / _FILE, trust=self.trust)
        for name, value in taken.items():
            setattr(self, name, value)
        self._local, self._record, self.from_ = None, content["training"], str(folder)

    def describe(self) -> dict[str, Any]:
        """Name, every argument that decides the result, and how it was trained."""
        if self._record is None and self.from_ is not None:
            self.load(Path(self.from_))
        return {"name": self.name, **self._config(), "training": self._record}

    def predict(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        """Answer the problems as a language model does that is shown the support."""
        return self._asking(self._ready(ctx)).predict(problems, ctx)

    def _ready(self, ctx: Context) -> LocalModel:
        if self._local is None:
            if self.from_ is None:
                raise UsageError(
                    f"{self.name} is not trained. Give from=FOLDER of a trained one, train=TASK+TASK, or use a task "
                    "with training classes; fewshot icl metatrain makes one"
                )
            self.describe()
            self._local = self._opened(self.from_, ctx)
        return self._local

    def _opened(self, model: str, ctx: Context) -> LocalModel:
        # Training and its validation are computed on the same weights, so they are float32 in both.
        device = resolve_device(ctx.device)
        return LocalModel(model, dtype="float32", device=device, offline=self.offline, notify=ctx.notify)

    def _asking(self, model: LocalModel) -> Learner:
        if self.objective == "channel":
            return Channel(model)
        return ICLLearner(model=model, readout="labels", calibrate=self.calibrate)

    def _sequences(self, train: Sequence[Episode], local: LocalModel) -> Any:
        """What step n learns from."""
        limit = min(self.max_length, local.capabilities.context_length)
        encoder = SequenceEncoder(local.tokenizer, limit)
        material, mixture, known = EpisodeMaterial(train), self._mixture(), lexicon()

        def of(step: int) -> list[Encoded]:
            indices = range(step * self.batch, (step + 1) * self.batch)
            return [encoder.encode(draw_sequence(material, mixture, known, self.seed, i)) for i in indices]

        return of

    def _tell_language(self, local: LocalModel, ctx: Context) -> None:
        """Warn of a model that does not know the language of the texts: it can hardly be taught to read them."""
        if not self._sample:
            return
        unknown, per_character = local.tokenizer.coverage(self._sample)
        if unknown > 0.01 or per_character > _SPELLED_OUT:
            ctx.notify(
                f"{local.name} hardly knows the language of these texts: {unknown:.1%} unknown tokens, "
                f"{per_character:.1f} tokens per character"
            )

    def _mixture(self) -> Mixture:
        kinds = cast("list[WordKind]", _names(self.words))
        templates = tuple(_names(self.templates))
        return Mixture(dict.fromkeys(kinds, 1.0), templates, self.train_way, self.examples, objective=self.objective)

    def _optimization(self) -> Optimization:
        names = {each.name for each in fields(Optimization)} & {each.name for each in fields(self)}
        return Optimization(**{name: getattr(self, name) for name in names})

    def _config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._defaults()}

    def _hints(self) -> dict[str, Any]:
        """Their types."""
        hints = get_type_hints(type(self))
        return {name: hints[name] for name in self._defaults()}

    def _defaults(self) -> dict[str, Any]:
        return {each.name: each.default for each in fields(self) if each.init and each.name not in _UNRECORDED}


def _names(joined: str) -> tuple[str, ...]:
    return tuple(joined.split("+"))


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"{path.parent} holds no trained learner; train one: fewshot icl metatrain --out DIR")
    return checked(_Stored, read_object(path), path)


def _manifest(episodes: Sequence[Episode]) -> str:
    """A hash of how many episodes there are and of the first ones: two sources that agree in them are the same."""
    return digest([len(episodes), *[episode.id for episode in islice(episodes, 20)]])


def _record(progress: Progress, model: dict[str, Any], episodes: dict[str, str]) -> dict[str, Any]:
    best = progress.best
    return {
        "steps": progress.step,
        "best_step": progress.best_step,
        "accuracy_before": progress.curve[0].valid_accuracy,
        "valid_accuracy": best.valid_accuracy,
        "parts": dict(best.parts),
        "model": model,
        "episodes": episodes,
    }
