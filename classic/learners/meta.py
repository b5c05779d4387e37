"""What learners that are meta-trained share: training, saving, loading, and answering with what was learned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast, get_type_hints

import numpy as np
from pydantic import BaseModel

from classic.learners.base import MAX_TEXTS, EncoderLearner, stacked_log_probabilities
from classic.training.data import EpisodeTasks, TaskSource, TextTable
from classic.training.inputs import FrozenFeatures, Inputs
from classic.training.options import Optimizer, TrainingOptions
from classic.training.paraphrases import FromUnlabelled, ParaphrasedTasks
from classic.training.trainer import Trained, Trainer, forget
from evals.content import whole_text
from evals.learner import Context
from evals.types import Problem, TaskInfo
from fewshot.core.catalog import NETWORKS
from fewshot.core.consent import require_consent
from fewshot.core.devices import resolve_device
from fewshot.core.differences import differences
from fewshot.core.errors import UsageError
from fewshot.core.hashing import digest
from fewshot.core.spec import Spec, parse_spec
from fewshot.core.stored import checked, known_arguments, read_object
from fewshot.encoders import build_encoder
from fewshot.training import checkpoint
from fewshot.training.distributed import is_first, join
from fewshot.training.schedule import Schedule

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, Network, Params
    from classic.functional.executors import Executor
    from classic.networks.head import Headed
    from evals.episode import Episode

#: Where a head starts that treats classes alike.
Start = Literal["zero", "shared", "prototypes"]
#: Name of the checkpoint of a trained learner.
NAME = "learner"
_FROZEN_LR = 1e-4
#: Arguments that say where things come from or how fast they go, and decide no result.
_UNRECORDED = ("from_", "train", "executor", "chunk_size", "trust")


class _Inputs(BaseModel):
    fingerprint: str
    width: int


class _Stored(BaseModel):
    """What a folder says of the learner in it."""

    learner: str
    config: dict[str, Any]
    algorithm: dict[str, Any]
    inputs: _Inputs
    training: dict[str, Any]
    weights: str


@dataclass
class _Model:
    """What training leaves: how texts are read, how a task is learned, the parameters, and how they came about."""

    table: TextTable
    algorithm: Algorithm
    params: Params
    record: dict[str, Any]


@dataclass(eq=False, kw_only=True)
class MetaLearner(EncoderLearner):
    """A learner that meta-trains an algorithm. `meta_learner` makes one of an algorithm: nobody writes a subclass.

    `TrainingOptions` says what the arguments of training mean that are not named here.

    Attributes:
        encoder: a frozen encoder (auto, lexical, minilm, e5-small, hf:NAME), or a network that is trained with the
            rest: ngrams, cnn, gru, transformer, or hub:NAME for a Hugging Face encoder.
        lr: outer step size. None is 1e-4 on a frozen encoder, whose space larger steps only spoil, and what a network
            that is trained says of itself.
        train_way, train_shot, train_query: shape of the training episodes; None takes the way and shot of the test,
            and 15 query texts per class, or as many as every class has.
        hidden: width of the adapter on a frozen encoder, x + MLP(x) with the MLP at zero: training starts from the
            vectors as they came.
        scale: what vectors are multiplied by before the head (see `Scaled`).
        precision: of the forward pass of a trained encoder; "bfloat16" or "float16" for mixed precision.
        train: tasks to be trained on, joined by +; None takes the training classes of the task that is tested.
        from_: folder of a trained learner to use (`from=` in a spec).
        executor: how tasks are run: "auto", "loop", "vmap" or "captured". chunk_size: tasks in memory at once.
        trust: whether a trained learner that is loaded may do more than compute (run an encoder from a file, say).
    """

    extra = "local"
    by_modality: ClassVar[Mapping[str, str]] = {"image": "conv4", "series": "series"}
    documented_by: ClassVar[tuple[type, ...]] = (TrainingOptions,)
    algorithm: ClassVar[Any]
    head: ClassVar[Start | None] = None
    _arguments: ClassVar[tuple[str, ...]] = ()
    steps: int = 300
    meta_batch: int = 8
    optimizer: Optimizer = "adam"
    lr: float | None = None
    schedule: Schedule = "constant"
    clip: float | None = 10.0
    eval_every: int = 25
    patience: int | None = 6
    n_valid: int = 200
    keep_start: bool = True
    seed: int = 0
    train_way: int | None = None
    train_shot: int | None = None
    train_query: int | None = None
    hidden: int = 256
    precision: str = "float32"
    train: str | None = None
    from_: str | None = None
    executor: str = "auto"
    chunk_size: int | None = None
    trust: bool = False
    _model: _Model | None = field(default=None, init=False, repr=False)
    _stored: tuple[dict[str, Any], dict[str, Any]] | None = field(default=None, init=False, repr=False)
    _weights: str | None = field(default=None, init=False, repr=False)

    @property
    def trained(self) -> bool:
        """Whether it was trained or loaded, or names a folder to load."""
        return self._weights is not None or self.from_ is not None

    def meta_fit(
        self, train: Sequence[Episode], valid: Sequence[Episode], ctx: Context, folder: Path | None = None
    ) -> None:
        """Train on episodes; the parameters that are best on `valid` are kept.

        Args:
            folder: where checkpoints and the learning curve go; a training found there is continued.

        Raises:
            ResumeMismatch: the folder holds an unfinished training of another kind.
            FewshotError: the training diverges, or a text cannot be encoded.
        """
        ctx = replace(ctx, device=join(resolve_device(ctx.device))[1])
        self._require_readable(train[0].problem.task)
        network = self._network()
        inputs = self._new_inputs(network, ctx)
        texts = self._background or tuple(_texts(train))
        inputs.fit(texts)
        table = TextTable(inputs, ctx.device)
        table.indices(texts[:1])
        if "base_classes" in self._arguments:
            self.base_classes = len(_classes(train))
        algorithm = self._algorithm(self._backbone(network, table))
        identity = {
            "learner": self.name,
            "names": self.names,
            "inputs": {**inputs.describe(), "fingerprint": inputs.fingerprint},
            "episodes": {"train": _manifest(train), "valid": _manifest(valid)},
        }
        options = self._options(network)
        trainer = Trainer(algorithm, self._executor(network, ctx), options, ctx, folder, identity)
        trained = trainer.fit(*self._sources(train, valid, table))
        self._stored = None
        self._model = _Model(table, algorithm, trained.params, _record(trained, identity))
        self._weights = checkpoint.fingerprint(trained.params)

    def save(self, folder: Path) -> None:
        """Write the trained learner: `learner.json` and its tensors. The state of a finished training is deleted.

        Raises:
            UsageError: it is not trained.
        """
        if self._model is None:
            raise UsageError(f"{self.name} is not trained: there is nothing to save")
        if not is_first():
            return
        model = self._model
        inputs = model.table.inputs
        tensors = checkpoint.prefixed("params", model.params) | checkpoint.prefixed("inputs", inputs.state())
        content = {
            "learner": self.name,
            "config": self._config(),
            "algorithm": model.algorithm.describe(),
            "inputs": {**inputs.describe(), "fingerprint": inputs.fingerprint, "width": model.table.width},
            "training": model.record,
            "weights": self._weights,
        }
        checkpoint.write(folder, NAME, tensors, content)
        forget(folder)

    def load(self, folder: Path) -> None:
        """Take up a trained learner, with the arguments that it was trained with.

        Raises:
            UsageError: no trained learner, another learner, another version, or an argument of this learner that was
                given and differs.
            NotTrusted: an argument that was not given would do more than compute, and `trust` is not set.
            StorageError: it is damaged.
        """
        tensors, read = checkpoint.read(folder, NAME)
        origin = folder / f"{NAME}.json"
        content: Any = checked(_Stored, read, origin)
        if content["learner"] != self.name:
            raise UsageError(
                f"{folder} holds a trained {content['learner']!r}, not {self.name!r}; name that learner, or train one"
            )
        config = known_arguments(self._hints(), content["config"], origin)
        given = {name: value for name, value in self._config().items() if value != self._defaults()[name]}
        if changed := differences({name: config.get(name) for name in given}, given):
            raise UsageError(f"{folder} was trained with other arguments:\n{changed}\nLeave them out, or train anew")
        taken = {name: value for name, value in config.items() if name not in given}
        require_consent(taken, origin, trust=self.trust)
        for name, value in taken.items():
            setattr(self, name, value)
        self._model, self._stored, self._weights = None, (tensors, content), content["weights"]

    def describe(self) -> dict[str, Any]:
        """Name, every argument that decides the result, and the hash of the trained weights."""
        if self._weights is None and self.from_ is not None:
            self.load(Path(self.from_))
        return {"name": self.name, **self._config(), "weights": self._weights}

    def _require_readable(self, task: TaskInfo) -> None:
        """The same; a learner that comes from a folder takes up its encoder first."""
        self.describe()
        super()._require_readable(task)

    @property
    def _auto(self) -> Spec | None:
        """None once it is trained, or names a folder: the encoder is settled there."""
        return None if self.trained else super()._auto

    def _algorithm(self, backbone: Network) -> Algorithm:
        """The algorithm on a network that gives features."""
        network = backbone if self.head is None else headed(backbone, self.head, self.__dict__["scale"])
        return self.algorithm(network, **{name: getattr(self, name) for name in self._arguments})

    def _sources(
        self, train: Sequence[Episode], valid: Sequence[Episode], table: TextTable
    ) -> tuple[TaskSource, TaskSource]:
        """What the trainer draws tasks from.

        To an algorithm with base classes, training tasks number them all; to one that learns from unlabelled texts they
        bring some of the training classes along.
        """
        numbers = _classes(train) if "base_classes" in self._arguments else None
        tasks: TaskSource = EpisodeTasks(train, table, numbers, self.names)
        if self.__dict__.get("unlabelled"):
            if train[0].problem.task.fields:
                raise UsageError(f"{self.name} makes no paraphrases of pairs: unlabelled=0 trains on labels alone")
            texts, how = self._background or _texts(train), cast("FromUnlabelled", self)
            tasks = ParaphrasedTasks(tasks, table, texts, how, self.steps * self.meta_batch, self.seed)
        return tasks, EpisodeTasks(valid, table, names=self.names)

    def _log_probabilities(self, problems: Sequence[Problem], ctx: Context) -> Iterable[np.ndarray]:
        model = self._ready(ctx)
        if len(model.table) > MAX_TEXTS:
            model.table = TextTable(model.table.inputs, model.table.device)
        executor = self._executor(self._network(), ctx)
        return stacked_log_probabilities(executor, model.algorithm, model.params, problems, model.table)

    def _ready(self, ctx: Context) -> _Model:
        """The trained model, built from what was loaded on first use."""
        if self._model is not None:
            return self._model
        if self._stored is None:
            if self.from_ is None:
                raise UsageError(
                    f"{self.name} is not trained. Give from=FOLDER of a trained one, train=TASK+TASK, or use a task "
                    "with training classes; fewshot classic train makes one"
                )
            self.load(Path(self.from_))
        assert self._stored is not None
        self._model = self._restored(*self._stored, ctx)
        self._stored = None
        return self._model

    def _restored(self, tensors: dict[str, Any], content: dict[str, Any], ctx: Context) -> _Model:
        network = self._network()
        inputs = self._new_inputs(network, ctx)
        inputs.restore(checkpoint.unprefixed("inputs", tensors))
        device = resolve_device(ctx.device)
        table = TextTable(inputs, device)
        table.indices([inputs.blank])
        stored = content["inputs"]
        if table.width != stored["width"]:
            raise UsageError(
                f"{self.name} was trained on inputs of {stored['width']} columns, and encoder {str(self.encoder)!r} "
                f"gives {table.width} now; use the encoder it was trained with, or train anew"
            )
        if inputs.fingerprint != stored["fingerprint"]:
            raise UsageError(
                f"encoder {str(self.encoder)!r} is not the one that {self.name} was trained with: its files or "
                "parameters changed; restore them, or train anew"
            )
        algorithm = self._algorithm(self._backbone(network, table))
        if changed := differences(content["algorithm"], algorithm.describe()):
            raise UsageError(f"{self.name} was trained by another version of its algorithm:\n{changed}\nTrain anew")
        params = {name: value.to(device) for name, value in checkpoint.unprefixed("params", tensors).items()}
        return _Model(table, algorithm, params, content["training"])

    def _network(self) -> Any:
        """The network that reads token ids, or None where the encoder is frozen."""
        if not isinstance(self.encoder, str | Mapping | Spec):
            return None
        spec = parse_spec(self.encoder)
        return NETWORKS.build(spec) if spec.name in NETWORKS.entries() else None

    def _new_inputs(self, network: Any, ctx: Context) -> Inputs:
        if network is not None:
            return network.inputs()
        return FrozenFeatures(build_encoder(self.encoder, device=ctx.device, notify=ctx.notify), centred=True)

    def _backbone(self, network: Any, table: TextTable) -> Network:
        """What the algorithm trains: the network, or an adapter on vectors as wide as those of the table."""
        if network is None:
            from classic.networks.mlp import Residual

            return Residual(table.width, self.hidden)
        if hasattr(network, "fitted"):
            network = network.fitted(table.inputs)
        if self.precision == "float32":
            return network
        from classic.networks.wrappers import MixedPrecision

        return MixedPrecision(network, cast(Any, self.precision))

    def _executor(self, network: Any, ctx: Context) -> Executor:
        from classic.functional.executors import build_executor

        return build_executor(self.executor, self.chunk_size, ctx.notify, network)

    def _options(self, network: Any) -> TrainingOptions:
        options = {each.name: getattr(self, each.name) for each in fields(TrainingOptions)}
        if self.lr is None:
            options["lr"] = _FROZEN_LR if network is None else network.lr
        return TrainingOptions(**options)

    def _config(self) -> dict[str, Any]:
        """The arguments that decide the result."""
        described = super().describe()
        return {name: described[name] for name in self._defaults()}

    def _hints(self) -> dict[str, Any]:
        """Their types."""
        hints = get_type_hints(type(self))
        return {name: hints[name] for name in self._defaults()}

    def _defaults(self) -> dict[str, Any]:
        """The same, as they are when nothing is given."""
        return {each.name: each.default for each in fields(self) if each.init and each.name not in _UNRECORDED}


def meta_learner(
    algorithm: type[Algorithm],
    *,
    name: str | None = None,
    head: Start | None = None,
    without: Sequence[str] = (),
    **defaults: Any,
) -> Any:
    """The learner of an algorithm: a class whose arguments are those of the algorithm and those of training.

    Args:
        algorithm: a dataclass; the first field is its network. One with a field `base_classes` is trained on tasks that
            number their classes among all that there are, and is told how many.
        name: registered name; None takes that of the algorithm.
        head: where the linear head starts that is put on the network; None for an algorithm that needs none. The head
            reads vectors that are multiplied by the argument `scale`, and the adapter is narrower by default.
        without: arguments of the algorithm that make no sense on texts.
        defaults: where they differ from those of the algorithm and of `MetaLearner`.
    """
    hints = get_type_hints(algorithm)
    _, *arguments = (each for each in fields(cast(Any, algorithm)) if each.name not in without)
    own = {each.name: (hints[each.name], each.default) for each in arguments}
    if head is not None:
        own["scale"] = (float, 10.0)
        defaults = {"hidden": 64} | defaults
    trained = get_type_hints(MetaLearner)
    typed = [(key, kind, defaults.get(key, default)) for key, (kind, default) in own.items()]
    typed += [(key, trained[key], value) for key, value in defaults.items() if key not in own]
    made = make_dataclass(
        "Learner",
        typed,
        bases=(MetaLearner,),
        namespace={
            "__doc__": algorithm.__doc__,
            "name": name or cast(Any, algorithm).name,
            "documented_by": (TrainingOptions, *reversed(algorithm.__mro__)),
            "algorithm": algorithm,
            "head": head,
            "_arguments": tuple(each.name for each in arguments),
        },
        eq=False,
        kw_only=True,
    )
    made.__module__ = algorithm.__module__
    return made


def headed(backbone: Network, start: Start, scale: float) -> Headed:
    """Backbone and head. The head treats classes alike at its start, since class numbers mean nothing.

    Args:
        scale: what the vectors of the backbone are multiplied by before the head, see `Scaled`.
    """
    from classic.networks.head import Headed
    from classic.networks.wrappers import Scaled

    return Headed(Scaled(backbone, scale), start)


def stored_name(folder: Path) -> str:
    """Which learner a folder holds. Raises UsageError where it holds none."""
    path = folder / f"{NAME}.json"
    if not path.is_file():
        raise UsageError(f"{folder} holds no trained learner; train one: fewshot classic train --out DIR")
    return checked(str, read_object(path).get("learner"), f"{path} (learner)")


def _texts(episodes: Sequence[Episode]) -> list[str]:
    """The texts of the first 200 episodes, each once."""
    problems = [episode.problem for episode in islice(episodes, 200)]
    return list(dict.fromkeys(whole_text(row) for each in problems for row in (*each.support, *each.queries)))


def _manifest(episodes: Sequence[Episode]) -> str:
    """A hash of how many episodes there are and of the first ones: two sources that agree in them are the same."""
    return digest([len(episodes), *[episode.id for episode in islice(episodes, 20)]])


def _classes(episodes: Sequence[Episode]) -> dict[str, int]:
    """Class name -> number, of all classes in the first thousand episodes."""
    names = {label.name for episode in islice(episodes, 1000) for label in episode.problem.labels}
    return {name: at for at, name in enumerate(sorted(names))}


def _record(trained: Trained, identity: dict[str, Any]) -> dict[str, Any]:
    best = trained.best
    return {
        "steps": trained.steps,
        "best_step": trained.step,
        "valid_accuracy": best.valid_accuracy,
        "valid_loss": best.valid_loss,
        "diverged": trained.diverged,
        "episodes": identity["episodes"],
    }
