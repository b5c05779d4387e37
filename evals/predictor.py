"""A learner with the labelled texts that it is shown, kept in a folder to label new texts.

There is nothing to unpickle: the folder holds a spec, the texts as JSON lines and, for learners that were trained on
other tasks, what they save themselves. The learner is fitted again when it is loaded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from evals.adapters.inputs import known_texts
from evals.confidence import Confidence
from evals.labeller import Labeller
from evals.language import UNKNOWN, guess_language
from evals.learner import Learner, MetaLearner
from evals.metatrain import LEARNER_FOLDER
from evals.rundir import versions
from evals.training_record import joined, records, write
from evals.types import Answer, Example, Gold, Label, TaskInfo
from fewshot.core.catalog import LEARNERS
from fewshot.core.consent import acts, require_consent
from fewshot.core.embedded import encoder_for
from fewshot.core.errors import StorageError, UsageError
from fewshot.core.hashing import canonical_json, digest
from fewshot.core.paths import write_atomically
from fewshot.core.spec import AUTO, Spec, auto_spec, parse_spec
from fewshot.core.stored import checked, parse_object, read_object

#: File in the folder of a predictor that says what it is; written last.
NAME = "predictor.json"
_SUPPORT = "support.jsonl"
#: Key of the checksum of everything else in that file. It tells of damage: whoever changes the file can write it anew.
_CHECKSUM = "sha256"
_FORMAT, _READ = 3, (2, 3)
#: Texts that are asked together.
_BATCH = 64
#: Where a meta-learner's training came from: what it came to is in the folder.
_TRAINING = ("train", "from")


@dataclass(frozen=True)
class Predictor:
    """Labels texts by a few labelled ones.

    Attributes:
        spec: of the learner.
        labels: the classes. support: labelled texts.
        expected: what it was measured at, for people: accuracy, interval, number of texts.
        data_fingerprint: of the data that the support comes from.
        text_column: in files of new texts, as it was in that of the support.
        versions: of the packages that it was made with.
        learner: the learner as it was built and, where it has to be, trained.
        confidence: what its probabilities are worth; None where that was not measured, or it gives none.
    """

    spec: str
    task: TaskInfo
    labels: tuple[Label, ...]
    support: tuple[Example, ...]
    seed: int = 0
    expected: Mapping[str, Any] = field(default_factory=dict)
    data_fingerprint: str = ""
    text_column: str = "text"
    versions: Mapping[str, str | None] = field(default_factory=versions)
    learner: Learner | None = field(default=None, compare=False, repr=False)
    confidence: Confidence | None = None

    def predict(self, texts: Iterable[str]) -> list[Answer]:
        """The answer to each text, failures included."""
        labeller = self.labeller()
        return labeller.answer([labeller.query(text) for text in known_texts(texts)])

    def labeller(self, device: str = "auto", *, abstain: float | None = None) -> Labeller:
        """The learner with the support.

        Args:
            abstain: probability below which an answer is "unsure".
        """
        learner = self.learner or LEARNERS.build(self.spec, seed=self.seed)
        return Labeller(
            learner,
            self.task,
            self.labels,
            self.support,
            batch_size=_BATCH,
            seed=self.seed,
            device=device,
            temperature=1.0 if self.confidence is None else self.confidence.temperature,
            abstain=abstain,
        )

    def threshold(self, wanted: str) -> float:
        """The probability below which to be unsure: a number as it is, "accuracy=0.95" by what the splits showed.

        Raises:
            UsageError: neither; no such accuracy can be promised; nothing was measured.
        """
        name, _, value = wanted.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if name not in ("", "accuracy") or not 0 < number < 1:
            raise UsageError(f"--abstain {wanted}: give a probability such as 0.8, or accuracy=0.95")
        if self.confidence is None:
            raise UsageError(
                f"--abstain {wanted}: nothing is known of the probabilities of this predictor. Its learner gives none, "
                "or it was made of fewer than 20 texts, or by an earlier version"
            )
        return self.confidence.threshold_for(number) if name else number

    def save(self, folder: Path) -> None:
        """Write the predictor into a new folder.

        Raises:
            UsageError: the folder holds something already, or the learner has to be trained and is not.
            StorageError: it cannot be written.
        """
        require_new(folder)
        if isinstance(self.learner, MetaLearner):
            known, missing = records(self.learner)
            if known and not missing:
                write(folder / LEARNER_FOLDER, joined(known))
            self.learner.save(folder / LEARNER_FOLDER)
        lines = (canonical_json(_row(row)) for row in self.support)
        support = "".join(f"{line}\n" for line in lines)
        content = {
            "format": _FORMAT,
            "spec": str(self._settled()),
            "task": asdict(self.task),
            "labels": [asdict(label) for label in self.labels],
            "seed": self.seed,
            "expected": dict(self.expected),
            "data_fingerprint": self.data_fingerprint,
            "text_column": self.text_column,
            "versions": dict(self.versions),
            "support_sha256": digest(support),
            "confidence": None if self.confidence is None else self.confidence.record(),
        }
        write_atomically(folder / _SUPPORT, support)
        summed = {**content, _CHECKSUM: digest(content)}
        write_atomically(folder / NAME, json.dumps(summed, ensure_ascii=False, indent=2) + "\n")

    def _settled(self) -> Spec:
        """The spec with the encoder that "auto" is now, so that what is installed later does not change the answers."""
        spec = parse_spec(self.spec)
        if isinstance(self.learner, MetaLearner):  # it keeps what it was trained on
            return spec
        known = self.task.language != UNKNOWN
        language = self.task.language if known else guess_language(row.text for row in self.support)
        default = signature(LEARNERS.entry(spec.name).load()).parameters.get("encoder")
        defaults = {"encoder": AUTO} if default is not None and default.default == AUTO else {}
        return _with_encoder(replace(spec, params={**defaults, **spec.params}), encoder_for(language)[0])

    @classmethod
    def load(cls, folder: Path, *, trust: bool = False) -> Predictor:
        """Read a predictor.

        Args:
            trust: whether its learner may do more than compute: run a file or a command, read a file, ask a server.

        Raises:
            UsageError: no predictor is there, or it is of another format.
            NotTrusted: its learner would do more than compute, and `trust` is not set.
            StorageError: it is damaged.
        """
        content = _read(folder / NAME)
        spec = parse_spec(content["spec"])
        require_consent(_reached(spec, content["task"]), folder, trust=trust)
        return cls(
            spec=str(spec),
            task=TaskInfo(**{**content["task"], "fields": tuple(content["task"]["fields"])}),
            labels=tuple(Label(**label) for label in content["labels"]),
            support=_read_support(folder / _SUPPORT, content["support_sha256"]),
            seed=content["seed"],
            expected=content["expected"],
            data_fingerprint=content["data_fingerprint"],
            text_column=content["text_column"],
            versions=content["versions"],
            learner=_built(spec, content["seed"], folder, trust),
            confidence=None if content.get("confidence") is None else Confidence.restored(content["confidence"]),
        )

    @property
    def needs_trust(self) -> bool:
        """Whether its learner does more than compute."""
        return bool(acts(_reached(parse_spec(self.spec), asdict(self.task))))

    @property
    def changed_versions(self) -> list[str]:
        """What is installed in another version than the one it was made with: `numpy 2.1 -> 2.2`."""
        now = versions()
        return [
            f"{name} {before or 'none'} -> {now.get(name) or 'none'}"
            for name, before in self.versions.items()
            if now.get(name) != before
        ]


def require_new(folder: Path) -> None:
    """Refuse a folder that holds something already, or cannot be made. Changes nothing.

    Raises:
        UsageError: it is not empty, or a file.
        StorageError: its place cannot be written to.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"{folder} exists already; nothing is written over. Choose another folder with --out")
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        raise StorageError(f"cannot write to {place}; choose another folder with --out")


def _reached(spec: Spec, task: Mapping[str, Any]) -> list[Any]:
    """What of a predictor may reach beyond computing. Its learner is trained already, if it has to be."""
    return [_without_training(spec), {"template": task["template"]}]


def _with_encoder(spec: Spec, encoder: str) -> Spec:
    """With this encoder wherever it is "auto"."""
    params = dict(spec.params)
    for name, value in spec.params.items():
        if name == "encoder" and (auto := auto_spec(value)) is not None:
            params[name] = replace(auto, name=encoder) if auto.params else encoder
        elif isinstance(value, Spec):
            params[name] = _with_encoder(value, encoder)
    return replace(spec, params=params)


def _without_training(spec: Spec) -> Spec:
    params = {name: value for name, value in spec.params.items() if name not in _TRAINING}
    return Spec(spec.name, params, spec.positional)


def _built(spec: Spec, seed: int, folder: Path, trust: bool) -> Learner:
    """The learner of a spec, with what it was trained to where it was."""
    trained = folder / LEARNER_FOLDER
    learner: Learner = LEARNERS.build(_without_training(spec), seed=seed, trust=trust)
    if isinstance(learner, MetaLearner):
        if not trained.is_dir():
            raise StorageError(f"{folder} is damaged: what {spec.name!r} was trained to is missing ({trained})")
        learner.load(trained)
    return learner


class _Task(BaseModel):
    """A `TaskInfo` as it is stored."""

    model_config = ConfigDict(extra="forbid")

    name: str
    language: str
    kind: str
    instruction: str
    template: str
    input_name: str
    output_name: str
    fields: list[str]
    modality: str = "text"


class _Label(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    verbalizer: str
    description: str = ""


_Pair = Annotated[list[float], Field(min_length=2, max_length=2)]


class _Confidence(BaseModel):
    """A `Confidence` as it is stored."""

    model_config = ConfigDict(extra="forbid")

    temperature: Annotated[float, Field(gt=0)]
    log_loss: _Pair
    calibration_error: _Pair
    points: Annotated[list[_Pair], Field(min_length=1)]


class _Stored(BaseModel):
    """What the file of a predictor says."""

    model_config = ConfigDict(extra="forbid")

    format: int
    spec: str | dict[str, Any]
    task: _Task
    labels: list[_Label]
    seed: int
    expected: dict[str, Any]
    data_fingerprint: str
    text_column: str
    versions: dict[str, str | None]
    support_sha256: str
    confidence: _Confidence | None = None


def _read(path: Path) -> dict[str, Any]:
    """What the file says, undamaged and of the expected shape."""
    if not path.is_file():
        raise UsageError(
            f"{path.parent} holds no predictor: there is no {NAME} in it. Make one: fewshot recommend FILE"
        )
    content = read_object(path)
    if content.get("format") not in _READ:
        raise UsageError(
            f"{path.parent} holds a predictor of format {content.get('format')!r}; this version reads {_FORMAT} and 2. "
            "Use the version of fewshot that made it"
        )
    if content.pop(_CHECKSUM, None) != digest(content):
        raise StorageError(f"{path} is not what was saved: its hash differs from its checksum. Make the predictor anew")
    return checked(_Stored, content, path)


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str
    text: str
    label: str | list[str]
    fields: dict[str, Any]


def _row(row: Example) -> dict[str, Any]:
    return {"id": row.id, "text": row.text, "label": row.label, "fields": dict(row.fields)}


def _read_support(path: Path, sha256: str) -> tuple[Example, ...]:
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
    if digest(text) != sha256:
        raise StorageError(f"{path} is not what was saved: its hash differs from its checksum. Make the predictor anew")
    rows = [checked(_Row, parse_object(line, path), path) for line in text.split("\n") if line]
    return tuple(Example(row["id"], row["text"], _gold(row["label"]), row["fields"]) for row in rows)


def _gold(stored: str | list[str]) -> Gold:
    return stored if isinstance(stored, str) else tuple(stored)
