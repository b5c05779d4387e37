"""Whatever reads a folder, and however a stranger spelt it: nothing runs, nothing is sent, and each thing is named."""

from __future__ import annotations

import hashlib
import inspect
import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from evals.adapters import EpisodeClassifier
from evals.comparison import Comparison, compare
from evals.episode import EpisodeSampler
from evals.learner import Context
from evals.loading import load_task
from evals.metatrain import ensure_trained
from evals.predictor import NAME as PREDICTOR
from evals.predictor import Predictor
from evals.report.page import render
from evals.runner import run
from evals.types import Example, Label, TaskInfo
from fewshot.cli.groups import names
from fewshot.cli.hosted import Connection
from fewshot.cli.icl import run as icl_run
from fewshot.cli.options import PRESENTATION
from fewshot.core import catalog
from fewshot.core.errors import NotTrusted
from fewshot.core.hashing import canonical_json, digest
from fewshot.core.spec import parse_spec
from tests.evals.fakes import FirstLabel
from tests.evals.report.prompter import Prompter

pytestmark = [pytest.mark.promise(49), pytest.mark.allow_hosts(["127.0.0.1"])]

TASK = "sentiment-en"
SIZE = ("--shot", "1", "--query", "1", "-n", "2")
#: A part in whose place a stranger's stands: FILE is a Python file, TOUCH a command, URL a server.
LEARNERS: dict[str, Any] = {
    "file": "FILE:Evil",
    "mapping": {"name": "FILE:Evil"},
    "selector in a mapping": {"name": "icl", "selector": {"name": "FILE:Evil"}},
    "selector in parentheses": "icl:model=smollm2,selector=(FILE:Evil)",
    "encoder of a selector": "icl:model=smollm2,selector=(mmr:encoder=FILE:Evil),demos=1",
    "calibrator": {"name": "icl", "calibrate": "FILE:Evil"},
    "scorer": "icl:method=FILE:Evil",
    "encoder": "probe:encoder=FILE:Evil",
    "command with a dash": "icl:model=(openai:any,key-cmd=TOUCH)",
    "command with a space": "icl:model=(openai:any,key_cmd =TOUCH)",
    "command in a mapping": {"name": "icl", "model": {"name": "openai", "model": "any", "key_cmd": "TOUCH"}},
    "server": "icl:model=(openai:any,base_url=URL)",
    "server in a mapping": {"name": "icl", "model": {"name": "openai", "model": "any", "base_url": "URL"}},
    "key file": "icl:model=(openai:any,key_file=FILE)",
    "hosted": "icl:model=(anthropic:any)",
}
ENCODERS: dict[str, Any] = {
    "file": "FILE:Evil",
    "mapping": {"name": "FILE:Evil"},
    "options": "FILE:Evil:alpha=2",
    "folder": "hf:./FILE",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "model file": {"model": "FILE:Evil"},
    "selector": {"selector": "(FILE:Evil)"},
    "encoder": {"selector": "knn", "encoder": "FILE:Evil"},
    "calibrator": {"calibrate": "FILE:Evil"},
    "command": {"model": "openai:any,key-cmd=TOUCH"},
    "server": {"model": "openai:any", "base_url": "URL"},
    "key file": {"model": "openai:any,key_file=FILE"},
    "template": {"template": "./FILE.j2"},
}


class Trap:
    """A Python file and a command that leave a marker, and a server that notes who comes."""

    def __init__(self, folder: Path) -> None:
        self.requests: list[str] = []
        self.server = HTTPServer(("127.0.0.1", 0), self._handler())
        self.marker, self.file = folder / "marker", folder / "evil.py"
        self.file.write_text(f"open({str(self.marker)!r}, 'w').close()\n", encoding="utf-8")

    def set(self, spec: Any) -> Any:
        """A spec of the tables above, aimed at this trap."""
        text = json.dumps(spec).replace("FILE", str(self.file)).replace("TOUCH", f"touch {self.marker}")
        return json.loads(text.replace("URL", f"http://127.0.0.1:{self.server.server_port}/v1"))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                requests.append(self.path)
                self.send_error(500)

            do_GET = do_HEAD = do_POST  # noqa: N815 - the names are the library's

        return Handler


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trap]:
    """Fails the test where anything was caught."""
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef")
    trap = Trap(tmp_path)
    thread = threading.Thread(target=trap.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield trap
    trap.server.shutdown()
    thread.join()
    trap.server.server_close()
    assert not trap.marker.exists()
    assert trap.requests == []


@pytest.fixture(scope="module")
def conducted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of somebody else's."""
    folder = tmp_path_factory.mktemp("stranger") / "comparison"
    compare(TASK, {"mine": Prompter()}, way=2, shot=1, query=1, episodes=2, folder=folder)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained learner of somebody else's."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("stranger") / "trained"
    spec = "protonet:encoder=lexical,steps=1,eval_every=1,meta_batch=1,n_valid=1,train_way=2,train=intents-en"
    ensure_trained(
        catalog.LEARNERS.build(spec), EpisodeSampler.of(load_task(TASK), 2, 1, 1), Context(), load_task, folder
    )
    return folder


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of somebody else's, with the settings that `icl run` stores."""
    left_out = (*PRESENTATION, *names(Connection), "ctx")
    options = inspect.signature(icl_run).parameters.values()
    settings = {option.name: option.default for option in options if option.name not in left_out}
    folder = tmp_path_factory.mktemp("stranger") / "run"
    sampler = EpisodeSampler.of(load_task(TASK), 2, 1, 1)
    run(FirstLabel(), sampler, 2, run_dir=folder, ctx=Context(), config={**settings, "task": TASK})
    return folder


def with_settings(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the settings of a stored run, its checksum with them."""
    connection = sqlite3.connect(folder / "run.sqlite")
    with connection:
        (content,) = connection.execute("SELECT content FROM run WHERE key = 'config'").fetchone()
        config = json.loads(content)
        change(config["settings"])
        content = canonical_json(config)
        checksum = hashlib.sha256(canonical_json([{"key": "config"}, content]).encode()).hexdigest()
        connection.execute("UPDATE run SET content = ?, sha256 = ? WHERE key = 'config'", (content, checksum))
    connection.close()


def with_config(trained: Path, folder: Path, **changes: Any) -> Path:
    """A copy of a trained learner that claims to have been trained with other arguments."""
    shutil.copytree(trained, folder)
    path = folder / "learner.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["config"].update(changes)
    path.write_text(json.dumps(content), encoding="utf-8")
    return folder


def predictor(folder: Path, spec: Any) -> Path:
    """A predictor with this spec, its checksum with it."""
    labels, rows = (Label("a", "a"), Label("b", "b")), (Example("1", "x", "a"), Example("2", "y", "b"))
    Predictor("tfidf", TaskInfo("mine", "en", "classification"), labels, rows).save(folder)
    path = folder / PREDICTOR
    content = {**json.loads(path.read_text(encoding="utf-8")), "spec": spec}
    del content["sha256"]
    path.write_text(json.dumps({**content, "sha256": digest(content)}), encoding="utf-8")
    return folder


def refused(outcome: Any) -> None:
    assert outcome.code == 2, outcome.stderr
    assert "is not trusted, and would: " in outcome.stderr
    assert "--trust" in outcome.stderr
    assert outcome.stdout == ""


@pytest.mark.parametrize("spelling", LEARNERS)
def test_a_predictor(fewshot: Callable, trap: Trap, tmp_path: Path, spelling: str) -> None:
    folder = predictor(tmp_path / "predictor", trap.set(LEARNERS[spelling]))
    refused(fewshot("predict", "-", "--from", folder, stdin="a text\n"))
    with pytest.raises(NotTrusted, match="trust=True"):
        Predictor.load(folder)


@pytest.mark.parametrize("spelling", LEARNERS)
def test_a_comparison_that_is_resumed(
    fewshot: Callable, trap: Trap, tmp_path: Path, conducted: Path, spelling: str
) -> None:
    folder = tmp_path / "comparison"
    shutil.copytree(conducted, folder)
    path = folder / "comparison.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["study"]["learner"] = [trap.set(LEARNERS[spelling])]
    path.write_text(json.dumps(content), encoding="utf-8")
    refused(fewshot("compare", "--resume", folder))
    refused(fewshot("compare", "--resume", folder, "--dry-run"))


@pytest.mark.parametrize("spelling", LEARNERS)
def test_a_study_file(fewshot: Callable, trap: Trap, tmp_path: Path, spelling: str) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps({"task": TASK, "learner": [trap.set(LEARNERS[spelling])]}), encoding="utf-8")
    refused(fewshot("compare", study, "--dry-run"))


@pytest.mark.parametrize("spelling", LEARNERS)
@pytest.mark.promise(52)
def test_a_report(fewshot: Callable, trap: Trap, tmp_path: Path, conducted: Path, spelling: str) -> None:
    pytest.importorskip("altair")
    folder = tmp_path / "comparison"
    shutil.copytree(conducted, folder)
    spec = str(parse_spec(trap.set(LEARNERS[spelling])))
    for file in folder.glob("*/run.sqlite"):
        with_settings(file.parent, lambda settings: settings.update(contestant=spec))
    done = fewshot("report", folder, "-o", tmp_path / "report.html")
    assert done.code == 0, done.stderr
    assert "is not trusted, and would: " in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "is not trusted, and would: " in render(Comparison.read([folder]))


@pytest.mark.parametrize("spelling", SETTINGS)
def test_a_run_that_is_resumed(fewshot: Callable, trap: Trap, tmp_path: Path, begun: Path, spelling: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(begun, folder)
    with_settings(folder, lambda settings: settings.update(trap.set(SETTINGS[spelling])))
    refused(fewshot("icl", "run", "--resume", folder))


@pytest.mark.parametrize("spelling", ENCODERS)
def test_a_trained_learner(fewshot: Callable, trap: Trap, tmp_path: Path, trained: Path, spelling: str) -> None:
    folder = with_config(trained, tmp_path / "trained", encoder=trap.set(ENCODERS[spelling]))
    refused(fewshot("classic", "run", "--from", folder, "-t", TASK, *SIZE, "--run-dir", tmp_path / "runs"))
    refused(fewshot("classic", "predict", "-", "--from", folder, "--support", TASK, stdin="a text\n"))
    refused(fewshot("compare", "-t", TASK, "-l", f"protonet:from={folder}", *SIZE, "--run-dir", tmp_path / "runs"))
    with pytest.raises(NotTrusted, match="trust=True"):
        EpisodeClassifier(f"protonet:from={folder}").fit(["x", "y"], ["a", "b"]).predict(["z"])
    assert not list((tmp_path / "runs").glob("*/run.sqlite"))


@pytest.mark.promise(51)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_weights": "x"}, "sets '_weights', which is not known"),
        ({"predict": "x"}, "sets 'predict', which is not known"),
        ({"trust": True}, "sets 'trust', which is not known"),
        ({"from_": "/elsewhere"}, "sets 'from_', which is not known"),
        ({"steps": "many"}, "steps"),
        ({"distance": "chebyshev"}, "distance"),
        ({"encoder": 5}, "encoder"),
        ({"hidden": True}, "hidden"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_only_known_arguments_are_taken(
    fewshot: Callable, trap: Trap, tmp_path: Path, trained: Path, changes: dict[str, Any], message: str
) -> None:
    folder = with_config(trained, tmp_path / "trained", **changes)
    done = fewshot("classic", "predict", "-", "--from", folder, "--support", TASK, stdin="a text\n")
    assert (done.code, message in done.stderr) == (1, True), done.stderr


@pytest.mark.promise(51)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key_cmd": "touch x"}, "sets 'key_cmd', which is not known"),
        ({"trust": True}, "sets 'trust', which is not known"),
        ({"way": "two"}, "(way)"),
        ({"model": {"name": "smollm2"}}, "(model)"),
        ({"demos": ["all"]}, "(demos)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_only_known_settings_are_taken(
    fewshot: Callable, trap: Trap, tmp_path: Path, begun: Path, changes: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(begun, folder)
    with_settings(folder, lambda settings: settings.update(changes))
    done = fewshot("icl", "run", "--resume", folder, "--trust")
    assert (done.code, message in done.stderr) == (1, True), done.stderr


def test_a_classifier_that_trusts_takes_what_is_there(tmp_path: Path, trained: Path) -> None:
    (tmp_path / "mine.py").write_text("from fewshot.encoders.lexical import Lexical as Mine\n", encoding="utf-8")
    folder = with_config(trained, tmp_path / "trained", encoder=f"{tmp_path / 'mine.py'}:Mine")
    classifier = EpisodeClassifier(f"protonet:from={folder}", trust=True)
    assert list(classifier.fit(["red apple", "blue sea"], ["a", "b"]).predict(["red apple"])) == ["a"]


def test_who_trusts_lets_it_run(fewshot: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from pathlib import Path\nfrom tests.evals.fakes import FirstLabel as Mine\n"
        f"Path({str(tmp_path / 'marker')!r}).touch()\n"
    )
    folder = predictor(tmp_path / "predictor", {"name": f"{tmp_path / 'mine.py'}:Mine"})
    done = fewshot("predict", "-", "--from", folder, "--trust", stdin="a text\n")
    assert done.code == 0, done.stderr
    assert (tmp_path / "marker").exists()


@pytest.mark.promise(50)
def test_an_option_given_anew_is_consent(fewshot: Callable, trap: Trap, tmp_path: Path, begun: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(begun, folder)
    with_settings(folder, lambda settings: settings.update(model="hf:./nowhere"))
    refused(fewshot("icl", "run", "--resume", folder))
    done = fewshot("icl", "run", "--resume", folder, "-m", "hf:./nowhere")
    assert (done.code, "there is no model folder" in done.stderr) == (5, True)
